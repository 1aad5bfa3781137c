"""What is made of explanations, in the store."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection, delete, insert, select

from anomalyd.reports.cases.interpretation import Interpretation, SimilarCase, from_json, nearest, to_json
from anomalyd.reports.cases.outline import Outline
from anomalyd.reports.remark import RemarkKind
from anomalyd.reports.storage import tables as t
from anomalyd.reports.storage.database import Database
from anomalyd.reports.storage.repositories.outlines import read_outlines

_LOOKED_AT = 500
"""Earlier reports that are compared, the latest."""


def keep_interpretation(connection: Connection, report: str, interpretation: Interpretation) -> None:
    """Keep what was made of a report's explanations, in place of what was kept before."""
    table = t.interpretations
    connection.execute(delete(table).where(table.c.report == report))
    connection.execute(insert(table).values(report=report, body=to_json(interpretation)))


def read_interpretation(connection: Connection, report: str) -> Interpretation | None:
    """Give what was made of a report's explanations; None: nothing yet."""
    query = select(t.interpretations.c.body).where(t.interpretations.c.report == report)
    body = connection.execute(query).scalar_one_or_none()
    return None if body is None else from_json(body)


class Cases:
    """What is known of a case beyond its report, for those who read."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def interpretation(self, report: str) -> Interpretation | None:
        """Give what was made of a report's explanations; None: nothing yet."""
        with self._database.reading() as connection:
            return read_interpretation(connection, report)

    def similar(self, report: str) -> list[SimilarCase]:
        """Give the earlier cases that are like a report, with what is concluded about them by now."""
        with self._database.reading() as connection:
            return read_similar(connection, report)

    def outlines(self, report: str) -> list[Outline]:
        """Give the faults that operators outlined on a report's map, in that order."""
        with self._database.reading() as connection:
            return read_outlines(connection, report)


def _fingerprints(connection: Connection, detector: str, before: float) -> Mapping[str, Mapping[str, float]]:
    """Give the fingerprints of a detector's latest reports that began before an event time, by report."""
    r = t.reports.c
    query = (
        select(r.id, t.interpretations.c.body)
        .join(t.interpretations, t.interpretations.c.report == r.id)
        .where(r.detector == detector, r.onset < before)
        .order_by(r.onset.desc(), r.id)
        .limit(_LOOKED_AT)
    )
    return {row.id: from_json(row.body).fingerprint for row in connection.execute(query)}


def read_similar(connection: Connection, report: str) -> list[SimilarCase]:
    """Give the earlier cases that are like a report, with what is concluded about them by now."""
    own, r = read_interpretation(connection, report), t.reports.c
    if own is None:
        return []
    about = select(r.entity, r.detector, r.onset, r.last, r.severity)
    this = connection.execute(about.where(r.id == report)).one()
    found = []
    for other, alike in nearest(own.fingerprint, _fingerprints(connection, this.detector, this.onset)):
        row = connection.execute(about.where(r.id == other)).one()
        concluded = (*_words(connection, row), *_remarks(connection, other))
        found.append(SimilarCase(other, row.entity, row.onset, row.severity.value, alike, concluded))
    return found


def _words(connection: Connection, report: Any) -> tuple[str, ...]:
    """Give the words of operators that hold for any of an incident's time."""
    w = t.words.c
    query = select(w.word, w.who, w.reason, w.since, w.until).where(
        w.entity == report.entity,
        w.detector == report.detector,
    )
    told = []
    for word, who, reason, since, until in connection.execute(query.order_by(w.id)):
        begins, ends = since if since is not None else -1e300, until if until is not None else 1e300
        if begins <= report.last and report.onset <= ends:
            told.append(f"{word.value} ({who})" + (f": {reason}" if reason else ""))
    return tuple(told)


def _remarks(connection: Connection, report: str) -> tuple[str, ...]:
    c = t.remarks.c
    query = select(c.who, c.text).where(c.report == report, c.kind == RemarkKind.COMMENT).order_by(c.id)
    return tuple(f"{who}: {text}" for who, text in connection.execute(query))
