"""What is usual of a metric: its centre, its width, and how much a deviation from it may count for."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float32]
Columns = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Scale:
    """What is usual of the metrics of one entity: `centre`, `width` and `cap`, each (F,) or stacked (E, F).

    `cap` is how many usual widths a deviation may count for at most: infinite for a metric that moves, small
    for one that hardly ever moved, because its width says nothing. That such a metric moves is as rare as its
    moves were in n rows, so it counts as a Gaussian deviation of that rarity, sqrt(2 ln(n / moves)), twice,
    because the other metrics dilute it. 0 for one that was never seen: nobody can say how strange it is.
    """

    centre: Array
    width: Array
    cap: Array


def measure(
    values: NDArray[np.floating], floor: float, fallback: Scale | None = None, trusted: float = 0.995
) -> Scale:
    """Measure what is usual in rows (T, F), NaN where missing; a metric without any row takes the fallback.

    Of several entities at once: rows (E, T, F) give a scale (E, F); the fallback (F,) is the same for all.

    Centre: median. Width: root mean square of the deviations from it, each at most their `trusted` quantile.
    It sees the bursts that a median absolute deviation ignores, and at 99.5 % half a percent of anomalies,
    however large, cannot stretch it far. `floor`: the least width, as a share of the centre's size.
    """
    turned = np.moveaxis(values, -2, -1)
    columns = np.ascontiguousarray(turned, dtype=np.float64).reshape(-1, turned.shape[-1])
    finite = np.isfinite(columns)
    counts = finite.sum(axis=1)
    found = np.zeros((3, len(columns)))
    found[1] = 1.0
    if fallback is not None:
        typical = (fallback.centre, fallback.width, fallback.cap)
        found[:] = np.stack([np.broadcast_to(each, turned.shape[:-1]).ravel() for each in typical])
    for count in np.unique(counts[counts > 0]).tolist():
        some = np.flatnonzero(counts == count)
        found[:, some] = _of_whole(columns[some][finite[some]].reshape(-1, count), floor, trusted)
    return Scale(*found.astype(np.float32).reshape(3, *turned.shape[:-1]))


def _of_whole(columns: Columns, floor: float, trusted: float) -> Columns:
    """Give centres, widths and caps (3, K) of metrics of n rows each (K, n), none of them missing."""
    middle = np.median(columns, axis=1)
    deviation = np.abs(columns - middle[:, None])
    most = np.quantile(deviation, trusted, axis=1)[:, None]
    spread = np.sqrt(np.mean(np.minimum(deviation, most) ** 2, axis=1))
    # Around 0 there is no size: the largest deviation stands in for it, or a unit where there is none.
    largest, size = deviation.max(axis=1), np.abs(middle)
    unit = np.where(largest > 0, np.minimum(largest, 1.0), 1.0)
    smallest = np.maximum(floor * np.where(size > 0, size, unit), 1e-30)
    moves = np.count_nonzero(deviation > 3.0 * smallest[:, None], axis=1)
    rarest = 2.0 * np.sqrt(2.0 * np.log((columns.shape[1] + 1.0) / (moves + 1.0)))
    return np.stack([middle, np.maximum(spread, smallest), np.where(spread < smallest, rarest, np.inf)])
