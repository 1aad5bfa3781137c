"""Matched filters along a row of summed counts, in noise that is wider than Poisson's and correlated.

The residual z = (y - e) / sqrt(e) of sums y has the covariance D (T + s B B^T): D the overdispersion, T
correlations of neighbouring cells (tracks that cross at an angle), B the smooth shapes by which healthy
elements differ, whose size grows with the counts s of a cell. A template f of relative losses pulls z by
sqrt(e) f, and the log likelihood ratio of its best amplitude is (f^T V^-1 z)^2 / (2 f^T V^-1 f).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.polynomial import legendre
from numpy.typing import NDArray

Doubles = NDArray[np.float64]

ORDERS = 7
"""Legendre polynomials, from the constant on, by which the shapes of healthy elements differ."""

LEAST_SPREAD = (0.5, 0.10, 0.06, 0.05, 0.04, 0.03, 0.03)
"""How far these are taken to differ at least: from real chambers beside a flat profile. The constant is free,
for nobody knows the luminosity."""

_EDGES = ((1.5, 0.3), (5.0, 0.2))
"""The outermost cells see fewer tracks, down to half of them in real theta layers: reach and spread."""


def nuisance(columns: int, spread: Doubles | None = None) -> Doubles:
    """Give the shapes (columns, K) by which healthy elements differ, each times its spread."""
    x = (np.arange(columns) + 0.5) / columns * 2 - 1
    wide = np.array(LEAST_SPREAD) if spread is None else np.maximum(spread, LEAST_SPREAD)
    smooth = [legendre.legval(x, [0] * k + [1]) * wide[k] for k in range(ORDERS)]
    from_edge = np.arange(columns)
    ends = [b * np.exp(-d / a) for a, b in _EDGES for d in (from_edge, from_edge[::-1])]
    return np.stack([*smooth, *ends], axis=1)


@dataclass(frozen=True, slots=True)
class Filtered:
    """What templates (K,) pull in maps (N,): `pull` and `worth` (N, K), so that pull^2 / (2 worth) is nats.

    `residual` (N, C): what is left of each cell, white where nothing is wrong; `freedom` (N,): how many cells
    it is worth.
    """

    pull: Doubles
    worth: Doubles
    residual: Doubles
    freedom: Doubles


class MatchedFilter:
    """Templates (K, C) on a profile (C,) of mean 1, with a correlation of neighbouring cells."""

    def __init__(self, profile: Doubles, shapes: Doubles, templates: Doubles, correlation: float) -> None:
        columns = len(profile)
        near = np.eye(columns) + correlation * (np.eye(columns, k=1) + np.eye(columns, k=-1))
        self._whiten = np.linalg.inv(np.linalg.cholesky(near))
        root = np.sqrt(profile)[:, None]
        self._profile = profile
        self._axes, size, _ = np.linalg.svd(self._whiten @ (root * shapes), full_matrices=False)
        self._size = size**2
        self._templates = self._whiten @ (root * templates.T)
        self._along = self._axes.T @ self._templates
        self._norm = (self._templates**2).sum(0)

    def __call__(self, sums: Doubles, level: Doubles, dispersion: Doubles) -> Filtered:
        """Filter sums (N, C) of maps whose cells count `level` (N,) in the mean, with D = `dispersion`."""
        expected = np.maximum(level, 1e-6)[:, None] * self._profile
        z = ((sums - expected) / np.sqrt(expected)) @ self._whiten.T
        along = z @ self._axes
        weight = (level / dispersion)[:, None]
        shrink = weight * self._size / (1 + weight * self._size)
        pull = np.sqrt(weight / dispersion[:, None]) * (z @ self._templates - (shrink * along) @ self._along)
        worth = weight * (self._norm - shrink @ self._along**2)
        return Filtered(
            pull,
            np.maximum(worth, 1e-9),
            z - (shrink * along) @ self._axes.T,
            z.shape[1] - shrink.sum(1),
        )
