"""Read what was found: typed questions, used by assistant, dashboard and command line alike."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from typing import Self

from sqlalchemy import and_, case, func, select

from anomalyd.errors import QuestionError
from anomalyd.near_names import nearest as nearest_to
from anomalyd.reports.adaptation import Adaptation
from anomalyd.reports.conditions import MEASURES
from anomalyd.reports.evidence import decode
from anomalyd.reports.feedback import OperatorFeedback
from anomalyd.reports.quality import FlagRange, Override
from anomalyd.reports.remark import AnswerFeedback, Remark, RemarkKind
from anomalyd.reports.report import Evidence, Explanation, Report, Severity
from anomalyd.reports.run_summary import RunSummary, summarise
from anomalyd.reports.selection import (
    ORDERS,
    conditions,
    each_value,
    group_column,
    groups_of,
    of_entities,
)
from anomalyd.reports.selection import Group as Group
from anomalyd.reports.selection import Order as Order
from anomalyd.reports.selection import Selection as Selection
from anomalyd.reports.selection import Summary as Summary
from anomalyd.reports.step import Activity, Point
from anomalyd.reports.storage import tables as t
from anomalyd.reports.storage.database import Database
from anomalyd.reports.storage.repositories.feedback_repository import (
    adaptation_columns,
    adaptation_of,
    find_adaptation,
    word_of,
)
from anomalyd.reports.storage.repositories.flag_repository import read_flags, read_overrides
from anomalyd.reports.storage.repositories.interpretations import Cases
from anomalyd.reports.storage.repositories.maintenance import Window, read_windows
from anomalyd.reports.storage.repositories.overview import Overview
from anomalyd.reports.storage.repositories.remark_repository import read_feedback, read_remarks
from anomalyd.reports.storage.rows import explanation_of, report_columns, report_of
from anomalyd.reports.storage.schema import check

_r = t.reports.c


_MOST_INCIDENTS = 10_000  # of a run that are looked at for its summary


class Queries:
    """The report store, for those who read. It never writes, and waits for no writer.

    Every method raises StoreError if the database cannot be reached.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self.cases = Cases(database)
        self.overview = Overview(database)
        """The whole at a glance, and what lists need."""

    @classmethod
    def open(cls, url: str) -> Self:
        """Open the store at an SQLAlchemy URL.

        Raises:
            SchemaError: the database is newer than this code.
            StoreError: there is none yet, or it cannot be opened.

        """
        database = Database.open(url, read_only=True)
        try:
            check(database)
        except BaseException:
            database.close()
            raise
        return cls(database)

    def close(self) -> None:
        """Close every connection."""
        self._database.close()

    def count(self, selection: Selection) -> int:
        """Count the selected reports."""
        with self._database.reading() as connection:
            query = select(func.count()).select_from(t.reports).where(*conditions(selection, connection))
            return connection.execute(query).scalar_one()

    def reports(
        self, selection: Selection, order: Order = Order.LATEST, limit: int = 100, offset: int = 0
    ) -> list[Report]:
        """Give the selected reports in order, `limit` of them after the first `offset`."""
        with self._database.reading() as connection:
            query = (
                select(*report_columns)
                .where(*conditions(selection, connection))
                .order_by(*ORDERS[order])
                .limit(limit)
                .offset(offset)
            )
            return [report_of(row) for row in connection.execute(query)]

    def ids(self, selection: Selection, order: Order = Order.LATEST, limit: int = 100) -> list[str]:
        """Give the ids of the selected reports in order."""
        with self._database.reading() as connection:
            query = select(_r.id).where(*conditions(selection, connection))
            return list(connection.execute(query.order_by(*ORDERS[order]).limit(limit)).scalars())

    def exists(self, selection: Selection) -> bool:
        """Say whether there is any such report; in no order, so the first one found ends the search."""
        with self._database.reading() as connection:
            query = select(_r.id).where(*conditions(selection, connection)).limit(1)
            return connection.execute(query).first() is not None

    def summary(self, selection: Selection, measure: str) -> Summary:
        """Summarise a measure (see `conditions.MEASURES`) over the selected reports that have one."""
        x = MEASURES[measure]
        with self._database.reading() as connection:
            where = (*conditions(selection, connection), x.is_not(None))
            of = (func.count(), func.avg(x), func.sum(x), func.min(x), func.max(x))
            count, *figures = connection.execute(select(*of).select_from(t.reports).where(*where)).one()
            middle = select(x).where(*where).order_by(x).limit(2 - count % 2).offset(max(0, count - 1) // 2)
            both = [float(value) for value in connection.execute(middle).scalars()]
        mean, total, least, most = (math.nan if f is None else float(f) for f in figures)
        return Summary(count, mean, total, least, most, sum(both) / len(both) if both else math.nan)

    def sample_kinds(self) -> dict[str, str]:
        """Give entity -> sample kind ("vector", "map"), of every entity that sent something or has a
        report.
        """
        name = each_value(_r.entity)
        kind = select(_r.sample_kind).where(_r.entity == name.c.value).limit(1).scalar_subquery()
        with self._database.reading() as connection:
            reported = connection.execute(select(name.c.value, kind).where(name.c.value.is_not(None)))
            kinds = {entity: str(of) for entity, of in reported}
        return kinds | {entity: sent.sample_kind for entity, sent in self.latest_activity().items()}

    def breakdown(
        self, selection: Selection, since: float | None = None
    ) -> list[tuple[str, Severity, int, int]]:
        """Give (entity, severity, reports, of them begun at `since` or later) of the selected reports."""
        begun = func.count() if since is None else func.sum(case((_r.onset >= since, 1), else_=0))
        with self._database.reading() as connection:
            query = select(_r.entity, _r.severity, func.count(), begun)
            query = query.where(*conditions(selection, connection)).group_by(_r.entity, _r.severity)
            return [(name, of, int(n), int(new)) for name, of, n, new in connection.execute(query)]

    def report(self, report_id: str) -> Report:
        """Give one report by its id, or by a beginning of it that no other has.

        Raises:
            QuestionError: none has this id, or several begin with it; carries the nearest ids.

        """
        query = select(*report_columns)
        with self._database.reading() as connection:
            exact = connection.execute(query.where(_r.id == report_id)).one_or_none()
            if exact is not None:
                return report_of(exact)
            begun = _r.id.istartswith(report_id, autoescape=True)
            found = connection.execute(query.where(begun).order_by(_r.onset.desc()).limit(6)).all()
            if len(found) == 1 and report_id:
                return report_of(found[0])
            if report_id and found:
                ids = tuple(row.id for row in found)
                raise QuestionError(
                    f"several reports begin with {report_id!r}: {', '.join(ids)}; give more of the id", ids
                )
            latest = connection.execute(select(_r.id).order_by(_r.onset.desc()).limit(1000)).scalars().all()
        nearest = nearest_to(report_id, latest) or tuple(latest[:3])
        hint = f"the nearest are {', '.join(nearest)}" if nearest else "none is recorded yet"
        raise QuestionError(f"there is no report {report_id!r}; {hint}", nearest)

    def evidence(self, report_id: str) -> Evidence | None:
        """Give the worst sample of a report, None if none is stored.

        Raises:
            StoreError: the stored bytes are damaged.

        """
        query = select(t.evidence.c.blob).where(t.evidence.c.report == report_id)
        with self._database.reading() as connection:
            blob = connection.execute(query).scalar_one_or_none()
        return None if blob is None else decode(blob)

    def explanations(self, report_id: str) -> list[Explanation]:
        """Give the stored explanations of a report, in the order the methods were asked for.

        Raises:
            StoreError: the stored bytes are damaged.

        """
        table = t.explanations
        query = select(table).where(table.c.report == report_id).order_by(table.c.rank)
        with self._database.reading() as connection:
            rows = connection.execute(query).all()
        return [explanation_of(row) for row in rows]

    def points(self, report_id: str) -> list[Point]:
        """Give the score's course during a report's incident, by event time."""
        table = t.points
        query = select(table.c.time, table.c.autoencoder, table.c.classical)
        with self._database.reading() as connection:
            rows = connection.execute(query.where(table.c.report == report_id).order_by(table.c.time))
            return [Point(*row) for row in rows]

    def tally(self, selection: Selection, by: Group) -> list[tuple[str, int]]:
        """Count the selected reports by group, largest first, equal ones by name.

        `day` ("2026-11-23"), `hour` ("2026-11-23 14:00"), `weekday` and `hour of day` are those of the onset
        in UTC. Reports without a run are in no group of `run`, those with several causes in each of `cause`.
        """
        column = group_column(by)
        with self._database.reading() as connection:
            query = select(column, func.count()).where(*conditions(selection, connection)).group_by(column)
            rows = connection.execute(query).all()
        groups: Counter[str] = Counter()
        for value, count in rows:
            if value is not None:
                for name in groups_of(value, by):
                    groups[name] += count
        return sorted(groups.items(), key=lambda group: (-group[1], group[0]))

    def entities(self) -> list[str]:
        """Name every entity that sent something or has a report."""
        query = select(_r.entity).union(select(t.activity.c.entity))
        with self._database.reading() as connection:
            return sorted(connection.execute(query).scalars())

    def detectors(self) -> list[str]:
        """Name every detector that remembers or reported something."""
        query = select(_r.detector).union(select(t.entity_states.c.detector))
        with self._database.reading() as connection:
            return sorted(connection.execute(query).scalars())

    def watchers(self, entity: str) -> list[str]:
        """Name the detectors that remember an entity: those that have scored it."""
        states = t.entity_states.c
        query = select(states.detector).where(states.entity == entity).order_by(states.detector)
        with self._database.reading() as connection:
            return list(connection.execute(query).scalars())

    def models(self) -> dict[str, list[str]]:
        """Give detector -> the model versions for which it remembers entities, the newest first."""
        s = t.entity_states.c
        query = select(s.detector, s.model).distinct().order_by(s.detector, s.model.desc())
        found: dict[str, list[str]] = {}
        with self._database.reading() as connection:
            for detector, model in connection.execute(query):
                found.setdefault(detector, []).append(model)
        return found

    def words(self, selection: Selection, limit: int = 100) -> list[OperatorFeedback]:
        """Give what operators said, the latest first.

        Of the selection entities, detectors and ids count; `since` and `until` bound the wall-clock time
        at which it was said.
        """
        w = t.words.c
        with self._database.reading() as connection:
            where = of_entities(selection, t.words, w.recorded, connection)
            query = select(t.words).where(*where).order_by(w.id.desc()).limit(limit)
            return [word_of(row) for row in connection.execute(query)]

    def adaptations(self, selection: Selection, limit: int = 100) -> list[Adaptation]:
        """Give what detectors adapted to, the latest first.

        Of the selection entities, detectors and ids count; `since` and `until` bound the event time at
        which it happened.
        """
        a = t.adaptations.c
        with self._database.reading() as connection:
            where = of_entities(selection, t.adaptations, a.time, connection)
            query = select(*adaptation_columns).where(*where)
            rows = connection.execute(query.order_by(a.number.desc()).limit(limit))
            return [adaptation_of(row) for row in rows]

    def adaptation(self, adaptation_id: str) -> Adaptation:
        """Give one adaptation by its id, or by a beginning of it that no other has.

        Raises:
            QuestionError: none has this id, or several begin with it; carries the nearest ids.

        """
        with self._database.reading() as connection:
            return find_adaptation(connection, adaptation_id)

    def maintenance(self) -> list[Window]:
        """Give the maintenance windows that operators opened, earliest first, those that are over, too."""
        with self._database.reading() as connection:
            return read_windows(connection)

    def flags(self, run: int) -> dict[str, list[FlagRange]]:
        """Give the quality flags of a run by detector system, in ranges of lumisections."""
        with self._database.reading() as connection:
            return read_flags(connection, run)

    def runs(self) -> list[int]:
        """Give the numbers of all runs of which a lumisection was seen, in order."""
        with self._database.reading() as connection:
            query = select(t.lumisections.c.run).distinct().order_by(t.lumisections.c.run)
            return [int(run) for run in connection.execute(query).scalars()]

    def run_summary(self, run: int) -> RunSummary:
        """Summarise a run: the flags of its lumisections, and its elements with incidents."""
        found = self.reports(Selection(run=run), limit=_MOST_INCIDENTS)
        return summarise(run, self.flags(run), (report.incident for report in found))

    def overrides(self) -> list[Override]:
        """Give every flag that a person set, of all runs, in the order in which they were set."""
        with self._database.reading() as connection:
            return read_overrides(connection)

    def remarks(self, report_id: str) -> list[Remark]:
        """Give what people wrote on a report, in that order."""
        with self._database.reading() as connection:
            return read_remarks(connection, report_id)

    def all_remarks(self, report_ids: Sequence[str] | None = None) -> list[Remark]:
        """Give what people wrote on these reports, or on all, in that order."""
        r = t.remarks.c
        query = select(r.report, r.kind, r.who, r.text, r.recorded, r.id).order_by(r.id)
        if report_ids is not None:
            query = query.where(r.report.in_(report_ids))
        with self._database.reading() as connection:
            return [Remark(row[0], RemarkKind(row[1]), *row[2:]) for row in connection.execute(query)]

    def people(self) -> list[str]:
        """Name everybody who wrote a remark, said something of an entity, or set a flag."""
        written = select(t.remarks.c.who).union(select(t.words.c.who), select(t.flags.c.who))
        with self._database.reading() as connection:
            return sorted(name for name in connection.execute(written).scalars() if name)

    def answer_feedback(self) -> list[AnswerFeedback]:
        """Give what users said of the assistant's answers, in that order."""
        with self._database.reading() as connection:
            return read_feedback(connection)

    def activity(self, since: float | None = None, until: float | None = None) -> dict[str, Activity]:
        """Give what each entity sent within since <= t < until (event times, seconds since the epoch).

        It is kept by the hour: an hour that reaches into the interval is given, and counted, whole.
        """
        a = t.activity.c
        query = select(
            a.entity, func.max(a.sample_kind), func.min(a.first), func.max(a.last), func.sum(a.samples)
        ).group_by(a.entity)
        if since is not None:
            # Each entity's hours are looked up from there on; else the grouping would read all that ever was.
            name = each_value(a.entity)
            begin = and_(a.entity == name.c.value, a.hour >= int(since // 3600))
            query = query.join(name, begin).where(a.last >= since)
        if until is not None:
            query = query.where(a.first < until)
        with self._database.reading() as connection:
            rows = connection.execute(query).all()
        # PostgreSQL sums to a Decimal.
        return {entity: Activity(kind, first, last, int(n)) for entity, kind, first, last, n in rows}

    def latest_activity(self) -> dict[str, Activity]:
        """Give what each entity sent in the last hour in which it sent anything."""
        a = t.activity.c
        name = each_value(a.entity)
        of = t.activity.alias().c
        last = select(func.max(of.hour)).where(of.entity == name.c.value).correlate(name).scalar_subquery()
        query = select(a.entity, a.sample_kind, a.first, a.last, a.samples).join(
            name, and_(a.entity == name.c.value, a.hour == last)
        )
        with self._database.reading() as connection:
            rows = connection.execute(query).all()
        return {entity: Activity(*sent) for entity, *sent in rows}

    def latest_data(self) -> float | None:
        """Give the event time of the latest sample of all, None if nothing was received yet."""
        with self._database.reading() as connection:
            return connection.execute(select(func.max(t.activity.c.last))).scalar_one_or_none()

    def revisions(self) -> list[tuple[str, int]]:
        """Give (id, revision) of every report: what changed since one looked last."""
        with self._database.reading() as connection:
            rows = connection.execute(select(_r.id, _r.revision))
            return [(report_id, revision) for report_id, revision in rows]

    def narratives(self, limit: int) -> list[tuple[str, str]]:
        """Give (id, narrative) of the latest `limit` reports, latest first."""
        query = select(_r.id, _r.narrative).order_by(*ORDERS[Order.LATEST]).limit(limit)
        with self._database.reading() as connection:
            return [(report_id, narrative) for report_id, narrative in connection.execute(query)]
