"""How far normal maps stray from their reference beyond Poisson noise, for each kind of place.

It is measured here, on normal maps; `place_odds` judges maps by it.

Two things make them: counts that come together (a track through all layers, a tower of 25 crystals), which
grow with the counts as Poisson's noise does, and shapes that move, which grow with their square.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from anomalyd.detectors.maps.geometry import Geometry
from anomalyd.detectors.maps.likelihood.reference_test import Compared, comparisons
from anomalyd.detectors.maps.neighbours.evidence import Overdispersed
from anomalyd.detectors.maps.places.places import Counts, Places

NINE_TENTHS = (0.9, 2.7055, 0.0)
"""Where nine tenths of a chi-square with one degree of freedom lie below: far enough out to see the places
that move most, not so far that a faulty map left in the training decides."""

FAR_OUT = (0.98, 5.4119, 0.66)
"""Further out, and of the third of the places that hold the most counts: for elements, which differ from one
another by more than a normal distribution says, and so few that noise would drown it."""

_ENOUGH = 15.0
"""Counts from which a place's pull is nearly normal."""

_MOST = 500  # places of one family and a few maps that are looked at: more say the same


_TRUSTED_SHARE, _MEAN_OF_TRUSTED = 0.75, 0.368
"""Share of the pulls, the smallest, that the noise of one map is told by, and the mean of their squares: a
fault in the others does not count."""

_LEAST_EXPECTED = 3.0  # counts from which a pull says something about the noise

_FEW_COUNTS, _FARTHEST = 10.0, 100.0
"""Mean counts of a map below which the far pulls count to its noise, too, and how far they do."""

_FARTHEST_CELL = 4.0

_VARIED = 0.1
"""How far the noise of elements must differ before it tells how that of their places goes with it."""

_MOST_GAIN = 4.0


def measure_noise(counts: Counts, reference: Counts, geometry: Geometry) -> Overdispersed:
    """Measure how wide maps (N, R, C) scatter about references (N, R, C), in counts as well.

    Of an element with sister rows the sums over each unit are looked at, of others single cells. 1 is
    Poisson's; no cells are behind it where there is too little to tell.
    """
    if geometry.units:
        seen, known = (
            np.concatenate([x[:, u.start : u.stop].sum(1) for u in geometry.units], axis=1)
            for x in (counts, reference)
        )
    else:
        seen, known = (x.reshape(len(x), -1) for x in (counts, reference))
    ratio = seen.sum(1, keepdims=True) / np.maximum(known.sum(1, keepdims=True), 1e-3)
    expected = known * ratio
    squared = (seen - expected) ** 2 / np.maximum(expected * (1 + ratio), 1e-6)
    squared = np.sort(np.where(expected > _LEAST_EXPECTED, squared, np.inf), axis=1)
    there = np.isfinite(squared).sum(1)
    some = np.floor(_TRUSTED_SHARE * there).astype(np.int64)
    kept = np.arange(squared.shape[1]) < some[:, None]
    mean = np.where(kept, squared, 0).sum(1, dtype=np.float64) / np.maximum(some, 1)
    value = mean / _MEAN_OF_TRUSTED
    # Few counts in clusters: most cells are empty, and only the others tell.
    few = expected.mean(1) < _FEW_COUNTS
    if few.any():
        all_of_them = np.where(np.isfinite(squared), np.minimum(squared, _FARTHEST), 0).sum(1)
        value = np.where(few, np.maximum(value, all_of_them / np.maximum(there, 1)), value)
    return Overdispersed(value, np.where(some > 5, some / 2.0, 0.0))


def measure_movement(
    counts: Counts, reference: Counts, geometry: Geometry
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Measure how far units as a whole lie off in maps (N, R, C), beside references (N, R, C) in counts.

    Gives the mean square (N,) of the change of a unit's rate beside the rest of the map (relative), and what
    Poisson's noise makes of it; both 0 without units.
    """
    if len(geometry.units) < 2:
        return np.zeros(len(counts)), np.zeros(len(counts))
    seen, known = (
        np.stack([x[:, u.start : u.stop].sum((1, 2), dtype=np.float64) for u in geometry.units], axis=1) + 0.5
        for x in (counts, reference)
    )
    rest, others = (x.sum(1, keepdims=True) - x for x in (seen, known))
    change = np.log(seen * others / (rest * known))
    return (change**2).mean(1), (1 / seen + 1 / rest + 1 / known + 1 / others).mean(1)


def measure_scatter(
    counts: Counts, reference: Counts, geometry: Geometry, noise: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Measure how wide single cells scatter in maps (N, R, C) about references (N, R, C), in counts as well.

    Gives the logarithm (N,) of their mean chi-square, all cells counting, and the cells that it is worth.
    Beside the `noise` (N,) of the maps, which most of the cells tell, a single cell counts no further than
    four standard deviations.
    """
    cells = (reference > 0) & geometry.mask()
    seen, known = counts * cells, reference * cells
    ratio = seen.sum((1, 2), keepdims=True) / np.maximum(known.sum((1, 2), keepdims=True), 1e-3)
    expected = known * ratio
    squared = (seen - expected) ** 2 / np.maximum(expected * (1 + ratio), 1e-6)
    farthest = (_FARTHEST_CELL**2 * np.maximum(noise, 1)).astype(np.float32)
    there = cells.sum((1, 2))
    mean = np.minimum(squared, farthest[:, None, None]).sum((1, 2)) / np.maximum(there, 1)
    # Chi-square of few counts varies by 2 + 1 / expected a cell.
    few = there / np.maximum(2 * expected.sum((1, 2), dtype=np.float64), 1e-3)
    return np.log(np.maximum(mean, 0.1)), there / (1 + few)


def measure_gain(
    counts: Counts, reference: Counts, places: Places, dispersion: NDArray[np.float64]
) -> NDArray[np.float32]:
    """Measure how the noise of each kind of place (K,) goes with that of its element, `dispersion` (N,).

    The variance of a place over Poisson's is 1 + gain (dispersion - 1). Where the elements are all as calm as
    Poisson's nothing can be told, and all places are taken to be as wide as the element.
    """
    gain = np.array(places.gains, dtype=np.float32)
    if len(dispersion) < 2 or float(np.std(dispersion)) < _VARIED:
        return gain
    found: dict[int, list[NDArray[np.float64]]] = {}
    for part, compared in comparisons(counts, reference, places):
        found.setdefault(compared.kind, []).append(_sample(compared, dispersion[part]))
    for kind, parts in found.items():
        squared, noise, expected, wide = np.concatenate(parts, axis=1)
        if len(expected) < 100:
            continue
        # Where counts are few the shape has no part in it.
        few = expected <= np.quantile(expected, 0.5)
        chi2, above = squared[few] / noise[few], np.maximum(wide[few] - 1, 0)
        low, high = 0.0, _MOST_GAIN
        for _ in range(20):
            middle = (low + high) / 2
            too_wide = np.quantile(chi2 / (1 + middle * above), NINE_TENTHS[0]) > NINE_TENTHS[1]
            low, high = (middle, high) if too_wide else (low, middle)
        gain[kind] = low
    return gain


def measure_spread(
    counts: Counts,
    reference: Counts,
    places: Places,
    quantile: tuple[float, float, float] = NINE_TENTHS,
    noise: NDArray[np.float32] | None = None,
) -> NDArray[np.float32]:
    """Measure the relative spread (K,) of normal maps (N, R, C) about references that they are no part of.

    Each kind of place has its own: layers move less against their sisters than against the whole chamber.
    `quantile`: a share of normal places, the chi-square that it should lie below, and the share of places,
    those with the fewest counts, that are not looked at. `noise` (N, K): variance over Poisson's of each
    kind.
    """
    found: dict[int, list[NDArray[np.float64]]] = {}
    wide = np.ones((len(counts), len(places.names)), dtype=np.float32) if noise is None else noise
    for part, compared in comparisons(counts, reference, places):
        squared, variance, expected, wider = _sample(compared, wide[part, compared.kind])
        found.setdefault(compared.kind, []).append(np.stack([squared, variance * wider, expected]))
    spread = np.zeros(len(places.names), dtype=np.float32)
    for kind, parts in found.items():
        spread[kind] = _excess(np.concatenate(parts, axis=1), *quantile)
    return spread


def _sample(compared: Compared, wider: NDArray[np.floating]) -> NDArray[np.float64]:
    """Give (4, n) of the places that hold enough counts.

    Squared residual, Poisson variance, expectation, and the noise of the maps they are of, from `wider` (N,).
    """
    expected = compared.expected.ravel()
    enough = np.flatnonzero(expected > _ENOUGH)
    chosen = enough[:: max(1, len(enough) // _MOST)]
    wanted = expected[chosen].astype(np.float64)
    residual = compared.observed.ravel()[chosen] - wanted
    each = wider[chosen // (expected.size // len(compared.expected))]
    noise = wanted * compared.variance.ravel()[chosen]
    return np.stack([residual**2, noise, wanted, each])


def _excess(places: NDArray[np.float64], share: float, chi2_of_share: float, left_out: float) -> float:
    """Find by bisection the spread that puts the share of the chi-squares where it should be, or 0."""
    if not places.shape[1]:
        return 0.0
    squared, noise, expected = places[:, places[2] >= np.quantile(places[2], left_out)]
    low, high = 0.0, 1.0
    for _ in range(30):
        spread = (low + high) / 2
        chi2 = squared / (noise + (spread * expected) ** 2)
        low, high = (spread, high) if np.quantile(chi2, share) > chi2_of_share else (low, spread)
    return low
