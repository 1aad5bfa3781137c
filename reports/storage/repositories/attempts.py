"""How often a record, or the records from one on, were begun: kept before they are, for the next start."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from sqlalchemy import delete, select, update

from anomalyd.reports.storage import tables as t
from anomalyd.reports.storage.database import Database

Place = tuple[str, int, int]
"""Topic, partition, offset."""


class AttemptRepository:
    """The attempts in the report store. Every method is one transaction, and raises StoreError."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def counts(self, group: str) -> dict[Place, int]:
        """Give how often each place was begun and not finished."""
        c = t.attempts.c
        query = select(c.topic, c.partition, c.offset, c.count).where(c.group == group)
        with self._database.reading() as connection:
            return {(topic, number, offset): n for topic, number, offset, n in connection.execute(query)}

    def begin(self, group: str, places: Collection[Place]) -> None:
        """Count one more attempt at each of these places."""
        upsert = self._database.insert(t.attempts)
        count = upsert.on_conflict_do_update(
            index_elements=["group", "topic", "partition", "offset"], set_={"count": t.attempts.c.count + 1}
        )
        names = ("topic", "partition", "offset")
        rows = [{"group": group, "count": 1, **dict(zip(names, place, strict=True))} for place in places]
        with self._database.writing() as connection:
            connection.execute(count, rows)

    def forgive(self, group: str, places: Collection[Place]) -> None:
        """Count one attempt at each of these places less."""
        if not places:
            return
        c = t.attempts.c
        with self._database.writing() as connection:
            for topic, partition, offset in places:
                connection.execute(
                    update(t.attempts)
                    .where(c.group == group, c.topic == topic, c.partition == partition, c.offset == offset)
                    .values(count=c.count - 1)
                )
            connection.execute(delete(t.attempts).where(c.count < 1))

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
