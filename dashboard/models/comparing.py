"""A version beside the model at work, on demand: asked for here, made by the daemon."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from anomalyd.assistant.language.phrasing import duration
from anomalyd.dashboard import access
from anomalyd.dashboard.store import opened, write
from anomalyd.dashboard.style import literal, told
from anomalyd.dashboard.wording import moment
from anomalyd.errors import AnomalydError
from anomalyd.reports.queries import Queries
from anomalyd.reports.storage.comparisons import Comparison
from anomalyd.reports.storage.store import Store

_DONE = "comparison that was asked for"
_LOOK_S = 5.0


def show(queries: Queries, name: str, versions: Sequence[str], at_work: str) -> None:
    """Show what was asked for of a detector, and offer each of these versions beside the one at work."""
    if done := st.session_state.pop(f"{_DONE} {name}", None):
        st.success(literal(done))
    asked = queries.overview.comparisons(name)
    for each in asked[:1]:
        (st.warning if each.outcome else st.caption)(literal(state_of(each)))
    if any(each.ended is None for each in asked):
        _watch(name, _stamp(asked))
    others = [version for version in versions if version != at_work]
    if not others or not access.may_annotate():
        return
    with st.expander("Compare a version with the model at work"):
        chosen = st.selectbox("version", others, key=f"compared version of {name}")
        st.html(
            told(
                f"The daemon scores the newest tenth of the samples that the topics hold by {chosen} and by "
                f"{at_work}, beside its work: {how_long(asked)}. Where they differ is shown here."
            )
        )
        who = access.name_field(f"who compares {name}")
        if st.button("Do it", type="primary", key=f"compare {name}", disabled=not who):
            _ask(name, chosen, at_work, who)


def _ask(name: str, chosen: str, at_work: str, who: str) -> None:
    def do(store: Store) -> str:
        store.comparisons.ask(name, chosen, at_work, who)
        return f"The daemon will compare {chosen} with {at_work}."

    try:
        st.session_state[f"{_DONE} {name}"] = write(do)
    except AnomalydError as error:
        st.error(literal(str(error)))
        return
    st.rerun()


def how_long(asked: Sequence[Comparison]) -> str:
    """Say how long a comparison takes, by the last one that was made."""
    took = [each.ended - each.begun for each in asked if each.ended and each.begun and not each.outcome]
    if not took:
        return "that takes about as long as a training without its fit, a minute to some minutes"
    return f"the last one took {duration(max(took[0], 1.0))}"


def state_of(asked: Comparison) -> str:
    """Say how a comparison stands."""
    what = f"{asked.candidate} beside {asked.old}, asked for by {asked.who} at {moment(asked.asked)} UTC"
    if asked.begun is None:
        return f"{what}: it waits for the daemon."
    if asked.ended is None:
        return f"{what}: it is being made since {moment(asked.begun)} UTC."
    if asked.outcome:
        return f"{what}: it could not be made: {asked.outcome}"
    return f"{what}: made at {moment(asked.ended)} UTC, in {duration(max(asked.ended - asked.begun, 1.0))}."


def _stamp(asked: Sequence[Comparison]) -> tuple[tuple[int, float | None, float | None], ...]:
    return tuple((each.id, each.begun, each.ended) for each in asked)


@st.fragment(run_every=_LOOK_S)
def _watch(name: str, seen: tuple[tuple[int, float | None, float | None], ...]) -> None:
    """Draw the page anew once the daemon has begun or ended what was asked for."""
    try:
        with opened() as queries:
            changed = _stamp(queries.overview.comparisons(name)) != seen
    except AnomalydError:
        return  # the page says so when it is drawn again
    if changed:
        st.rerun()
