"""What a page needs to show the whole at a glance, read in few queries and without words and arrays."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np
from sqlalchemy import BigInteger, Float, Text, case, cast, func, select, type_coerce

from anomalyd.reports.relations.incident_row import RANK, IncidentIndex, IncidentRow
from anomalyd.reports.remark import RemarkKind
from anomalyd.reports.report import Status
from anomalyd.reports.selection import Selection, conditions
from anomalyd.reports.step import CanaryCheck, Point
from anomalyd.reports.storage import tables as t
from anomalyd.reports.storage.canaries import read_canaries
from anomalyd.reports.storage.comparisons import Comparison, read_comparisons
from anomalyd.reports.storage.database import Database
from anomalyd.reports.storage.repositories.daemon_status import DaemonStatus, read_daemons

_r = t.reports.c

_JOINT = "\n"  # ids are hexadecimal, and names of detectors hold no space

UNFIT = "model-does-not-fit"
"""The adaptation by which a detector says that its model does not fit an entity."""

_row_columns = (_r.id, _r.detector, _r.entity, _r.severity, _r.status, _r.onset, _r.last, _r.peak)


@dataclass(frozen=True, slots=True)
class Backlog:
    """What waits: messages to be sent, reports to be explained, operators' words to be applied."""

    outbox: int
    unexplained: int
    feedback: int


@dataclass(frozen=True, slots=True)
class LatestSample:
    """What an entity sends, when it last did (event time), and how often it does, in seconds."""

    sample_kind: str
    last: float
    interval: float


class Overview:
    """The whole at a glance. Every method reads only; each raises StoreError if the store is away."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def backlog(self) -> Backlog:
        """Count what waits for the daemon."""
        of = (
            select(func.count()).select_from(t.outbox),
            select(func.count()).select_from(t.reports).where(t.awaits_explanation),
            select(func.count()).select_from(t.words).where(t.words.c.applied.is_(None)),
            select(func.count()).select_from(t.adaptations).where(t.awaits_undo),
        )
        with self._database.reading() as connection:
            outbox, unexplained, words, undos = (int(connection.execute(q).scalar_one()) for q in of)
        return Backlog(outbox, unexplained, words + undos)

    def daemons(self) -> list[DaemonStatus]:
        """Give what every daemon last said of itself, by name."""
        with self._database.reading() as connection:
            return read_daemons(connection)

    def unfit(self) -> dict[str, str]:
        """Give entity -> what was said when a detector found that its model at work does not fit it.

        What was undone, or settled by a word of an operator since, does not count.
        """
        a, w, s = t.adaptations.c, t.words.c, t.entity_states.c
        settled = select(w.id).where(
            w.entity == a.entity, w.detector == a.detector, w.applied.is_not(None), w.recorded >= a.recorded
        )
        query = (
            select(a.entity, a.text)
            .join(t.entity_states, (s.entity == a.entity) & (s.detector == a.detector) & (s.model == a.model))
            .where(a.what == UNFIT, a.undone.is_(None), ~settled.exists())
            .order_by(a.number)
        )
        with self._database.reading() as connection:
            return {row.entity: row.text for row in connection.execute(query)}

    def canaries(self) -> list[CanaryCheck]:
        """Give the newest canary of each detector and kind that came back."""
        with self._database.reading() as connection:
            return read_canaries(connection)

    def comparisons(self, detector: str, limit: int = 5) -> list[Comparison]:
        """Give the comparisons of models that were asked of a detector, the newest first."""
        return read_comparisons(self._database, detector, limit)

    def scored(self) -> dict[str, tuple[str, ...]]:
        """Give entity -> the detectors that remember it: those that have scored it."""
        c = t.entity_states.c
        query = select(c.entity, c.detector).order_by(c.entity, c.detector)
        found: dict[str, tuple[str, ...]] = {}
        with self._database.reading() as connection:
            for entity, detector in connection.execute(query):
                found[entity] = (*found.get(entity, ()), detector)
        return found

    def latest(self) -> dict[str, LatestSample]:
        """Give entity -> its latest sample."""
        a = t.activity.c
        usual = func.sum(a.last - a.first) / func.sum(a.samples)
        query = select(a.entity, func.max(a.sample_kind), func.max(a.last), usual).group_by(a.entity)
        with self._database.reading() as connection:
            return {
                entity: LatestSample(kind, float(last), float(interval or 0.0))
                for entity, kind, last, interval in connection.execute(query)
            }

    def index(self, selection: Selection) -> IncidentIndex:
        """Give the selected incidents as columns, by onset (to a microsecond)."""
        r = {name: type_coerce(_r[name], Text) for name in ("id", "detector", "severity", "status")}
        rank = case({str(severity): rank for severity, rank in RANK.items()}, value=r["severity"])
        is_open = case((r["status"] == Status.OPEN.value, 1), else_=0)
        microseconds = cast(type_coerce(_r.onset, Float) * 1e6, BigInteger)
        columns = (r["id"], r["detector"], rank, is_open, microseconds)
        # The database joins each column into one text: 100,000 rows one by one take four times as long.
        query = select(*(func.aggregate_strings(cast(c, Text), _JOINT) for c in columns))
        with self._database.reading() as connection:
            texts = connection.execute(query.where(*conditions(selection, connection))).one()
        ids, detectors = ([] if text is None else text.split(_JOINT) for text in texts[:2])
        figures = (np.fromstring(text or "", dtype=np.int64, sep=_JOINT) for text in texts[2:])
        numbers = {name: number for number, name in enumerate(sorted(set(detectors)))}
        ranks, still_open, onsets = figures
        order = np.argsort(onsets, kind="stable")
        return IncidentIndex(
            ids=np.array(ids, dtype=np.object_)[order],
            detectors=np.fromiter(map(numbers.__getitem__, detectors), np.int64, len(ids))[order],
            onsets=onsets[order] / 1e6,
            ranks=ranks[order],
            still_open=still_open[order].astype(np.bool_),
        )

    def rows(self, selection: Selection) -> list[IncidentRow]:
        """Give the selected incidents as rows of a list, in no order."""
        with self._database.reading() as connection:
            query = select(*_row_columns).where(*conditions(selection, connection))
            return [IncidentRow(*row) for row in connection.execute(query)]

    def near(self, onset: float, window_s: float, limit: int) -> list[IncidentRow]:
        """Give the incidents whose onsets lie within a window on either side of a time, the nearest first."""
        query = (
            select(*_row_columns, _r.source)
            .where(_r.onset.between(onset - window_s, onset + window_s))
            .order_by(func.abs(_r.onset - onset), _r.id)
            .limit(limit)
        )
        with self._database.reading() as connection:
            return [IncidentRow(*row) for row in connection.execute(query)]

    def counts(self, entities: Collection[str]) -> tuple[dict[str, int], int, float]:
        """Give entity -> number of its incidents, those of all, and how far the store looks back (s)."""
        count = select(_r.entity, func.count()).where(_r.entity.in_(entities)).group_by(_r.entity)
        every = select(func.count()).select_from(t.reports)
        span = (
            select(func.min(_r.onset), func.max(_r.last)),
            select(func.min(t.activity.c.first), func.max(t.activity.c.last)),
        )
        with self._database.reading() as connection:
            counts = {entity: int(n) for entity, n in connection.execute(count)}
            total = int(connection.execute(every).scalar_one())
            bounds = [bound for query in span for bound in connection.execute(query).one()]
        known = [float(bound) for bound in bounds if bound is not None]
        return counts, total, max(known) - min(known) if known else 0.0

    def neighbours(self, report_id: str, onset: float) -> tuple[str | None, str | None]:
        """Give the ids of the reports that started just before and just after one."""
        # The first condition follows from the second; by it the index on onsets is used.
        earlier = (_r.onset <= onset) & ((_r.onset < onset) | (_r.id < report_id))
        later = (_r.onset >= onset) & ((_r.onset > onset) | (_r.id > report_id))
        before = select(_r.id).where(earlier).order_by(_r.onset.desc(), _r.id.desc()).limit(1)
        after = select(_r.id).where(later).order_by(_r.onset, _r.id).limit(1)
        with self._database.reading() as connection:
            first, second = (connection.execute(q).scalar_one_or_none() for q in (before, after))
        return first, second

    def scores(self, entity: str, since: float, until: float) -> list[tuple[str, Point]]:
        """Give (detector, scores) of an entity's samples within its incidents, by event time."""
        p = t.points.c
        query = (
            select(_r.detector, p.time, p.autoencoder, p.classical)
            .join(t.points, p.report == _r.id)
            .where(_r.entity == entity, p.time >= since, p.time < until)
            .order_by(p.time)
        )
        with self._database.reading() as connection:
            return [(row[0], Point(*row[1:])) for row in connection.execute(query)]

    def hours(self, entity: str, since: float, until: float) -> list[tuple[float, int]]:
        """Give (hour, as seconds since the epoch; samples) of what an entity sent."""
        a = t.activity.c
        query = select(a.hour, a.samples).where(a.entity == entity, a.last >= since, a.first < until)
        with self._database.reading() as connection:
            return [(hour * 3600.0, int(n)) for hour, n in connection.execute(query.order_by(a.hour))]

    def verdicts(self) -> dict[str, dict[RemarkKind, int]]:
        """Give detector -> how many of its reports people called real, a false alarm, or expected."""
        r = t.remarks.c
        kinds = (RemarkKind.REAL, RemarkKind.FALSE_ALARM, RemarkKind.EXPECTED)
        query = (
            select(_r.detector, r.kind, func.count(r.report.distinct()))
            .join(t.remarks, r.report == _r.id)
            .where(r.kind.in_([kind.value for kind in kinds]))
            .group_by(_r.detector, r.kind)
        )
        found: dict[str, dict[RemarkKind, int]] = {}
        with self._database.reading() as connection:
            for detector, kind, count in connection.execute(query):
                found.setdefault(detector, {})[RemarkKind(kind)] = int(count)
        return found
