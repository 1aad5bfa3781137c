"""Which incidents the list shows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import streamlit as st

from anomalyd.dashboard import links
from anomalyd.dashboard.style import MARK
from anomalyd.reports.queries import Selection
from anomalyd.reports.report import SeenBy, Severity, Status

_WINDOWS = {
    "at any time": None,
    "in the last hour": 3600.0,
    "in the last 8 hours": 8 * 3600.0,
    "in the last 24 hours": 24 * 3600.0,
    "in the last 7 days": 7 * 24 * 3600.0,
}


@dataclass(frozen=True, slots=True)
class Filters:
    """What was chosen; an empty one is no condition. `window_s`: going on at any time since so long ago."""

    status: Status | None = None
    severities: tuple[Severity, ...] = ()
    entity: str = ""
    detectors: tuple[str, ...] = ()
    seen_by: tuple[SeenBy, ...] = ()
    window_s: float | None = None

    def selection(self, now: float, status: Status | None = None) -> Selection:
        """Give the typed selection as of now (seconds since the epoch), of one status only if it is given."""
        wanted = status or self.status
        return Selection(
            entities=entity_patterns(self.entity),
            detectors=self.detectors,
            severities=self.severities,
            statuses=(wanted,) if wanted else (),
            seen_by=self.seen_by,
            since=None if self.window_s is None else now - self.window_s,
        )


def entity_patterns(text: str) -> tuple[str, ...]:
    """Give the shell pattern of names that hold the text in any case; `*` and `?` are any characters."""
    text = text.strip()
    if not text:
        return ()
    pattern = "".join(_either_case(c) for c in text)
    return (pattern,) if {"*", "?"} & set(text) else (f"*{pattern}*",)


def _either_case(character: str) -> str:
    if character == "[":
        return "[[]"
    lower, upper = character.lower(), character.upper()
    # A letter such as ß has two as its upper case: a bracket would match either of them alone.
    return f"[{lower}{upper}]" if lower != upper and len(lower) == len(upper) == 1 else character


def choose(detectors: Sequence[str]) -> Filters:
    """Show the filters beside the page, and give what is chosen; a change leads back to the list."""
    with st.sidebar:
        st.markdown("#### Incidents")
        status = st.segmented_control(
            "status", list(Status), format_func=str, key="status", on_change=links.open_list
        )
        severities = st.pills(
            "severity",
            list(reversed(Severity)),
            format_func=MARK.__getitem__,
            selection_mode="multi",
            key="severity",
            on_change=links.open_list,
        )
        entity = st.text_input(
            "entity",
            placeholder="host/*, MB1, …",
            help="a part of the name, or all of it with * and ? for any characters",
            key="entity",
            on_change=links.open_list,
        )
        seen_by = st.pills(
            "seen by",
            list(SeenBy),
            format_func=str,
            selection_mode="multi",
            key="seen_by",
            on_change=links.open_list,
        )
        chosen = st.multiselect("detector", list(detectors), key="detector", on_change=links.open_list)
        window = st.selectbox("going on", list(_WINDOWS), key="window", on_change=links.open_list)
    return Filters(
        status=status,
        severities=tuple(severities),
        entity=entity,
        detectors=tuple(chosen),
        seen_by=tuple(seen_by),
        window_s=_WINDOWS[window],
    )
