"""How far an explanation can be trusted: put back what it blames, in its order, and watch the score fall.

Deletion and insertion of Petsiuk, Das and Saenko, "RISE", BMVC 2018: the faster the score falls when the
metrics blamed first are put back to what was expected (and rises when they alone are broken), the better the
explanation. A random order is the measure of what no explanation would do.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from anomalyd.interpret.rescoring import Rescoring

Order = NDArray[np.int64] | Sequence[int]

_GOOD, _FAIR = 0.7, 0.3
"""Part of the fall that the first three explain from which an explanation is good, or fair."""

_FIRST = 3


def order_of(values: NDArray[np.float32]) -> NDArray[np.int64]:
    """Give the metrics that an attribution (F,) holds present, those most to blame first."""
    order = np.argsort(-np.nan_to_num(values, nan=-np.inf), kind="stable")
    found: NDArray[np.int64] = order[np.isfinite(values[order])]
    return found


def deletion_area(rescoring: Rescoring, order: Order) -> float:
    """Give the mean of the score, 1 as observed and 0 as expected, while metrics are put back one by one."""
    return float(np.mean(_course(rescoring, [order[:k] for k in range(1, len(order) + 1)])))


def insertion_area(rescoring: Rescoring, order: Order) -> float:
    """Give the mean of the score, as `deletion_area`, while broken metrics are added one by one."""
    return float(np.mean(_course(rescoring, [order[k:] for k in range(1, len(order) + 1)])))


def better_than_random(rescoring: Rescoring, order: Order, tries: int = 8, seed: int = 0) -> float:
    """Give the share of random orders that have a larger deletion area than this one."""
    rng = np.random.default_rng(seed)
    own = deletion_area(rescoring, order)
    return float(np.mean([deletion_area(rescoring, rng.permutation(order)) > own for _ in range(tries)]))


def trust_of(rescoring: Rescoring, values: NDArray[np.float32]) -> str:
    """Give a plain word for an attribution (F,): "good", "fair" or "weak"; "" where no score fell."""
    order = order_of(values)
    course = _course(rescoring, [order[: k + 1] for k in range(min(_FIRST, len(order)))])
    if not len(course):
        return ""
    explained = 1.0 - float(course.min())
    return "good" if explained >= _GOOD else "fair" if explained >= _FAIR else "weak"


def _course(rescoring: Rescoring, put_back: Sequence[Order]) -> NDArray[np.float64]:
    """Give the scores with these metrics put back, 1 as observed and 0 as expected; empty if none fell."""
    observed, usual = rescoring.ends()
    if observed <= usual:
        return np.empty(0)
    course: NDArray[np.float64] = (rescoring.scores_without(put_back) - usual) / (observed - usual)
    return course
