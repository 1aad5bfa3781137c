"""Which runs are over, in the store: what was seen of a run when it was summed up, and the summary."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import msgspec
from sqlalchemy import func, insert, select

from anomalyd.reports.run_summary import RunSummary
from anomalyd.reports.step import OutboxEntry
from anomalyd.reports.storage import tables as t
from anomalyd.reports.storage.database import Database


class RunSummaryBook:
    """The summaries of ended runs. Every method is one transaction, and raises StoreError."""

    def __init__(self, database: Database, clock: Callable[[], float]) -> None:
        self._database = database
        self._clock = clock

    def seen(self) -> Mapping[int, int]:
        """Give how many maps were seen of each run, in order of the runs."""
        c = t.lumisections.c
        query = select(c.run, func.sum(c.seen)).group_by(c.run).order_by(c.run)
        with self._database.reading() as connection:
            return {int(run): int(maps) for run, maps in connection.execute(query)}

    def summed_up(self) -> Mapping[int, int]:
        """Give the runs that were summed up, and how many maps had been seen of each."""
        c = t.run_summaries.c
        with self._database.reading() as connection:
            return {int(run): int(maps) for run, maps in connection.execute(select(c.run, c.maps))}

    def keep(self, summary: RunSummary, maps: int, outgoing: Sequence[OutboxEntry]) -> bool:
        """Keep the summary of a run of which so many maps were seen, and send what tells of it.

        Says whether it is new: what another daemon has kept of the same maps is not told again.
        """
        upsert = self._database.insert(t.run_summaries)
        new = upsert.excluded
        names = ("ended", "maps", "summary")
        changed = upsert.on_conflict_do_update(
            index_elements=["run"],
            set_={name: new[name] for name in names},
            where=new.maps != t.run_summaries.c.maps,
        )
        row = {
            "run": summary.run,
            "ended": self._clock(),
            "maps": maps,
            "summary": msgspec.json.encode(summary).decode(),
        }
        with self._database.writing() as connection:
            kept = connection.execute(changed.values(row).returning(t.run_summaries.c.run)).one_or_none()
            if kept is None:
                return False
            for entry in outgoing:
                headers = msgspec.msgpack.encode(entry.headers)
                values = {"topic": entry.topic, "key": entry.key, "value": entry.value, "headers": headers}
                connection.execute(insert(t.outbox).values(values))
        return True
