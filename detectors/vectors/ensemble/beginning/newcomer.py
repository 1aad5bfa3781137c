"""An entity that training did not know begins from the population, at the level of its first rows.

The daily course of its like is laid out over the week before it. After thirty rows its level is measured once
more, for the first may have been a burst; after a day it is compared with its own days and is no newcomer.
"""

from __future__ import annotations

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

SETTLED_ROWS = 30
LEARNS_S = 86_400.0


def arrive(memory: Batch, b: int, time: float, row: NDArray[np.float32], daily: NDArray[np.float32]) -> None:
    """Begin an entity with its first row (F,), in the scale of the population; `daily` (96, F): its day."""
    slot = int(time // SLOT_S)
    before = np.arange(slot - WEEK_SLOTS, slot)
    slots = np.empty_like(memory.slots[b])
    slots[before % WEEK_SLOTS] = daily[before % DAY_SLOTS]
    memory.slots[b], memory.slot[b] = slots, slot
    compare_anew(memory, np.array([b]))
    memory.offset[b] = np.nan_to_num(row - memory.profile[b])
    memory.learns_since[b] = time


def go_on(memory: Batch, b: int, time: float) -> None:
    """Measure its level once more, or let it be no newcomer any more, as the time has come."""
    since = float(memory.learns_since[b])
    if time - since >= LEARNS_S:
        memory.learns_since[b] = np.nan
    elif memory.fresh_rows[b] == SETTLED_ROWS:
        move_to_present(memory, b, since)


def cuts(times: NDArray[np.float64], learns_since: float, fresh: int, silences: Sequence[int]) -> list[int]:
    """Say before which of the rows at times (n,) `go_on` is due.

    `learns_since`: NaN before its first row; `fresh`: rows since then or the last silence; `silences`: the
    rows that come after one.
    """
    since = float(times[0]) if np.isnan(learns_since) else learns_since
    settled = [SETTLED_ROWS - fresh, *(row + SETTLED_ROWS for row in silences)]
    found = [*settled, int(np.searchsorted(times, since + LEARNS_S))]
    return [row for row in found if 0 <= row < len(times)]
