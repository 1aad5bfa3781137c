"""What a row is compared with: the minutes before it, the hours before it, and this time of the last days.

Everything is in usual widths from the training median (`scaling.Scale`), NaN where missing, and nothing of
the row itself or of later ones goes into what it is compared with.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from anomalyd.detectors.detector import State

Rows = NDArray[np.float32]

SLOT_S = 900.0
"""A daily profile needs slots that several rows share and that are short beside a scheduled job: a quarter of
an hour holds three rows of five minutes."""

_DAY = 96
_DAYS = 7
_SLOTS = _DAY * _DAYS
_SIX_HOURS = 24
_RECENT = 15
_LARGEST = 30.0
"""A slot's mean takes no deviation for larger: one spike must not become the profile of its time of day."""


@dataclass(frozen=True, slots=True)
class Surroundings:
    """Of n rows (n, F): what each is compared with, and what is remembered after the last.

    `mean5`, `median15`, `mean10`: of the 5, 15, 10 rows before; `hours6`, `day`: medians of the quarter hours
    of the last 6 and 24 hours; `profile`: median of this time of day, a quarter of an hour about it, on the
    last 7 days. What has no past yet is the next shorter of these, the row itself at last.
    """

    mean5: Rows
    mean10: Rows
    median15: Rows
    hours6: Rows
    day: Rows
    profile: Rows
    state: dict[str, NDArray[np.generic]]


def look_around(times: NDArray[np.float64], rows: Rows, state: State, *, learn: bool = True) -> Surroundings:
    """Look around each of n rows (n, F) at event times (n,), in rising order, given what was remembered.

    Unless they are to `learn` from, the rows go into no quarter hour.
    """
    n, metrics = rows.shape
    if "recent" in state:
        recent, slots = np.asarray(state["recent"]), np.array(state["slots"], dtype=np.float32)
        total, count = np.array(state["slot_sum"]), np.array(state["slot_count"])
        newest = int(np.asarray(state["slot"])[0])
    else:
        recent = np.full((_RECENT, metrics), np.nan, dtype=np.float32)
        slots = np.full((_SLOTS, metrics), np.nan, dtype=np.float32)
        total, count = np.zeros(metrics), np.zeros(metrics)
        newest = int(times[0] // SLOT_S) if n else 0
    joined = np.concatenate([recent, rows])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # a metric that was missing all the time stays NaN
        windows = np.lib.stride_tricks.sliding_window_view(joined, _RECENT, axis=0)[:n]
        whole = not np.isnan(windows).any()
        median15 = (np.median if whole else np.nanmedian)(windows, axis=2)
        mean10 = (np.mean if whole else np.nanmean)(windows[:, :, 5:], axis=2)
        mean5 = (np.mean if whole else np.nanmean)(windows[:, :, 10:], axis=2)
        hours6, day, profile = (np.empty_like(rows) for _ in range(3))
        of_row = (times // SLOT_S).astype(np.int64)
        cuts = np.flatnonzero(np.diff(of_row, prepend=of_row[:1] - 1)) if n else np.empty(0, dtype=np.int64)
        for begin, end in zip(cuts, [*cuts[1:], n], strict=True):
            now = int(of_row[begin])
            if now > newest:
                slots[newest % _SLOTS] = np.where(count > 0, total / np.maximum(count, 1), np.nan)
                # The slots in which nothing came are those of a week ago until they are emptied.
                for passed in range(newest + 1, min(now, newest + _SLOTS)):
                    slots[passed % _SLOTS] = np.nan
                total, count, newest = np.zeros(metrics), np.zeros(metrics), now
            part = slice(begin, end)
            hours6[part] = np.nanmedian(slots[np.arange(now - _SIX_HOURS, now) % _SLOTS], axis=0)
            day[part] = np.nanmedian(slots[np.arange(now - _DAY, now) % _SLOTS], axis=0)
            about = np.arange(1, _DAYS + 1) * -_DAY + now
            # The slot a week and a quarter ago has been written over by the last one: only those within it.
            same = np.concatenate([about[:-1] - 1, about, about + 1])
            profile[part] = np.nanmedian(slots[same % _SLOTS], axis=0)
            if not learn:
                continue
            clipped = np.clip(rows[part], -_LARGEST, _LARGEST)
            total = total + np.nansum(clipped, axis=0)
            count = count + (~np.isnan(clipped)).sum(axis=0)
    median15 = _else(median15, rows)
    hours6 = _else(_else(hours6, day), median15)
    # What is broken is not learnt, and after a day of it only this time of the days before is left.
    day = _else(_else(day, profile), hours6)
    return Surroundings(
        mean5=_else(mean5, median15),
        mean10=_else(mean10, median15),
        median15=median15,
        hours6=hours6,
        day=day,
        profile=_else(profile, day),
        state={
            "recent": joined[-_RECENT:].copy(),
            "slots": slots.astype(np.float16),
            "slot_sum": total,
            "slot_count": count,
            "slot": np.array([newest]),
        },
    )


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
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        here = np.nanmedian(past[same], axis=0)
        here = np.where(np.isnan(here), np.nanmedian(past, axis=0), here)
        step = np.nan_to_num(np.nanmedian(np.asarray(state["recent"]), axis=0) - here).astype(np.float32)
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
