"""Which records were begun, and how often each alone: kept before they are, for the next start."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy import delete, select, update

from anomalyd.reports.storage import tables as t
from anomalyd.reports.storage.database import Database

Place = tuple[str, int, int]
"""Topic, partition, offset."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """Records from a place on that were begun and not finished.

    `alone`: how often the first of them was begun without any other; `next_offset`: what follows the last of
    those that were begun with it the last time.
    """

    alone: int
    next_offset: int


class AttemptRepository:
    """The attempts in the report store. Every method is one transaction, and raises StoreError."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def unfinished(self, group: str) -> dict[Place, Attempt]:
        """Give what was begun and not finished, by its first place."""
        c = t.attempts.c
        query = select(c.topic, c.partition, c.offset, c.count, c.next_offset).where(c.group == group)
        with self._database.reading() as connection:
            return {(row[0], row[1], row[2]): Attempt(row[3], row[4]) for row in connection.execute(query)}

    def begin(self, group: str, attempts: Mapping[Place, Attempt]) -> None:
        """Keep attempts, each `alone` on top of what is known of its place."""
        upsert = self._database.insert(t.attempts)
        upsert = upsert.on_conflict_do_update(
            index_elements=["group", "topic", "partition", "offset"],
            set_={
                "count": t.attempts.c.count + upsert.excluded.count,
                "next_offset": upsert.excluded.next_offset,
            },
        )
        rows = [
            {
                "group": group,
                "topic": topic,
                "partition": partition,
                "offset": offset,
                "count": attempt.alone,
                "next_offset": attempt.next_offset,
            }
            for (topic, partition, offset), attempt in attempts.items()
        ]
        with self._database.writing() as connection:
            connection.execute(upsert, rows)

    def forgive(self, group: str, attempts: Mapping[Place, Attempt]) -> None:
        """Take back attempts that `begin` kept."""
        if not attempts:
            return
        c = t.attempts.c
        with self._database.writing() as connection:
            for (topic, partition, offset), attempt in attempts.items():
                here = (c.group == group, c.topic == topic, c.partition == partition, c.offset == offset)
                connection.execute(delete(t.attempts).where(*here, c.count <= attempt.alone))
                connection.execute(update(t.attempts).where(*here).values(count=c.count - attempt.alone))

    def passed(self, group: str, following: Mapping[tuple[str, int], int]) -> None:
        """Forget the attempts at what lies before these offsets: it went well."""
        c = t.attempts.c
        with self._database.writing() as connection:
            for (topic, partition), offset in following.items():
                connection.execute(
                    delete(t.attempts).where(
                        c.group == group, c.topic == topic, c.partition == partition, c.offset < offset
                    )
                )
