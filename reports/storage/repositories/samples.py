"""Samples that were scored, kept to train on: the store's part. What is in a piece is the daemon's affair."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, delete, insert, select

from anomalyd.reports.storage.database import Database
from anomalyd.reports.storage.tables import samples


@dataclass(frozen=True, slots=True)
class Piece:
    """Some samples of one entity, as bytes: how many, and their event times `first` to `last` in seconds.

    `id` is unique; `replaces` names pieces that this one holds, too: they are dropped when it is kept.
    """

    id: str
    entity: str
    sample_kind: str
    first: float
    last: float
    samples: int
    data: bytes
    replaces: tuple[str, ...] = ()


class SampleShelf:
    """The pieces in the report store. Every method is one transaction, and raises StoreError if it fails."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def pieces(self, since: float = 0.0) -> list[Piece]:
        """Give the pieces with samples from an event time on, by entity, the earliest first."""
        c = samples.c
        query = (
            select(c.id, c.entity, c.sample_kind, c.first, c.last, c.samples, c.data)
            .where(c.last >= since)
            .order_by(c.entity, c.first, c.id)
        )
        with self._database.reading() as connection:
            return [Piece(*row) for row in connection.execute(query)]

    def forget_before(self, time: float) -> int:
        """Drop the pieces whose samples are all older than this event time; give how many."""
        with self._database.writing() as connection:
            return connection.execute(delete(samples).where(samples.c.last < time)).rowcount


def keep_pieces(connection: Connection, pieces: Sequence[Piece]) -> None:
    """Keep pieces, in place of those that they hold, too."""
    replaced = [id_ for piece in pieces for id_ in piece.replaces]
    if replaced:
        connection.execute(delete(samples).where(samples.c.id.in_(replaced)))
    rows = [
        {name: getattr(piece, name) for name in Piece.__slots__ if name != "replaces"} for piece in pieces
    ]
    if rows:
        connection.execute(insert(samples), rows)
