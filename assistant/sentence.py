"""A sentence with the reports it comes from, and how one incident is said in a line."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

from anomalyd.assistant.phrasing import duration
from anomalyd.assistant.times import Calendar
from anomalyd.reports.report import Incident, Report, SeenBy, Status

MAX_SOURCES = 5
"""Reports cited by one sentence: enough to look after, few enough to read."""

SEEN_WORDS = {
    SeenBy.BOTH: "seen by both detectors",
    SeenBy.AUTOENCODER: "seen only by the autoencoder",
    SeenBy.CLASSICAL: "seen only by the classical detector",
}


@dataclass(frozen=True, slots=True)
class Sentence:
    """A sentence and the ids of the reports it comes from; none where it says what no report does."""

    text: str
    sources: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Told:
    """What is told: `known` is False where that is "I don't know", `nearest` the report nearest to it."""

    sentences: tuple[Sentence, ...]
    known: bool = True
    nearest: str | None = None


def ids_of(reports: Iterable[Report]) -> tuple[str, ...]:
    """Give the ids, for a sentence's sources."""
    return tuple(report.incident.id for report in reports)


def line(report: Report, calendar: Calendar) -> Sentence:
    """Say an incident in one line, its facts taken from its fields."""
    i = report.incident
    cause = f"; {i.causes[0]}" if i.causes else ""
    return Sentence(
        f"{i.entity}: {i.severity}, {span(i, calendar)}, peak score {score(i.peak)}, "
        f"{SEEN_WORDS[i.seen_by]}{cause}.",
        (i.id,),
    )


def span(incident: Incident, calendar: Calendar) -> str:
    """Say from when to when an incident went on."""
    start = calendar.say(incident.onset)
    if incident.status is Status.OPEN:
        return f"since {start}, still open after {duration(calendar.now - incident.onset)}"
    return f"from {start} to {calendar.say(incident.last)} ({duration(incident.last - incident.onset)})"


def score(value: float) -> str:
    """Say a calibrated score to three digits."""
    return "unknown" if math.isnan(value) else f"{value:.3g}"
