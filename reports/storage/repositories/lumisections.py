"""What was seen of each lumisection, in the store: which elements, so that none counts twice.

A map may come again in a later step (a producer that sends twice, a second map of the same lumisection), so
the set of a lumisection's elements is kept, eight bytes each, beside their counts.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection, select, tuple_

from anomalyd.reports.quality import Coverage, Look
from anomalyd.reports.storage.database import Database
from anomalyd.reports.storage.tables import elements, lumisections

Place = tuple[int, str, int]
"""Run, system, lumisection."""

_PLACES = 5_000
"""Places that one query asks for: each has three parameters, of which SQLite takes 32,766."""

_JUDGED, _ALERTING, _EMPTY = np.uint64(1), np.uint64(2), np.uint64(4)
_NAME = ~(_JUDGED | _ALERTING | _EMPTY)

Words = NDArray[np.uint64]
"""Elements (n,), sorted: the hash of a name but for its lowest bits, which say judged, alerting, empty."""


def keep_looks(connection: Connection, database: Database, seen: Mapping[Place, Mapping[str, Look]]) -> None:
    """Add what a step saw to what is kept, within its transaction; an element counts once."""
    if not seen:
        return
    places = sorted(seen)  # in one order, so that two daemons cannot wait for each other
    # So that each has a row to be locked.
    connection.execute(
        database.insert(elements).on_conflict_do_nothing(), [_row(place, names=b"") for place in places]
    )
    sets, counts = [], []
    for place, held in _held(connection, places):
        words = _joined(np.frombuffer(held, dtype="<u8"), _words(seen[place]))
        sets.append(_row(place, names=words.astype("<u8").tobytes()))
        counts.append(_row(place, **asdict(coverage_of(words))))
    connection.execute(database.upsert(elements), sets)
    connection.execute(database.upsert(lumisections), counts)


def _held(connection: Connection, places: Sequence[Place]) -> Iterator[tuple[Place, bytes]]:
    """Lock what is kept of places, in their order, and give their words."""
    c = elements.c
    key = (c.run, c.system, c.lumisection)
    for start in range(0, len(places), _PLACES):
        asked = tuple_(*key).in_(places[start : start + _PLACES])
        held = connection.execute(select(*key, c.names).where(asked).order_by(*key).with_for_update())
        yield from (((run, system, number), names) for run, system, number, names in held)


def _row(place: Place, **values: object) -> dict[str, object]:
    return {"run": place[0], "system": place[1], "lumisection": place[2], **values}


def coverage_of(words: Words) -> Coverage:
    """Count elements."""
    return Coverage(len(words), *(int(np.count_nonzero(words & bit)) for bit in (_JUDGED, _ALERTING, _EMPTY)))


def _words(looks: Mapping[str, Look]) -> Words:
    names = [int.from_bytes(hashlib.blake2b(name.encode(), digest_size=8).digest()) for name in looks]
    bits = [
        _JUDGED * look.judged | _ALERTING * look.alerting | _EMPTY * look.empty for look in looks.values()
    ]
    words: Words = (np.array(names, dtype=np.uint64) & _NAME) | np.array(bits, dtype=np.uint64)
    return words


def _joined(old: Words, new: Words) -> Words:
    """Make one of both, each element once, with what either says of it."""
    both = np.concatenate([old, new]).astype(np.uint64)
    names: Words
    names, where = np.unique(both & _NAME, return_inverse=True)
    np.bitwise_or.at(names, where, both & ~_NAME)
    return names
