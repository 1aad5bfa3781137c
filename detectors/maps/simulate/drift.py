"""How far the shape of normal maps moves beyond Poisson noise."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from torch import Tensor

from anomalyd.detectors.maps.exposure import LitMaps
from anomalyd.detectors.maps.simulate.luminosity import block_sums

_SHARE, _CHI2_OF_SHARE = 0.9, 2.7055
"""Where nine tenths of a chi-square with one degree of freedom lie below: far enough out to see the few rows
that move most, not so far that a faulty map left in the training decides."""


def measure_drift(normal: Sequence[tuple[LitMaps, Tensor]]) -> float:
    """Measure the relative scatter, beyond Poisson's, of normal maps about what is expected of them.

    `normal`: maps with their expectation (N, R, C). Taken over whole rows and over blocks of 8 cells, the
    larger of the two: a profile can be wrong on either scale.
    """
    rows, blocks = [], []
    for maps, expected in normal:
        wanted = (expected * maps.weight).numpy()
        residual = (maps.counts * maps.weight).numpy() - wanted
        dispersion = maps.dispersion.numpy()[:, None]
        rows.append(_chosen(residual.sum(2), wanted.sum(2), dispersion))
        blocks.append(_chosen(block_sums(residual), block_sums(wanted), dispersion))
    return max(_excess(np.concatenate(rows, axis=1)), _excess(np.concatenate(blocks, axis=1)))


def _chosen(residual: np.ndarray, wanted: np.ndarray, dispersion: np.ndarray) -> np.ndarray:
    """Residual, expectation and dispersion (3, n) of the sums that hold enough counts to be nearly normal."""
    enough = wanted > 10
    return np.stack([residual[enough], wanted[enough], np.broadcast_to(dispersion, wanted.shape)[enough]])


def _excess(sums: np.ndarray) -> float:
    """Find by bisection the drift that puts nine tenths of the chi-squares where they should be, or 0."""
    residual, wanted, dispersion = sums.astype(np.float64)
    if not len(residual):
        return 0.0
    low, high = 0.0, 1.0
    for _ in range(30):
        drift = (low + high) / 2
        chi2 = residual**2 / (wanted * (dispersion + drift**2 * wanted))
        low, high = (drift, high) if np.quantile(chi2, _SHARE) > _CHI2_OF_SHARE else (low, drift)
    return low
