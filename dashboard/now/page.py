"""Now: the state of every group, what is open, how fresh the data are; it looks again by itself."""

from __future__ import annotations

import time
from collections import Counter

import streamlit as st

from anomalyd.assistant.language.phrasing import counted
from anomalyd.dashboard import navigation, style, wording
from anomalyd.dashboard.now import daemons, drawing, states, urgent
from anomalyd.dashboard.settings import Settings
from anomalyd.dashboard.store import look
from anomalyd.reports.queries import Queries, Selection
from anomalyd.reports.relations.incident_row import RANK, IncidentRow
from anomalyd.reports.report import Severity, Status
from anomalyd.reports.storage.repositories.daemon_status import DaemonStatus
from anomalyd.reports.storage.repositories.overview import Backlog

_REFRESH_S = 5.0  # soon enough for a person, and a few queries of milliseconds each
_URGENT = 8
_TOLD = (
    states.Condition.SILENT,
    states.Condition.UNFIT,
    states.Condition.UNSCORED,
    states.Condition.LEARNING,
    states.Condition.MAINTENANCE,
)
"""What is counted below the map, beside what is open."""


@st.fragment(run_every=_REFRESH_S)
def show() -> None:
    """Show the state of everything, and again every few seconds."""
    look(lambda queries: _draw(queries, time.time()))


def _draw(queries: Queries, now: float) -> None:
    open_rows = queries.overview.rows(Selection(statuses=(Status.OPEN,)))
    latest = queries.overview.latest()
    running = queries.overview.daemons()
    newest = max((sent.last for sent in latest.values()), default=None)
    told = [*daemons.of_all(running, now), *daemons.of_canaries(queries.overview.canaries(), now)]
    _show_head(open_rows, newest, told, now)
    entities = {*latest, *(row.entity for row in open_rows)}
    windows = [w for w in queries.maintenance() if w.since <= now < w.until]
    known = states.Known(
        latest=latest,
        scored=frozenset(queries.overview.scored()),
        alarming=states.worst_of(open_rows),
        silenced=frozenset(e for e in entities if any(w.covers(e) for w in windows)),
        learning=frozenset(e for each in running for d in each.detectors for e in d.learning_names),
        unfit={
            e: f"the model of {d.name} cannot take what it sends"
            for each in running
            for d in each.detectors
            for e in d.unfit_names
        }
        | queries.overview.unfit(),
    )
    groups = states.group_states(known, Settings.from_environment().groups)
    if groups:
        drawn = "".join(drawing.draw_group(group, style.theme()) for group in groups)
        st.html(f'<div class="ad-groups">{drawn}</div>')
    elif queries.count(Selection()) == 0:
        st.info(
            "Nothing was received yet. `anomalyd run` fills this page; `anomalyd doctor` says what fails."
        )
    _show_urgent(open_rows, now)
    _show_health(queries.overview.backlog(), groups)
    _show_daemons(running, now)


def _show_head(
    open_rows: list[IncidentRow], latest: float | None, told: list[daemons.Said], now: float
) -> None:
    counts = Counter(row.severity for row in open_rows)
    severities = sorted(counts, key=lambda s: -RANK[s])
    marks = [
        f'<span style="color:{style.colour(s)}">{style.SHAPE[s]} {_counted(counts[s], s)}</span>'
        for s in severities
    ]
    head = "".join(marks) or "nothing open"
    well, text = wording.freshness(latest, now)
    badges = "".join(
        style.badge(said.text) if said.well else style.badge(f"⚠ {said.text}", style.alarm())
        for said in (daemons.Said(well, text), *told)
    )
    st.html(f'<div class="ad-strip"><div class="ad-big">{head}</div>{badges}</div>')


def _counted(number: int, severity: Severity) -> str:
    plural = "s" if number != 1 and severity is not Severity.CRITICAL else ""
    return f"{number:,} {severity}{plural}"


def _show_urgent(open_rows: list[IncidentRow], now: float) -> None:
    if not open_rows:
        return
    groups = urgent.groups(open_rows)
    st.markdown("##### Most urgent")
    with st.container(gap=None):
        for group in groups[:_URGENT]:
            label = f"{style.MARK[group.worst.severity]} · {urgent.words(group, now)}"
            navigation.report_button(group.worst.id, f"urgent {group.worst.id}", style.literal(label))
    if len(groups) > _URGENT and st.button(
        f"All {len(open_rows):,} open incidents", icon=":material/list:", key="all open"
    ):
        navigation.go("incidents", {"status": "open"})


def _show_health(backlog: Backlog, groups: list[states.GroupState]) -> None:
    conditions = Counter(state.condition for group in groups for state in group.entities)
    parts = [
        counted(conditions.total(), "entity", "entities") + " known",
        *(f"{conditions[c]:,} {c}" for c in _TOLD if conditions[c]),
    ]
    waiting = [
        f"{what}: {n:,}"
        for n, what in (
            (backlog.unexplained, "reports to be explained"),
            (backlog.outbox, "messages to be sent"),
            (backlog.feedback, "words to be applied by the daemon"),
        )
        if n
    ]
    st.html(style.told(" · ".join([*parts, *waiting]), "ad-quiet"))


def _show_daemons(running: list[DaemonStatus], now: float) -> None:
    if running:
        st.html(style.text_table([daemons.details(each, now) for each in running]))
