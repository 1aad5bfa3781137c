"""Back after a silence: what came before it says nothing of the next minutes.

A row is then compared with this time of the days before; its first neighbours are itself.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from anomalyd.detectors.vectors.ensemble.alarm import views_alarm
from anomalyd.detectors.vectors.ensemble.memory import QUIET_ROWS, Batch

_ROWS, _LEAST_S = 10, 900.0
"""A silence lasts for ten rows, and a quarter of an hour."""


def silences(times: NDArray[np.float64], newest: float, interval_s: float) -> list[int]:
    """Say which of the rows at times (n,) come after a silence; `newest`: the row before, NaN for none."""
    before = np.concatenate([[newest], times[:-1]])
    found: list[int] = np.flatnonzero(is_after_silence(times, before, np.float64(interval_s))).tolist()
    return found


def is_after_silence(
    times: NDArray[np.float64], before: NDArray[np.float64], interval_s: NDArray[np.float64] | np.float64
) -> NDArray[np.bool_]:
    """Say which rows at times (B,) come after a silence; `before` (B,): the row before each, NaN: none."""
    return np.asarray(times - before > np.maximum(_ROWS * interval_s, _LEAST_S))


def begin_again(memory: Batch, b: int) -> None:
    """Forget the last minutes of an entity. What an operator called broken stays so."""
    memory.recent[b] = memory.levels[b] = memory.moved[b] = memory.new_means[b] = np.nan
    memory.quiet[b] = QUIET_ROWS
    memory.charts[b, 1:] = memory.residual_charts[b, 1:] = 0.0
    memory.known[b], memory.runs[b], memory.restless[b], memory.fresh_rows[b] = 0.0, 0, 0, 0
    memory.agreed[b] = memory.stirred[b] = memory.height_on[b] = False
    if not memory.broken[b]:
        views_alarm.end_alarm(memory, b)
