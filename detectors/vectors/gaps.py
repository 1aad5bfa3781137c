"""Means and medians of what is there: along the last axis, without the gaps (NaN)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Values = NDArray[np.float32]


def median(values: Values) -> Values:
    """Give the median (..., F) over the last axis of values (..., F, K) that are no NaN; NaN where all are.

    As numpy's, which takes ten times as long for many short rows: it goes through masked arrays.
    """
    ordered = np.sort(values, axis=-1)  # NaN comes last
    size = values.shape[-1]
    if not np.isnan(ordered[..., -1]).any():
        out: Values = (ordered[..., (size - 1) // 2] + ordered[..., size // 2]) / np.float32(2)
        return out
    known = size - np.isnan(ordered).sum(axis=-1, keepdims=True)
    lower = np.take_along_axis(ordered, np.maximum(known - 1, 0) // 2, axis=-1)
    upper = np.take_along_axis(ordered, np.minimum(known // 2, size - 1), axis=-1)
    out = ((lower + upper) / np.float32(2))[..., 0]
    return out


def mean(values: Values) -> Values:
    """Give the mean over the last axis of what is no NaN; NaN where all are."""
    seen = ~np.isnan(values)
    if seen.all():
        out: Values = values.mean(axis=-1)
        return out
    count = seen.sum(axis=-1)
    summed = np.where(seen, values, 0.0).sum(axis=-1)
    out = np.where(count > 0, summed / np.maximum(count, 1), np.nan).astype(np.float32)
    return out
