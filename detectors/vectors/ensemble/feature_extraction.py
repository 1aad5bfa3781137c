"""Rows with all that is known about them: what they are compared with, and what the network is told."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from anomalyd.detectors.vectors.ensemble.ewma import ewma
from anomalyd.detectors.vectors.ensemble.memory import Batch
from anomalyd.detectors.vectors.ensemble.reference_windows import Surroundings, look_around
from anomalyd.detectors.vectors.ensemble.views import POWER

KNOWN = 7
"""Inputs of the network for each metric."""

SQUASHED = 3.0
"""Signed logs end here, at some twenty usual widths."""


@dataclass(frozen=True, slots=True)
class Followed:
    """Rows (E, n, F), 0 where not `observed` (E, n, F), with what they are compared with and the network's
    inputs: `known` (E, n, 7F) a row before, and what then `came` (E, n, F)."""

    rows: NDArray[np.float32]
    observed: NDArray[np.float32]
    around: Surroundings
    known: NDArray[np.float32]
    came: NDArray[np.float32]


def squash(values: NDArray[np.float32]) -> NDArray[np.float32]:
    """Give the signed log of deviations, 0 where missing."""
    size = np.abs(values)
    np.log1p(size, out=size)
    np.minimum(size, SQUASHED, out=size)
    np.copysign(size, values, out=size)
    return _filled(size)


def follow(
    times: NDArray[np.float64], rows: NDArray[np.float32], memory: Batch, clip: NDArray[np.float32]
) -> Followed:
    """Look around each of n rows of E entities (E, n, F), and say what was known a row before it.

    `clip` (E, F): usual widths that a metric counts for at most. `memory` moves on.
    """
    metrics = rows.shape[2]
    around = look_around(times, rows, memory)
    away = np.minimum(np.abs(rows - around.mean5), np.abs(rows - around.median15))
    turbulence = _filled(np.minimum(away, clip[:, None])) ** POWER
    along = np.ascontiguousarray(np.swapaxes(turbulence, 0, 1), dtype=np.float64)
    quick, slow = ewma(along, 0.05, memory.quick), ewma(along, 0.005, memory.slow)
    memory.quick[:], memory.slow[:] = quick[-1], slow[-1]
    now = np.empty((*rows.shape[:2], KNOWN * metrics), dtype=np.float32)
    came = squash(rows - around.median15)
    each = (
        squash(rows - around.mean5),
        came,
        np.minimum(np.log1p(np.swapaxes(quick, 0, 1)), SQUASHED),
        np.minimum(np.log1p(np.swapaxes(slow, 0, 1)), SQUASHED),
        squash(around.median15 - around.hours6),
        squash(around.median15 - around.day),
        squash(around.median15 - around.profile),
    )
    for place, part in enumerate(each):
        now[:, :, place * metrics : (place + 1) * metrics] = part
    known = np.concatenate([memory.known[:, None], now[:, :-1]], axis=1)
    memory.known[:] = now[:, -1]
    return Followed(_filled(rows), (~np.isnan(rows)).astype(np.float32), around, known, came)


def _filled(values: NDArray[np.float32]) -> NDArray[np.float32]:
    missing = np.isnan(values)
    return np.where(missing, np.float32(0), values) if missing.any() else values
