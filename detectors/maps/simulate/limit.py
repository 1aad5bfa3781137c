"""The statistical limit: how well a fault can be found by someone who knows everything but its place."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product

import numpy as np
from numpy.typing import NDArray

from anomalyd.detectors.maps.geometries.recipes import FaultRecipe
from anomalyd.detectors.maps.geometry import Geometry

_SMOOTH_POSITIONS = 25
"""Centres at which a smooth dip is tried along a row: it is ten times as wide as they lie apart."""

_NEVER = -40.0  # logarithm of the efficiency of a dead cell: one count there rules the place out

_FWHM = 2.355  # of a Gaussian, in its standard deviations

Factors = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class FaultPlaces:
    """A fault of one kind and strength wherever it may be.

    `factors` (P, R, C): how many times the usual counts the cells show, for each place.
    """

    recipe: FaultRecipe
    strength: float
    factors: Factors

    def draw(self, rng: np.random.Generator, n: int) -> tuple[Factors, NDArray[np.bool_]]:
        """Draw `n` faults: their factors (n, R, C), and the true cells (n, R, C)."""
        factors = self.factors[rng.integers(len(self.factors), size=n)]
        return factors, self._cells(factors)

    def cells_at(self, place: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Give the cells (N, R, C) of places (N,)."""
        return self._cells(self.factors[place])

    def _cells(self, factors: Factors) -> NDArray[np.bool_]:
        # The cells of a smooth dip are those that lose at least half of what the deepest does.
        least = 0.5 if self.recipe.place == "smooth" else 1e-6
        cells: NDArray[np.bool_] = np.abs(factors - 1) >= least * abs(self.strength - 1)
        return cells

    def log_ratio(
        self, maps: NDArray[np.floating], expected: NDArray[np.floating]
    ) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
        """Give the log likelihood ratio (N,) of maps, averaged over the places, and the best place (N,).

        `maps` (N, R, C); `expected` (N, R, C): the true mean counts without a fault; 0 where nothing counts.
        """
        flat = self.factors.reshape(len(self.factors), -1)
        logs = np.maximum(np.log(np.maximum(flat, 1e-30)), _NEVER)
        counts = np.nan_to_num(maps).reshape(len(maps), -1).astype(np.float32)
        means = expected.reshape(len(maps), -1).astype(np.float32)
        nats = (counts @ logs.T - means @ (flat - 1).T).astype(np.float64)
        best = nats.argmax(1)
        top = nats.max(1, keepdims=True)
        return top[:, 0] + np.log(np.exp(nats - top).mean(1)), best

    def correlated_ratio(
        self, maps: NDArray[np.floating], expected: NDArray[np.floating], precision: NDArray[np.floating]
    ) -> NDArray[np.float64]:
        """Give the log likelihood ratio (N,) as `log_ratio`, of counts that are correlated.

        As if they were normal: `precision` (R * C, R * C) is the inverse of their covariance in units of the
        root of their means.
        """
        loss = self.factors.reshape(len(self.factors), -1).astype(np.float64) - 1
        means = np.sqrt(expected.reshape(len(maps), -1).astype(np.float64))
        counts = np.nan_to_num(maps).reshape(len(maps), -1)
        away = np.divide(counts - means**2, means, out=np.zeros_like(means), where=means > 0)
        found = np.empty(len(maps))
        for k, (root, pull) in enumerate(zip(means, away @ precision, strict=True)):
            template = loss * root
            nats = template @ pull - 0.5 * ((template @ precision) * template).sum(1)
            top = nats.max()
            found[k] = top + np.log(np.exp(nats - top).mean())
        return found


def places_of_fault(geometry: Geometry, recipe: FaultRecipe, strength: float) -> FaultPlaces:
    """List every place of an element where a fault may be.

    Raises:
        ValueError: there is none.

    """
    mask = geometry.mask()
    cells = [c & mask for c in _cells(geometry, recipe)] if recipe.place != "smooth" else []
    cells = [c for c in cells if c.any()]
    if recipe.place == "smooth":
        factors = _dips(geometry, recipe.width, strength)
    elif cells:
        factors = np.where(np.stack(cells), np.float32(strength), np.float32(1))
    else:
        raise ValueError(f"{geometry.entity}: no place for a fault of kind {recipe.kind!r}")
    return FaultPlaces(recipe, strength, factors)


def _cells(geometry: Geometry, recipe: FaultRecipe) -> list[NDArray[np.bool_]]:
    rows, columns = geometry.shape
    height, width = recipe.size
    starts = geometry.starts or (0,) * rows
    match recipe.place:
        case "segment":
            return [s.cells(geometry.shape) for s in geometry.segments if s.kind == recipe.segment]
        case "row":
            chosen = [geometry.row_of(height)] if height else list(range(rows))
            return [_box(geometry, (r,), 0, columns) for r in chosen]
        case "run":
            return [
                _box(geometry, (r,), first, width)
                for r in range(rows)
                for first in range(starts[r], geometry.widths[r] - width + 1)
            ]
        case "box":
            lefts = range(columns if geometry.wrap else columns - width + 1)
            boxes = [
                _box(geometry, tuple(range(top, top + height)), left, width)
                for top, left in product(range(rows - height + 1), lefts)
            ]
            return [b for b in boxes if (b & geometry.mask()).sum() == height * width]
        case _:
            groups = [tuple(range(u.start, u.stop)) for u in geometry.units]
            if recipe.place == "both":
                views = dict.fromkeys(u.view for u in geometry.units)
                groups = [
                    tuple(r for u in geometry.units if u.view == view for r in range(u.start, u.stop))
                    for view in views
                ]
            return [
                _box(geometry, g, first, width)
                for g in groups
                for first in range(min(geometry.widths[r] for r in g) - width + 1)
            ]


def _box(geometry: Geometry, rows: tuple[int, ...], left: int, width: int) -> NDArray[np.bool_]:
    cells = np.zeros(geometry.shape, dtype=np.bool_)
    columns = np.arange(left, left + width) % geometry.shape[1]
    cells[np.ix_(np.array(rows), columns)] = True
    return cells


def _dips(geometry: Geometry, width: float, strength: float) -> Factors:
    rows, columns = geometry.shape
    factors = np.ones((_SMOOTH_POSITIONS, rows, columns), dtype=np.float32)
    for k, centre in enumerate(np.linspace(width / 2, 1 - width / 2, _SMOOTH_POSITIONS)):
        for row, cells in enumerate(geometry.widths):
            x = (np.arange(cells) + 0.5) / cells
            factors[k, row, :cells] = 1 - (1 - strength) * np.exp(
                -0.5 * ((x - centre) / (width / _FWHM)) ** 2
            )
    return factors
