"""An entity that training did not know begins from the population, at the level of its first rows.

The daily course of its like is laid out over the week before it. After thirty rows its level is measured once
more, for the first may have been a burst; after a day it is compared with its own days and is no newcomer.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from anomalyd.detectors.vectors.ensemble.memory import WEEK_SLOTS, Batch
from anomalyd.detectors.vectors.ensemble.reference_windows import (
    DAY_SLOTS,
    SLOT_S,
    compare_anew,
    move_to_present,
)
from anomalyd.detectors.vectors.ensemble.rounding import SLOT_PARTS, rounded

SETTLED_ROWS = 30
LEARNS_S = 86_400.0

Rows = NDArray[np.float32]


def arrive(
    memory: Batch, which: NDArray[np.int64], times: NDArray[np.float64], rows: Rows, daily: Rows
) -> None:
    """Begin some entities (B,) with their first rows (B, F) at times (B,), in the scale of the population;
    `daily` (96, F): its day."""
    slot = (times // SLOT_S).astype(np.int64)
    for b, newest in zip(which.tolist(), slot.tolist(), strict=True):
        before = np.arange(newest - WEEK_SLOTS, newest)
        slots = np.empty_like(memory.slots[b])
        slots[before % WEEK_SLOTS] = rounded(daily[before % DAY_SLOTS], SLOT_PARTS)
        memory.slots[b] = slots
    memory.slot[which] = slot
    compare_anew(memory, which)
    memory.offset[which] = np.nan_to_num(rows - memory.profile[which])
    memory.learns_since[which] = times


def go_on(memory: Batch, which: NDArray[np.int64], times: NDArray[np.float64]) -> None:
    """Measure the level of newcomers (B,) once more, or let them be no newcomers any more, as the time (B,)
    has come."""
    since = memory.learns_since[which]
    grown = times - since >= LEARNS_S
    memory.learns_since[which[grown]] = np.nan
    settled = ~grown & (memory.fresh_rows[which] == SETTLED_ROWS)
    if settled.any():
        move_to_present(memory, which[settled], since[settled])


def is_due(
    times: NDArray[np.float64], learns_since: NDArray[np.float64], fresh: NDArray[np.int64]
) -> NDArray[np.bool_]:
    """Say of which newcomers `go_on` is due before their rows at times (B,): as `cuts`, of a row of each."""
    learns = ~np.isnan(learns_since)
    return np.asarray(learns & ((fresh == SETTLED_ROWS) | (times >= learns_since + LEARNS_S)))


def cuts(times: NDArray[np.float64], learns_since: float, fresh: int, silences: Sequence[int]) -> list[int]:
    """Say before which of the rows at times (n,) `go_on` is due.

    `learns_since`: NaN before its first row; `fresh`: rows since then or the last silence; `silences`: the
    rows that come after one.
    """
    since = float(times[0]) if math.isnan(learns_since) else learns_since
    settled = [SETTLED_ROWS - fresh, *(row + SETTLED_ROWS for row in silences)]
    found = [*settled, int(np.searchsorted(times, since + LEARNS_S))]
    return [row for row in found if 0 <= row < len(times)]
