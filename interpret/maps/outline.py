"""The fault around one cell of a map: the region that best tells it from the rest, grown from a click.

Each candidate is a set of cells that lose or gain by one common factor (or by a Gaussian dip through all
rows): rows, runs of rows, hardware units and all units together, over any stretch of columns around the cell,
and whole segments. How likely each is, is what Poisson counts say against what was expected (Kulldorff, "A
spatial scan statistic", 1997, with the scan tied to the cell), averaged over the factors. Where counts are
few many are about as likely: the one is given that shares most with all of them, by how likely they are.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from anomalyd.detectors.detector import Floats
from anomalyd.detectors.maps.geometry import Geometry
from anomalyd.detectors.maps.units import unit_cells
from anomalyd.errors import ModelMismatch

Cells = NDArray[np.bool_]
Polygon = tuple[tuple[float, float], ...]

_FACTORS = np.array([0.001, 0.05, 0.2, 0.5, 0.7, 0.8, 0.9, 0.95, 1.05, 1.1, 1.3, 1.6, 2.0, 3.0, 6.0, 12.0])
"""How many times the expected counts a region may show, one as likely as another."""

_DEPTHS = np.array([0.1, 0.15, 0.2, 0.35, 0.5, 0.75])
_WIDTHS = (0.23, 0.27, 0.33, 0.4, 0.5)
"""Full width at half depth, of the row's length: narrower dips are stretches."""

_PER_WIDTH = 8  # centres that are tried in the width of a dip
_HALF = 2.3548  # full widths at half maximum in a standard deviation

_EDGE, _RUN, _DIP = 3.5, 3.0, -2.0
"""Nats that a region must be better for each edge inside the map, for rows that are no hardware unit, and for
a dip of any width and centre: the logarithm of about as many places as there are, and of how rare such faults
are. Where counts are few a dip looks like the stretch that fits its noise best: it is given a lead."""

_INSIDE, _TAIL = 0.5, 0.1
"""Part of its depth from which a cell belongs to a dip, and from which it is touched by it."""

_ALIKE = 300
"""Candidates at most that are compared, the likeliest."""

_ENOUGH, _CELLS = 5.0, 40
"""Expected counts of a cell, and number of such cells, from which a map shows how wide its counts scatter."""

_OUTSIDE, _PARTS = 0.3, 3
"""Part of the expected counts outside a fault from which they say what the rate is, and parts of a row."""

_MOVES, _MOST = 0.05, 1.25
"""By how much the rate may usually be off (the width of its logarithm), and the furthest."""

_HALF_OF_SQUARES = 0.455  # median of the square of a standard normal number

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
    wide = _dispersion(counts[known], _rate(counts, usual, known) * usual[known])
    best, outside, odds = _grown(counts / wide, usual / wide, row, column, known, geometry)
    # What is expected is made from this map, too: a fault moves it everywhere. What is outside says how far.
    rate = _rate(counts, usual, outside if usual[outside].sum() > _OUTSIDE * usual.sum() else known)
    other, _, more = _grown(counts / wide, rate * usual / wide, row, column, known, geometry)
    moved = counts.sum() * np.log(rate) - usual.sum() * (rate - 1)
    if more + moved / wide - 0.5 * (np.log(rate) / _MOVES) ** 2 > odds:
        best, odds = other, more
    seen, expected = float(counts[best].sum()), float(usual[best].sum())
    return Region(best, _units(best, known, geometry), polygons_of(best), seen, expected, odds)


def _grown(
    counts: Floats, usual: Floats, row: int, column: int, known: Cells, geometry: Geometry | None
) -> tuple[Cells, Cells, float]:
    """Give the cells of the fault around a cell, those that it does not touch at all, and its log odds."""
    some = list(_candidates(counts, usual, row, column, known, geometry))
    nats = np.concatenate([each.nats for each in some])
    of = np.repeat(np.arange(len(some)), [len(each.nats) for each in some])
    place = np.concatenate([np.arange(len(each.nats)) for each in some])
    likeliest = np.argsort(-nats, kind="stable")[:_ALIKE]
    cells = np.stack([some[of[k]].cells(int(place[k]), _INSIDE) & known for k in likeliest])
    central = _central(cells, np.exp(nats[likeliest] - nats[likeliest[0]]))
    chosen = likeliest[central]
    touched = some[of[chosen]].cells(int(place[chosen]), _TAIL)
    beforehand = np.log(sum(each.prior for each in some)) + np.log(counts.shape[1])
    return cells[central], known & ~touched, float(np.logaddexp.reduce(nats) - beforehand)


def _rate(counts: Floats, usual: Floats, outside: Cells) -> float:
    """Give how many times the expected counts most parts of rows show, of the cells outside a fault: the
    median, for another fault may be there."""
    seen, wanted = (
        np.concatenate([part.sum(1) for part in np.array_split(np.where(outside, each, 0.0), _PARTS, axis=1)])
        for each in (counts, usual)
    )
    known = wanted > 0
    ratio, weight = seen[known] / wanted[known], wanted[known]
    order = np.argsort(ratio)
    middle = order[np.searchsorted(np.cumsum(weight[order]), weight.sum() / 2)]
    return float(np.clip(ratio[middle], 1 / _MOST, _MOST))


@dataclass(frozen=True, slots=True)
class _Candidates:
    """Regions of one make: their `nats` (K,), with the logarithm of how likely they are beforehand, whose sum
    is `prior`; `cells` gives the cells (R, C) of the k-th: of a dip those from a part of its depth on."""

    nats: Floats
    prior: float
    cells: Callable[[int, float], Cells]


def _candidates(
    counts: Floats, usual: Floats, row: int, column: int, known: Cells, geometry: Geometry | None
) -> Iterator[_Candidates]:
    """Give candidate regions that hold the cell."""
    rows, columns = counts.shape
    for members, price in _row_sets(rows, row, geometry).items():
        yield _stretches(counts, usual, [*members], column, price)
    held = [s.cells(counts.shape) & known for s in (() if geometry is None else geometry.segments)]
    for segment in (cells for cells in held if cells[row, column]):
        nats = _nats(counts[segment].sum(), usual[segment].sum())
        yield _Candidates(np.asarray([nats], dtype=np.float64).ravel(), 1.0, _only(segment))
    shapes = list(_dips((rows, columns), row, column, geometry))
    factors = [[1 - depth * shape for depth in _DEPTHS] for shape in shapes]
    each = [[(counts * np.log(f) - usual * (f - 1)).sum() for f in of_shape] for of_shape in factors]
    dips = np.logaddexp.reduce(np.array(each), axis=1) - np.log(len(_DEPTHS) * len(shapes)) - _DIP
    yield _Candidates(dips, float(np.exp(-_DIP)), lambda k, least: shapes[k] >= least)


def _only(cells: Cells) -> Callable[[int, float], Cells]:
    return lambda k, least: cells


def _central(cells: NDArray[np.bool_], weight: Floats) -> int:
    """Say which of regions (K, R, C) shares most with all of them: the intersection over the union."""
    flat = cells.reshape(len(cells), -1).astype(np.float32)
    both = flat @ flat.T
    size = flat.sum(1)
    shared = both / np.maximum(size[:, None] + size[None, :] - both, 1.0)
    return int(np.argmax(shared @ weight))


def _dispersion(counts: Floats, usual: Floats) -> float:
    """Give how many times wider than Poisson's the squares of the counts scatter around the expected, 1 at
    least: half of the cells are nearer. A profile that is not known well makes every cell depart."""
    many = usual >= _ENOUGH
    if many.sum() < _CELLS:
        return 1.0
    away = 2 * (np.sqrt(counts[many] + 0.375) - np.sqrt(usual[many] + 0.375))
    return max(1.0, float(np.median(away**2)) / _HALF_OF_SQUARES)


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


def _stretches(counts: Floats, usual: Floats, members: list[int], column: int, price: float) -> _Candidates:
    """Give the stretches of some rows around a column; an edge that is not that of the map has to be paid."""
    rows, columns = counts.shape
    n, e = (np.concatenate([[0.0], np.cumsum(each[members].sum(0))]) for each in (counts, usual))
    first, stop = np.arange(column + 1)[:, None], np.arange(column + 1, columns + 1)[None, :]
    asked = price + _EDGE * ((first > 0) + (stop < columns).astype(np.float64))
    nats = _nats(n[stop] - n[first], e[stop] - e[first]) - asked
    width = stop.size

    def cells(k: int, _: float) -> Cells:
        found = np.zeros((rows, columns), dtype=np.bool_)
        found[members, k // width : column + 1 + k % width] = True
        return found

    return _Candidates(nats.ravel(), float(np.exp(-asked).sum()), cells)


def _nats(seen: Floats, expected: Floats) -> Floats:
    """Give the logarithm of how much likelier counts are by some factor than as expected, -inf of nothing."""
    each = [seen * np.log(factor) - expected * (factor - 1) for factor in _FACTORS]
    found: Floats = np.where(expected > 0, np.logaddexp.reduce(each) - np.log(len(_FACTORS)), -np.inf)
    return found


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
