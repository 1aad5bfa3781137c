"""The list of incidents, those that need somebody first."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd
import streamlit as st

from anomalyd.dashboard import incident_rows, links
from anomalyd.dashboard.filters import Filters
from anomalyd.dashboard.style import COLOUR, MARK, badge, strip, told
from anomalyd.interpret.pictures.palette import QUIET
from anomalyd.reports.queries import Order, Queries, Selection
from anomalyd.reports.report import Report, Status

_KEY = "incidents"
_SHOWN = "incidents shown"
_AT_MOST = 200  # open ones, and as many closed ones: what a person still scrolls through

_COLOUR_OF_MARK = {MARK[severity]: colour for severity, colour in COLOUR.items()}


def show_state(queries: Queries, now: float) -> None:
    """Show what is open, and how fresh the data are."""
    tally = queries.tally(Selection(statuses=(Status.OPEN,)), by="severity")
    marks = [badge(f"{MARK[s]}: {n} open", COLOUR[s]) for s, n in incident_rows.open_counts(tally).items()]
    well, text = incident_rows.freshness(queries.latest_data(), now)
    age = badge(text, QUIET) if well else badge(f"⚠ {text}", "#ff7b72")
    st.html(strip('<span class="ad-title">anomalyd</span>', *(marks or [badge("nothing open")]), age))


def show_list(queries: Queries, filters: Filters, now: float) -> None:
    """Show the incidents that fit; a click on one opens it."""
    reports = _find(queries, filters, now)
    fitting = queries.count(filters.selection(now))
    recorded = queries.count(Selection())
    st.html(told(incident_rows.summary(len(reports), fitting, recorded), "ad-quiet"))
    # What a click means is decided by the list that was clicked on, not by the one that is read after it.
    st.session_state[_SHOWN] = [report.incident.id for report in reports]
    if not reports:
        return
    st.dataframe(
        _coloured(reports),
        key=_KEY,
        on_select=_open_selected,
        selection_mode="single-cell",
        hide_index=True,
        height="content" if len(reports) < 20 else 740,
        column_config={
            "severity": st.column_config.TextColumn(width="small"),
            "status": st.column_config.TextColumn(width="small"),
            "minutes": st.column_config.NumberColumn(
                format="%.1f", help="from the onset to the last anomalous sample", width="small"
            ),
            "score": st.column_config.NumberColumn(
                format="%.1f", help="the highest score; above 1 is an alert", width="small"
            ),
            "most to blame": st.column_config.TextColumn(width="medium"),
        },
    )


def _find(queries: Queries, filters: Filters, now: float) -> list[Report]:
    found: list[Report] = []
    for status, order in ((Status.OPEN, Order.WORST), (Status.CLOSED, Order.LATEST)):
        if filters.status in (None, status):
            found += queries.reports(filters.selection(now, status), order, _AT_MOST)
    return incident_rows.in_order(found)


def _coloured(reports: Sequence[Report]) -> pd.io.formats.style.Styler:
    table = pd.DataFrame([incident_rows.row(report.incident) for report in reports])
    closed = [report.incident.status is Status.CLOSED for report in reports]
    quiet = [f"color: {QUIET}" if c else "" for c in closed]
    return table.style.apply(lambda column: quiet, axis="index").map(
        lambda mark: f"color: {_COLOUR_OF_MARK[mark]}", subset=["severity"]
    )


def _open_selected() -> None:
    selection = st.session_state[_KEY]["selection"]
    for row, _ in selection["cells"]:
        links.open_report(st.session_state[_SHOWN][row])
