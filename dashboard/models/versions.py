"""Which version of a detector is at work: rolled back to an earlier one, and let go on, with a name."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import streamlit as st

from anomalyd.dashboard import access
from anomalyd.dashboard.style import literal, told
from anomalyd.dashboard.wording import moment
from anomalyd.errors import AnomalydError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from anomalyd.detectors.library import ModelLibrary, Pin

DONE = "version that was chosen"


def show(library: ModelLibrary, name: str, versions: Sequence[str], at_work: str) -> None:
    """Show whether a version is pinned, and offer another to whoever may write."""
    pinned = library.pinned(name)
    if pinned is not None:
        st.warning(literal(pinned_words(pinned)))
    if not access.may_annotate() or (len(versions) < 2 and pinned is None):
        return
    with st.expander("Roll back to an earlier version" if pinned is None else "Roll back, or go on"):
        others = [version for version in reversed(versions) if version != at_work]
        newest = "the newest, whatever is published"
        choices = [*([newest] if pinned is not None else []), *others]
        chosen = st.selectbox("version", choices, key=f"version of {name}")
        who = access.name_field(f"who rolls back {name}")
        reason = st.text_input("Reason", key=f"why roll back {name}", max_chars=500).strip()
        st.html(told(_what(name, chosen, is_newest=chosen == newest)))
        if st.button("Do it", type="primary", key=f"roll back {name}", disabled=not (who and reason)):
            if chosen == newest:
                do(lambda: unpinned(library, name, who))
            else:
                do(lambda: rolled_back(library, name, chosen, who, reason))


def do(change: Callable[[], str]) -> None:
    """Do something to the folder of models, and say what was done, or why not."""
    try:
        if not access.may_annotate():
            raise AnomalydError("you may read here, not write; dashboard.annotate names those who may")
        st.session_state[DONE] = change()
    except AnomalydError as error:
        st.error(literal(str(error)))
        return
    st.rerun()


def pinned_words(pin: Pin) -> str:
    """Say that a version is pinned, by whom and why."""
    return (
        f"{pin.version} is kept at work since {moment(pin.at)} UTC by {pin.who}: "
        f"{pin.reason or 'no reason'}. What is published meanwhile waits."
    )


def rolled_back(library: ModelLibrary, name: str, version: str, who: str, reason: str) -> str:
    """Keep a version at work."""
    from anomalyd.detectors.library import Pin

    library.pin(name, Pin(version, who, reason, time.time()))
    return f"{name}: {version} is at work within seconds, and stays until somebody lets go on."


def unpinned(library: ModelLibrary, name: str, who: str) -> str:
    """Let the newest version be at work again."""
    library.unpin(name)
    return f"{name}: the newest version is at work again within seconds, by {who}."


def _what(name: str, chosen: str, *, is_newest: bool) -> str:
    what = "the newest version at work" if is_newest else f"{chosen} at work, whatever is published later"
    return (
        f"Have {what} for {name}. Daemons take it within seconds; what the model of now has learnt of "
        "entities does not fit another, so that each begins anew from its training."
    )
