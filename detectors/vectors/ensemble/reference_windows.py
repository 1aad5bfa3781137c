"""What a row is compared with: the minutes before it, the hours before it, and this time of the last days.

Everything is in usual widths from the training median (`scaling.Scale`), NaN where missing, and nothing of
the row itself or of later ones goes into what it is compared with.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from anomalyd.detectors.detector import State
from anomalyd.detectors.vectors.gaps import mean, median

Rows = NDArray[np.float32]

SLOT_S = 900.0
"""A daily profile needs slots that several rows share and that are short beside a scheduled job: a quarter of
an hour holds three rows of five minutes."""

_DAY = 96
_DAYS = 7
_SLOTS = _DAY * _DAYS
_SIX_HOURS = 24
_RECENT = 15
_AT_ONCE = 256
"""Quarter hours whose day is laid out at once: of 38 metrics 4 MB, however long the window."""

_LARGEST = 30.0
"""A slot's mean takes no deviation for larger: one spike must not become the profile of its time of day."""


@dataclass(frozen=True, slots=True)
class Surroundings:
    """Of n rows (n, F): what each is compared with, and what is remembered after the last.

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
    state: dict[str, NDArray[np.generic]]


def look_around(times: NDArray[np.float64], rows: Rows, state: State, *, learn: bool = True) -> Surroundings:
    """Look around each of n rows (n, F) at event times (n,), in rising order, given what was remembered.

    Unless they are to `learn` from, the rows go into no quarter hour.
    """
    n, metrics = rows.shape
    recent = np.asarray(state.get("recent", np.full((_RECENT, metrics), np.nan, dtype=np.float32)))
    joined = np.concatenate([recent, rows])
    windows = np.lib.stride_tricks.sliding_window_view(joined, _RECENT, axis=0)[:n]
    median15 = median(windows)
    mean10, mean5 = mean(windows[:, :, 5:]), mean(windows[:, :, 10:])
    week = _Week.following(state, times, rows, learn=learn)
    hours6, day, profile = week.medians()
    median15 = _else(median15, rows)
    hours6 = _else(_else(hours6, day), median15)
    # What is broken is not learnt, and after a day of it only this time of the days before is left.
    day = _else(_else(day, profile), hours6)
    return Surroundings(
        mean5=_else(mean5, median15),
        mean10=_else(mean10, median15),
        median15=median15,
        last=_else(joined[_RECENT - 1 : -1], rows),
        hours6=hours6,
        day=day,
        profile=_else(profile, day),
        state={"recent": joined[-_RECENT:].copy(), **week.state()},
    )


@dataclass(frozen=True, slots=True)
class _Week:
    """The quarter hours before each of the window's own.

    `numbers` (K,): quarter hours that are known, rising, counted since the epoch; `means` (K + 1, F): of
    each, and of one that nobody knows; `own` (P,): the quarter hours that the rows lie in, and how many rows
    each has, `lengths` (P,); `total`, `count` (F,): sum and number of values in the last.
    """

    numbers: NDArray[np.int64]
    means: Rows
    own: NDArray[np.int64]
    lengths: NDArray[np.int64]
    total: NDArray[np.float64]
    count: NDArray[np.float64]

    @classmethod
    def following(cls, state: State, times: NDArray[np.float64], rows: Rows, *, learn: bool) -> _Week:
        """Take the week that is remembered, and the rows that come after it."""
        metrics = rows.shape[1]
        nothing = np.zeros((1, metrics))
        newest = int(np.asarray(state["slot"])[0]) if "slot" in state else int(times[:1].sum() // SLOT_S)
        of_row = np.maximum((times // SLOT_S).astype(np.int64), newest)
        begins = np.flatnonzero(np.diff(of_row, prepend=newest - 1))
        own = of_row[begins]
        lengths = np.diff(begins, append=len(of_row))
        seen = ~np.isnan(rows) if learn else np.zeros(rows.shape, dtype=bool)
        clipped = np.where(seen, np.clip(rows, -_LARGEST, _LARGEST), 0.0)
        total, count = (
            np.add.reduceat(values.astype(np.float64), begins, axis=0) if len(begins) else nothing[:0]
            for values in (clipped, seen)
        )
        first_total = np.asarray(state.get("slot_sum", nothing[0]), dtype=np.float64)
        first_count = np.asarray(state.get("slot_count", nothing[0]), dtype=np.float64)
        closing = own
        if len(own) and own[0] == newest:
            total[0] += first_total
            count[0] += first_count
        else:
            closing = np.concatenate([[newest], own])
            total, count = (
                np.concatenate(x) for x in ((first_total[None], total), (first_count[None], count))
            )
        past = np.arange(newest - _SLOTS, newest)
        kept = np.full((_SLOTS, metrics), np.nan, dtype=np.float32)
        if "slots" in state:
            kept = np.asarray(state["slots"])[past % _SLOTS].astype(np.float32)
        # Rounded as the state is, so that it does not matter where a stream is cut.
        closed = np.where(count > 0, total / np.maximum(count, 1.0), np.nan).astype(np.float16)
        means = np.concatenate([kept, closed.astype(np.float32), np.full((1, metrics), np.nan, np.float32)])
        return cls(np.concatenate([past, closing]), means, own, lengths, total[-1], count[-1])

    def medians(self) -> tuple[Rows, Rows, Rows]:
        """Give the medians (n, F) of the 6 and 24 hours before each row, and of this time of past days."""
        about = np.arange(1, _DAYS + 1) * -_DAY
        # The slot a week and a quarter ago has been written over by the last one: only those within it.
        same = np.concatenate([about[:-1] - 1, about, about + 1])
        found: list[tuple[Rows, Rows, Rows]] = []
        for begin in range(0, len(self.own), _AT_ONCE):
            own = self.own[begin : begin + _AT_ONCE]
            day = self._before(own, np.arange(-_DAY, 0))
            found.append((median(day[:, :, -_SIX_HOURS:]), median(day), median(self._before(own, same))))
        nothing = self.means[:0]
        each = zip(*found, strict=True) if found else ((nothing,),) * 3
        hours6, whole, profile = (np.repeat(np.concatenate(m), self.lengths, axis=0) for m in each)
        return hours6, whole, profile

    def _before(self, own: NDArray[np.int64], places: NDArray[np.int64]) -> Rows:
        """Give the means (P, F, K) of the quarter hours in K places of `own` (P,), NaN where unknown."""
        found: Rows = self.means[self._indices(own[:, None] + places)]
        return np.ascontiguousarray(found.transpose(0, 2, 1))

    def _indices(self, wanted: NDArray[np.int64]) -> NDArray[np.int64]:
        index = np.minimum(np.searchsorted(self.numbers, wanted), len(self.numbers) - 1)
        out: NDArray[np.int64] = np.where(self.numbers[index] == wanted, index, len(self.numbers))
        return out

    def state(self) -> dict[str, NDArray[np.generic]]:
        """Give what is remembered: the week before the last quarter hour, and what was seen in it."""
        newest = int(self.numbers[-1])
        week = np.arange(newest - _SLOTS, newest)
        slots = np.empty((_SLOTS, self.means.shape[1]), dtype=np.float16)
        slots[week % _SLOTS] = self.means[self._indices(week)]
        return {
            "slots": slots,
            "slot_sum": self.total,
            "slot_count": self.count,
            "slot": np.array([newest]),
        }


def forget_since(state: State, since: float) -> dict[str, NDArray[np.generic]]:
    """Take the quarter hours from event time `since` on out of what is compared with: they are no example."""
    slots, newest = np.array(state["slots"]), int(np.asarray(state["slot"])[0])
    first = max(int(since // SLOT_S), newest - _SLOTS + 1)
    if first <= newest:
        slots[np.arange(first, newest + 1) % _SLOTS] = np.nan
    empty = np.zeros_like(np.asarray(state["slot_sum"]))
    return {**state, "slots": slots, "slot_sum": empty, "slot_count": empty}


def offset_of(state: State, metrics: int) -> Rows:
    """Give what is taken off every row (F,): how far the normal of now lies from that of training."""
    return np.asarray(state.get("offset", np.zeros(metrics)), dtype=np.float32)


def move_to_present(state: State, since: float) -> dict[str, NDArray[np.generic]]:
    """Take where the metrics have been since event time `since` for normal, keeping the daily course.

    The offset grows by what separates the last rows from this time of the days before; all that was seen
    since then is moved with it.
    """
    slots, newest = np.array(state["slots"], dtype=np.float32), int(np.asarray(state["slot"])[0])
    first = max(int(since // SLOT_S) + 1, newest - _SLOTS + 1)
    fresh = np.zeros(_SLOTS, dtype=bool)
    if first <= newest:
        fresh[np.arange(first, newest + 1) % _SLOTS] = True
    past = np.where(fresh[:, None], np.nan, slots)
    same = (newest + np.arange(_DAYS)[:, None] * -_DAY + np.arange(-1, 2)).ravel() % _SLOTS
    here = median(past[same].T)
    here = np.where(np.isnan(here), median(past.T), here)
    step = np.nan_to_num(median(np.asarray(state["recent"]).T) - here).astype(np.float32)
    slots[fresh] -= step
    return {
        **state,
        "slots": slots.astype(np.float16),
        "slot_sum": np.asarray(state["slot_sum"]) - np.asarray(state["slot_count"]) * step,
        "recent": (np.asarray(state["recent"]) - step).astype(np.float32),
        "offset": offset_of(state, len(step)) + step,
    }


def move_back(state: State, before: State) -> dict[str, NDArray[np.generic]]:
    """Take for normal what was before: its offset and its quarter hours; the last rows stay remembered."""
    recent = np.asarray(state["recent"])
    metrics = recent.shape[1]
    step = offset_of(state, metrics) - offset_of(before, metrics)
    moved = {
        **state,
        "slots": before["slots"],
        "recent": (recent + step).astype(np.float32),
        "offset": offset_of(before, metrics),
    }
    return forget_since(moved, float(np.asarray(before["slot"])[0]) * SLOT_S)


def _else(rows: Rows, other: Rows) -> Rows:
    return np.where(np.isnan(rows), other, rows).astype(np.float32)
