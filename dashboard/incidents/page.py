"""The list of incidents, those that need somebody first; what started together is one row."""

from __future__ import annotations

import time
from collections.abc import Sequence

import pandas as pd
import streamlit as st

from anomalyd.dashboard import navigation
from anomalyd.dashboard.incidents import filters, rows, timeline
from anomalyd.dashboard.incidents.filters import GROUPED, Filters
from anomalyd.dashboard.store import look, opened
from anomalyd.dashboard.style import MARK, colour, theme, told
from anomalyd.errors import StoreError
from anomalyd.reports.queries import Order, Queries, Selection
from anomalyd.reports.relations.grouping import together
from anomalyd.reports.report import Severity

_CLICKS = "clicks on the list"
_OPEN = "incident to open"
_SHOWN = "incidents shown"
_UNFOLDED = "unfolded"
_PAGE_SIZE = 50
_MOST_MEMBERS = 100
"""Of a group that are listed."""
_REFRESH_S = 10.0


def show() -> None:
    """Show the filters, and the list, again and again."""
    chosen = filters.choose(_detectors())
    left, right = st.columns([3, 2], vertical_alignment="bottom")
    with left:
        grouped = st.segmented_control(
            "together is what starts within",
            list(GROUPED),
            default="1 min",
            required=True,
            key="together",
            bind="query-params",
        )
    with right:
        st.download_button(
            "CSV of all that fit",
            lambda: _csv(chosen.selection(time.time())),
            file_name="incidents.csv",
            mime="text/csv",
            icon=":material/download:",
            on_click="ignore",
        )
    _live(chosen, GROUPED[grouped or "1 min"])


def _detectors() -> list[str]:
    try:
        with opened() as queries:
            return queries.detectors()
    except StoreError:
        return []  # `_live` says why, and looks again


@st.fragment(run_every=_REFRESH_S)
def _live(chosen: Filters, window_s: float) -> None:
    look(lambda queries: _draw(queries, chosen, window_s, time.time()))


def _draw(queries: Queries, chosen: Filters, window_s: float, now: float) -> None:
    if report_id := st.session_state.pop(_OPEN, None):
        navigation.go("incident", {navigation.REPORT: report_id})
    selection = chosen.selection(now)
    index = queries.overview.index(selection)
    groups = together(index, window_s)
    recorded = len(index) if selection == Selection() else queries.count(Selection())
    st.html(told(rows.summary(len(groups), len(index), recorded), "ad-quiet"))
    if not len(index):
        st.session_state[_SHOWN] = []
        return
    timeline.show(index)
    pages = -(-len(groups) // _PAGE_SIZE)
    page = 1
    if pages > 1:
        page = min(st.pagination(pages, key="p", bind="query-params"), pages)
    members = [
        [str(report_id) for report_id in index.ids[groups.members(group)]]
        for group in range((page - 1) * _PAGE_SIZE, min(page * _PAGE_SIZE, len(groups)))
    ]
    _show_table(queries, members)


def _show_table(queries: Queries, groups: Sequence[Sequence[str]]) -> None:
    wanted = [report_id for group in groups for report_id in group[:_MOST_MEMBERS]]
    found = {r.incident.id: r.incident for r in queries.reports(_of(wanted), limit=len(wanted))}
    table, shown = [], []
    for group in groups:
        incidents = [found[report_id] for report_id in group if report_id in found]
        if len(incidents) > 1:
            unfolded = st.session_state.get(_UNFOLDED) == incidents[0].id
            table.append(rows.group_row(incidents, len(group), unfolded=unfolded))
            shown.append((incidents[0].id, True))
            incidents = incidents if unfolded else []
        else:
            unfolded = False
        table += [rows.row(incident, member=unfolded) for incident in incidents]
        shown += [(incident.id, False) for incident in incidents]
    # What a click means is decided by the list that was clicked on, not by the one that is read after it.
    st.session_state[_SHOWN] = shown
    # Under a new name after each click, so that the same cell can be clicked again.
    key = f"incidents {st.session_state.get(_CLICKS, 0)}"
    st.dataframe(
        _coloured(pd.DataFrame(table)),
        key=key,
        on_select=lambda: _clicked(key),
        selection_mode="single-cell",
        hide_index=True,
        height="content" if len(table) < 20 else 740,
        column_config={
            "severity": st.column_config.TextColumn(width="small"),
            "status": st.column_config.TextColumn(width="small"),
            "entity": st.column_config.TextColumn(width="medium"),
            "minutes": st.column_config.NumberColumn(
                format="%.1f", help="from the onset to the last anomalous sample", width="small"
            ),
            "score": st.column_config.NumberColumn(
                format="compact", help="the highest score; above 1 is an alert", width="small"
            ),
            "most to blame": st.column_config.TextColumn(width=380),
        },
    )


def _clicked(key: str) -> None:
    """Open the incident that was clicked on, or unfold or fold its group."""
    for row, _ in st.session_state[key]["selection"]["cells"]:
        report_id, is_group = st.session_state[_SHOWN][row]
        st.session_state[_CLICKS] = st.session_state.get(_CLICKS, 0) + 1
        if is_group:
            unfolded = st.session_state.get(_UNFOLDED) == report_id
            st.session_state[_UNFOLDED] = None if unfolded else report_id
        else:
            st.session_state[_OPEN] = report_id


def _of(ids: Sequence[str]) -> Selection:
    return Selection(ids=tuple(ids))


def _coloured(table: pd.DataFrame) -> pd.io.formats.style.Styler:
    quiet = [f"color: {theme().quiet}" if status == "closed" else "" for status in table["status"]]
    colours = {MARK[severity]: colour(severity) for severity in Severity}
    return table.style.apply(lambda column: quiet, axis="index").map(
        lambda mark: f"color: {colours[mark]}", subset=["severity"]
    )


def _csv(selection: Selection) -> str:
    with opened() as queries:
        total = queries.count(selection)
        return rows.as_csv(queries.reports(selection, Order.LATEST, limit=total))
