"""Single hot cells, more of them than there may be: each is no fault, many are one."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from anomalyd.detectors.maps.neighbours.cleaning import Cleaned, hot_limit
from anomalyd.detectors.maps.neighbours.evidence import Cells, ClassEvidence, Doubles

NAME = "scattered hot"


def scattered_evidence(cleaned: Cleaned) -> ClassEvidence:
    """Count the hot cells that stand alone in maps (N, R, C), beyond those that counts make by chance.

    Each is one, however hot: a single cell that is a thousand times too hot is no fault.
    """
    hot: Cells = cleaned.odd & (cleaned.original > cleaned.expected)
    nats = hot.sum((1, 2)) - _by_chance(np.nan_to_num(cleaned.expected))

    def cells(i: int) -> Cells:
        return np.asarray(hot[i])

    return ClassEvidence(NAME, nats, np.zeros(len(nats), dtype=np.bool_), cells)


def _by_chance(expected: NDArray[np.float32]) -> Doubles:
    """Give how many of the cells of maps, where so much is expected (N, R, C), are hot by chance (N,).

    By the mean of the cells: Chernoff's bound of the Poisson tail, with its first term in front.
    """
    cells = (expected > 0).sum((1, 2))
    mean = np.maximum(expected.sum((1, 2), dtype=np.float64) / np.maximum(cells, 1), 1e-3)
    above = np.ceil(hot_limit(mean) + 1e-9)
    tail = np.exp(above - mean - above * np.log(above / mean)) / np.sqrt(2 * np.pi * above)
    return np.asarray(cells * tail * above / (above - mean))
