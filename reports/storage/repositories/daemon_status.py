"""What each daemon last said of itself: written every few seconds, read by the dashboard."""

from __future__ import annotations

from collections.abc import Callable

import msgspec
from sqlalchemy import Connection, delete, insert, select

from anomalyd.reports.storage.database import Database
from anomalyd.reports.storage.tables import daemon_status

FORGOTTEN_S = 7 * 86_400.0
"""A daemon that has said nothing for a week is gone for good: its row is dropped by the next that writes."""

MOST_NAMES = 200
"""Entities named in a status: it stays a few kilobytes, whatever there is."""


class DetectorStatus(msgspec.Struct, frozen=True):
    """How one detector stands.

    `model`: the version at work, "" if there is none. `learning`, `unfit`: how many entities are in their
    first day, and how many send what the model cannot take; of each the first `MOST_NAMES` are named.
    `rate_*`: share of samples that alert; `alarms_*`: incidents a day of all entities, over the last day of
    event time; None where it is not known or not set.
    """

    name: str
    model: str = ""
    learning: int = 0
    unfit: int = 0
    learning_names: tuple[str, ...] = ()
    unfit_names: tuple[str, ...] = ()
    rate_wanted: float | None = None
    rate_realised: float | None = None
    alarms_wanted: float | None = None
    alarms_realised: int | None = None


class DaemonStatus(msgspec.Struct, frozen=True):
    """What a daemon said of itself.

    Times are in seconds since the epoch. `seen`: when this was written, by the daemon's wall clock;
    `turned`: when its loop last went round; `started`: when it began; `every_s`: how often it writes.
    `stopped`: it ended in order. `newest`: newest event time, None before the first sample. `lag`: topic ->
    records in Kafka that were not taken yet. `missing`: what keeps it from being ready, by name.
    """

    instance: str
    version: str
    started: float
    turned: float
    every_s: float
    stopped: bool = False
    newest: float | None = None
    lag: dict[str, int] = {}
    missing: dict[str, str] = {}
    detectors: tuple[DetectorStatus, ...] = ()
    seen: float = 0.0


class DaemonStatusBook:
    """Where daemons say how they stand. Every method is one transaction, and raises StoreError."""

    def __init__(self, database: Database, clock: Callable[[], float]) -> None:
        self._database = database
        self._clock = clock

    def keep(self, status: DaemonStatus) -> None:
        """Keep what a daemon says of itself now, in place of what it said before."""
        now = self._clock()
        body = msgspec.json.encode(msgspec.structs.replace(status, seen=now)).decode()
        table = daemon_status
        with self._database.writing() as connection:
            connection.execute(delete(table).where(table.c.instance == status.instance))
            connection.execute(delete(table).where(table.c.seen < now - FORGOTTEN_S))
            connection.execute(insert(table), {"instance": status.instance, "seen": now, "body": body})


def read_daemons(connection: Connection) -> list[DaemonStatus]:
    """Give what every daemon last said, by name."""
    query = select(daemon_status.c.body).order_by(daemon_status.c.instance)
    return [msgspec.json.decode(body, type=DaemonStatus) for body in connection.execute(query).scalars()]
