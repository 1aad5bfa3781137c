"""Maintenance windows that an operator opened while the daemon runs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase

from sqlalchemy import Connection, insert, select, update

from anomalyd.errors import StoreError
from anomalyd.reports.storage.database import Database
from anomalyd.reports.storage.tables import maintenance


@dataclass(frozen=True, slots=True)
class Window:
    """A time of work on some entities: since <= event time < until, in seconds since the epoch.

    `entities` and `detector` are shell patterns (case matters); `id` is 0 for one that is not in the store.
    """

    entities: tuple[str, ...]
    since: float
    until: float
    reason: str = ""
    detector: str = "*"
    id: int = 0

    def covers(self, entity: str) -> bool:
        """Say whether an entity is worked on."""
        return any(fnmatchcase(entity, pattern) for pattern in self.entities)


class MaintenanceBook:
    """The windows in the report store. Every method is one transaction, and raises StoreError if it fails."""

    def __init__(self, database: Database, clock: Callable[[], float]) -> None:
        self._database = database
        self._clock = clock

    def windows(self) -> list[Window]:
        """Give all windows, earliest first; those that are over, too: late data still fall into them."""
        with self._database.reading() as connection:
            return read_windows(connection)

    def add(self, window: Window) -> Window:
        """Keep a window, and give it with its id.

        Raises:
            StoreError: it ends before it begins, or names no entity.

        """
        if not window.since < window.until or not any(window.entities):
            raise StoreError("a maintenance window needs an entity, and an end after its beginning")
        row = {
            "detector": window.detector,
            "entities": window.entities,
            "since": window.since,
            "until": window.until,
            "reason": window.reason,
            "recorded": self._clock(),
        }
        with self._database.writing() as connection:
            id_ = connection.execute(insert(maintenance).values(row).returning(maintenance.c.id)).scalar_one()
        return replace(window, id=id_)

    def end(self, id_: int) -> Window:
        """End a window now, or before it begins, and give it; one that is over already stays as it is.

        Raises:
            StoreError: there is no such window.

        """
        found = {window.id: window for window in self.windows()}
        if id_ not in found:
            raise StoreError(f"there is no maintenance window {id_}; there are: {_listed(found)}")
        window = found[id_]
        ended = replace(window, until=min(window.until, max(window.since, self._clock())))
        with self._database.writing() as connection:
            connection.execute(update(maintenance).where(maintenance.c.id == id_).values(until=ended.until))
        return ended


def read_windows(connection: Connection) -> list[Window]:
    """Give the windows that the store holds, earliest first."""
    t = maintenance.c
    query = select(t.entities, t.since, t.until, t.reason, t.detector, t.id).order_by(t.since, t.id)
    return [Window(*row) for row in connection.execute(query)]


def _listed(windows: dict[int, Window]) -> str:
    return ", ".join(map(str, windows)) or "none"
