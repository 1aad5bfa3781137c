"""What the daemon remembers between two steps: the store's part. What the bytes hold is the daemon's affair.

The detectors' state of an entity is tens of kilobytes and changes with every row. So it is kept as a snapshot
and a journal: the rows that were scored since, in one piece for all entities of a step. Scoring the rows
again from the snapshot gives the state. A piece is superseded when every entity in it has a later snapshot.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice
from typing import TypeVar

from sqlalchemy import Connection, Table, delete, insert, select, tuple_

from anomalyd.reports.storage import tables as t
from anomalyd.reports.storage.database import Database

_T = TypeVar("_T")

_AT_ONCE = 500
"""Parameters of one query: SQLite takes 999 at least."""


@dataclass(frozen=True, slots=True)
class StateSnapshot:
    """The state of an entity's detectors, of a `model` version, after its row at event time `until` (s)."""

    detector: str
    entity: str
    model: str
    until: float
    state: bytes


@dataclass(frozen=True, slots=True)
class JournalPiece:
    """The rows that one step scored with one detector pair; `id` is unique, its order says nothing."""

    id: int
    detector: str
    data: bytes


@dataclass(frozen=True, slots=True)
class StateChanges:
    """What a step changed of what is remembered.

    `superseded`: ids of pieces of the journal that no entity needs any more. `tracks`: (detector, entity) ->
    the course of its incident, None: none goes on. `intake`: (stage, key) -> what a stage of the intake
    remembers, None to forget.
    """

    snapshots: tuple[StateSnapshot, ...] = ()
    journal: tuple[JournalPiece, ...] = ()
    superseded: tuple[int, ...] = ()
    tracks: Mapping[tuple[str, str], bytes | None] = field(default_factory=dict)
    intake: Mapping[tuple[str, str], bytes | None] = field(default_factory=dict)


class EntityStateRepository:
    """What is remembered, in the report store. Every method is one transaction, and raises StoreError."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def snapshots(self, detector: str, entities: Collection[str]) -> dict[str, StateSnapshot]:
        """Give the snapshots of these entities, of those that have one."""
        table = t.entity_states
        with self._database.reading() as connection:
            return {
                row.entity: StateSnapshot(*row)
                for some in _portions(entities)
                for row in connection.execute(
                    select(table).where(table.c.detector == detector, table.c.entity.in_(some))
                )
            }

    def snapshot_times(self, detector: str) -> dict[str, float]:
        """Give entity -> the event time of its snapshot, of all entities."""
        table = t.entity_states.c
        query = select(table.entity, table.until).where(table.detector == detector)
        with self._database.reading() as connection:
            return {row.entity: row.until for row in connection.execute(query)}

    def tracks(self, detector: str, entities: Collection[str]) -> dict[str, bytes]:
        """Give the courses of incidents of these entities, of those with one that goes on."""
        table = t.incident_tracks
        with self._database.reading() as connection:
            return {
                entity: track
                for some in _portions(entities)
                for entity, track in connection.execute(
                    select(table.c.entity, table.c.track).where(
                        table.c.detector == detector, table.c.entity.in_(some)
                    )
                )
            }

    def evidence(self, report: str) -> bytes | None:
        """Give the stored evidence of a report, None if there is none."""
        query = select(t.evidence.c.blob).where(t.evidence.c.report == report)
        with self._database.reading() as connection:
            blob: bytes | None = connection.execute(query).scalar_one_or_none()
            return blob

    def journal_ids(self, detector: str, before: float = float("inf")) -> set[int]:
        """Give the ids of the journal's pieces that were recorded before a wall-clock time (s)."""
        table = t.state_journal.c
        query = select(table.id).where(table.detector == detector, table.recorded < before)
        with self._database.reading() as connection:
            return set(connection.execute(query).scalars())

    def journal(self, ids: Collection[int]) -> list[JournalPiece]:
        """Give pieces of the journal, of those that are still there."""
        table = t.state_journal.c
        with self._database.reading() as connection:
            return [
                JournalPiece(*row)
                for some in _portions(sorted(ids))
                for row in connection.execute(
                    select(table.id, table.detector, table.data).where(table.id.in_(some))
                )
            ]

    def intake(self, stage: str) -> dict[str, bytes]:
        """Give key -> what a stage of the intake remembers."""
        table = t.intake_states.c
        query = select(table.key, table.state).where(table.stage == stage)
        with self._database.reading() as connection:
            return {row.key: row.state for row in connection.execute(query)}


def keep_states(connection: Connection, database: Database, changes: StateChanges, now: float) -> None:
    """Keep what a step changed; `now` is the wall clock."""
    if changes.snapshots:
        rows = sorted(map(_row, changes.snapshots), key=lambda row: (row["detector"], row["entity"]))
        connection.execute(database.upsert(t.entity_states), rows)
    if changes.journal:
        connection.execute(
            insert(t.state_journal),
            [{"id": p.id, "detector": p.detector, "recorded": now, "data": p.data} for p in changes.journal],
        )
    _drop_pieces(connection, changes.superseded)
    _keep_or_forget(connection, database, t.incident_tracks, changes.tracks)
    _keep_or_forget(connection, database, t.intake_states, changes.intake)


def _keep_or_forget(
    connection: Connection,
    database: Database,
    table: Table,
    changed: Mapping[tuple[str, str], bytes | None],
) -> None:
    """Keep bytes in a table of two keys; None drops the row."""
    one, other, value = (column.name for column in table.c)
    kept = [
        {one: key[0], other: key[1], value: blob} for key, blob in sorted(changed.items()) if blob is not None
    ]
    forgotten = sorted(key for key, blob in changed.items() if blob is None)
    if kept:
        connection.execute(database.upsert(table), kept)
    for some in _portions(forgotten):
        connection.execute(delete(table).where(tuple_(table.c[one], table.c[other]).in_(some)))


def _drop_pieces(connection: Connection, ids: Collection[int]) -> None:
    for some in _portions(sorted(ids)):
        connection.execute(delete(t.state_journal).where(t.state_journal.c.id.in_(some)))


def _row(snapshot: StateSnapshot) -> dict[str, str | float | bytes]:
    return {
        "detector": snapshot.detector,
        "entity": snapshot.entity,
        "model": snapshot.model,
        "until": snapshot.until,
        "state": snapshot.state,
    }


def _portions(items: Iterable[_T]) -> Iterator[list[_T]]:
    rest = iter(items)
    while some := list(islice(rest, _AT_ONCE)):
        yield some
