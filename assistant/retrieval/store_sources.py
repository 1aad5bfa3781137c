"""Sources that are tables of the report store."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime

from anomalyd.assistant.retrieval.passage import Passage, SourceKind
from anomalyd.assistant.retrieval.source import Source
from anomalyd.reports.adaptation import Adaptation
from anomalyd.reports.feedback import OperatorFeedback
from anomalyd.reports.quality import Override
from anomalyd.reports.queries import Order, Queries, Selection
from anomalyd.reports.report import Incident, Report
from anomalyd.reports.storage.repositories.maintenance import Window

_MOST = 100_000  # operators' words and adaptations that are searched, the latest


def store_sources(queries: Queries) -> list[Source]:
    """Give everything in the store that says something in words."""
    return [
        ReportSource(queries),
        TableSource("words", lambda: map(_of_word, queries.words(Selection(), _MOST))),
        TableSource("adaptations", lambda: map(_of_adaptation, queries.adaptations(Selection(), _MOST))),
        TableSource("maintenance", lambda: map(_of_window, queries.maintenance())),
        TableSource("flags", lambda: map(_of_override, queries.overrides())),
    ]


class ReportSource:
    """The narratives of the reports."""

    name = "reports"

    def __init__(self, queries: Queries) -> None:
        self._queries = queries

    def versions(self) -> Mapping[str, str]:
        """Name each report by its id, and its version by its revision."""
        return {report: str(revision) for report, revision in self._queries.revisions()}

    def read(self, items: Sequence[str]) -> Iterator[tuple[str, list[Passage]]]:
        """Give each report's narrative."""
        wanted = Selection(ids=tuple(items))
        for report in self._queries.reports(wanted, Order.LATEST, limit=len(items)):
            yield report.incident.id, [passage_of(report)]


class TableSource:
    """A table small enough to be read whole: one passage for each row."""

    def __init__(self, name: str, rows: Callable[[], Iterator[Passage]]) -> None:
        self.name = name
        self._rows = rows

    def versions(self) -> Mapping[str, str]:
        """Name each row by its passage's id, and its version by what it says."""
        return {passage.id: _digest(passage) for passage in self._rows()}

    def read(self, items: Sequence[str]) -> Iterator[tuple[str, list[Passage]]]:
        """Give the passages of rows."""
        wanted = set(items)
        for passage in self._rows():
            if passage.id in wanted:
                yield passage.id, [passage]


def passage_of(report: Report) -> Passage:
    """Give a report's narrative as a passage."""
    i = report.incident
    return Passage(
        SourceKind.REPORT,
        i.id,
        f"{i.entity}, {i.detector}, {_moment(i.onset)}",
        report.narrative,
        entity=i.entity,
        since=i.onset,
        until=i.closed,
        gist=_gist(i),
    )


def _gist(i: Incident) -> str:
    """Give what an incident was, without its times and measured values.

    They are found by fields and by words; a vector they only blur, and the encoder would take three times
    as long.
    """
    causes = "; ".join(i.causes)
    return f"{i.entity} had a {i.severity} of detector {i.detector}, seen by {i.seen_by}: {causes}"


def _of_word(word: OperatorFeedback) -> Passage:
    reason = f": {word.reason}" if word.reason else ""
    text = f"{word.who} said at {_moment(word.recorded)} that {word.entity} is {word.word}{reason}."
    outcome = f" {word.outcome}" if word.outcome else ""
    return Passage(
        SourceKind.WORD,
        str(word.id),
        f"{word.who} on {word.entity}, {_moment(word.recorded)}",
        text + outcome,
        entity=word.entity,
        since=word.recorded if word.since is None else word.since,
        until=word.until,
    )


def _of_adaptation(adaptation: Adaptation) -> Passage:
    a = adaptation
    undone = f" {a.undo_by} took it back: {a.undo_reason}." if a.undone is not None else ""
    return Passage(
        SourceKind.ADAPTATION,
        a.id,
        f"{a.entity}, {a.detector} adapted, {_moment(a.time)}",
        f"{a.text}{undone}",
        entity=a.entity,
        since=a.time,
    )


def _of_window(window: Window) -> Passage:
    names = ", ".join(window.entities)
    reason = f": {window.reason}" if window.reason else ""
    return Passage(
        SourceKind.MAINTENANCE,
        str(window.id),
        f"Maintenance of {names}, {_moment(window.since)}",
        f"Maintenance of {names} from {_moment(window.since)} to {_moment(window.until)}{reason}.",
        entity=names if len(window.entities) == 1 else None,
        since=window.since,
        until=window.until,
    )


def _of_override(o: Override) -> Passage:
    what = "took back the flag" if o.flag is None else f"set the flag {o.flag}"
    return Passage(
        SourceKind.FLAG,
        str(o.id),
        f"Run {o.run}, {o.system}, lumisections {o.first} to {o.last}",
        f"{o.who} {what} for {o.system} in run {o.run}, lumisections {o.first} to {o.last}: {o.reason}.",
        since=o.recorded,
    )


def _moment(seconds: float) -> str:
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d %H:%M} UTC"


def _digest(passage: Passage) -> str:
    return hashlib.sha256(repr(passage).encode()).hexdigest()[:16]
