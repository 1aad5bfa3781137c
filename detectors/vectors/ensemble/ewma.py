"""Exponentially weighted means along time, many rows at once."""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray

_BLOCK = 64
"""Rows that one matrix product takes: the work grows with it, the number of calls shrinks."""


def ewma(rows: NDArray[np.float64], weight: float, before: NDArray[np.float64]) -> NDArray[np.float64]:
    """Give y[t] = (1 - weight) y[t-1] + weight rows[t] for rows (n, ...), y[-1] being `before` (...)."""
    flat = rows.reshape(len(rows), -1)
    out = np.empty_like(flat)
    carried = np.asarray(before, dtype=np.float64).reshape(-1)
    lower, fading = _weights(weight)
    for start in range(0, len(flat), _BLOCK):
        part = flat[start : start + _BLOCK]
        n = len(part)
        out[start : start + n] = lower[:n, :n] @ part + fading[:n, None] * carried
        carried = out[start + n - 1]
    return out.reshape(rows.shape)


@cache
def _weights(weight: float) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Give what each row of a block counts for in each mean, (64, 64), and what came before it, (64,)."""
    age = np.arange(_BLOCK)[:, None] - np.arange(_BLOCK)
    lower = np.where(age >= 0, weight * (1.0 - weight) ** np.maximum(age, 0), 0.0)
    return lower, np.power(1.0 - weight, np.arange(1, _BLOCK + 1, dtype=np.float64))
