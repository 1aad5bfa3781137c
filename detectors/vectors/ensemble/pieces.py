"""Pieces of windows that are scored at once: so many rows of each of many entities."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from anomalyd.detectors.detector import SeriesWindow, State
from anomalyd.detectors.vectors.ensemble.advance import Learnt, advance
from anomalyd.detectors.vectors.ensemble.beginning import newcomer
from anomalyd.detectors.vectors.ensemble.beginning.newcomer import arrive, go_on, is_due
from anomalyd.detectors.vectors.ensemble.beginning.silence import begin_again, is_after_silence, silences
from anomalyd.detectors.vectors.ensemble.memory import Batch, Memory

_ROWS_AT_ONCE = 2048
"""Rows of a batch: with 38 metrics the network's inputs are 2 MB then, and stay in the cache."""

Rows = NDArray[np.float32]


@dataclass(slots=True)
class Piece:
    """Rows `begin` to `end` of those of all windows, of one entity, to be scored up to `upto` next.

    `memory`: what is remembered before them; `scale`: what its scaling remembers. `silences`: the rows among
    them that come after a silence; `cuts`: those, and where a newcomer begins or is looked at again, rising.
    `accepted`: the rows at which what goes on was taken for normal, and what was remembered before them.
    """

    place: int
    begin: int
    end: int
    memory: Memory
    scale: State
    silences: Sequence[int] = ()
    cuts: Sequence[int] = ()
    upto: int = 0
    accepted: list[tuple[int, Memory]] = field(default_factory=list)

    def stop(self) -> int:
        """Give the row before which it is cut next, or its end."""
        if not self.cuts:
            return self.end
        return next((row for row in self.cuts if row > self.begin), self.end)


@dataclass(frozen=True, slots=True)
class Found:
    """What is said of all rows (N,) and (N, F), in usual widths, NaN where nothing is; as `Advanced`."""

    raw: NDArray[np.float64]
    error: Rows
    expectation: Rows
    contribution: Rows

    @classmethod
    def nothing(cls, rows: int, metrics: int) -> Found:
        """Say nothing yet."""
        unknown = (np.full((rows, metrics), np.nan, dtype=np.float32) for _ in range(3))
        return cls(np.full(rows, np.nan), *unknown)


def pieces_of(
    learnt: Learnt,
    windows: Sequence[SeriesWindow],
    memories: Sequence[Memory | None],
    scales: Sequence[State],
    ready: NDArray[np.bool_],
) -> list[Piece]:
    """Make the pieces of windows, whose rows lie behind each other, with what is remembered of them, None for
    nothing, and of their scales; `ready` (N,): which rows are no warm-up."""
    unknown = len(learnt.places)
    places = [learnt.places.get(window.entity, unknown) for window in windows]
    before = [
        learnt.beginning(place) if memory is None else memory
        for place, memory in zip(places, memories, strict=True)
    ]
    counts = [len(window.times) for window in windows]
    starts = np.cumsum(counts) - counts
    single = np.flatnonzero(np.array(counts) == 1)
    plain = np.zeros(len(windows), dtype=bool)
    if len(single):
        times = np.array([windows[w].times[0] for w in single.tolist()])
        some = [before[w] for w in single.tolist()]
        plain[single] = ready[starts[single]] & ~_is_cut(learnt, np.array(places)[single], some, times)
    each = zip(windows, places, starts.tolist(), counts, before, scales, plain.tolist(), strict=True)
    return [
        Piece(place, begin, begin + 1, memory, scale, upto=begin + 1)
        if simple
        else _piece_of(learnt, window, place, memory, scale, begin, ready[begin : begin + count])
        for window, place, begin, count, memory, scale, simple in each
    ]


def _is_cut(
    learnt: Learnt, places: NDArray[np.int64], memories: Sequence[Memory], times: NDArray[np.float64]
) -> NDArray[np.bool_]:
    """Say of single rows at times (B,) before which something begins: as `_piece_of`, of many at once."""
    newest = np.array([memory.newest for memory in memories])
    since = np.array([memory.learns_since for memory in memories])
    fresh = np.array([memory.fresh_rows for memory in memories])
    learns = np.isnan(newest) | is_due(times, since, fresh)
    after = is_after_silence(times, newest, np.array(learnt.intervals_s)[places])
    return np.asarray(after | (learns & (places == len(learnt.places))))


def _piece_of(
    learnt: Learnt,
    window: SeriesWindow,
    place: int,
    before: Memory,
    scale: State,
    begin: int,
    ready: NDArray[np.bool_],
) -> Piece:
    """Make a piece of a window whose rows begin at `begin` of all, or where its warm-up is over.

    It is cut where a silence was, and where a newcomer begins or is looked at again.
    """
    end, cold = begin + len(ready), int(np.argmin(np.append(~ready, False)))
    begin += cold
    times, newest = window.times[cold:], before.newest
    after = silences(times, newest, learnt.intervals_s[place])
    looked = list[int]()
    if learnt.is_unknown(place) and len(times):
        since = before.learns_since
        if math.isnan(newest) or not math.isnan(since):
            looked = newcomer.cuts(times, since, before.fresh_rows, after)
            looked += [0] if math.isnan(newest) else []
    cuts = sorted({begin + row for row in (*after, *looked)}) if after or looked else ()
    return Piece(place, begin, end, before, scale, [begin + row for row in after], cuts)


def score(learnt: Learnt, pieces: Sequence[Piece], times: NDArray[np.float64], rows: Rows) -> Found:
    """Score pieces of rows (N, F) at times (N,); what is remembered of them is that after them then.

    A piece is cut where what an operator called broken is over: from there on it is learnt from; and where a
    silence was.
    """
    found = Found.nothing(*rows.shape)
    left: Sequence[Piece] = pieces
    while left := [piece for piece in left if piece.begin < piece.end]:
        for piece in left:
            if piece.upto <= piece.begin:
                piece.upto = piece.stop()
        for group in _groups(left):
            _score(learnt, group, times, rows, found)
    return found


def _score(
    learnt: Learnt, group: Sequence[Piece], times: NDArray[np.float64], rows: Rows, found: Found
) -> None:
    at = np.array([piece.begin for piece in group])[:, None] + np.arange(group[0].upto - group[0].begin)
    batch = learnt.layout.join([piece.memory for piece in group])
    beginning = [b for b, piece in enumerate(group) if piece.cuts and piece.begin in piece.cuts]
    if beginning:
        _begin(learnt, batch, np.array(beginning), [group[b] for b in beginning], times, rows)
    done = advance(learnt, batch, np.array([piece.place for piece in group]), times[at], rows[at])
    found.raw[at], found.error[at] = done.raw, done.error
    found.expectation[at], found.contribution[at] = done.expectation, done.contribution
    after = learnt.layout.part(batch, [piece.scale for piece in group])
    each = zip(group, after, done.mended.tolist(), done.accepted, strict=True)
    for piece, memory, mended, accepted in each:
        if 0 <= mended < piece.upto - piece.begin - 1:
            piece.upto = piece.begin + mended + 1
            continue
        if accepted:
            piece.accepted += [(piece.begin + row, piece.memory) for row in accepted]
        piece.memory, piece.begin = memory, piece.upto


def _begin(
    learnt: Learnt,
    batch: Batch,
    which: NDArray[np.int64],
    pieces: Sequence[Piece],
    times: NDArray[np.float64],
    rows: Rows,
) -> None:
    """Begin the pieces of entities `which` (B,) of a batch, each at a row at which something begins."""
    begins = np.array([piece.begin for piece in pieces])
    unknown = np.array([learnt.is_unknown(piece.place) for piece in pieces])
    new = unknown & np.isnan(batch.newest[which])
    if new.any():
        arrive(batch, which[new], times[begins[new]], rows[begins[new]], learnt.daily)
    old = np.flatnonzero(~new)
    for k in old.tolist():
        if pieces[k].begin in pieces[k].silences:
            begin_again(batch, int(which[k]))
    learning = old[~np.isnan(batch.learns_since[which[old]])]
    if len(learning):
        go_on(batch, which[learning], times[begins[learning]])


def _groups(pieces: Sequence[Piece]) -> Iterator[Sequence[Piece]]:
    """Give pieces of one length together, not too many at once."""
    alike: dict[int, list[Piece]] = {}
    for piece in pieces:
        alike.setdefault(piece.upto - piece.begin, []).append(piece)
    for length, some in alike.items():
        count = max(1, _ROWS_AT_ONCE // length)
        for begin in range(0, len(some), count):
            yield some[begin : begin + count]
