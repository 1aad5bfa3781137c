"""The flags that people set, in the store, beside what was seen of each lumisection."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from sqlalchemy import Connection, insert, select

from anomalyd.errors import StoreError
from anomalyd.reports.quality import Coverage, Flag, FlagRange, Override, flag_ranges
from anomalyd.reports.storage.database import Database
from anomalyd.reports.storage.tables import flags, lumisections


class FlagBook:
    """What people say of runs. Every method is one transaction, and raises StoreError if it fails."""

    def __init__(self, database: Database, clock: Callable[[], float]) -> None:
        self._database = database
        self._clock = clock

    def say(self, override: Override) -> Override:
        """Keep what somebody said, and give it with its number; nothing that was said before is lost.

        Raises:
            StoreError: no name, no reason, or lumisections in no order.

        """
        if not override.who.strip() or not override.reason.strip():
            raise StoreError("a flag needs the name of who sets it, and a reason")
        if not 0 <= override.first <= override.last:
            raise StoreError(f"lumisections {override.first} to {override.last} are in no order")
        now = self._clock()
        row = {
            "run": override.run,
            "system": override.system,
            "first": override.first,
            "last": override.last,
            "flag": override.flag,
            "who": override.who,
            "reason": override.reason,
            "recorded": now,
        }
        with self._database.writing() as connection:
            number = connection.execute(insert(flags).values(row).returning(flags.c.id)).scalar_one()
        return replace(override, id=number, recorded=now)


def read_flags(connection: Connection, run: int) -> dict[str, list[FlagRange]]:
    """Give the flags of every system of a run, by name."""
    c = lumisections.c
    seen: dict[str, dict[int, Coverage]] = {}
    for system, number, *counts in connection.execute(
        select(c.system, c.lumisection, c.seen, c.judged, c.alerting, c.empty).where(c.run == run)
    ):
        seen.setdefault(system, {})[number] = Coverage(*counts)
    said: dict[str, list[Override]] = {}
    for override in read_overrides(connection, run):
        said.setdefault(override.system, []).append(override)
    # A system that fell silent before the others did is uncertain to the end of the run.
    numbers = [number for some in seen.values() for number in some]
    span = (min(numbers), max(numbers)) if numbers else None
    return {s: flag_ranges(seen.get(s, {}), said.get(s, ()), span) for s in sorted({*seen, *said})}


def read_overrides(connection: Connection, run: int | None = None) -> list[Override]:
    """Give what people said of a run, or of all, in the order in which they said it."""
    o = flags.c
    query = select(o.run, o.system, o.first, o.last, o.flag, o.who, o.reason, o.recorded, o.id).order_by(o.id)
    if run is not None:
        query = query.where(o.run == run)
    found = (Override(*row) for row in connection.execute(query))
    return [replace(each, flag=Flag(each.flag) if each.flag else None) for each in found]
