"""From a margin to a probability, and how far such probabilities can be trusted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray


@dataclass(frozen=True, slots=True)
class Calibration:
    """Probability of being right = 1 / (1 + exp(-(slope x margin + intercept))) (Platt 1999)."""

    slope: float
    intercept: float

    def probability(self, margin: ArrayLike) -> NDArray[np.float64]:
        """Give the probability for margins of any shape; 0 for one of minus infinity."""
        margins = np.asarray(margin, dtype=np.float64)
        z = self.slope * margins + self.intercept
        p: NDArray[np.float64] = 1.0 / (1.0 + np.exp(-np.clip(z, -500.0, 500.0)))
        return np.where(np.isneginf(margins), 0.0, p)


def fit_calibration(margins: ArrayLike, right: ArrayLike) -> Calibration:
    """Fit to n margins, and whether each answer was right, by Newton's method.

    Targets are drawn in as Platt proposed, so that data that can be separated give no infinite slope.
    """
    x = np.asarray(margins, dtype=np.float64)
    y = np.asarray(right, dtype=bool)
    finite = np.isfinite(x)
    x, y = x[finite], y[finite]
    n, k = len(y), int(y.sum())
    target = np.where(y, (k + 1) / (k + 2), 1 / (n - k + 2))
    design = np.stack([x, np.ones(n)], axis=1)
    weights = np.zeros(2)
    for _ in range(50):
        p = 1.0 / (1.0 + np.exp(-np.clip(design @ weights, -500.0, 500.0)))
        gradient = design.T @ (p - target)
        curvature = (design * (p * (1 - p))[:, None]).T @ design + 1e-9 * np.eye(2)
        step = np.linalg.solve(curvature, gradient)
        weights -= np.clip(step, -2.0, 2.0)
        if np.abs(step).max() < 1e-9:
            break
    return Calibration(float(weights[0]), float(weights[1]))


@dataclass(frozen=True, slots=True)
class Bin:
    """Answers whose probability is from `low` to `high`: how many, the mean of it, and the share right."""

    low: float
    high: float
    count: int
    probability: float
    right: float


def reliability(probabilities: ArrayLike, right: ArrayLike, bins: int = 10) -> list[Bin]:
    """Give the table of bins of equal width; empty ones are left out."""
    p, y = np.asarray(probabilities, dtype=np.float64), np.asarray(right, dtype=np.float64)
    places = np.minimum((p * bins).astype(int), bins - 1)
    return [
        Bin(k / bins, (k + 1) / bins, int(there.sum()), float(p[there].mean()), float(y[there].mean()))
        for k in range(bins)
        if (there := places == k).any()
    ]


def expected_calibration_error(table: Sequence[Bin]) -> float:
    """Give the mean distance of probability and share right (ECE, Guo et al., ICML 2017)."""
    total = sum(b.count for b in table)
    return sum(b.count * abs(b.probability - b.right) for b in table) / max(1, total)
