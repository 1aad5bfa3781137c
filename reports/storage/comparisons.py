"""Comparisons of two models that people ask for; a daemon makes them, one at a time."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from sqlalchemy import delete, insert, or_, select, update

from anomalyd.errors import StoreError
from anomalyd.reports.storage import tables as t
from anomalyd.reports.storage.database import Database

ABANDONED_S = 3600.0
"""One that was begun so long ago and did not end is taken for lost, with its daemon: it begins anew."""

_KEPT_S = 90 * 86_400.0

_c = t.comparisons.c


@dataclass(frozen=True, slots=True)
class Comparison:
    """That somebody wants version `candidate` of a detector's model beside version `old`.

    `asked`, `begun`, `ended`: wall clock in seconds since the epoch, None while it is not so far. `outcome`:
    why it could not be made, "" if it could.
    """

    id: int
    detector: str
    candidate: str
    old: str
    who: str
    outcome: str
    asked: float
    begun: float | None
    ended: float | None


class ComparisonBook:
    """What was asked for. Every method is one transaction, and raises StoreError."""

    def __init__(self, database: Database, clock: Callable[[], float]) -> None:
        self._database = database
        self._clock = clock

    def ask(self, detector: str, candidate: str, old: str, who: str) -> None:
        """Ask for a comparison.

        Raises:
            StoreError: that one waits already.

        """
        now = self._clock()
        row = {
            "detector": detector,
            "candidate": candidate,
            "old": old,
            "who": who,
            "outcome": "",
            "asked": now,
        }
        same = (_c.detector == detector, _c.candidate == candidate, _c.old == old, _c.ended.is_(None))
        with self._database.writing() as connection:
            if connection.execute(select(_c.id).where(*same)).first() is not None:
                raise StoreError(f"{candidate} and {old} wait to be compared already")
            connection.execute(delete(t.comparisons).where(_c.ended < now - _KEPT_S))
            connection.execute(insert(t.comparisons).values(row))

    def begin(self, detectors: tuple[str, ...]) -> Comparison | None:
        """Take the one of these detectors that waited longest and no other daemon has, None without any."""
        now = self._clock()
        free = or_(_c.begun.is_(None), _c.begun < now - ABANDONED_S)
        waiting = select(_c.id).where(_c.detector.in_(detectors), _c.ended.is_(None), free)
        first = waiting.order_by(_c.id).limit(1).scalar_subquery()
        # The condition once more: of two daemons that found the same one, the second finds it begun.
        taken = update(t.comparisons).where(_c.id == first, free).values(begun=now).returning(t.comparisons)
        with self._database.writing() as connection:
            row = connection.execute(taken).one_or_none()
        return None if row is None else Comparison(**row._mapping)

    def end(self, comparison: Comparison, outcome: str = "") -> None:
        """Say that it is made, or why it could not be."""
        done = update(t.comparisons).where(_c.id == comparison.id)
        with self._database.writing() as connection:
            connection.execute(done.values(ended=self._clock(), outcome=outcome))


def read_comparisons(database: Database, detector: str, limit: int) -> list[Comparison]:
    """Give what was asked of a detector, the newest first."""
    query = select(t.comparisons).where(_c.detector == detector).order_by(_c.id.desc()).limit(limit)
    with database.reading() as connection:
        return [Comparison(**row._mapping) for row in connection.execute(query)]
