"""How far normal maps stray from their reference beyond Poisson noise, for each kind of place."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from anomalyd.detectors.maps.likelihood.places import Counts, Places
from anomalyd.detectors.maps.likelihood.reference_test import Compared, comparisons

NINE_TENTHS = (0.9, 2.7055, 0.0)
"""Where nine tenths of a chi-square with one degree of freedom lie below: far enough out to see the places
that move most, not so far that a faulty map left in the training decides."""

FAR_OUT = (0.98, 5.4119, 0.66)
"""Further out, and of the third of the places that hold the most counts: for elements, which differ from one
another by more than a normal distribution says, and so few that noise would drown it."""

_ENOUGH = 15.0
"""Counts from which a place's pull is nearly normal."""

_MOST = 500  # places of one family and a few maps that are looked at: more say the same


def measure_spread(
    counts: Counts, reference: Counts, places: Places, quantile: tuple[float, float, float] = NINE_TENTHS
) -> NDArray[np.float32]:
    """Measure the relative spread (K,) of normal maps (N, R, C) about references that they are no part of.

    Each kind of place has its own: layers move less against their sisters than against the whole chamber.
    `quantile`: a share of normal places, the chi-square that it should lie below, and the share of places,
    those with the fewest counts, that are not looked at.
    """
    found: dict[int, list[NDArray[np.float64]]] = {}
    for compared in comparisons(counts, reference, places):
        found.setdefault(compared.kind, []).append(_sample(compared))
    spread = np.zeros(len(places.names), dtype=np.float32)
    for kind, parts in found.items():
        spread[kind] = _excess(np.concatenate(parts, axis=1), *quantile)
    return spread


def _sample(compared: Compared) -> NDArray[np.float64]:
    """Squared residual, Poisson variance and expectation (3, n) of the places that hold enough counts."""
    expected = compared.expected.ravel()
    enough = np.flatnonzero(expected > _ENOUGH)
    chosen = enough[:: max(1, len(enough) // _MOST)]
    wanted = expected[chosen].astype(np.float64)
    residual = compared.observed.ravel()[chosen] - wanted
    noise = wanted * compared.variance.ravel()[chosen]
    return np.stack([residual**2, noise, wanted])


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
