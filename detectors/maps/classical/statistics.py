"""The classical tests of an occupancy map, as the field runs them: each gives a map's value and its cells'.

All compare counts (N, R, C) with reference counts (N, R, C), the sum of earlier maps; nothing is divided by a
luminosity: `share` (N,) is the map's part of both totals. The larger a value, the stranger the map.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from numpy.typing import NDArray

from anomalyd.detectors.maps.geometry import Geometry

Values = NDArray[np.float64]

_LEAST = 0.25  # counts: keeps the pull of a cell finite that was dead and counts again


@dataclass(frozen=True, slots=True)
class Beside:
    """Maps beside their references, 0 where there is no cell, and what is expected of them."""

    counts: Values
    reference: Values
    mask: NDArray[np.bool_]
    geometry: Geometry

    @property
    def share(self) -> Values:
        """The map's part of all counts (N, 1, 1)."""
        total = self.counts.sum((1, 2), keepdims=True)
        both = total + self.reference.sum((1, 2), keepdims=True)
        share: Values = np.divide(total, both, out=np.zeros_like(total), where=both > 0)
        return share

    @property
    def expected(self) -> Values:
        """The expected counts (N, R, C): the reference, scaled to the same total."""
        share = np.minimum(self.share, 1 - 1e-9)
        expected: Values = self.reference * share / (1 - share)
        return expected


@dataclass(frozen=True, slots=True)
class Statistic:
    """A test's value of each map (N,), and how much each cell (N, R, C) is to blame, >= 0."""

    value: Values
    cells: Values


def zero_cells(maps: Beside) -> Statistic:
    """Count the empty cells, less those that Poisson noise leaves empty: in production at the drift tubes."""
    alive = maps.mask & (maps.reference > 0)
    empty = alive & (maps.counts == 0)
    chance = np.exp(-maps.expected) * alive
    cells = np.where(empty, 1 - chance, 0.0)
    return Statistic(empty.sum((1, 2)) - chance.sum((1, 2)), cells)


def variance(maps: Beside) -> Statistic:
    """Give the largest variance of a row's counts over their mean (A. A. Pol et al., arXiv:1808.00911)."""
    cells = maps.mask.sum(2).clip(1)
    mean = maps.counts.sum(2) / cells
    deviation = np.where(maps.mask, maps.counts - mean[:, :, None], 0.0)
    ratio = (deviation**2).sum(2) / cells / np.maximum(mean, _LEAST)
    return Statistic(ratio.max(1), np.where(maps.mask, ratio[:, :, None], 0.0))


def sobel(maps: Beside) -> Statistic:
    """Give the steepest step along a row: the Sobel filter on square roots of counts (arXiv:1808.00911)."""
    roots = np.sqrt(maps.counts)
    edge = np.zeros_like(roots)
    inside = maps.mask[:, :, 2:] & maps.mask[:, :, :-2] & maps.mask[:, :, 1:-1]
    step = np.abs(roots[:, :, 2:] - roots[:, :, :-2])
    smooth = 2 * step
    smooth[:, 1:] += step[:, :-1] * inside[:, :-1]
    smooth[:, :-1] += step[:, 1:] * inside[:, 1:]
    edge[:, :, 1:-1] = np.where(inside, smooth, 0.0)
    return Statistic(edge.max((1, 2)), edge)


def chi_square(maps: Beside) -> Statistic:
    """Sum the squared pulls against the reference, its own error included, less the number of cells."""
    expected = maps.expected
    error = np.maximum(expected, _LEAST) / np.maximum(1 - maps.share, 1e-9)
    pulls = np.where(maps.mask, (maps.counts - expected) ** 2 / error, 0.0)
    cells = maps.mask.sum((1, 2))
    return Statistic((pulls.sum((1, 2)) - cells) / np.sqrt(np.maximum(2 * cells, 1)), pulls)


def kolmogorov(maps: Beside) -> Statistic:
    """Give the largest distance of the summed counts from the reference's, by rows and by columns."""
    n = len(maps.counts)
    distances = []
    for swap in (False, True):
        seen, usual = (
            (np.swapaxes(x, 1, 2) if swap else x).reshape(n, -1).cumsum(1)
            for x in (maps.counts, maps.reference)
        )
        seen /= np.maximum(seen[:, -1:], 1)
        usual /= np.maximum(usual[:, -1:], 1)
        distances.append(np.abs(seen - usual).max(1))
    total = maps.counts.sum((1, 2))
    worth = np.sqrt(total * (1 - maps.share[:, 0, 0]))
    # It names no cells: those that lost most of what was expected.
    lost = np.where(maps.mask, np.maximum(maps.expected - maps.counts, 0), 0.0)
    return Statistic(np.maximum(*distances) * worth, lost)


def pull(maps: Beside) -> Statistic:
    """Give the largest pull of a cell by the beta-binomial of both histograms, as AutoDQM does.

    How much less likely the count is than the likeliest one, in standard deviations: sqrt(2 ln(P_max / P)).
    """
    n = maps.counts.sum((1, 2), keepdims=True)
    m = maps.reference.sum((1, 2), keepdims=True)
    k = maps.counts
    alpha, beta = maps.reference + 1, m - maps.reference + 1
    mode = np.floor((n + 1) * (alpha - 1 + _LEAST) / (alpha + beta - 2 + 2 * _LEAST))
    nats = np.maximum(_log_beta_binomial(mode, n, alpha, beta) - _log_beta_binomial(k, n, alpha, beta), 0)
    cells = np.where(maps.mask, np.sqrt(2 * nats), 0.0)
    return Statistic(cells.max((1, 2)), cells)


def _log_beta_binomial(k: Values, n: Values, alpha: Values, beta: Values) -> Values:
    """Logarithm of the probability of `k` of `n` counts, but for what does not depend on `k`."""

    def lgamma(x: Values) -> Values:
        result: Values = torch.lgamma(torch.from_numpy(np.ascontiguousarray(x))).numpy()
        return result

    return lgamma(k + alpha) + lgamma(n - k + beta) - lgamma(k + 1) - lgamma(np.maximum(n - k, 0) + 1)


def sister_ratio(maps: Beside) -> Statistic:
    """Give the largest change of a row's ratio to its sisters', in standard deviations; 0 without sisters."""
    geometry = maps.geometry
    rows = [r for r in range(geometry.shape[0]) if geometry.sisters(r)]
    inside = np.zeros((len(rows), *geometry.shape), dtype=np.bool_)
    beside = np.zeros_like(inside)
    for i, r in enumerate(rows):
        inside[i, r] = True
        beside[i, list(geometry.sisters(r))] = True
    return _ratios(maps, inside, beside)


def unit_ratio(maps: Beside) -> Statistic:
    """Give the largest change of a unit's or segment's share of the map, in standard deviations."""
    inside = _units(maps.geometry)
    return _ratios(maps, inside, ~inside)


@lru_cache(maxsize=64)
def _units(geometry: Geometry) -> NDArray[np.bool_]:
    cells = [s.cells(geometry.shape) for s in geometry.segments]
    for unit in geometry.units:
        whole = np.zeros(geometry.shape, dtype=np.bool_)
        whole[unit.start : unit.stop] = True
        cells.append(whole)
    return np.stack(cells) if cells else np.zeros((0, *geometry.shape), dtype=np.bool_)


def _ratios(maps: Beside, inside: NDArray[np.bool_], beside: NDArray[np.bool_]) -> Statistic:
    """Compare the odds of being in `inside` (U, R, C) rather than in `beside`, in map and reference."""
    n = len(maps.counts)
    if not len(inside):
        return Statistic(np.zeros(n), np.zeros_like(maps.counts))
    weight, others = (x.reshape(len(inside), -1).T.astype(np.float64) for x in (inside, beside))
    flat, usual = maps.counts.reshape(n, -1), maps.reference.reshape(n, -1)
    # Half a count is added to each: the logarithm of an empty unit's odds stays finite (Haldane, Anscombe).
    a, b, c, d = (x + 0.5 for x in (flat @ weight, flat @ others, usual @ weight, usual @ others))
    pulls = np.abs(np.log(a * d / (b * c))) / np.sqrt(1 / a + 1 / b + 1 / c + 1 / d)
    leading = pulls.argmax(1)
    value: Values = pulls[np.arange(n), leading]
    return Statistic(value, np.where(inside[leading] & maps.mask, value[:, None, None], 0.0))


TESTS: dict[str, Callable[[Beside], Statistic]] = {
    "zero cells": zero_cells,
    "variance": variance,
    "Sobel": sobel,
    "chi-square": chi_square,
    "Kolmogorov": kolmogorov,
    "pull": pull,
    "sister ratio": sister_ratio,
    "unit ratio": unit_ratio,
}
"""The tests by name, as reports and tables call them."""


def tests_of(geometry: Geometry) -> tuple[str, ...]:
    """Name the tests that say something about an element: no sister ratio without sisters, and so on."""
    without = set()
    if not geometry.units:
        without.add("sister ratio")
    if not geometry.units and not geometry.segments:
        without.add("unit ratio")
    return tuple(name for name in TESTS if name not in without)
