"""Rows with all that is known about them: what they are compared with, and what the network is told."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from anomalyd.detectors.detector import State
from anomalyd.detectors.vectors.ensemble.ewma import ewma
from anomalyd.detectors.vectors.ensemble.hysteresis import is_broken
from anomalyd.detectors.vectors.ensemble.reference_windows import Surroundings, look_around
from anomalyd.detectors.vectors.ensemble.views import POWER

KNOWN = 7
"""Inputs of the network for each metric."""

SQUASHED = 3.0
"""Signed logs end here, at some twenty usual widths."""


@dataclass(frozen=True, slots=True)
class Followed:
    """Rows (n, F) with what they are compared with, the network's inputs (n, 7F), and the state behind."""

    rows: NDArray[np.float32]
    observed: NDArray[np.float32]
    around: Surroundings
    known: NDArray[np.float32]
    came: NDArray[np.float32]
    state: dict[str, NDArray[Any]]


def squash(values: NDArray[Any]) -> NDArray[np.float32]:
    """Give the signed log of deviations, 0 where missing."""
    squashed = np.nan_to_num(np.sign(values) * np.log1p(np.abs(values)))
    out: NDArray[np.float32] = np.clip(squashed, -SQUASHED, SQUASHED).astype(np.float32)
    return out


def follow(
    times: NDArray[np.float64], rows: NDArray[np.float32], state: State, clip: NDArray[np.float32]
) -> Followed:
    """Look around each row, and say what was known a row before it."""
    around = look_around(times, rows, state, learn=not is_broken(state))
    observed = (~np.isnan(rows)).astype(np.float32)
    filled = np.nan_to_num(rows)
    away = np.minimum(np.abs(rows - around.mean5), np.abs(rows - around.median15))
    turbulence = np.nan_to_num(np.minimum(away, clip)) ** POWER
    nothing = np.zeros(rows.shape[1])
    quick = ewma(turbulence.astype(np.float64), 0.05, state.get("quick", nothing))
    slow = ewma(turbulence.astype(np.float64), 0.005, state.get("slow", nothing))
    came = squash(rows - around.median15)
    now = np.concatenate(
        [
            squash(rows - around.mean5),
            came,
            np.minimum(np.log1p(quick), SQUASHED).astype(np.float32),
            np.minimum(np.log1p(slow), SQUASHED).astype(np.float32),
            squash(around.median15 - around.hours6),
            squash(around.median15 - around.day),
            squash(around.median15 - around.profile),
        ],
        axis=1,
    )
    first = np.asarray(state.get("known", np.zeros(now.shape[1], dtype=np.float32)))
    known = np.concatenate([first[None], now[:-1]])
    after = {**around.state, "quick": quick[-1], "slow": slow[-1], "known": now[-1].copy()}
    return Followed(filled, observed, around, known, came, after)
