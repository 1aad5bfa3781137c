"""What rows are compared with: the rows before, the last day, and this time of the last days.

The minutes before a row are counted in rows, days in event time. Everything is an array over the entities of
a batch, (B, n, F) for n rows each.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from anomalyd.detectors.vectors.gaps import median
from anomalyd.detectors.vectors.patch.patches import ROWS
from anomalyd.detectors.vectors.patch.state import SLOTS, Clock, Stacked

SLOT_S = 900.0
_DAY = 96
_DAYS = 7

_LEAST_OF_DAY = 24
"""Quarter hours of the last day that must be known before they say more than training does: a young stream
is compared with its training, however short its rows are apart."""

_LEAST_OF_TIME = 3

_LARGEST = 30.0
"""A slot's mean takes no deviation for larger: one spike must not become the profile of its time of day."""

_SAME_TIME = np.concatenate(
    [-_DAY * np.arange(1, _DAYS) - 1, -_DAY * np.arange(1, _DAYS + 1), -_DAY * np.arange(1, _DAYS + 1) + 1]
)

Rows = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What each row is compared with, all (B, n, F): means and median of the 5, 10, 15 rows before, the row
    before, the median of the last day, and of this time of the last seven days. `joined` (B, 29 + n, F): the
    rows with those before them."""

    mean5: Rows
    mean10: Rows
    median15: Rows
    last: Rows
    day: Rows
    profile: Rows
    joined: Rows


def look_around(
    states: Stacked, times: NDArray[np.float64], rows: Rows, observed: NDArray[np.bool_]
) -> Surroundings:
    """Look around rows (B, n, F) without gaps at times (B, n); the states move on.

    What was not `observed` (B, n, F), and what an operator called broken, goes into no slot.
    """
    count = rows.shape[1]
    joined = np.concatenate([states.recent, rows], axis=1)
    before = np.lib.stride_tricks.sliding_window_view(joined, ROWS - 1, axis=1)[:, :count]
    # A copy of its own for each: means along a stride of another layout are summed in another order.
    window = np.ascontiguousarray(before[..., -15:])
    learn = observed & (states.clock[:, Clock.BROKEN] == 0)[:, None, None]
    day, profile = _follow_week(states, times, rows, learn)
    states.recent = joined[:, -(ROWS - 1) :]
    return Surroundings(
        mean5=_mean(window[..., 10:]),
        mean10=_mean(window[..., 5:]),
        median15=median(window),
        last=joined[:, ROWS - 2 : -1],
        day=day,
        profile=profile,
        joined=joined,
    )


def _mean(windows: Rows) -> Rows:
    total = windows[..., 0].copy()
    for k in range(1, windows.shape[-1]):
        total += windows[..., k]
    return total / np.float32(windows.shape[-1])


def _follow_week(
    states: Stacked, times: NDArray[np.float64], rows: Rows, learn: NDArray[np.bool_]
) -> tuple[Rows, Rows]:
    entities, count, metrics = rows.shape
    newest = states.clock[:, Clock.SLOT]
    slot_of = np.maximum.accumulate(np.maximum(times // SLOT_S, newest[:, None]), axis=1)
    opens = np.diff(slot_of, axis=1, prepend=newest[:, None]) > 0
    usual = np.empty((entities, count, 2, metrics), dtype=np.float32)
    bounds = [0, *np.flatnonzero(opens.any(axis=0)).tolist(), count]
    clipped = np.where(learn, np.clip(rows, -_LARGEST, _LARGEST), np.float32(0))
    for start, end in pairwise(bounds):
        if start == end:
            continue
        for b in np.flatnonzero(opens[:, start]).tolist():
            _close(states, b, int(slot_of[b, start]))
        if (due := np.flatnonzero(opens[:, start])).size:
            states.usual[due] = medians(states, due)
        usual[:, start:end] = states.usual[:, None]
        states.sums[:, 0] += clipped[:, start:end].sum(axis=1, dtype=np.float64)
        states.sums[:, 1] += learn[:, start:end].sum(axis=1)
    return usual[:, :, 0], usual[:, :, 1]


def _close(states: Stacked, b: int, slot: int) -> None:
    """Close an entity's slot: its mean is kept, and those that nothing was seen in are emptied."""
    before = int(states.clock[b, Clock.SLOT])
    if before >= 0:
        slots = states.slots[b].copy()
        total, seen = states.sums[b]
        slots[before % SLOTS] = np.where(seen > 0, total / np.maximum(seen, 1.0), np.nan)
        # After a gap it is compared with this time of the day before it.
        missed = np.arange(max(before + 1, slot - SLOTS), slot)
        slots[missed % SLOTS] = slots[(missed - _DAY * -((before - missed) // _DAY)) % SLOTS]
        states.slots[b] = slots
    states.sums[b] = 0.0
    states.clock[b, Clock.SLOT] = slot


def medians(states: Stacked, due: NDArray[np.int64]) -> Rows:
    """Give the medians (D, 2, F) of the last day and of this time of the last days of entities due (D,)."""
    now = states.clock[due, Clock.SLOT].astype(np.int64)
    metrics = states.offset.shape[1]
    found = np.zeros((len(due), 2, metrics), dtype=np.float32)
    day = (now[:, None] + np.arange(-_DAY, 0)) % SLOTS
    time = (now[:, None] + _SAME_TIME) % SLOTS
    for place, at in enumerate((day, time)):
        values = np.stack([states.slots[b][at[k]] for k, b in enumerate(due.tolist())]).astype(np.float32)
        known = (~np.isnan(values)).sum(axis=1)
        middle = median(np.ascontiguousarray(values.transpose(0, 2, 1)))
        enough = known >= (_LEAST_OF_TIME if place else _LEAST_OF_DAY)
        found[:, place] = np.where(enough, middle, found[:, 0])
    return found


def move(states: Stacked, b: int, since: float) -> None:
    """Take where an entity's metrics have been since event time `since` for normal, keeping the daily course.

    Its offset grows by what separates the last rows from this time of the days before; all that was seen
    since then is moved with it.
    """
    slots, newest = states.slots[b].astype(np.float32), int(states.clock[b, Clock.SLOT])
    fresh = _slots_since(newest, since + SLOT_S)
    past = slots.copy()
    past[fresh] = np.nan
    here = median(np.ascontiguousarray(past[(newest + _SAME_TIME) % SLOTS].T))
    here = np.where(np.isnan(here), np.nan_to_num(median(np.ascontiguousarray(past.T))), here)
    now = median(np.ascontiguousarray(states.recent[b, -15:].T))
    far = states.beyond[b] != 0
    step = (np.where(far, states.recent[b, -1] + states.beyond[b], now) - here).astype(np.float32)
    slots[fresh] = np.where(far, here, slots[fresh] - step)
    states.slots[b] = slots.astype(np.float16)
    states.sums[b, 0] -= states.sums[b, 1] * step
    states.recent[b] = np.where(far, here, states.recent[b] - step)
    states.offset[b] += step
    if newest >= 0:
        states.usual[b] = medians(states, np.array([b]))[0]


def forget(states: Stacked, b: int, since: float) -> None:
    """Take the quarter hours from event time `since` on out of what an entity is compared with."""
    newest = int(states.clock[b, Clock.SLOT])
    slots = states.slots[b].copy()
    slots[_slots_since(newest, since)] = np.nan
    states.slots[b] = slots
    states.sums[b] = 0.0
    if newest >= 0:
        states.usual[b] = medians(states, np.array([b]))[0]


def _slots_since(newest: int, since: float) -> NDArray[np.int64]:
    first = max(int(since // SLOT_S), newest - SLOTS + 1)
    return np.arange(first, newest + 1) % SLOTS if first <= newest else np.arange(0)
