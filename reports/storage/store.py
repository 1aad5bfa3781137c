"""Write what was found: reports, offsets, remembered states and outgoing messages, in one transaction."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Self

import msgspec
from sqlalchemy import (
    ColumnElement,
    Connection,
    Update,
    bindparam,
    case,
    delete,
    func,
    insert,
    or_,
    select,
    update,
)

from anomalyd.errors import StoreConflict, StoreError
from anomalyd.reports.cases.interpretation import Interpretation
from anomalyd.reports.evidence import encode
from anomalyd.reports.report import Explanation, Incident, Severity, Status
from anomalyd.reports.score_history import MAX_POINTS, superfluous
from anomalyd.reports.step import Activity, OutboxEntry, Outgoing, Point, Step, StoredChange
from anomalyd.reports.storage import tables as t
from anomalyd.reports.storage.canaries import keep_canaries
from anomalyd.reports.storage.comparisons import ComparisonBook
from anomalyd.reports.storage.database import Database, Insert
from anomalyd.reports.storage.repositories.activity import activity_rows, activity_upsert
from anomalyd.reports.storage.repositories.attempts import AttemptRepository
from anomalyd.reports.storage.repositories.daemon_status import DaemonStatusBook
from anomalyd.reports.storage.repositories.entity_states import EntityStateRepository, keep_states
from anomalyd.reports.storage.repositories.feedback_repository import (
    Ledger,
    keep_adaptations,
    mark_applied,
    mark_undone,
)
from anomalyd.reports.storage.repositories.flag_repository import FlagBook
from anomalyd.reports.storage.repositories.interpretations import keep_interpretation
from anomalyd.reports.storage.repositories.lumisections import keep_looks
from anomalyd.reports.storage.repositories.maintenance import MaintenanceBook
from anomalyd.reports.storage.repositories.outlines import OutlineBook
from anomalyd.reports.storage.repositories.publisher_lease import PublisherLease
from anomalyd.reports.storage.repositories.remark_repository import RemarkBook
from anomalyd.reports.storage.repositories.retention import StoreRetention
from anomalyd.reports.storage.repositories.samples import SampleShelf, keep_pieces
from anomalyd.reports.storage.rows import explanation_row, incident_columns, incident_of, incident_row
from anomalyd.reports.storage.run_summaries import RunSummaryBook
from anomalyd.reports.storage.schema import migrate

__all__ = ["Activity", "OutboxEntry", "Outgoing", "Point", "Step", "Store", "StoredChange"]

_Headers = tuple[tuple[str, bytes], ...]


class Store:
    """The report store, for those who write. Every method is one transaction; any thread may call it.

    Every method raises StoreError if the database cannot be reached or cannot do it; nothing is kept then.
    """

    def __init__(self, database: Database, clock: Callable[[], float]) -> None:
        self._database = database
        self._clock = clock
        self.ledger = Ledger(database, clock)
        """Words of operators and requests to undo that wait for the daemon."""
        self.maintenance = MaintenanceBook(database, clock)
        """Times of work that operators opened and ended."""
        self.samples = SampleShelf(database)
        """Samples that are kept to train on."""
        self.remarks = RemarkBook(database, clock)
        """Comments and acknowledgements on reports, and what users said of answers."""
        self.outlines = OutlineBook(database, clock)
        """Faults that operators outlined on maps."""
        self.status = DaemonStatusBook(database, clock)
        """What each daemon last said of itself."""
        self.states = EntityStateRepository(database)
        """What the daemon remembers between two steps."""
        self.flags = FlagBook(database, clock)
        """What people say of the quality of runs."""
        self.run_summaries = RunSummaryBook(database, clock)
        """What the runs that ended were like."""
        self.comparisons = ComparisonBook(database, clock)
        """Which models people want to see beside each other."""
        self.attempts = AttemptRepository(database)
        """How often records were begun that may have ended the process."""
        self.retention = StoreRetention(database, clock)
        """What is let go of, and how much there is."""
        self.publisher_lease = PublisherLease(database)
        """Whose turn it is to send the outbox."""
        self._upsert_report = _report_upsert(database)
        self._upsert_activity = activity_upsert(database)

    @classmethod
    def open(cls, url: str, *, clock: Callable[[], float] = time.time) -> Self:
        """Open the store at an SQLAlchemy URL, and create or upgrade its tables.

        `clock` gives the wall-clock time of a report's first record, in seconds since the epoch.

        Raises:
            SchemaError: the database is newer than this code.
            StoreError: it cannot be opened.

        """
        database = Database.open(url)
        try:
            migrate(database)
        except BaseException:
            database.close()
            raise
        return cls(database, clock)

    def close(self) -> None:
        """Close every connection."""
        self._database.close()

    def probe(self) -> None:
        """Write something and take it back: whether the database takes what a step would give it.

        Raises:
            StoreError: it does not; the error says why.

        """
        c = t.sent_positions.c
        with self._database.writing() as connection:
            connection.execute(insert(t.sent_positions), {"topic": "", "partition": -1, "offset": -1})
            connection.execute(delete(t.sent_positions).where(c.topic == "", c.partition == -1))

    def offsets(self, group: str) -> dict[tuple[str, int], int]:
        """Give (topic, partition) -> the next offset to read."""
        table = t.consumer_offsets
        query = select(table.c.topic, table.c.partition, table.c.next).where(table.c.group == group)
        with self._database.reading() as connection:
            return {(topic, partition): next_ for topic, partition, next_ in connection.execute(query)}

    def open_incidents(self, detector: str | None = None) -> list[Incident]:
        """Give the incidents that still go on, oldest first."""
        query = select(*incident_columns).where(t.reports.c.status == Status.OPEN)
        if detector is not None:
            query = query.where(t.reports.c.detector == detector)
        with self._database.reading() as connection:
            rows = connection.execute(query.order_by(t.reports.c.onset, t.reports.c.id))
            return [incident_of(row) for row in rows]

    def commit(self, step: Step) -> None:
        """Keep a step as a whole.

        Raises:
            StoreConflict: a stored offset is not the one that the step expected, or another daemon has
                applied a word or an undo of it; nothing of it is kept.

        """
        evidence = [
            {"report": found.incident.id, "blob": encode(found.evidence)}
            for found in step.stored_changes
            if found.evidence is not None
        ]
        with self._database.writing() as connection:
            self._move_offsets(connection, step)
            now = self._clock()
            keep_states(connection, self._database, step.states, now)
            keep_adaptations(connection, self._database, step.adaptations, now)
            mark_applied(connection, step.words, now)
            mark_undone(connection, step.undos, now)
            keep_pieces(connection, step.samples)
            self._keep_findings(connection, step.stored_changes)
            if evidence:
                connection.execute(self._database.upsert(t.evidence), evidence)
            self._keep_points(connection, step.stored_changes)
            if step.activity:
                connection.execute(self._upsert_activity, activity_rows(step.activity))
            keep_looks(connection, self._database, step.lumisections)
            keep_canaries(connection, self._database, step.canaries)
            _queue(connection, step.outbox)

    def unsent(self, limit: int) -> list[Outgoing]:
        """Give the first `limit` messages of the outbox, in the order they were put in."""
        query = select(t.outbox).order_by(t.outbox.c.id).limit(limit)
        with self._database.reading() as connection:
            rows = connection.execute(query).all()
        return [
            Outgoing(
                r.id, OutboxEntry(r.topic, r.key, r.value, msgspec.msgpack.decode(r.headers, type=_Headers))
            )
            for r in rows
        ]

    def outbox_size(self) -> int:
        """Count the messages of the outbox."""
        with self._database.reading() as connection:
            size: int = connection.execute(select(func.count()).select_from(t.outbox)).scalar_one()
            return size

    def mark_sent(self, ids: Sequence[int], positions: Mapping[tuple[str, int], int]) -> None:
        """Take acknowledged messages out of the outbox.

        `positions`: (topic, partition) -> the highest offset acknowledged. After a crash the publisher looks
        from there on for what had arrived without being marked. A position never goes back.
        """
        upsert = self._database.insert(t.sent_positions)
        table, new = t.sent_positions, upsert.excluded
        forward = upsert.on_conflict_do_update(
            index_elements=["topic", "partition"],
            set_={"offset": new.offset},
            where=new.offset > table.c.offset,
        )
        rows = [
            {"topic": topic, "partition": partition, "offset": offset}
            for (topic, partition), offset in sorted(positions.items())
        ]
        with self._database.writing() as connection:
            if ids:
                connection.execute(delete(t.outbox).where(t.outbox.c.id.in_(ids)))
            if rows:
                connection.execute(forward, rows)

    def sent_positions(self) -> dict[tuple[str, int], int]:
        """Give (topic, partition) -> the highest offset that is known to be acknowledged."""
        table = t.sent_positions
        query = select(table.c.topic, table.c.partition, table.c.offset)
        with self._database.reading() as connection:
            return {(topic, partition): offset for topic, partition, offset in connection.execute(query)}

    def unexplained(self, limit: int) -> list[str]:
        """Give the ids of reports that have evidence and want an explanation of it, the most urgent first.

        That is: none is stored, or a worse sample, or more of its course, came since; without those whose
        explanation of this very evidence failed. The never explained come first, then the most severe, then
        the latest.
        """
        r = t.reports.c
        severity = case({each: rank for rank, each in enumerate(reversed(Severity))}, value=r.severity)
        query = (
            select(r.id)
            .where(t.awaits_explanation)
            .order_by(r.explained_for.is_not(None), severity, r.onset.desc(), r.id)
            .limit(limit)
        )
        with self._database.reading() as connection:
            return list(connection.execute(query).scalars())

    def unexplained_count(self) -> int:
        """Count the reports that `unexplained` gives."""
        with self._database.reading() as connection:
            count: int = connection.execute(
                select(func.count()).select_from(t.reports).where(t.awaits_explanation)
            ).scalar_one()
            return count

    def explain(
        self,
        report_id: str,
        until: float,
        explanations: Sequence[Explanation],
        interpretation: Interpretation | None = None,
        *,
        error: str = "",
        outgoing: Sequence[OutboxEntry] = (),
    ) -> None:
        """Keep the explanations of a report's evidence up to `until`, in place of earlier ones.

        `error` says why there is none, or not every one; without any explanation the earlier ones stay.
        `interpretation` is what was made of them.
        `outgoing` goes to the outbox in the same transaction.

        Raises:
            StoreError: there is no such report.

        """
        r = t.reports.c
        rows = [explanation_row(report_id, rank, each) for rank, each in enumerate(explanations)]
        with self._database.writing() as connection:
            found = connection.execute(
                update(t.reports).where(r.id == report_id).values(explained_for=until, explain_error=error)
            )
            if found.rowcount == 0:
                raise StoreError(f"there is no report {report_id} to explain; commit its finding first")
            if rows:
                connection.execute(delete(t.explanations).where(t.explanations.c.report == report_id))
                connection.execute(insert(t.explanations), rows)
            if interpretation is not None:
                keep_interpretation(connection, report_id, interpretation)
            _queue(connection, outgoing)

    def _move_offsets(self, connection: Connection, step: Step) -> None:
        table = t.consumer_offsets
        # Sorted, so that two daemons on PostgreSQL never wait for each other crosswise.
        for (topic, partition), (expected, following) in sorted(step.moves.items()):
            if expected is None:
                row = {"group": step.group, "topic": topic, "partition": partition, "next": following}
                move: Insert | Update = self._database.insert(table).values(row).on_conflict_do_nothing()
            else:
                move = (
                    update(table)
                    .where(table.c.group == step.group, table.c.topic == topic)
                    .where(table.c.partition == partition, table.c.next == expected)
                    .values(next=following)
                )
            if connection.execute(move.returning(table.c.next)).one_or_none() is None:
                raise StoreConflict(
                    f"group {step.group}: {topic}/{partition} is no longer at "
                    f"{'its beginning' if expected is None else expected}: another daemon moved it on; "
                    "start again from the stored offsets"
                )

    def _keep_findings(self, connection: Connection, stored_changes: Sequence[StoredChange]) -> None:
        now = self._clock()
        rows = [
            {
                **incident_row(found.incident),
                "narrative": found.narrative,
                "revision": 0,
                "recorded": now,
                "evidence_time": found.evidence.until if found.evidence is not None else None,
                "explained_for": None,
                "explain_error": "",
                "code_version": found.provenance.code or None,
                "config_hash": found.provenance.configuration or None,
                "until": found.provenance.until or None,
            }
            for found in sorted(stored_changes, key=lambda found: found.incident.id)
        ]
        if rows:
            connection.execute(self._upsert_report, rows)

    def _keep_points(self, connection: Connection, stored_changes: Sequence[StoredChange]) -> None:
        table = t.points
        rows = [
            {
                "report": found.incident.id,
                "time": point.time,
                "autoencoder": point.autoencoder,
                "classical": point.classical,
            }
            for found in stored_changes
            for point in found.points
        ]
        if not rows:
            return
        connection.execute(self._database.upsert(table), rows)
        crowded = (
            select(table.c.report)
            .where(table.c.report.in_({row["report"] for row in rows}))
            .group_by(table.c.report)
            .having(func.count() > MAX_POINTS)
        )
        for report_id in connection.execute(crowded).scalars().all():
            course = select(table.c.time, table.c.autoencoder, table.c.classical)
            stored = [Point(*row) for row in connection.execute(course.where(table.c.report == report_id))]
            connection.execute(
                delete(table).where(table.c.report == report_id, table.c.time == bindparam("at")),
                [{"at": point.time} for point in superfluous(stored)],
            )


def _report_upsert(database: Database) -> Insert:
    """Insert a report, or change it; one that says nothing new is left alone, its revision too."""
    upsert = database.insert(t.reports)
    old, new = t.reports.c, upsert.excluded
    changing: dict[str, ColumnElement[Any]] = {
        c.name: new[c.name] for c in (*incident_columns, old.narrative) if c.name != "id"
    }
    changing["evidence_time"] = func.coalesce(new.evidence_time, old.evidence_time)
    where = or_(*(old[name].is_distinct_from(value) for name, value in changing.items()))
    # What it was made with is no news; and what does not know keeps what is known.
    for name in ("code_version", "config_hash", "until"):
        changing[name] = func.coalesce(new[name], old[name])
    return upsert.on_conflict_do_update(
        index_elements=["id"],
        set_={**changing, "revision": old.revision + 1},
        where=where,
    )


def _queue(connection: Connection, entries: Sequence[OutboxEntry]) -> None:
    rows = [
        {
            "topic": entry.topic,
            "key": entry.key,
            "value": entry.value,
            "headers": msgspec.msgpack.encode(entry.headers),
        }
        for entry in entries
    ]
    if rows:
        connection.execute(insert(t.outbox), rows)
