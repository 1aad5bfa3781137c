"""One incident: what happened, what is done about it, the course of its score, why, and what else did."""

from __future__ import annotations

from html import escape

import streamlit as st

from anomalyd.dashboard import navigation, style
from anomalyd.dashboard.incident import actions, course, export, outlining, related, said, tables, why
from anomalyd.dashboard.navigation import REPORT
from anomalyd.dashboard.store import look, opened
from anomalyd.dashboard.style import badge, facts_table, literal, strip, told
from anomalyd.errors import AnomalydError, QuestionError
from anomalyd.interpret.pictures.palette import LIGHT
from anomalyd.interpret.pictures.picture import explains
from anomalyd.reports.queries import Order, Queries, Selection
from anomalyd.reports.remark import RemarkKind
from anomalyd.reports.report import Report, Status

_REFRESH_S = 5.0


def show() -> None:
    """Show the report that the address names, or the one that needs somebody most."""
    look(_draw)


def _draw(queries: Queries) -> None:
    report = _wanted(queries)
    if report is None:
        return
    incident = report.incident
    _watch(incident.id, _stamp(queries, incident.id))
    _show_head(queries, report)
    st.html(told(report.narrative))
    actions.show(incident)
    left, right = st.columns([3, 2], gap="large")
    with left:
        st.markdown("##### Course of the score")
        course.show(tables.course(queries.points(incident.id)), incident.peak)
    evidence = queries.evidence(incident.id)
    with right:
        st.html(facts_table(tables.facts(report)))
        with st.expander("Model and data"):
            st.html(facts_table(tables.provenance(report, evidence)))
    interpretation = queries.cases.interpretation(incident.id)
    why.show(report, evidence, queries.explanations(incident.id), interpretation)
    outlining.show(queries, incident, evidence)
    related.show(queries, incident)
    related.show_similar(queries, incident)
    said.show(queries, incident)


def _wanted(queries: Queries) -> Report | None:
    named = st.query_params.get(REPORT)
    if not named:
        for selection in (Selection(statuses=(Status.OPEN,)), Selection()):
            found = queries.reports(selection, Order.WORST if selection.statuses else Order.LATEST, 1)
            if found:
                return found[0]
        st.info("No reports yet: nothing anomalous has been recorded in this store.")
        return None
    try:
        return queries.report(named)
    except QuestionError as error:
        st.warning(literal(str(error)))
        for near in error.nearest:
            navigation.report_button(near, key=f"near {near}")
        return None


def _show_head(queries: Queries, report: Report) -> None:
    incident = report.incident
    shade = style.colour(incident.severity)
    kinds = {remark.kind for remark in queries.remarks(incident.id)}
    marks = [badge(f"✓ {kind.value}") for kind in RemarkKind if kind in kinds and kind != RemarkKind.COMMENT]
    st.html(
        strip(
            f'<span class="ad-title">{escape(incident.entity)}</span>',
            badge(style.MARK[incident.severity], shade),
            badge(
                incident.status.value, style.theme().text if incident.closed is None else style.theme().quiet
            ),
            *marks,
        )
    )
    earlier, later = queries.overview.neighbours(incident.id, incident.onset)
    with st.container(horizontal=True, gap="small"):
        for name, target, shortcut, icon in (
            ("Earlier", earlier, "Left", ":material/arrow_back:"),
            ("Later", later, "Right", ":material/arrow_forward:"),
        ):
            if st.button(name, icon=icon, key=name, disabled=target is None, shortcut=shortcut) and target:
                navigation.go("incident", {REPORT: target})
        if st.button("Explore", icon=":material/show_chart:", key="explore"):
            navigation.go("explore", {"entity": incident.entity})
        with st.popover("Share", icon=":material/share:"):
            st.caption("Link for the logbook")
            st.code(navigation.address_of(incident.id), language=None)
            address = navigation.address_of(incident.id)
            st.download_button(
                "HTML that stands alone",
                lambda: _export(incident.id, address),
                file_name=f"{incident.id}.html",
                mime="text/html",
                icon=":material/download:",
                on_click="ignore",
            )


def _export(report_id: str, address: str) -> str:
    with opened() as queries:
        report = queries.report(report_id)
        evidence = queries.evidence(report_id)
        explanations = queries.explanations(report_id)
        interpretation = queries.cases.interpretation(report_id)
        pictures = [
            (each.method, why.drawn(report, evidence, each, LIGHT, why.trust_of(each, interpretation)))
            for each in explanations
            if evidence is not None and explains(each, evidence)
        ]
        if evidence is not None and not pictures:
            pictures = [("what was observed", why.drawn(report, evidence, None, LIGHT))]
        elsewhere = [
            related.sentence(each, report.incident) for each in related.find(queries, report.incident)[:8]
        ]
        remarks = queries.remarks(report_id)
    return export.as_html(report, evidence, explanations, pictures, remarks, elsewhere, address)


def _stamp(queries: Queries, report_id: str) -> tuple[int, tuple[str, ...], int]:
    """Give what changes when the page should be drawn anew."""
    report = queries.report(report_id)
    return report.revision, report.explained_by, len(queries.remarks(report_id))


@st.fragment(run_every=_REFRESH_S)
def _watch(report_id: str, seen: tuple[int, tuple[str, ...], int]) -> None:
    """Look whether the report has changed; only then the page is drawn again, and what is typed stays."""
    try:
        with opened() as queries:
            changed = _stamp(queries, report_id) != seen
    except AnomalydError:
        return  # the page says so when it is drawn again
    if changed:
        st.rerun()
