"""Noise as it is: tracks that cross sister rows together, cells that are read out together."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import permutations

import numpy as np
from numpy.typing import NDArray

from anomalyd.detectors.maps.geometry import Geometry

Means = NDArray[np.float64]

_SLANTED = 0.7
"""Share of the tracks that change to a neighbouring cell half-way through a unit."""

_MOST_TRACKS = 0.9
"""Largest share of the counts that tracks make: the rest is noise of single cells."""

_THROUGH = 0.25
"""Share of the tracks that cross all units of one view: the sum over both phi superlayers of a drift-tube
chamber varies by 1.8 to 2.6 where that over one varies by 1.7 to 1.9."""


@dataclass(frozen=True, slots=True)
class Noise:
    """How wide counts scatter beside Poisson's.

    `rows`: variance over the mean of the sum of four sister rows in one column; `cells`: of a single cell.
    """

    rows: float = 1.0
    cells: float = 1.0


POISSON = Noise()


def draw_counts(mean: Means, geometry: Geometry, noise: Noise, rng: np.random.Generator) -> NDArray[np.int64]:
    """Draw counts (..., R, C) about their mean (..., R, C)."""
    if noise.cells > 1:
        # Clusters of 1 + Poisson counts, `size` in the mean: they vary by size + 1 - 1 / size.
        size = (noise.cells - 1 + np.sqrt((noise.cells - 1) ** 2 + 4)) / 2
        clusters = rng.poisson(mean / size)
        return np.asarray(clusters + rng.poisson(clusters * (size - 1)), dtype=np.int64)
    if noise.rows <= 1 or not geometry.units:
        return rng.poisson(mean)
    return _with_tracks(mean, geometry, noise.rows, rng)


def _with_tracks(
    mean: Means, geometry: Geometry, variance: float, rng: np.random.Generator
) -> NDArray[np.int64]:
    """Make a share of the counts of tracks, so that the sum over four sister rows varies by `variance`.

    A straight track brings a covariance to all pairs of rows, a slanted one to half of them: with a share f
    of tracks, s of them slanted, the variance is 1 + f (3 - 2 s).
    """
    share = min((variance - 1) / (3 - 2 * _SLANTED), _MOST_TRACKS)
    counts = rng.poisson(mean * (1 - share))
    views: dict[str, list[int]] = {}
    for k, unit in enumerate(geometry.units):
        views.setdefault(unit.view or unit.name, []).append(k)
    for units in views.values():
        through, slanted = _shares(share, variance, len(units))
        rows = [r for k in units for r in range(geometry.units[k].start, geometry.units[k].stop)]
        top = mean[..., rows, :].max(-2)
        crossed = rng.poisson(top * through)
        for row in rows:
            counts[..., row, :] += _crossing(crossed, mean[..., row, :], top, rng)
        for k in units:
            own = range(geometry.units[k].start, geometry.units[k].stop)
            highest = mean[..., own.start : own.stop, :].max(-2)
            for step, part in ((0, 1 - slanted), (1, slanted / 2), (-1, slanted / 2)):
                tracks = rng.poisson(highest * (share - through) * part)
                for row in own:
                    moved = step * ((row - own.start) // 2)
                    turned = (np.roll(x, moved, axis=-1) for x in (tracks, highest))
                    counts[..., row, :] += _crossing(next(turned), mean[..., row, :], next(turned), rng)
    return counts


def correlation(geometry: Geometry, variance: float) -> Means:
    """Give the covariance (R * C, R * C) of counts in units of the root of their means; see `draw_counts`."""
    rows, columns = geometry.shape
    found = np.eye(rows * columns).reshape(rows, columns, rows, columns)
    if variance <= 1 or not geometry.units:
        return found.reshape(rows * columns, -1)
    share, column = min((variance - 1) / (3 - 2 * _SLANTED), _MOST_TRACKS), np.arange(columns)
    views: dict[str, list[int]] = {}
    for k, unit in enumerate(geometry.units):
        views.setdefault(unit.view or unit.name, []).append(k)
    for units in views.values():
        through, slanted = _shares(share, variance, len(units))
        unit_of = {r: k for k in units for r in range(geometry.units[k].start, geometry.units[k].stop)}
        for a, b in permutations(unit_of, 2):
            found[a, column, b, column] += through
            if unit_of[a] != unit_of[b]:
                continue
            found[a, column, b, column] += (share - through) * (1 - slanted)
            start = geometry.units[unit_of[a]].start
            apart = (b - start) // 2 - (a - start) // 2
            for step in (1, -1):
                there = (column + step * apart) % columns
                found[a, column, b, there] += (share - through) * slanted / 2
    return found.reshape(rows * columns, -1)


def _shares(share: float, variance: float, units: int) -> tuple[float, float]:
    """Give the share of the counts that tracks through all units make, and of the others the slanted ones."""
    through = _THROUGH * share if units > 1 else 0.0
    # Tracks through all units are straight; the others make up the rest of the variance.
    slanted = float(np.clip((3 - (variance - 1 - 3 * through) / (share - through)) / 2, 0, 1))
    return through, slanted


def _crossing(
    tracks: NDArray[np.int64], mean: Means, top: Means, rng: np.random.Generator
) -> NDArray[np.int64]:
    """Let each track be seen by a cell with the probability that keeps the cell's mean."""
    seen = np.divide(mean, top, out=np.zeros_like(mean), where=top > 0)
    return rng.binomial(tracks, np.minimum(seen, 1))
