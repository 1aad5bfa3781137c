"""Elements whose rows see different particles (calorimeters): cells beside their ring, units beside units.

How far healthy boxes and units scatter is measured in the map itself, so that towers that are read out
together, or calibrated differently, need no model.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from anomalyd.detectors.maps.geometry import Geometry
from anomalyd.detectors.maps.neighbours.cleaning import odd_cells
from anomalyd.detectors.maps.neighbours.evidence import Cells, ClassEvidence, LocalEvidence, Overdispersed

Counts = NDArray[np.float32]
Doubles = NDArray[np.float64]

_SIZES = (1, 2, 3, 5, 8)
_REACH = 3, 9
"""Rows and columns to either side over which a cell's surroundings are averaged."""

_CLIPPED = 3.0
"""Scatters beyond which a cell counts no further to its surroundings."""

_UNIT_SPREAD, _UNIT_SPREAD_WORTH = 0.07, 100.0
"""How far healthy units of real maps differ from the median of their like (relative), and how many units
this is worth: the few of one map tell it badly."""

_UNIT_VARIANCE = 11.0  # counts: towers that are read out together vary by ten times Poisson's and more

_MAD_TO_SIGMA = 1.4826

_FEW_COUNTS, _FARTHEST = 10.0, 100.0
"""Mean counts of a map below which its far cells count to its scatter, too, and how far they do."""

_FEWEST_POSITIONS = 40  # of a size of box: fewer do not tell how far they scatter

_SPARSE = 7
"""Of every so many positions one tells the scatter of a size."""


@dataclass(frozen=True, slots=True)
class _Units:
    """Segments of one kind that lie in the same rows: `cells` (U, R, C)."""

    kind: str
    cells: NDArray[np.float32]


@lru_cache(maxsize=64)
def _units_of(geometry: Geometry) -> tuple[_Units, ...]:
    mask = geometry.mask()
    groups: dict[tuple[str, tuple[int, ...]], list[Cells]] = {}
    for segment in geometry.segments:
        cells = segment.cells(geometry.shape) & mask
        rows = tuple(np.flatnonzero(cells.any(1)).tolist())
        # Wedges of a round map have rows of their own: they are all alike.
        groups.setdefault((segment.kind, rows if not geometry.starts else ()), []).append(cells)
    return tuple(
        _Units(kind, np.stack(cells).astype(np.float32))
        for (kind, _), cells in groups.items()
        if len(cells) > 3
    )


def grid_evidence(
    maps: Counts, geometry: Geometry, profile: Counts | None = None, *, segments_only: bool = False
) -> LocalEvidence:
    """Judge maps (N, R, C), NaN where missing, by their own surroundings.

    `profile` (R, C): what the cells of healthy elements count beside one another; None: nothing is known.
    Classes: "unit" and "unit hot" (segments beside their like), "box" and "box hot".
    """
    mask = geometry.mask()
    known = np.isfinite(maps) & mask
    usual = np.where(mask, 1.0 if profile is None else profile, 0).astype(np.float32)
    expected = _ring_level(np.where(known, maps, np.nan), usual)
    expected, odd, noise = _surroundings(np.where(known, maps, 0), expected, known, geometry)
    counts = np.where(known & ~odd, maps, expected).astype(np.float32)
    classes: list[ClassEvidence] = []
    if not segments_only:
        classes += _boxes(counts, expected, geometry)
    classes += _segments(counts, _ring_level(np.where(known & ~odd, maps, np.nan), usual), geometry)
    return LocalEvidence(classes, expected, odd, noise)


def _ring_level(seen: Counts, usual: Counts) -> Counts:
    """Expect (N, R, C) what the median of each row's cells, beside the profile, says."""
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = np.where(usual > 0, seen / usual, np.nan)
    ordered = np.sort(ratio, axis=2)
    there = np.isfinite(ordered).sum(2, keepdims=True)
    low = np.take_along_axis(ordered, np.maximum((there - 1) // 2, 0), 2)
    high = np.take_along_axis(ordered, np.minimum(there // 2, ordered.shape[2] - 1), 2)
    return np.asarray(np.where(there > 0, (low + high) / 2, 0) * usual, dtype=np.float32)


def _surroundings(
    counts: Counts, level: Counts, known: Cells, geometry: Geometry
) -> tuple[Counts, Cells, Overdispersed]:
    """Correct the level of the rings by the cells around: expected (N, R, C), odd cells, and the scatter."""
    cells = known & (level > 0)
    pull = np.where(cells, (counts - level) / np.sqrt(np.maximum(level, 0.5)), 0)
    scatter = np.array(
        [
            max(1.0, _MAD_TO_SIGMA * float(np.median(np.abs(p[c])))) if c.any() else 1.0
            for p, c in zip(pull, cells, strict=True)
        ]
    )
    limit = (_CLIPPED * scatter)[:, None, None]
    clipped = np.where(cells, level + np.clip(pull, -limit, limit) * np.sqrt(np.maximum(level, 0.5)), 0)
    seen, usual = (_averaged(x, geometry.wrap) for x in (clipped, np.where(cells, level, 0)))
    ratio = np.divide(seen, usual, out=np.ones_like(seen), where=usual > 0)
    expected = (level * np.clip(ratio, 0.2, 5)).astype(np.float32)
    hot_or_dead = odd_cells(np.where(cells, counts, np.nan), expected, wrap=geometry.wrap)
    far = np.abs(counts - expected) > 4.5 * scatter[:, None, None] * np.sqrt(np.maximum(expected, 1))
    odd = hot_or_dead & _alone_in_column(hot_or_dead) & cells & (far | (counts < 0.15 * expected))
    return expected, odd, Overdispersed(scatter**2, np.full(len(counts), 0.0))


def _alone_in_column(cells: Cells) -> Cells:
    alone = np.ones_like(cells)
    alone[:, 1:] &= ~cells[:, :-1]
    alone[:, :-1] &= ~cells[:, 1:]
    return alone


def _averaged(cells: Counts, wrap: bool) -> Doubles:
    """Sum (N, R, C) over a window of rows and columns about each cell."""
    tall, wide = _REACH
    reach = min(wide, cells.shape[2] - 1)
    padded = np.pad(cells, ((0, 0), (0, 0), (reach, reach)), mode="wrap" if wrap else "constant")
    padded = np.pad(padded, ((0, 0), (tall, tall), (0, 0)))
    return _windows(_integral(padded), 2 * tall + 1, 2 * reach + 1)


def _integral(cells: NDArray[np.floating]) -> Doubles:
    sums = np.zeros((len(cells), cells.shape[1] + 1, cells.shape[2] + 1))
    np.cumsum(np.cumsum(cells, axis=1, dtype=np.float64), axis=2, out=sums[:, 1:, 1:])
    return sums


def _windows(integral: Doubles, height: int, width: int) -> Doubles:
    top, bottom = integral[:, :-height], integral[:, height:]
    found: Doubles = bottom[:, :, width:] - bottom[:, :, :-width] - top[:, :, width:] + top[:, :, :-width]
    return found


def _boxes(counts: Counts, expected: Counts, geometry: Geometry) -> list[ClassEvidence]:
    """Find the box of each map that lies farthest out, in units of how far boxes of its size lie out
    there.
    """
    rows, columns = geometry.shape
    sizes = [(h, w) for h in _SIZES for w in _SIZES if h * w > 1 and h <= rows // 2 and w <= columns // 2]
    most = max((w for _, w in sizes), default=0) if geometry.wrap else 0
    seen, usual = (_integral(np.concatenate([x, x[:, :, :most]], axis=2)) for x in (counts, expected))
    n = len(counts)
    # Where cells count a few clusters each, most are alike, and only the others tell the scatter.
    square = np.minimum((counts - expected) ** 2 / np.maximum(expected, 0.5), _FARTHEST)
    sparse = expected.mean((1, 2)) < _FEW_COUNTS
    least = np.where(sparse, np.sqrt(np.maximum(square.mean((1, 2)), 1)), 1.0)
    best = {True: np.full(n, -30.0), False: np.full(n, -30.0)}
    place = {lost: np.zeros((n, 4), dtype=np.int64) for lost in best}
    for height, width in sizes:
        a, e = (_windows(x, height, width) for x in (seen, usual))
        starts = columns if geometry.wrap else columns - width + 1
        a, e = (x[:, :, :starts].reshape(n, -1) for x in (a, e))
        if a.shape[1] < _FEWEST_POSITIONS:
            continue
        pull = np.where(e > 1, (a - e) / np.sqrt(np.maximum(e, 1)), 0)
        # A median of few counts lies below their mean: what all boxes have in common is no fault.
        some = pull[:, ::_SPARSE]
        middle = np.median(some, axis=1, keepdims=True)
        spread = np.maximum(least, _MAD_TO_SIGMA * np.median(np.abs(some - middle), axis=1))
        pull -= middle
        price = np.log(len(sizes) * a.shape[1])
        for lost in best:
            at = pull.argmin(1) if lost else pull.argmax(1)
            z = pull[np.arange(n), at] / spread
            nats = np.where((z < 0) == lost, _few_counts(z, spread, e[np.arange(n), at]), 0) - price
            better = nats > best[lost]
            best[lost][better] = nats[better]
            top, left = np.divmod(at, starts)
            place[lost][better] = np.stack([top, left, top * 0 + height, top * 0 + width], axis=1)[better]

    def cells_of(lost: bool) -> list[ClassEvidence]:
        def cells(i: int) -> Cells:
            top, left, height, width = place[lost][i].tolist()
            found = np.zeros(geometry.shape, dtype=np.bool_)
            found[np.ix_(np.arange(top, top + height), np.arange(left, left + width) % columns)] = True
            return found & geometry.mask()

        return [ClassEvidence("box" if lost else "box hot", best[lost], np.full(n, lost), cells)]

    return cells_of(True) + cells_of(False)


def _few_counts(z: Doubles, spread: Doubles, expected: Doubles) -> Doubles:
    """Turn pulls (N,), in units of their `spread` over Poisson's, into nats as of counts that come in
    clusters.

    Below half a squared pull for excesses, which few clusters make by chance, and above it for losses.
    """
    ratio = np.maximum(1 + z * spread / np.sqrt(np.maximum(expected, 1)), 1e-6)
    return np.asarray(expected * (ratio * np.log(ratio) - ratio + 1) / spread**2)


def unit_evidence(counts: Counts, reference: Counts, geometry: Geometry) -> list[ClassEvidence]:
    """Compare segments of maps (N, R, C) with what their own history (N, R, C) lets expect beside its
    like.
    """
    return _segments(counts, _ring_level(np.where(reference > 0, counts, np.nan), reference), geometry)


def _segments(counts: Counts, level: Counts, geometry: Geometry) -> list[ClassEvidence]:
    """Compare segments with the median of their like, in units of how far these differ in the map."""
    n = len(counts)
    flat, usual = counts.reshape(n, -1), level.reshape(n, -1)
    pulls, cells = [], []
    for group in _units_of(geometry):
        inside = group.cells.reshape(len(group.cells), -1).T
        seen, expected = (x @ inside for x in (flat, usual))
        ratio = np.log((seen + 0.5) / np.maximum(expected, 0.5))
        away = ratio - np.median(ratio, axis=1, keepdims=True)
        own = (_MAD_TO_SIGMA * np.median(np.abs(away), axis=1, keepdims=True)) ** 2
        units = away.shape[1]
        spread = (units * own + _UNIT_SPREAD_WORTH * _UNIT_SPREAD**2) / (units + _UNIT_SPREAD_WORTH)
        noise = spread + _UNIT_VARIANCE / np.maximum(expected, 1)
        pulls.append(np.where(expected > 0, away / np.sqrt(noise), 0))
        cells.append(group.cells)
    if not pulls:
        return []
    pull, places = np.concatenate(pulls, axis=1), np.concatenate(cells) > 0
    found = []
    for name, lost in (("unit", True), ("unit hot", False)):
        best = pull.argmin(1) if lost else pull.argmax(1)
        z = pull[np.arange(n), best]
        nats = np.where((z < 0) == lost, z**2 / 2, 0.0) - np.log(pull.shape[1])

        def cells_at(i: int, best: NDArray[np.int64] = best) -> Cells:
            return np.asarray(places[best[i]])

        found.append(ClassEvidence(name, nats, np.full(n, lost), cells_at))
    return found
