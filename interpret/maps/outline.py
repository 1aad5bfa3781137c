"""The fault around one cell of a map: the region that best tells it from the rest, grown from a click.

Each candidate is a set of cells that lose or gain by one common factor (or by a Gaussian dip through all
rows); what decides is the likelihood ratio of Poisson counts against what was expected (Kulldorff, "A spatial
scan statistic", 1997, with the scan tied to the cell). Candidates are rows, runs of rows, hardware units and
all units together, over any stretch of columns around the cell, and whole segments.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from anomalyd.detectors.detector import Floats
from anomalyd.detectors.maps.geometry import Geometry
from anomalyd.detectors.maps.units import unit_cells
from anomalyd.errors import ModelMismatch

Cells = NDArray[np.bool_]
Polygon = tuple[tuple[float, float], ...]

_FACTORS = (0.02, 0.2, 0.5, 0.7, 0.8, 0.9, 0.95, 1.05, 1.1, 1.3, 1.6, 2.0, 3.0, 6.0)
"""How many times the expected counts a region may show, to begin with; fitted from there."""

_DEPTHS = (0.1, 0.15, 0.2, 0.35, 0.5, 0.75)
_WIDTHS = (0.08, 0.12, 0.17, 0.25, 0.35, 0.5)  # full width at half depth, of the row's length
_PER_WIDTH = 16  # centres that are tried in the width of a dip
_HALF = 2.3548  # full widths at half maximum in a standard deviation

_EDGE, _RUN, _DIP = 3.0, 3.0, 2.0
"""Nats that a region must be better for each edge inside the map, for rows that are no hardware unit, and for
a dip: the logarithm of about as many places as there are of it, and of how rare such faults are."""

_LEAST = 0.05
"""Counts that are expected at least: a cell that was dead before keeps a finite ratio."""

_COVERED = 0.8
"""Part of a hardware unit that a region must cover to be said to be it."""


@dataclass(frozen=True, slots=True)
class Region:
    """The fault around a cell: its `cells` (R, C), counts `seen` and `expected`, and the log odds `nats`.

    `units`: the hardware units that lie in it; `polygons`: its edges as corners (column, row), in cells, the
    first cell's corner being (0, 0); `nats` is what the counts say less the price of looking at many regions.
    """

    cells: Cells
    units: tuple[str, ...]
    polygons: tuple[Polygon, ...]
    seen: float
    expected: float
    nats: float


def outline(
    values: Floats, expectation: Floats, row: int, column: int, geometry: Geometry | None = None
) -> Region:
    """Outline the fault around a cell, `row` and `column` of the array (R, C), NaN where there is no cell.

    Raises:
        ModelMismatch: there is no cell.

    """
    rows, columns = values.shape
    if not (0 <= row < rows and 0 <= column < columns) or not np.isfinite(values[row, column]):
        raise ModelMismatch(
            f"there is no cell at row {row + 1}, column {column + 1} of a map of {rows} x {columns}; "
            "name one that was read out"
        )
    known = np.isfinite(values) & np.isfinite(expectation)
    counts = np.where(known, values, 0.0).astype(np.float64)
    usual = np.where(known, np.maximum(expectation, _LEAST), 0.0).astype(np.float64)
    best, highest, tried = np.zeros((rows, columns), dtype=np.bool_), -np.inf, 0
    for cells, nats in _candidates(counts, usual, row, column, known, geometry):
        tried += 1
        if nats > highest:
            best, highest = cells & known, nats
    seen, expected = float(counts[best].sum()), float(usual[best].sum())
    units = _units(best, known, geometry)
    nats = highest - float(np.log(max(tried, 1) * columns))
    return Region(best, units, polygons_of(best), seen, expected, nats)


def _candidates(
    counts: Floats, usual: Floats, row: int, column: int, known: Cells, geometry: Geometry | None
) -> Iterator[tuple[Cells, float]]:
    """Give candidate regions that hold the cell, each with its nats."""
    rows, columns = counts.shape
    for members, price in _row_sets(rows, row, geometry).items():
        n, e = counts[[*members]].sum(0), usual[[*members]].sum(0)
        for first, last, nats in _stretches(n, e, column):
            cells = np.zeros((rows, columns), dtype=np.bool_)
            cells[[*members], first : last + 1] = True
            yield cells, nats - price
    for segment in () if geometry is None else geometry.segments:
        cells = segment.cells((rows, columns)) & known
        if cells[row, column]:
            yield cells, _nats(counts[cells].sum(), usual[cells].sum())
    for shape in _dips(counts.shape, row, column, geometry):
        for depth in _DEPTHS:
            factor = 1 - depth * shape
            nats = float((counts * np.log(factor) - usual * (factor - 1)).sum())
            yield shape >= 0.5, nats - _DIP


def _row_sets(rows: int, row: int, geometry: Geometry | None) -> dict[tuple[int, ...], float]:
    """List sets of rows that hold this one, with their prices: runs around it, its unit, all units but those
    of another view. Hardware fails by the row, the unit and the whole; other runs have to be paid for."""
    sets = {}
    for first in range(max(0, row - 7), row + 1):
        for last in range(row, min(rows, row + 8)):
            sets[tuple(range(first, last + 1))] = _RUN
    if geometry is not None and geometry.units:
        units = [range(u.start, u.stop) for u in geometry.units]
        for left in units:
            # Two superlayers of one view lie apart where another lies between.
            sets |= {
                (*left, *right): 0.0 for right in units if right.start >= left.stop and row in (*left, *right)
            }
        sets |= {tuple(unit): 0.0 for unit in units if row in unit}
    return sets | {(row,): 0.0, tuple(range(rows)): 0.0}


def _stretches(n: Floats, e: Floats, column: int) -> Iterator[tuple[int, int, float]]:
    """For each factor to begin with, give the best stretch (first, last) around a column, with its nats.

    An edge that is not that of the map has to be paid for.
    """
    for start in _FACTORS:
        factor = start
        for _ in range(3):
            gain = n * np.log(factor) - e * (factor - 1)
            left = np.cumsum(gain[column::-1])
            right = np.cumsum(gain[column:])
            left[-1] += _EDGE
            right[-1] += _EDGE
            first, last = column - int(np.argmax(left)), column + int(np.argmax(right))
            seen, expected = n[first : last + 1].sum(), e[first : last + 1].sum()
            fitted = float(np.clip(seen / max(expected, _LEAST), 0.01, 100.0))
            if (fitted < 1) != (start < 1) or fitted == factor:
                break
            factor = fitted
        yield first, last, _nats(seen, expected) - _EDGE * ((first > 0) + (last < len(n) - 1))


def _nats(seen: float, expected: float) -> float:
    """Give the log likelihood ratio of a factor of its own against the expected counts."""
    if expected <= 0:
        return -np.inf
    return float((seen * np.log(seen / expected) if seen > 0 else 0.0) - (seen - expected))


def _dips(
    shape: tuple[int, int], row: int, column: int, geometry: Geometry | None
) -> Iterator[NDArray[np.float64]]:
    """Give the shapes (R, C) of dips through all rows that hold a cell in their upper half.

    They lie at one part of the length of every row: rows of fewer cells have wider ones.
    """
    rows, columns = shape
    widths = np.array(geometry.widths if geometry is not None else [columns] * rows, dtype=np.float64)
    x = (np.arange(columns) + 0.5) / widths[:, None]
    for width in _WIDTHS:
        step = max(width / _PER_WIDTH, 0.5 / columns)
        for centre in np.arange(x[row, column] - width / 2, x[row, column] + width / 2 + step / 2, step):
            yield np.exp(-0.5 * ((x - centre) / (width / _HALF)) ** 2)


def _units(cells: Cells, known: Cells, geometry: Geometry | None) -> tuple[str, ...]:
    """Name the hardware units that lie in a region, without those that lie in a larger one."""
    if geometry is None or geometry.shape != cells.shape:
        return ()
    held: list[tuple[str, Cells]] = []
    for name, unit in sorted(unit_cells(geometry), key=lambda each: -int(each[1].sum())):
        own = unit & known
        covered = own.any() and (own & cells).sum() >= _COVERED * own.sum()
        if covered and not any((own & ~larger).sum() == 0 for _, larger in held):
            held.append((name, own))
    return tuple(name for name, _ in held)


def polygons_of(cells: Cells) -> tuple[Polygon, ...]:
    """Trace the edges of cells (R, C) as closed polygons of corners (column, row)."""
    inside = np.pad(cells, 1)
    after: dict[tuple[int, int], list[tuple[int, int]]] = {}
    for r, c in np.argwhere(inside):
        # Every side to a cell that is outside, with the inside on the right hand.
        for outside, begin, end in (
            (inside[r - 1, c], (c, r), (c + 1, r)),
            (inside[r, c + 1], (c + 1, r), (c + 1, r + 1)),
            (inside[r + 1, c], (c + 1, r + 1), (c, r + 1)),
            (inside[r, c - 1], (c, r + 1), (c, r)),
        ):
            if not outside:
                after.setdefault((int(begin[0]), int(begin[1])), []).append((int(end[0]), int(end[1])))
    found = []
    while after:
        start = at = min(after)
        corners = [start]
        while True:
            following = after[at].pop()
            if not after[at]:
                del after[at]
            at = following
            if at == start:
                break
            corners.append(at)
        found.append(tuple((float(c - 1), float(r - 1)) for c, r in _bends(corners)))
    return tuple(found)


def _bends(corners: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """Leave out the corners at which the edge goes straight on."""
    kept = []
    for k, (c, r) in enumerate(corners):
        (c0, r0), (c1, r1) = corners[k - 1], corners[(k + 1) % len(corners)]
        if (c - c0) * (r1 - r) != (r - r0) * (c1 - c):
            kept.append((c, r))
    return kept
