"""Any entity over time: its incidents, scores and metrics, and another entity beside it."""

from __future__ import annotations

import time
from datetime import UTC, datetime

import altair as alt
import pandas as pd
import streamlit as st

from anomalyd.assistant.language.phrasing import counted
from anomalyd.dashboard import navigation, style, wording
from anomalyd.dashboard.charts import draw
from anomalyd.dashboard.explore import series
from anomalyd.dashboard.incident import course
from anomalyd.dashboard.incidents.filters import time_range
from anomalyd.dashboard.store import look
from anomalyd.reports.conditions import AllOf, Among, During
from anomalyd.reports.queries import Order, Queries, Selection
from anomalyd.reports.report import Report
from anomalyd.reports.units import unit_of

_BACK = {
    "1 h": 3600.0,
    "8 h": 28_800.0,
    "24 h": 86_400.0,
    "7 d": 604_800.0,
    "30 d": 2_592_000.0,
    "free": None,
}
_MOST = 200
"""Incidents whose metrics are read: the latest."""


def show() -> None:
    """Show the entities that the address names."""
    look(_draw)


def _draw(queries: Queries) -> None:
    entities = queries.entities()
    if not entities:
        st.info("Nothing was received yet.")
        return
    with st.sidebar:
        entity = st.selectbox("entity", entities, key="entity", bind="query-params")
        other = st.selectbox(
            "compare with", entities, index=None, key="other", bind="query-params", placeholder="nobody"
        )
        back = st.segmented_control(
            "back to", list(_BACK), default="24 h", required=True, key="back", bind="query-params"
        )
        since, until = time_range("since", "until") if back == "free" else (None, None)
    # Old data, of a daemon that is down or of a replay, are looked at from their own end.
    latest = queries.overview.latest().get(entity)
    end = until or (latest.last + 60.0 if latest is not None else time.time())
    begin = since or end - (_BACK[back or "24 h"] or 86_400.0)
    st.html(style.strip(style.told(entity if other is None else f"{entity} and {other}", "ad-title")))
    _show_scores(queries, entity, other, begin, end)
    reports = _reports(queries, entity, begin, end)
    _show_metrics(queries, reports)
    _show_activity(queries, entity, begin, end)
    _show_incidents(reports, entity)


def _reports(queries: Queries, entity: str, begin: float, end: float) -> list[Report]:
    where = AllOf((Among("entity", (entity,)), During(begin, end)))
    return queries.reports(Selection(where=where), Order.LATEST, _MOST)


def _show_scores(queries: Queries, entity: str, other: str | None, begin: float, end: float) -> None:
    st.markdown("##### Scores")
    rows = series.scores(entity, queries.overview.scores(entity, begin, end), both=other is None)
    if other is not None:
        rows += series.scores(other, queries.overview.scores(other, begin, end), both=False)
    if not rows:
        st.caption("Nothing alarmed in this time: scores are kept of incidents only.")
        return
    peak = max((row["score"] or 0.0 for row in rows), default=0.0)
    span = (datetime.fromtimestamp(begin, UTC), datetime.fromtimestamp(end, UTC))
    draw(course.chart(rows, peak, height=260, span=span))


def _show_metrics(queries: Queries, reports: list[Report]) -> None:
    kept = [each for r in reports if (each := queries.evidence(r.incident.id)) is not None]
    names = list(dict.fromkeys(name for each in kept for name in each.features))
    blamed = [cause.name for each in kept for cause in each.causes]
    if not names:
        return
    first = next((name for name in blamed if name in names), names[0])
    chosen = st.selectbox("metric", names, index=names.index(first), key="metric")
    rows = series.metric(kept, chosen)
    colours = style.theme()
    base = alt.Chart(pd.DataFrame(rows)).encode(
        x=alt.X("time:T", title="UTC", scale=alt.Scale(type="utc"), axis=alt.Axis(format=style.CLOCK)),
        detail="part:N",
    )
    unit = unit_of(chosen)
    # Two usual widths around what was expected, then the expectation, then what was seen.
    band = base.mark_area(opacity=0.2, color=colours.expected).encode(
        y=alt.Y("low:Q", title=f"{chosen}{f' [{unit}]' if unit else ''}", axis=alt.Axis(format="~s")),
        y2="high:Q",
    )
    expected = base.mark_line(color=colours.expected, strokeDash=[5, 3]).encode(y="expected:Q")
    seen = base.mark_line(color=colours.observed, point=alt.OverlayMarkDef(size=14)).encode(
        y="value:Q", tooltip=[alt.Tooltip("utchoursminutesseconds(time):T", title="UTC"), "value:Q"]
    )
    draw((band + expected + seen).properties(height=220))
    st.caption("What incidents keep of it: seen, and dashed what was expected, with two usual widths.")


def _show_activity(queries: Queries, entity: str, begin: float, end: float) -> None:
    hours = queries.overview.hours(entity, begin, end)
    if not hours:
        return
    st.markdown("##### What it sent, by the hour (UTC)")
    table = pd.DataFrame(
        {
            "from": [datetime.fromtimestamp(at, UTC) for at, _ in hours],
            "to": [datetime.fromtimestamp(at + 3600, UTC) for at, _ in hours],
            "samples": [n for _, n in hours],
            "zero": [0] * len(hours),
        }
    )
    # A little above the highest bar, so that the axis has a figure to read it by.
    heights = alt.Scale(domain=[0, 1.15 * max(n for _, n in hours)], nice=True)
    bars = (
        alt.Chart(table)
        .mark_rect(color=style.theme().expected)
        .encode(
            x=alt.X("from:T", title=None, scale=alt.Scale(type="utc"), axis=alt.Axis(format=style.CLOCK)),
            x2="to:T",
            y=alt.Y("zero:Q", title="samples", scale=heights, axis=alt.Axis(tickCount=4, format=",~r")),
            y2="samples:Q",
            tooltip=["utcyearmonthdatehours(from):T", "samples:Q"],
        )
    )
    draw(bars.properties(height=170))


def _show_incidents(reports: list[Report], entity: str) -> None:
    st.markdown(f"##### {counted(len(reports), 'incident').capitalize()} in this time")
    for report in reports[:20]:
        i = report.incident
        causes = ", ".join(i.causes[:2])
        label = (
            f"{style.MARK[i.severity]} · {wording.moment(i.onset)} · score {wording.score(i.peak)} · {causes}"
        )
        navigation.report_button(i.id, f"of {i.id}", style.literal(label))
    if len(reports) > 20 and st.button("All of them", key="all of it"):
        navigation.go("incidents", {"entity": entity})
