"""What a row is compared with: the minutes before it, the hours before it, and this time of the last days.

Everything is in usual widths from the training median (`scaling.Scale`), NaN where missing, and nothing of
the row itself or of later ones goes into what it is compared with.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from anomalyd.detectors.vectors.ensemble.memory import RECENT_ROWS, WEEK_SLOTS, Batch
from anomalyd.detectors.vectors.ensemble.rounding import SLOT_PARTS, rounded
from anomalyd.detectors.vectors.gaps import mean, median

Rows = NDArray[np.float32]

SLOT_S = 900.0
"""A daily profile needs slots that several rows share and that are short beside a scheduled job: a quarter of
an hour holds three rows of five minutes."""

DAY_SLOTS = 96
_DAYS = WEEK_SLOTS // DAY_SLOTS
_SIX_HOURS = 24
_AT_ONCE = 64
"""Days laid out at once: of 38 metrics one MB, however long the window or many the entities."""

_LARGEST = 30.0
"""A slot's mean takes no deviation for larger: one spike must not become the profile of its time of day."""

_DAY_BEFORE = np.arange(-DAY_SLOTS, 0)
_ABOUT = np.arange(1, _DAYS + 1) * -DAY_SLOTS
_SAME_TIME = np.concatenate([_ABOUT[:-1] - 1, _ABOUT, _ABOUT + 1])
"""Places of this time of the last days. The quarter before that of a week ago has been written over by the
last one."""

_HERE = (np.arange(_DAYS)[:, None] * -DAY_SLOTS + np.arange(-1, 2)).ravel()
"""... and of now."""


@dataclass(frozen=True, slots=True)
class Surroundings:
    """Of n rows of each of E entities (E, n, F): what each is compared with.

    `mean5`, `median15`, `mean10`: of the 5, 15, 10 rows before; `last`: the row before; `hours6`, `day`:
    medians of the quarter hours of the last 6 and 24 hours; `profile`: median of this time of day, a quarter
    of an hour about it, on the last 7 days. What has no past yet is the next shorter of these, the row itself
    at last.
    """

    mean5: Rows
    mean10: Rows
    median15: Rows
    last: Rows
    hours6: Rows
    day: Rows
    profile: Rows


def look_around(times: NDArray[np.float64], rows: Rows, memory: Batch) -> Surroundings:
    """Look around rows (E, n, F) at event times (E, n), rising in each entity; `memory` moves on.

    Rows of what an operator called broken go into no quarter hour.
    """
    n = rows.shape[1]
    joined = np.concatenate([memory.recent, rows], axis=1)
    windows = np.lib.stride_tricks.sliding_window_view(joined, RECENT_ROWS, axis=1)[:, :n]
    median15 = _else(median(windows), rows)
    mean10, mean5 = mean(windows[..., 5:]), mean(windows[..., 10:])
    hours6, day, profile = _quarter_hours(times, rows, memory)
    hours6 = _else(_else(hours6, day), median15)
    # What is broken is not learnt, and after a day of it only this time of the days before is left.
    day = _else(_else(day, profile), hours6)
    memory.recent[:] = joined[:, -RECENT_ROWS:]
    return Surroundings(
        mean5=_else(mean5, median15),
        mean10=_else(mean10, median15),
        median15=median15,
        last=_else(joined[:, RECENT_ROWS - 1 : -1], rows),
        hours6=hours6,
        day=day,
        profile=_else(profile, day),
    )


def _quarter_hours(times: NDArray[np.float64], rows: Rows, memory: Batch) -> tuple[Rows, Rows, Rows]:
    """Give the medians (E, n, F) of the 6 and 24 hours before each row, and of this time of past days."""
    numbers = np.maximum((times // SLOT_S).astype(np.int64), memory.slot[:, None])
    values = np.where(memory.broken[:, None, None], np.float32(np.nan), rows) if memory.broken.any() else rows
    within = numbers[:, 0] == numbers[:, -1]
    begun = np.flatnonzero(within & (numbers[:, 0] > memory.slot))
    if len(begun):
        _begin(memory, begun, numbers[begun, 0])
    if within.all():
        _add(memory, slice(None), values)
        shape = rows.shape
        hours6, day, profile = (
            np.broadcast_to(each[:, None], shape) for each in (memory.hours6, memory.day, memory.profile)
        )
        return hours6, day, profile
    found = np.empty((3, *rows.shape), dtype=np.float32)
    for b in range(len(rows)):
        if within[b]:
            _add(memory, slice(b, b + 1), values[b : b + 1])
            found[:, b] = np.stack([memory.hours6[b], memory.day[b], memory.profile[b]])[:, None]
        else:
            found[:, b] = _through(memory, b, numbers[b], values[b])
    return found[0], found[1], found[2]


def _add(memory: Batch, which: slice, values: Rows) -> None:
    """Add values (B, n, F) to the quarter hours that go on."""
    seen = ~np.isnan(values)
    clipped = np.where(seen, np.clip(values, -_LARGEST, _LARGEST), np.float32(0))
    memory.slot_sum[which] += clipped.sum(axis=1, dtype=np.float64)
    memory.slot_count[which] += seen.sum(axis=1)


def _begin(memory: Batch, which: NDArray[np.int64], numbers: NDArray[np.int64]) -> None:
    """Close the quarter hours of some entities (B,), and begin those of these numbers (B,)."""
    closed = _mean(memory.slot_sum[which], memory.slot_count[which])
    for b, number, means in zip(which.tolist(), numbers.tolist(), closed, strict=True):
        newest, slots = int(memory.slot[b]), memory.slots[b].copy()
        if number - newest > WEEK_SLOTS:
            slots[:] = np.nan
        else:
            slots[newest % WEEK_SLOTS] = means
            slots[np.arange(newest + 1, number) % WEEK_SLOTS] = np.nan
        memory.slots[b] = slots
    memory.slot[which] = numbers
    memory.slot_sum[which] = memory.slot_count[which] = 0.0
    compare_anew(memory, which)


def compare_anew(memory: Batch, which: NDArray[np.int64]) -> None:
    """Measure anew what some entities (B,) are compared with: their quarter hours have changed."""
    for begin in range(0, len(which), _AT_ONCE):
        some = which[begin : begin + _AT_ONCE]

        def before(places: NDArray[np.int64], some: NDArray[np.int64] = some) -> Rows:
            index = (memory.slot[some][:, None] + places) % WEEK_SLOTS
            return _turned([memory.slots[b][at] for b, at in zip(some.tolist(), index, strict=True)])

        memory.hours6[some], memory.day[some] = _medians_of_day(before(_DAY_BEFORE))
        memory.profile[some] = median(before(_SAME_TIME))


def _through(memory: Batch, b: int, numbers: NDArray[np.int64], values: Rows) -> Rows:
    """Go through rows (n, F) of one entity that lie in several quarter hours: the medians (3, n, F)."""
    newest, slots = int(memory.slot[b]), memory.slots[b]
    begins = np.flatnonzero(np.diff(numbers, prepend=numbers[0] - 1))
    own = numbers[begins]
    seen = ~np.isnan(values)
    clipped = np.where(seen, np.clip(values, -_LARGEST, _LARGEST), 0.0)
    total, count = (np.add.reduceat(x.astype(np.float64), begins, axis=0) for x in (clipped, seen))
    known = own
    if own[0] == newest:
        total[0] += memory.slot_sum[b]
        count[0] += memory.slot_count[b]
    else:
        known = np.concatenate([[newest], own])
        total = np.concatenate([memory.slot_sum[b : b + 1], total])
        count = np.concatenate([memory.slot_count[b : b + 1], count])
    week = np.arange(newest - WEEK_SLOTS, newest)
    # Of each quarter hour, and of one that nobody knows.
    means = np.concatenate([slots[week % WEEK_SLOTS], _mean(total, count), np.full_like(slots[:1], np.nan)])
    known = np.concatenate([week, known])

    def before(of: NDArray[np.int64], places: NDArray[np.int64]) -> Rows:
        return _turned(means[_indices(known, of[:, None] + places)])

    found: list[Rows] = []
    for begin in range(0, len(own), _AT_ONCE):
        some = own[begin : begin + _AT_ONCE]
        hours6, day = _medians_of_day(before(some, _DAY_BEFORE))
        found.append(np.stack([hours6, day, median(before(some, _SAME_TIME))]))
    medians = np.concatenate(found, axis=1)
    last = int(own[-1])
    fresh, after = np.empty_like(slots), np.arange(last - WEEK_SLOTS, last)
    fresh[after % WEEK_SLOTS] = means[_indices(known, after)]
    memory.slots[b] = fresh
    memory.slot[b], memory.slot_sum[b], memory.slot_count[b] = last, total[-1], count[-1]
    memory.hours6[b], memory.day[b], memory.profile[b] = medians[:, -1]
    return np.repeat(medians, np.diff(begins, append=len(numbers)), axis=1)


def _mean(total: NDArray[np.float64], count: NDArray[np.float64]) -> NDArray[np.float16]:
    # Rounded as it is remembered, so that it does not matter where a stream is cut.
    return rounded(np.where(count > 0, total / np.maximum(count, 1.0), np.nan), SLOT_PARTS)


def _indices(known: NDArray[np.int64], wanted: NDArray[np.int64]) -> NDArray[np.int64]:
    index = np.minimum(np.searchsorted(known, wanted), len(known) - 1)
    out: NDArray[np.int64] = np.where(known[index] == wanted, index, len(known))
    return out


def _turned(means: Sequence[NDArray[np.float16]] | NDArray[np.floating]) -> Rows:
    """Turn means (B, K, F) into (B, F, K)."""
    return np.ascontiguousarray(np.asarray(means).transpose(0, 2, 1), dtype=np.float32)


def _medians_of_day(day: Rows) -> tuple[Rows, Rows]:
    return median(day[..., -_SIX_HOURS:]), median(day)


def forget_since(memory: Batch, b: int, since: float) -> None:
    """Take the quarter hours from event time `since` on out of what is compared with: they are no example."""
    slots, newest = memory.slots[b].copy(), int(memory.slot[b])
    first = max(int(since // SLOT_S), newest - WEEK_SLOTS + 1)
    if first <= newest:
        slots[np.arange(first, newest + 1) % WEEK_SLOTS] = np.nan
    memory.slots[b] = slots
    memory.slot_sum[b] = memory.slot_count[b] = 0.0
    compare_anew(memory, np.array([b]))


def move_to_present(memory: Batch, which: NDArray[np.int64], since: NDArray[np.float64]) -> None:
    """Take where the metrics of some entities (B,) have been since event times `since` (B,) for normal,
    keeping the daily course.

    The offset grows by what separates the last rows from this time of the days before; all that was seen
    since then is moved with it.
    """
    for begin in range(0, len(which), _AT_ONCE):
        _move(memory, which[begin : begin + _AT_ONCE], since[begin : begin + _AT_ONCE])
    compare_anew(memory, which)


def _move(memory: Batch, which: NDArray[np.int64], since: NDArray[np.float64]) -> None:
    slots = np.stack([memory.slots[b] for b in which.tolist()]).astype(np.float32)
    newest = memory.slot[which][:, None]
    numbers = newest - (newest - np.arange(WEEK_SLOTS)) % WEEK_SLOTS
    fresh = numbers > (since // SLOT_S).astype(np.int64)[:, None]
    past = np.where(fresh[..., None], np.float32(np.nan), slots)
    same = (newest + _HERE) % WEEK_SLOTS
    here = median(_turned(np.take_along_axis(past, same[..., None], axis=1)))
    for b in np.flatnonzero(np.isnan(here).any(axis=1)).tolist():
        unknown = np.isnan(here[b])
        here[b, unknown] = median(past[b][:, unknown].T)
    step = np.nan_to_num(median(_turned(memory.recent[which])) - here).astype(np.float32)
    moved = rounded(np.where(fresh[..., None], slots - step[:, None], slots), SLOT_PARTS)
    for b, each in zip(which.tolist(), moved, strict=True):
        memory.slots[b] = each.copy()
    memory.slot_sum[which] -= memory.slot_count[which] * step
    memory.recent[which] -= step[:, None]
    memory.offset[which] += step


def move_back(memory: Batch, before: Batch, b: int) -> None:
    """Take for normal what was before: its offset and its quarter hours; the last rows stay remembered."""
    memory.recent[b] += memory.offset[b] - before.offset[b]
    memory.offset[b] = before.offset[b]
    memory.slots[b] = before.slots[b]
    forget_since(memory, b, float(before.slot[b]) * SLOT_S)


def _else(rows: Rows, other: Rows) -> Rows:
    missing = np.isnan(rows)
    return np.where(missing, other, rows) if missing.any() else rows
