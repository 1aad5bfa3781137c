"""Metrics that stand still though they always moved: a sensor that is stuck, a collector that repeats itself.

No view of deviations can see it, for nothing deviates. What is counted are equal values in a row.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

_RESTLESS = 5
"""A metric that never repeated itself more often than this in training is one that always moves."""

_LEAST, _TIMES = 36, 6
"""It is stuck when it repeats itself six times as often as ever before, and 36 times at least: on 22 labelled
servers that happens three times in all of their normal rows."""

_ENOUGH = 10 * _LEAST
"""Training rows below which nobody knows how often a metric repeats itself."""


def repeats(
    rows: NDArray[np.float32], before: NDArray[np.float32], runs: NDArray[np.integer]
) -> NDArray[np.int64]:
    """Give how often each metric has repeated itself up to each of n rows: (..., n, F).

    `before` (..., F) is the row before the first, `runs` (..., F) how often each had repeated itself there. A
    missing value is no repetition.
    """
    same = rows == np.concatenate([before[..., None, :], rows[..., :-1, :]], axis=-2)
    count = np.arange(1, rows.shape[-2] + 1)[:, None]
    # The newest row of each metric that was no repetition; before the first of them the old run goes on.
    broke = np.maximum.accumulate(np.where(same, 0, count), axis=-2)
    out: NDArray[np.int64] = count - np.where(broke > 0, broke, -runs[..., None, :])
    return out


def limits(rows: NDArray[np.float32]) -> NDArray[np.float32]:
    """Give the repetitions (F,) above which a metric is stuck, from training rows (T, F); infinite: never."""
    metrics = rows.shape[1]
    if len(rows) < _ENOUGH:
        return np.full(metrics, np.inf, dtype=np.float32)
    nothing = np.full(metrics, np.nan, dtype=np.float32)
    longest = repeats(rows, nothing, np.zeros(metrics, dtype=np.int64)).max(axis=0)
    moves = (longest <= _RESTLESS) & ~np.isnan(rows).all(axis=0)
    out: NDArray[np.float32] = np.where(moves, np.maximum(_LEAST, _TIMES * longest), np.inf).astype(
        np.float32
    )
    return out
