"""How well a map detector finds faults: area under the curve, false discoveries, localisation."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Values = NDArray[np.float64]

_FAULTY = 0.1  # share of faulty maps that false discoveries are counted at
_DETECTED = 0.99


def auc(normal: Values, faulty: Values) -> float:
    """Give the probability that a faulty map scores above a normal one; half of a tie counts."""
    order = np.sort(normal)
    below = np.searchsorted(order, faulty, side="left")
    upto = np.searchsorted(order, faulty, side="right")
    return float((below + upto).mean() / (2 * len(normal)))


def fdr_at_99(normal: Values, faulty: Values) -> float:
    """Give the false discovery rate at 99 % detection, were a tenth of all maps faulty."""
    threshold = np.sort(faulty)[int(np.floor((1 - _DETECTED) * len(faulty)))]
    false = float((normal >= threshold).mean()) * (1 - _FAULTY)
    true = float((faulty >= threshold).mean()) * _FAULTY
    return false / (false + true)


def localisation(shown: NDArray[np.bool_], true: NDArray[np.bool_]) -> tuple[float, float]:
    """Give the mean share of the true cells (N, R, C) among those shown, and the mean IoU."""
    both = (shown & true).sum((1, 2))
    found = both / np.maximum(true.sum((1, 2)), 1)
    iou = both / np.maximum((shown | true).sum((1, 2)), 1)
    return float(found.mean()), float(iou.mean())
