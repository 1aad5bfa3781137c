"""One incident: what happened, the course of its score, and why it was flagged."""

from __future__ import annotations

from html import escape

import altair as alt
import pandas as pd
import streamlit as st

from anomalyd.dashboard import incident_tables, links
from anomalyd.dashboard.incident_rows import moment
from anomalyd.dashboard.style import COLOUR, MARK, badge, facts_table, literal, strip, told
from anomalyd.detectors.calibration import ALERT
from anomalyd.detectors.maps.geometries.known import geometry_of
from anomalyd.detectors.maps.geometry import Geometry
from anomalyd.errors import QuestionError
from anomalyd.interpret.pictures.palette import EXPECTED, OBSERVED, QUIET, TEXT
from anomalyd.interpret.pictures.picture import explains, picture
from anomalyd.reports.queries import Queries, Selection
from anomalyd.reports.report import Evidence, Explanation, Incident, Report, Severity
from anomalyd.reports.step import Point

_LINEAR_TO = 20.0  # beyond that, the alert line at 1 would lie on the axis: the scale becomes logarithmic

_LEDGER = 20  # adaptations, and words, that are listed: the latest

_SINGLY = 60  # more samples than that are drawn as a line only: their points would cover it


def show_incident(queries: Queries, report_id: str) -> None:
    """Show the report with this id, or with one that begins so."""
    st.button("All incidents", icon=":material/arrow_back:", on_click=links.open_list)
    try:
        report = queries.report(report_id)
    except QuestionError as error:
        st.warning(literal(str(error)))
        for near in error.nearest:
            links.button(near, key=f"near {near}")
        return
    incident = report.incident
    colour = COLOUR[incident.severity]
    st.html(
        strip(
            f'<span class="ad-title">{escape(incident.entity)}</span>',
            badge(MARK[incident.severity], colour),
            badge(incident.status.value, TEXT if incident.closed is None else QUIET),
        )
    )
    st.html(told(report.narrative))
    left, right = st.columns([3, 2], gap="large")
    with left:
        _show_course(queries.points(incident.id), incident.peak)
    with right:
        st.html(facts_table(incident_tables.facts(report)))
    _show_why(report, queries.evidence(incident.id), queries.explanations(incident.id))
    _show_ledger(queries, incident)


def _show_ledger(queries: Queries, incident: Incident) -> None:
    """Show what the detector adapted to of this entity, and what people said of it."""
    selection = Selection(entities=(incident.entity,), detectors=(incident.detector,))
    adapted = incident_tables.adaptations(queries.adaptations(selection, _LEDGER), incident.entity)
    if adapted:
        st.markdown("##### What was taken for the new normal")
        st.dataframe(adapted, hide_index=True)
    said = incident_tables.words(queries.words(selection, _LEDGER), incident.entity)
    if said:
        st.markdown("##### What operators said")
        st.dataframe(said, hide_index=True)


def _show_course(points: list[Point], peak: float) -> None:
    st.markdown("##### Course of the score")
    if not points:
        st.caption("Its course is not stored.")
        return
    scale = (
        alt.Scale(type="linear", domainMin=0)
        if peak <= _LINEAR_TO
        else alt.Scale(type="log", domain=[0.1, peak * 1.3], clamp=True, nice=False)
    )
    who = alt.Scale(domain=["autoencoder", "classical test"], range=[OBSERVED, EXPECTED])
    lines = (
        alt.Chart(pd.DataFrame(incident_tables.course(points)))
        .mark_line(point=alt.OverlayMarkDef(size=28) if len(points) <= _SINGLY else False)
        .encode(
            x=alt.X("time:T", title="UTC", scale=alt.Scale(type="utc"), axis=alt.Axis(format="%H:%M:%S")),
            y=alt.Y("score:Q", title="score, above 1 is an alert", scale=scale),
            color=alt.Color("who:N", scale=who, legend=alt.Legend(title=None, orient="top")),
            # Shape and dashes too: colours alone are not enough for everybody.
            strokeDash=alt.StrokeDash("who:N", scale=alt.Scale(range=[[1, 0], [5, 3]]), legend=None),
            shape=alt.Shape("who:N", scale=alt.Scale(range=["circle", "square"]), legend=None),
            tooltip=[
                alt.Tooltip("utchoursminutesseconds(time):T", title="UTC"),
                alt.Tooltip("who:N", title="by"),
                alt.Tooltip("score:Q", format=".3f"),
            ],
        )
    )
    alert = (
        alt.Chart(pd.DataFrame({"score": [ALERT]}))
        .mark_rule(color=COLOUR[Severity.CRITICAL], strokeWidth=1.5)
        .encode(y="score:Q")
    )
    st.altair_chart((alert + lines).properties(height=330), width="stretch")


def _show_why(report: Report, evidence: Evidence | None, explanations: list[Explanation]) -> None:
    st.markdown("##### Why it was flagged")
    if explanations:
        for explanation, tab in zip(explanations, st.tabs([e.method for e in explanations]), strict=True):
            with tab:
                _show_explanation(report, evidence, explanation)
        if report.explain_error:
            st.warning(literal(f"Not every explanation could be made: {report.explain_error}"))
        return
    if report.explain_error:
        st.warning(literal(f"It could not be explained: {report.explain_error}"))
    else:
        st.info("Not explained yet; what was observed is shown as it is.")
    if evidence is not None:
        st.image(picture(report.incident.entity, evidence, None, report.incident.entity), width="stretch")
        _show_table(
            incident_tables.blame(evidence.contribution, evidence, _geometry(report, evidence.values.shape))
        )


def _show_explanation(report: Report, evidence: Evidence | None, explanation: Explanation) -> None:
    if evidence is not None and explains(explanation, evidence):
        title = f"{report.incident.entity}  score {report.incident.peak:.1f}"
        st.image(picture(report.incident.entity, evidence, explanation, title), width="stretch")
    early = "" if explanation.complete else "; its time budget ended it early, so the figures are not final"
    st.caption(
        f"Explains the sample of {moment(explanation.evidence_time)} UTC; "
        f"made in {explanation.seconds:.2f} s{early}."
    )
    own = evidence if incident_tables.fits(explanation.values, explanation.evidence_time, evidence) else None
    if own is None and evidence is not None:
        st.info(f"A worse sample, of {moment(evidence.time)} UTC, came since; its explanation follows.")
    _show_table(incident_tables.blame(explanation.values, own, _geometry(report, explanation.values.shape)))


def _show_table(rows: list[dict[str, object]]) -> None:
    numbers = ("share of the raw score", "observed", "expected", "difference (σ)")
    st.dataframe(
        rows,
        hide_index=True,
        placeholder="missing",
        column_config={name: st.column_config.NumberColumn(format="%.4g") for name in numbers},
    )


def _geometry(report: Report, shape: tuple[int, ...]) -> Geometry | None:
    """Give what a map's rows and columns are, None where nobody knows."""
    geometry = geometry_of(report.incident.entity)
    return geometry if geometry is not None and geometry.shape == shape else None
