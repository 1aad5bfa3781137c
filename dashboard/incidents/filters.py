"""Which incidents the list shows; the choice stands in the address."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC

import streamlit as st

from anomalyd.reports.queries import Selection
from anomalyd.reports.report import SeenBy, Severity, Status

_ANY, _BETWEEN = "at any time", "between two times"
_WINDOWS = {
    _ANY: None,
    "in the last hour": 3600.0,
    "in the last 8 hours": 8 * 3600.0,
    "in the last 24 hours": 24 * 3600.0,
    "in the last 7 days": 7 * 24 * 3600.0,
    _BETWEEN: None,
}

GROUPED = {"1 min": 60.0, "10 s": 10.0, "5 min": 300.0, "not at all": 0.0}
"""Within how long of the first what starts counts as together, in seconds."""


@dataclass(frozen=True, slots=True)
class Filters:
    """What was chosen; an empty one is no condition. `window_s`: going on at any time since so long ago.

    `since` and `until` are event times in seconds since the epoch.
    """

    status: Status | None = None
    severities: tuple[Severity, ...] = ()
    entity: str = ""
    detectors: tuple[str, ...] = ()
    seen_by: tuple[SeenBy, ...] = ()
    window_s: float | None = None
    since: float | None = None
    until: float | None = None
    run: int | None = None
    cause: str = ""

    def selection(self, now: float) -> Selection:
        """Give the typed selection as of now (seconds since the epoch)."""
        return Selection(
            entities=entity_patterns(self.entity),
            detectors=self.detectors,
            severities=self.severities,
            statuses=(self.status,) if self.status else (),
            seen_by=self.seen_by,
            since=self.since if self.window_s is None else now - self.window_s,
            until=self.until,
            run=self.run,
            cause=self.cause.strip() or None,
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
    """Show the filters beside the list, and give what is chosen."""
    with st.sidebar:
        status = st.segmented_control("status", [s.value for s in Status], key="status", bind="query-params")
        severities = st.pills(
            "severity",
            [s.value for s in reversed(Severity)],
            selection_mode="multi",
            key="severity",
            bind="query-params",
        )
        entity = st.text_input(
            "entity",
            placeholder="host/*, MB1, …",
            help="a part of the name, or all of it with * and ? for any characters",
            key="entity",
            bind="query-params",
        )
        cause = st.text_input(
            "to blame", placeholder="a metric, a layer, …", key="cause", bind="query-params"
        )
        run = st.number_input("run", min_value=0, value=None, step=1, key="run", bind="query-params")
        window, since, until = _choose_time()
        seen_by = st.pills(
            "seen by", [s.value for s in SeenBy], selection_mode="multi", key="seen_by", bind="query-params"
        )
        # What the address names is offered, too: an alert may name a detector that has reported nothing yet.
        offered = sorted({*detectors, *st.query_params.get_all("detector")})
        chosen = st.multiselect("detector", offered, key="detector", bind="query-params")
    return Filters(
        status=Status(status) if status else None,
        severities=tuple(map(Severity, severities)),
        entity=entity,
        detectors=tuple(chosen),
        seen_by=tuple(map(SeenBy, seen_by)),
        window_s=_WINDOWS[window],
        since=since,
        until=until,
        run=None if run is None else int(run),
        cause=cause,
    )


def _choose_time() -> tuple[str, float | None, float | None]:
    window = st.selectbox("going on", list(_WINDOWS), key="window", bind="query-params")
    if window != _BETWEEN:
        return window, None, None
    since, until = time_range("since", "until")
    return window, since, until


def time_range(begin: str, end: str) -> tuple[float | None, float | None]:
    """Show two fields of a time in UTC, bound to the address by these names; give seconds since the epoch."""
    found = [
        st.datetime_input(f"{name} (UTC)", value=None, key=name, step=60, bind="query-params")
        for name in (begin, end)
    ]
    first, last = (None if at is None else at.replace(tzinfo=UTC).timestamp() for at in found)
    return first, last
