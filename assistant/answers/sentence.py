"""What an answer is made of: sentences with their sources, the result as values, and how one incident is
said.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace

from anomalyd.assistant.language.phrasing import duration
from anomalyd.assistant.language.times.time_meaning import Calendar
from anomalyd.reports.report import Incident, Report, SeenBy, Status

MAX_SOURCES = 5
"""Reports cited by one sentence: enough to look after, few enough to read."""

SEEN_WORDS = {
    SeenBy.BOTH: "seen by both detectors",
    SeenBy.AUTOENCODER: "seen only by the autoencoder",
    SeenBy.CLASSICAL: "seen only by the classical detector",
}


@dataclass(frozen=True, slots=True)
class Source:
    """Where a sentence comes from. `kind`: report, document, query, or what the retrieval calls its own."""

    kind: str
    id: str
    title: str

    def __str__(self) -> str:
        return (
            f"query: {self.title}"
            if self.kind == "query"
            else f"{self.title}: {self.id}"
            if self.title
            else self.id
        )


@dataclass(frozen=True, slots=True)
class Sentence:
    """A sentence and the sources it comes from."""

    text: str
    sources: tuple[Source, ...] = ()


@dataclass(frozen=True, slots=True)
class Result:
    """An answer as values: a number, a yes or no, names, report ids in order, numbers by group."""

    value: float | None = None
    verdict: bool | None = None
    names: tuple[str, ...] = ()
    reports: tuple[str, ...] = ()
    groups: tuple[tuple[str, float], ...] = ()


NO_RESULT = Result()


@dataclass(frozen=True, slots=True)
class Told:
    """What is told: `known` is False where that is "I don't know", `nearest` the report nearest to it."""

    sentences: tuple[Sentence, ...]
    known: bool = True
    nearest: str | None = None
    result: Result = NO_RESULT

    def citing(self, source: Source) -> Told:
        """Give every sentence without a source this one: the query that it says the outcome of."""
        return replace(
            self, sentences=tuple(s if s.sources else replace(s, sources=(source,)) for s in self.sentences)
        )


def cite(report: Report | Incident, calendar: Calendar) -> Source:
    """Name a report as a source."""
    i = report.incident if isinstance(report, Report) else report
    return Source("report", i.id, f"{i.entity}, {calendar.say(i.onset)}")


def cites(reports: Iterable[Report], calendar: Calendar) -> tuple[Source, ...]:
    """Name reports as sources, the first few."""
    return tuple(cite(report, calendar) for report in reports)[:MAX_SOURCES]


def line(report: Report, calendar: Calendar, asked: tuple[str, ...] = ()) -> Sentence:
    """Say an incident in one line, its facts from its fields; of its causes the one `asked` for."""
    i = report.incident
    first = next((c for c in i.causes if any(part.lower() in c.lower() for part in asked)), None)
    cause = f"; {first or i.causes[0]}" if i.causes else ""
    return Sentence(
        f"{i.entity}: {i.severity}, {span(i, calendar)}, peak score {score(i.peak)}, "
        f"{SEEN_WORDS[i.seen_by]}{cause}.",
        (cite(report, calendar),),
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
