"""Why it was flagged: seen, expected and what raised the score, by each road, as pictures and as numbers."""

from __future__ import annotations

import streamlit as st

from anomalyd.assistant.language.phrasing import listed
from anomalyd.dashboard.incident import tables
from anomalyd.dashboard.style import literal, numbers_table, theme, told
from anomalyd.dashboard.wording import moment
from anomalyd.detectors.maps.geometries.known import geometry_of
from anomalyd.detectors.maps.geometry import Geometry
from anomalyd.interpret.pictures.palette import Theme
from anomalyd.interpret.pictures.picture import explains, picture
from anomalyd.reports.cases.interpretation import Interpretation
from anomalyd.reports.cases.what_if import what_if
from anomalyd.reports.report import Evidence, Explanation, Report


def show(
    report: Report,
    evidence: Evidence | None,
    explanations: list[Explanation],
    interpretation: Interpretation | None,
) -> None:
    """Show the causes, what would have kept it quiet, then each method's picture and numbers."""
    st.markdown("##### Why it was flagged")
    if evidence is not None and evidence.causes:
        st.html(numbers_table(tables.causes(evidence)))
    for sentence in interpreted(interpretation):
        st.html(told(sentence, "ad-told"))
    if explanations:
        names = [_named(e.method, interpretation) for e in explanations]
        for explanation, tab in zip(explanations, st.tabs(names), strict=True):
            with tab:
                _show_explanation(report, evidence, explanation, trust_of(explanation, interpretation))
        if report.explain_error:
            st.warning(literal(f"Not every explanation could be made: {report.explain_error}"))
        return
    if report.explain_error:
        st.warning(literal(f"It could not be explained: {report.explain_error}"))
    else:
        st.info("Not explained yet; what was observed is shown as it is.")
    if evidence is not None:
        st.image(drawn(report, evidence, None, theme()), width="stretch")
        shape = evidence.values.shape
        st.html(numbers_table(tables.blame(evidence.contribution, evidence, geometry(report, shape))))


def interpreted(interpretation: Interpretation | None) -> list[str]:
    """Say what would have had to be otherwise, and which hidden units fired unusually."""
    if interpretation is None:
        return []
    sentences = []
    if (change := interpretation.counterfactual) is not None:
        sentences.append(f"It {what_if(change)}.")
    if interpretation.units:
        fired = [f"{unit.layer} unit {unit.unit} ({unit.sigmas:+.1f} σ)" for unit in interpretation.units]
        sentences.append(f"Hidden units that fired unusually: {listed(fired)}.")
    return sentences


def trust_of(explanation: Explanation, interpretation: Interpretation | None) -> str:
    """Give the plain word for how far to trust a method here, "" where nobody asked."""
    return "" if interpretation is None else interpretation.trust.get(explanation.method, "")


def _named(method: str, interpretation: Interpretation | None) -> str:
    trust = "" if interpretation is None else interpretation.trust.get(method, "")
    return f"{method} (trust: {trust})" if trust else method


def drawn(
    report: Report, evidence: Evidence, explanation: Explanation | None, colours: Theme, trust: str = ""
) -> bytes:
    """Draw the evidence as PNG; once, and kept while people look at it."""
    method = explanation.method if explanation is not None else ""
    key = (report.incident.id, evidence.until, method, trust)
    return bytes(_drawn(key, colours, report, evidence, explanation))


@st.cache_data(show_spinner=False, max_entries=64)
def _drawn(
    key: tuple[str, float, str, str],
    colours: Theme,
    _report: Report,
    _evidence: Evidence,
    _explanation: Explanation | None,
) -> bytes:
    return picture(_report.incident, _evidence, _explanation, colours, key[-1])


def geometry(report: Report, shape: tuple[int, ...]) -> Geometry | None:
    """Give what a map's rows and columns are, None where nobody knows."""
    found = geometry_of(report.incident.entity)
    return found if found is not None and found.shape == shape else None


def _show_explanation(
    report: Report, evidence: Evidence | None, explanation: Explanation, trust: str
) -> None:
    if evidence is not None and explains(explanation, evidence):
        st.image(drawn(report, evidence, explanation, theme(), trust), width="stretch")
    early = "" if explanation.complete else "; its time budget ended it early, so the figures are not final"
    st.caption(
        f"Explains the sample of {moment(explanation.evidence_time)} UTC; "
        f"made in {explanation.seconds:.2f} s{early}."
    )
    own = evidence if tables.fits(explanation.values, explanation.evidence_time, evidence) else None
    if own is None and evidence is not None:
        st.info(f"A worse sample, of {moment(evidence.time)} UTC, came since; its explanation follows.")
    rows = tables.blame(explanation.values, own, geometry(report, explanation.values.shape))
    st.html(numbers_table(rows))
