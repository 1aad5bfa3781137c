"""Alarms that come back every day: a nightly backup, a batch of jobs, a scrub. They are usual, and no alarm.

Of the last seven days it is remembered in which quarter hours an entity was above its threshold, how far, and
how far its metrics were from their day then. A row is usual where an alarm like it was there on three of the
seven days in the same quarter hour, one earlier or later; or on four of them at any time, as of batch jobs.
Alike is what is about as high, and of whose farthest metrics each was about as far. On one of the first two
days of the week that knew it, it must have been so already: what grows a little from day to day, a leak, is
told once a week made it half as high again. What lasts longer than on those days is no longer usual, and
neither is what an operator called broken. The first rows of an alarm are left as they are: a jolt of a row or
two is told, and opens no incident.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from anomalyd.detectors.vectors.ensemble.memory import Batch
from anomalyd.detectors.vectors.ensemble.time_bins import runs_of

_QUARTER_S, _A_DAY, _DAYS = 900.0, 96, 7
_AT_THE_TIME, _AT_ANY = 3, 4
"""Days of seven on which it was so at this time of day, or at any. One day less of each halves the false
alarms of made hosts, but holds back events that come back on labelled machines, too (docs/validation.md)."""

_TOLD = 2
"""Rows of each alarm that are never held back: by default the third opens an incident."""

_FARTHER = 0.5
"""By so much more in logs a job may differ from those before it, in score and in each metric."""

_FIRST = 2
"""Days of the week that knew a job first: on one of them it was like it is now, or it grows."""

_LONGER = 1
"""Quarter hours by which it may last longer."""

_BESIDE = 1
"""Quarter hours by which a job begins earlier or later; and that lie between two parts of one alarm."""

_LOOKED_AT, _ALIKE = 3, 0.5
"""The farthest metrics are compared, where they are at least half as far as the farthest of all."""

_REMEMBERED, _MOST = 10, 2000
"""Entries that are kept, the farthest metrics of each quarter hour: who alarms more has no usual alarms."""

_PARTS = 1000.0

_LEAST = 0.1
"""The raw score of what is usual is at most so little below the threshold: ranks go on being told apart."""

_QUARTER, _METRIC, _HEIGHT, _AWAY = range(4)

Floats = NDArray[np.float64]
Alarms = NDArray[np.int32]


@dataclass(frozen=True, slots=True)
class _Alarmed:
    """Rows of an entity above the threshold, in one quarter hour: logs of their scores, `heights` (K,), the
    farthest `metrics` (K, M), and logs of how far these are `away` (K, M), falling."""

    quarter: int
    heights: Floats
    metrics: NDArray[np.int64]
    away: Floats


def follow(times: Floats, excess: Floats, away: NDArray[np.float32], unit: float, memory: Batch) -> Floats:
    """Give how far rows at times (E, n) lie above the threshold where what is usual is no alarm (E, n).

    `excess` (E, n): how far above it they lie; `away` (K, F): how far the metrics of those K that do are from
    their day, in their own usual distances; `unit`: by how much a score of 1 lies above a usual row.
    `memory` moves on.
    """
    found, alarms = excess.copy(), excess > 0.0
    above = _rows_above(alarms, memory)
    if not alarms.any():
        return found
    metrics, logs = _farthest(away)
    ends = np.cumsum(alarms.sum(axis=1))
    for b in np.flatnonzero(alarms.any(axis=1) & ~memory.broken).tolist():
        on = np.flatnonzero(alarms[b])
        first = int(ends[b]) - len(on)
        for part in runs_of(times[b, on] // _QUARTER_S):
            of, rows = slice(first + part.start, first + part.stop), on[part]
            heights = np.log1p(excess[b, rows] / unit)
            alarmed = _Alarmed(int(times[b, rows[0]] // _QUARTER_S), heights, metrics[of], logs[of])
            known = _lately(memory.alarms[b], alarmed.quarter)
            usual = rows[_usual(known, alarmed) & (above[b, rows] > _TOLD)]
            found[b, usual] = -_LEAST / (1.0 + excess[b, usual])
            memory.alarms[b] = _with(known, alarmed)
    return found


def forget_since(memory: Batch, b: int, since: float) -> None:
    """Forget the alarms of an entity since a time: an operator called them broken."""
    memory.alarms[b] = memory.alarms[b][memory.alarms[b][:, _QUARTER] < since // _QUARTER_S]


def _rows_above(alarms: NDArray[np.bool_], memory: Batch) -> NDArray[np.int64]:
    """Count the rows in a row above the threshold up to each (E, n), 0 where it is not."""
    at = np.arange(alarms.shape[1])
    below = np.maximum.accumulate(np.where(alarms, -1, at), axis=1)
    count = np.where(below < 0, at + 1 + memory.above[:, None], at - below)
    memory.above[:] = count[:, -1]
    return count


def _farthest(away: NDArray[np.float32]) -> tuple[NDArray[np.int64], Floats]:
    """Give the farthest metrics (K, M) of rows (K, F), and logs of how far they are."""
    order = np.argsort(-away, axis=1)[:, :_REMEMBERED]
    return order, np.log1p(np.take_along_axis(away, order, axis=1).astype(np.float64))


def _lately(alarms: Alarms, quarter: int) -> Alarms:
    return alarms[alarms[:, _QUARTER] > quarter - (_DAYS + 1) * _A_DAY]


def _with(known: Alarms, alarmed: _Alarmed) -> Alarms:
    """Add the highest of a quarter hour, by metric."""
    rows, count = alarmed.metrics.shape
    fresh = np.empty((rows * count, 4), dtype=np.int32)
    fresh[:, _QUARTER], fresh[:, _METRIC] = alarmed.quarter, alarmed.metrics.ravel()
    fresh[:, _HEIGHT] = np.rint(np.repeat(alarmed.heights, count) * _PARTS)
    fresh[:, _AWAY] = np.rint(alarmed.away.ravel() * _PARTS)
    now = known[:, _QUARTER] == alarmed.quarter
    fresh = np.concatenate([known[now], fresh])
    each, of = np.unique(fresh[:, _METRIC], return_inverse=True)
    highest = np.zeros((len(each), 4), dtype=np.int32)
    np.maximum.at(highest, of, fresh)
    return np.concatenate([known[~now], highest])[-_MOST:]


def _usual(known: Alarms, alarmed: _Alarmed) -> NDArray[np.bool_]:
    """Say which rows are usual."""
    usual = np.zeros(len(alarmed.heights), dtype=bool)
    quarters, of = np.unique(known[:, _QUARTER], return_inverse=True)
    if len(quarters) < min(_AT_THE_TIME, _AT_ANY):
        return usual
    its, like = _are_like(known, of, len(quarters), alarmed)
    since = alarmed.quarter - quarters + _BESIDE
    at_the_time = np.where(since % _A_DAY <= 2 * _BESIDE, since // _A_DAY, 0)
    days = alarmed.quarter // _A_DAY - quarters // _A_DAY
    lasts = _lasts(quarters, alarmed.quarter)
    for ago, split, enough in ((at_the_time, since // _A_DAY, _AT_THE_TIME), (days, days, _AT_ANY)):
        if lasts <= _lasted(quarters, split, enough) + _LONGER:
            usual |= _come_back(_by_day(its, ago), _by_day(like, ago), enough)
    return usual


def _are_like(
    known: Alarms, of: NDArray[np.intp], count: int, alarmed: _Alarmed
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Say in which of the quarter hours the farthest metrics of rows were far, too (K, Q); and to which of
    them rows are like (K, Q): as high, and each metric as far."""
    height = np.zeros(count)
    np.maximum.at(height, of, known[:, _HEIGHT] / _PARTS)
    like: NDArray[np.bool_] = alarmed.heights[:, None] <= height + _FARTHER
    its = np.ones(like.shape, dtype=bool)
    far = np.expm1(alarmed.away)
    looked_at = far >= _ALIKE * far[:, :1]
    looked_at[:, _LOOKED_AT:] = False
    for metric in np.unique(alarmed.metrics[looked_at]).tolist():
        away = np.full(count, -np.inf)
        those = known[:, _METRIC] == metric
        away[of[those]] = known[those, _AWAY] / _PARTS
        row, place = np.nonzero(looked_at & (alarmed.metrics == metric))
        like[row] &= alarmed.away[row, place][:, None] <= away + _FARTHER
        its[row] &= np.isfinite(away)
    return its, like


def _by_day(those: NDArray[np.bool_], ago: NDArray[np.int32]) -> NDArray[np.bool_]:
    """Say on which of the last days there was one of those (K, Q), the first day first (K, 7); (Q,) days
    ago."""
    return np.stack([those[:, ago == day].any(axis=1) for day in range(_DAYS, 0, -1)], axis=1)


def _come_back(its: NDArray[np.bool_], like: NDArray[np.bool_], enough: int) -> NDArray[np.bool_]:
    """Say which rows (K,) come back: like those of enough days (K, 7), one of the first among them."""
    first = its & (its.cumsum(axis=1) <= _FIRST)
    back: NDArray[np.bool_] = (like.sum(axis=1) >= enough) & (like & first).any(axis=1)
    return back


def _lasts(quarters: NDArray[np.int32], now: int) -> int:
    """Give for how many quarter hours the alarm goes on."""
    earlier = quarters[quarters < now][::-1]
    breaks = np.flatnonzero(-np.diff(earlier, prepend=now) > 1 + _BESIDE)
    return 1 + (int(breaks[0]) if len(breaks) else len(earlier))


def _lasted(quarters: NDArray[np.int32], ago: NDArray[np.int32], enough: int) -> int:
    """Give for how many quarter hours alarms lasted on enough of the last days, 0 where there were fewer."""
    longest = np.zeros(_DAYS + 1, dtype=np.int64)
    for day in range(1, _DAYS + 1):
        its = quarters[ago == day]
        runs = np.split(its, np.flatnonzero(np.diff(its) > 1 + _BESIDE) + 1)
        longest[day] = max(len(run) for run in runs)
    return int(np.sort(longest)[-enough])
