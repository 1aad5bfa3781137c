"""What is blacked out of a map together: hardware units, whole rows, rectangles down to single cells.

A map has thousands of such windows, and most hold nothing but noise: blacking those out changes nothing. So
they are chosen by how far their counts together depart, before any is tried.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from anomalyd.detectors.maps.geometry import Geometry
from anomalyd.detectors.maps.units import unit_cells

Cells = NDArray[np.int64]
"""Indices into the flattened map (R * C,)."""

COARSE: tuple[tuple[int, int | None], ...] = ((1, None), (4, 16), (1, 16))
FINE: tuple[tuple[int, int | None], ...] = ((4, 4), (1, 4), (1, 1))
"""Rows x columns; None: the whole row."""

_OVERLAP = 0.5
"""A window of which so much was chosen already, on the same scale, is not chosen again."""


@dataclass(frozen=True, slots=True)
class Scale:
    """The windows of one size, without cells that were not observed: all `cells` (L,) behind each other."""

    cells: Cells
    starts: Cells

    @classmethod
    def of(cls, windows: Sequence[Cells]) -> Scale:
        """Lay windows behind each other."""
        sizes = np.array([0, *map(len, windows)])
        together = np.concatenate([np.empty(0, dtype=np.int64), *windows])
        return cls(together, np.cumsum(sizes)[:-1])

    def sums(self, cells: NDArray[np.float64]) -> NDArray[np.float64]:
        """Sum something of all cells (R * C,) in each window (W,)."""
        if not len(self.cells):
            return np.empty(0)
        found: NDArray[np.float64] = np.add.reduceat(cells[self.cells], self.starts)
        return found

    def sizes(self) -> Cells:
        """Count the cells of each window."""
        return np.diff(np.append(self.starts, len(self.cells)))

    def window(self, w: int) -> Cells:
        """Give the cells of one window."""
        stop = self.starts[w + 1] if w + 1 < len(self.starts) else len(self.cells)
        return self.cells[self.starts[w] : stop]

    def choose(
        self, departure: NDArray[np.float64], most: int, inside: NDArray[np.bool_] | None = None
    ) -> list[Cells]:
        """Choose the windows that depart most, `departure` (R * C,) being signed, in usual widths.

        Those of which half was chosen already are left out, and those not `inside` (R * C,) by half.
        """
        sizes = self.sizes()
        pull = np.abs(self.sums(departure)) / np.sqrt(np.maximum(sizes, 1))
        if inside is not None and len(pull):
            pull = np.where(self.sums(inside.astype(np.float64)) >= 0.5 * sizes, pull, 0.0)
        taken = np.zeros(len(departure), dtype=np.bool_)
        chosen: list[Cells] = []
        for w in np.argsort(-pull, kind="stable"):
            if len(chosen) == most or pull[w] <= 0:
                break
            cells = self.window(int(w))
            if taken[cells].mean() < _OVERLAP:
                taken[cells] = True
                chosen.append(cells)
        return chosen


def scales_of(present: NDArray[np.bool_], sizes: Sequence[tuple[int, int | None]]) -> tuple[Scale, ...]:
    """List the windows of each size in a map (R, C) of which these cells are `present`."""
    return _scales(present.tobytes(), present.shape, tuple(sizes))


def units_of(geometry: Geometry | None, present: NDArray[np.bool_]) -> Scale:
    """List the hardware units of an element: superlayers, layers, supermodules, read-out groups."""
    if geometry is None or geometry.shape != present.shape:
        return Scale.of([])
    units = [np.flatnonzero(cells & present) for _, cells in unit_cells(geometry)]
    return Scale.of([cells for cells in units if len(cells)])


@lru_cache(maxsize=32)
def _scales(
    present: bytes, shape: tuple[int, int], sizes: tuple[tuple[int, int | None], ...]
) -> tuple[Scale, ...]:
    cells = np.frombuffer(present, dtype=np.bool_).reshape(shape)
    found = []
    taken: set[tuple[int, int]] = set()
    for height, width in sizes:
        size = (min(height, shape[0]), min(width or shape[1], shape[1]))
        if size not in taken:  # a small map makes some sizes the same
            taken.add(size)
            found.append(Scale.of(list(_windows(cells, *size))))
    return tuple(found)


def _windows(present: NDArray[np.bool_], height: int, width: int) -> Iterator[Cells]:
    """Slide a window over a map by half its size, so that an edge of a fault never hides between two."""
    rows, columns = present.shape
    index = np.arange(present.size).reshape(present.shape)
    for top in _starts(rows, height):
        for left in _starts(columns, width):
            place = (slice(top, top + height), slice(left, left + width))
            cells = index[place][present[place]]
            if len(cells):
                yield cells


def _starts(length: int, size: int) -> range:
    """Where windows of this size begin: the last one ends at or behind the end of the row."""
    step = max(1, size // 2)
    return range(0, max(1, length - size + step), step)
