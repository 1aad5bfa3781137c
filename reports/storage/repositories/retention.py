"""What the store lets go of, and when: evidence first, reports last, and what people said never."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, delete, func, select, text, update

from anomalyd.reports.report import Severity, Status
from anomalyd.reports.storage import tables as t
from anomalyd.reports.storage.database import Database

_REPORT_BYTES = 2_000
"""About what a report takes without its evidence: its row, its score's course, its places in indexes."""

_KEPT = (t.reports, t.evidence, t.explanations, t.points, t.activity, t.samples, t.outbox, t.words)


@dataclass(frozen=True, slots=True)
class RetentionLimits:
    """How long closed reports keep their evidence, and are kept at all: seconds after they closed.

    A severity that is not named is kept for ever; so is everything where `bytes` is None, else what is above
    it goes: the oldest evidence of the mildest severity first. `activity_s`: how long it is known what each
    entity sent.
    """

    evidence_s: Mapping[Severity, float] = field(default_factory=dict)
    reports_s: Mapping[Severity, float] = field(default_factory=dict)
    activity_s: float | None = None
    bytes: int | None = None


@dataclass(frozen=True, slots=True)
class Pruned:
    """How much was let go of."""

    evidence: int = 0
    reports: int = 0

    def __add__(self, other: Pruned) -> Pruned:
        return Pruned(self.evidence + other.evidence, self.reports + other.reports)


@dataclass(frozen=True, slots=True)
class TableSize:
    """What a table holds; `bytes` are of its arrays, or what its rows take by estimate."""

    rows: int
    bytes: int


class StoreRetention:
    """Pruning of the report store. Every method raises StoreError if the database cannot do it."""

    def __init__(self, database: Database, clock: Callable[[], float]) -> None:
        self._database = database
        self._clock = clock

    def prune(self, limits: RetentionLimits, at_most: int = 500) -> Pruned:
        """Let go of what is beyond the limits, at most so many reports' worth of each kind."""
        with self._database.writing() as connection:
            return _prune(connection, limits, self._clock(), at_most)

    def sizes(self) -> dict[str, TableSize]:
        """Give how much each table holds."""
        with self._database.reading() as connection:
            return _sizes(connection)

    def vacuum(self) -> None:
        """Give the space of what was dropped back to the disk; others wait meanwhile."""
        with self._database.alone() as connection:
            connection.execute(text("VACUUM"))
            if self._database.is_sqlite:
                # What was vacuumed lies in the write-ahead log until it is brought over.
                connection.execute(text("PRAGMA wal_checkpoint(TRUNCATE)"))


def _prune(connection: Connection, limits: RetentionLimits, now: float, at_most: int) -> Pruned:
    c = t.reports.c
    pruned = Pruned()
    for severity, seconds in limits.reports_s.items():
        old = _closed(at_most).where(c.severity == severity, c.closed < now - seconds)
        pruned += Pruned(reports=_drop_reports(connection, _ids(connection, old)))
    for severity, seconds in limits.evidence_s.items():
        old = _closed(at_most).where(
            c.severity == severity, c.closed < now - seconds, c.evidence_time.is_not(None)
        )
        pruned += Pruned(evidence=_drop_evidence(connection, _ids(connection, old)))
    if limits.activity_s is not None:
        connection.execute(delete(t.activity).where(t.activity.c.last < now - limits.activity_s))
    if limits.bytes is not None:
        pruned += _fit(connection, limits.bytes, at_most)
    return pruned


def _sizes(connection: Connection) -> dict[str, TableSize]:
    arrays: dict[str, ColumnElement[int]] = {
        "evidence": func.sum(func.length(t.evidence.c.blob)),
        "explanations": func.sum(func.length(t.explanations.c.attribution)),
        "samples": func.sum(func.length(t.samples.c.data)),
        "reports": func.count() * _REPORT_BYTES,
    }
    found = {}
    for table in _KEPT:
        what = arrays.get(table.name, func.count() * 100)
        rows, taken = connection.execute(select(func.count(), what).select_from(table)).one()
        found[table.name] = TableSize(rows, int(taken or 0))
    return found


def _fit(connection: Connection, limit: int, at_most: int) -> Pruned:
    """Drop evidence, then reports, until what is left fits; the mildest severity and the oldest first."""
    over = sum(size.bytes for size in _sizes(connection).values()) - limit
    pruned = Pruned()
    for of_evidence in (True, False):
        for severity in Severity:
            if over <= 0:
                return pruned
            chosen, freed = _enough(connection, severity, over, at_most, of_evidence=of_evidence)
            over -= freed
            if of_evidence:
                pruned += Pruned(evidence=_drop_evidence(connection, chosen))
            else:
                pruned += Pruned(reports=_drop_reports(connection, chosen))
    return pruned


def _enough(
    connection: Connection, severity: Severity, over: int, at_most: int, *, of_evidence: bool
) -> tuple[list[str], int]:
    """Choose the oldest reports that free `over` bytes, or as many as may be; and say what they free."""
    c = t.reports.c
    oldest = _closed(at_most).where(c.severity == severity)
    if of_evidence:
        oldest = oldest.where(c.evidence_time.is_not(None))
    arrays = (
        select(func.length(t.evidence.c.blob)).where(t.evidence.c.report == c.id).scalar_subquery(),
        select(func.sum(func.length(t.explanations.c.attribution)))
        .where(t.explanations.c.report == c.id)
        .scalar_subquery(),
    )
    chosen, freed = [], 0
    for id_, *lengths in connection.execute(oldest.add_columns(*arrays)):
        if freed >= over:
            break
        chosen.append(id_)
        freed += sum(length or 0 for length in lengths) + (0 if of_evidence else _REPORT_BYTES)
    return chosen, freed


def _closed(at_most: int) -> Select[Any]:
    c = t.reports.c
    return select(c.id).where(c.status == Status.CLOSED).order_by(c.closed, c.id).limit(at_most)


def _ids(connection: Connection, query: Select[Any]) -> list[str]:
    return [row[0] for row in connection.execute(query)]


def _drop_evidence(connection: Connection, ids: Sequence[str]) -> int:
    if ids:
        connection.execute(delete(t.evidence).where(t.evidence.c.report.in_(ids)))
        connection.execute(delete(t.explanations).where(t.explanations.c.report.in_(ids)))
        connection.execute(delete(t.interpretations).where(t.interpretations.c.report.in_(ids)))
        # Nothing is left to explain.
        connection.execute(update(t.reports).where(t.reports.c.id.in_(ids)).values(evidence_time=None))
    return len(ids)


def _drop_reports(connection: Connection, ids: Sequence[str]) -> int:
    if ids:
        connection.execute(delete(t.reports).where(t.reports.c.id.in_(ids)))
    return len(ids)
