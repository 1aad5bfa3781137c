"""The rows scored since the snapshots: what is written in place of every entity's whole state.

Scoring is deterministic and does not depend on how a stream is cut, so an entity's state is its snapshot and
the rows that came after it. Each step writes one piece with the new rows of all its entities, and a few
snapshots: for every `SNAPSHOT_EVERY` rows that of the entity whose rows have waited longest. So the snapshots
are spread over the steps, the journal stays below that many rows an entity, and a restart scores half of
them again on average.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from itertools import accumulate

import numpy as np
from numpy.typing import NDArray

from anomalyd.daemon import remembered
from anomalyd.daemon.remembered import Remembered
from anomalyd.errors import StoreError

SNAPSHOT_EVERY = 128
"""Rows of an entity between two snapshots. A state of 30 to 60 kB is then 240 to 480 bytes a row, and what a
restart scores again takes 2 s for a thousand entities at 25 us a row."""


@dataclass(frozen=True, slots=True)
class Rows:
    """What a step scored of one entity, up to event time `newest` (s).

    `times` (n,) and `values` (n, F): the rows that its detectors learnt from; there is none in maintenance.
    """

    entity: str
    newest: float
    times: NDArray[np.float64]
    values: NDArray[np.float32]


class _Piece(Remembered, frozen=True):
    """Rows of E entities, n in all: `newest` (E,) and `times` (n,) float64, `values` (n, F) float32.

    `counts` (E,): how many of the rows are whose.
    """

    entities: list[str]
    counts: list[int]
    newest: bytes
    times: bytes
    values: bytes


def encode_rows(rows: Sequence[Rows]) -> bytes:
    """Turn rows, all of the same metrics, into bytes."""
    learnt = [each for each in rows if len(each.times)]
    return remembered.encode(
        _Piece(
            entities=[each.entity for each in rows],
            counts=[len(each.times) for each in rows],
            newest=np.array([each.newest for each in rows], dtype=np.float64).tobytes(),
            times=np.concatenate([each.times for each in learnt], dtype=np.float64).tobytes()
            if learnt
            else b"",
            values=np.concatenate([each.values for each in learnt], dtype=np.float32).tobytes()
            if learnt
            else b"",
        )
    )


def decode_rows(blob: bytes) -> list[Rows]:
    """Give the rows that `encode_rows` was given.

    Raises:
        StoreError: the bytes are damaged, or a newer version wrote them.

    """
    piece = remembered.decode(blob, _Piece, "a piece of the journal of rows")
    try:
        newest, times = (np.frombuffer(each, dtype=np.float64) for each in (piece.newest, piece.times))
        values = np.frombuffer(piece.values, dtype=np.float32).reshape(len(times), -1 if len(times) else 0)
        ends = list(accumulate(piece.counts))
        if not len(piece.entities) == len(newest) == len(ends) or (ends and ends[-1] != len(times)):
            raise ValueError("its parts do not fit together")
    except ValueError as error:
        raise StoreError(
            f"a piece of the journal of rows is damaged: {error}; restore the database from a copy"
        ) from error
    return [
        Rows(entity, at, times[end - count : end], values[end - count : end])
        for entity, at, count, end in zip(piece.entities, newest.tolist(), piece.counts, ends, strict=True)
    ]


@dataclass(slots=True)
class _Waiting:
    """The rows of one entity since its snapshot: how many, and in which pieces."""

    rows: int = 0
    pieces: list[int] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Plan:
    """What a step writes: rows, the entities of which a snapshot, and which pieces nobody needs any more."""

    rows: tuple[Rows, ...]
    snapshots: frozenset[str]
    superseded: tuple[int, ...]


class StateJournal:
    """Says, for one detector pair, of which entities a step writes the rows and of which a snapshot."""

    def __init__(self, snapshot_every: int = SNAPSHOT_EVERY) -> None:
        self._every = snapshot_every
        self._waiting: OrderedDict[str, _Waiting] = OrderedDict()  # in the order of their oldest rows
        self._needed: dict[int, int] = {}  # piece -> the entities that still need it
        self._rows = 0  # written since the last snapshot of the one that waited longest

    def found(self, piece: int, entities: int) -> None:
        """Note a piece that is in the store, and how many entities need it."""
        self._needed[piece] = entities

    def recalled(self, entity: str, rows: int, pieces: Iterable[int]) -> None:
        """Note that an entity needs these pieces, in which are so many of its rows."""
        self._waiting[entity] = _Waiting(rows, list(pieces))

    def plan(self, piece: int, rows: Sequence[Rows], snapshots: Collection[str]) -> Plan:
        """Say what to write; `snapshots` names entities that need one in any case.

        Arguments:
            piece: the number of the piece in which the rows will be.
            rows: what a step scored, one of each entity.
            snapshots: entities whose state does not follow from the last snapshot and their rows.

        """
        chosen = set(snapshots)
        for each in rows:
            waiting = self._waiting.get(each.entity)
            if len(each.times) + (0 if waiting is None else waiting.rows) >= self._every:
                chosen.add(each.entity)
                self._rows -= self._every
        self._rows += sum(max(len(each.times), 1) for each in rows)
        for entity in self._waiting:
            if self._rows < self._every:
                break
            if entity not in chosen:
                chosen.add(entity)
                self._rows -= self._every
        superseded = [done for entity in chosen for done in self._supersede(entity)]
        written = tuple(each for each in rows if each.entity not in chosen)
        for each in written:
            waiting = self._waiting.setdefault(each.entity, _Waiting())
            waiting.rows += len(each.times)
            waiting.pieces.append(piece)
        if written:
            self._needed[piece] = len(written)
        if not self._waiting:
            self._rows = 0
        return Plan(written, frozenset(chosen), tuple(superseded))

    def _supersede(self, entity: str) -> Iterable[int]:
        """Drop what an entity needs; gives the pieces that nobody needs any more."""
        waiting = self._waiting.pop(entity, None)
        for piece in waiting.pieces if waiting is not None else ():
            self._needed[piece] -= 1
            if not self._needed[piece]:
                del self._needed[piece]
                yield piece
