"""Odd single cells: dead or nearly dead ones, and hot ones, which experts leave alone.

A dead wire still counts a little (noise, afterpulses), so that it is not told by being empty. What is odd is
listed, and replaced by what its neighbours count before anything else is judged.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from anomalyd.detectors.maps.geometry import Geometry

Counts = NDArray[np.float32]
Cells = NDArray[np.bool_]
_Counted = TypeVar("_Counted", NDArray[np.float32], NDArray[np.float64])

_NEAR, _FAR = 2, 7
"""Cells to either side along the row that a cell is compared with, in all sister rows."""

_HOT_PULL, _HOT_SHARE = 3.5, 0.05
_LIKE_EXCESS = 0.25  # share of a hot cell's excess from which its neighbour is like it
_DEAD_SHARE = 0.15
_DEAD_NEEDS = 4.0  # counts that are expected of a cell before it may be called dead

CERTAIN = 4.5
"""Pull from which an odd cell is worth a line in a report: of 700 cells some look odd by chance."""


@dataclass(frozen=True, slots=True)
class Cleaned:
    """Maps (N, R, C) without what is odd or missing.

    `counts`: odd and missing cells replaced by what is expected, 0 where there is no cell; `expected`: what
    the neighbours of each cell let expect; `odd`: which cells stand alone, dead or hot;
    `original`: as they came, 0 where missing.
    """

    counts: Counts
    expected: Counts
    odd: Cells
    original: Counts

    def worth_telling(self, maps: Counts) -> Cells:
        """Say which odd cells (N, R, C) are too far out for chance."""
        pull = np.abs(np.nan_to_num(maps) - self.expected) / np.sqrt(np.maximum(self.expected, 1))
        return np.asarray(self.odd & (pull > CERTAIN))


def clean(maps: Counts, geometry: Geometry) -> Cleaned:
    """Find the odd cells of maps (N, R, C), NaN where missing, of one geometry with rows that are sisters."""
    known = np.isfinite(maps) & geometry.mask()
    counts, expected = np.zeros_like(maps), np.zeros_like(maps)
    odd = np.zeros(maps.shape, dtype=np.bool_)
    for unit in geometry.units:
        rows = slice(unit.start, unit.stop)
        seen = np.where(known[:, rows], maps[:, rows], np.nan)
        usual = neighbourhood(seen)[:, None, :]
        alone = odd_cells(seen, usual, wrap=geometry.wrap)
        odd[:, rows] = alone
        expected[:, rows] = usual
        counts[:, rows] = np.where(alone | ~known[:, rows], usual, maps[:, rows])
    mask = geometry.mask()
    return Cleaned(
        np.where(mask, counts, 0).astype(np.float32), expected * mask, odd & mask, np.nan_to_num(maps)
    )


def odd_cells(seen: Counts, usual: Counts, *, wrap: bool = False) -> Cells:
    """Find the cells (N, R, C) that are dead or hot beside what is usual, without a like neighbour."""
    with np.errstate(invalid="ignore"):
        hot = seen > hot_limit(usual)
        dead = (seen < _DEAD_SHARE * usual) & (usual > _DEAD_NEEDS)
        excess = np.nan_to_num(seen - usual)
    return (hot & ~_beside(excess, wrap)) | stands_alone(dead, dead, wrap)


def hot_limit(usual: _Counted) -> _Counted:
    """Give the counts above which a cell is hot where `usual` ones are expected."""
    return usual + _HOT_PULL * np.sqrt(usual) + _HOT_SHARE * usual


def _beside(excess: Counts, wrap: bool) -> Cells:
    """Say which cells (N, R, C) have a neighbour in their row with a like excess."""
    most = np.zeros_like(excess)
    most[:, :, 1:] = excess[:, :, :-1]
    np.maximum(most[:, :, :-1], excess[:, :, 1:], out=most[:, :, :-1])
    if wrap:
        most[:, :, 0] = np.maximum(most[:, :, 0], excess[:, :, -1])
        most[:, :, -1] = np.maximum(most[:, :, -1], excess[:, :, 0])
    return np.asarray(most > _LIKE_EXCESS * excess)


def stands_alone(cells: Cells, like: Cells, wrap: bool) -> Cells:
    """Keep those of the cells that have no neighbour in their row which is like them."""
    alone = cells.copy()
    alone[:, :, 1:] &= ~like[:, :, :-1]
    alone[:, :, :-1] &= ~like[:, :, 1:]
    if wrap:
        alone[:, :, 0] &= ~like[:, :, -1]
        alone[:, :, -1] &= ~like[:, :, 0]
    return alone


def neighbourhood(seen: Counts) -> Counts:
    """Say what cells at each column should count (N, C): the median of sister rows (N, R, C) about it.

    NaN where a cell is missing. The larger of a near and half of a far median, so that a wide dead region is
    not taken for the usual. Each is a median of the columns' medians: as robust, and five times as fast.
    """
    columns = _median(seen)
    near, far = (_running_median(columns, reach) for reach in (_NEAR, _FAR))
    return np.asarray(np.maximum(near, 0.5 * far), dtype=np.float32)


def _median(seen: Counts) -> Counts:
    """Take the median (N, C) over rows (N, R, C), leaving NaN out; NaN where there is nothing else."""
    ordered = np.sort(seen, axis=1)
    there = np.isfinite(ordered).sum(1, keepdims=True)
    if there.min(initial=seen.shape[1]) == seen.shape[1]:
        rows = seen.shape[1]
        return np.asarray((ordered[:, (rows - 1) // 2] + ordered[:, rows // 2]) / 2)
    low = np.take_along_axis(ordered, np.maximum((there - 1) // 2, 0), 1)
    high = np.take_along_axis(ordered, np.minimum(there // 2, seen.shape[1] - 1), 1)
    return np.asarray(((low + high) / 2)[:, 0])


def _running_median(columns: Counts, reach: int) -> Counts:
    """Give the running median of columns (N, C), `reach` to either side, mirrored at the ends."""
    reach = min(reach, columns.shape[1] - 1)
    there = np.isfinite(columns)
    last = int(np.flatnonzero(np.any(there, axis=0)).max(initial=-1)) + 1
    found = np.zeros_like(columns)
    if last <= 1:
        return np.asarray(np.nan_to_num(columns))
    reach = min(reach, last - 1)
    filled = np.where(there, columns, 0)[:, :last]
    padded = np.pad(filled, ((0, 0), (reach, reach)), mode="reflect")
    windows = np.lib.stride_tricks.sliding_window_view(padded, 2 * reach + 1, axis=1)
    found[:, :last] = np.partition(windows, reach, axis=2)[:, :, reach]
    return found
