"""How an incident and an answer are printed on a terminal."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from anomalyd.reports.report import Incident

if TYPE_CHECKING:
    from anomalyd.assistant.answer import Answer


def incident_line(incident: Incident) -> str:
    """Say an incident in one line: time, entity, severity, score, who saw it, top cause, report id."""
    since = f"{datetime.fromtimestamp(incident.onset, UTC):%Y-%m-%d %H:%M:%S}Z"
    cause = incident.causes[0] if incident.causes else "-"
    return (
        f"{since}  {incident.entity:<20} {incident.severity.value:<8} score {incident.peak:>6.1f}  "
        f"{incident.status.value:<6} seen by {incident.seen_by.value:<11} {cause}  [{incident.id}]"
    )


def answer_lines(answer: Answer) -> str:
    """Say an answer: what was understood, then the sentences with their sources."""
    return f"({answer.understood})\n{answer.text}" if answer.understood else answer.text
