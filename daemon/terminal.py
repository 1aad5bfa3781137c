"""How an incident and an answer are printed on a terminal."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from anomalyd.reports.cases.interpretation import Interpretation, SimilarCase
from anomalyd.reports.cases.propagation import Related, told
from anomalyd.reports.cases.what_if import what_if
from anomalyd.reports.report import Incident

if TYPE_CHECKING:
    from anomalyd.assistant.answer import Answer

_PAGES = 3  # of reports that an answer leads to: more would hide the answer


def incident_line(incident: Incident) -> str:
    """Say an incident in one line: time, entity, severity, score, who saw it, top cause, report id."""
    since = f"{datetime.fromtimestamp(incident.onset, UTC):%Y-%m-%d %H:%M:%S}Z"
    cause = incident.causes[0] if incident.causes else "-"
    return (
        f"{since}  {incident.entity:<20} {incident.severity.value:<8} score {incident.peak:>6.1f}  "
        f"{incident.status.value:<6} seen by {incident.seen_by.value:<11} {cause}  [{incident.id}]"
    )


def answer_lines(answer: Answer, link: Callable[[str], str | None] = lambda report_id: None) -> str:
    """Say an answer: what was understood, the sentences with sources, the first reports' pages."""
    pages = [page for each in answer.result.reports[:_PAGES] if (page := link(each)) is not None]
    understood = [f"({answer.understood})"] if answer.understood else []
    return "\n".join([*understood, answer.text, *pages])


def interpretation_lines(
    interpretation: Interpretation | None, similar: Sequence[SimilarCase], related: Sequence[Related]
) -> list[str]:
    """Say in sentences what is made of a report's explanations."""
    lines = []
    if interpretation is not None and (change := interpretation.counterfactual) is not None:
        lines.append(what_if(change))
    if interpretation is not None and interpretation.units:
        fired = ", ".join(f"{u.layer} unit {u.unit} ({u.sigmas:+.1f} sigma)" for u in interpretation.units)
        lines.append(f"hidden units that fired unusually: {fired}")
    if related and (sentence := told(related)):
        lines.append(f"across entities: {sentence}")
    for case in similar:
        since = f"{datetime.fromtimestamp(case.onset, UTC):%Y-%m-%d %H:%M}Z"
        concluded = "; ".join(case.concluded) or "nothing concluded"
        lines.append(f"similar ({case.similarity:.2f}): {case.entity} {since}: {concluded}  [{case.report}]")
    return lines
