"""The newest canary of each detector and kind, in the store."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict

from sqlalchemy import Connection, select

from anomalyd.reports.step import CanaryCheck
from anomalyd.reports.storage.database import Database
from anomalyd.reports.storage.tables import canaries


def keep_canaries(connection: Connection, database: Database, checks: Sequence[CanaryCheck]) -> None:
    """Keep what became of canaries, in the place of older ones."""
    if not checks:
        return
    upsert = database.insert(canaries)
    new = upsert.excluded
    connection.execute(
        upsert.on_conflict_do_update(
            index_elements=["detector", "kind"],
            set_={name: new[name] for name in ("sent", "latency_s", "score", "right")},
            where=new.sent > canaries.c.sent,
        ),
        [asdict(check) for check in checks],
    )


def read_canaries(connection: Connection) -> list[CanaryCheck]:
    """Give the newest canary of each detector and kind that came back."""
    query = select(canaries).order_by(canaries.c.detector, canaries.c.kind.desc())
    return [CanaryCheck(**row) for row in connection.execute(query).mappings()]
