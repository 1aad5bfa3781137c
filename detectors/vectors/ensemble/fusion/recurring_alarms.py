"""Alarms that come back every day: a nightly backup, a batch of jobs, a scrub. They are usual, and no alarm.

Of the last seven days it is remembered in which quarter hours an entity was above its threshold, how far, and
how far its metrics were from their day then. A row is usual where all of that was as far on two of the seven
days in the same quarter hours, one earlier or later; or on three of them at any time, as of batch jobs. What
lasts longer than on those days is no longer usual, and neither is what an operator called broken.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from anomalyd.detectors.vectors.ensemble.memory import Batch
from anomalyd.detectors.vectors.ensemble.time_bins import runs_of

_QUARTER_S, _A_DAY, _DAYS = 900.0, 96, 7
_AT_THE_TIME, _AT_ANY = 2, 3
"""Days of seven on which it was so at this time of day, or at any. This and what follows was chosen on made
hosts (docs/validation.md)."""

_FARTHER = 0.5
"""By so much more in logs a job may differ from those before it, in score and in each metric."""

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


@dataclass(frozen=True, slots=True)
class _Days:
    """How many days ago entries (k,) were, which of them count, and on how many days there must be some."""

    ago: NDArray[np.int32]
    counts: NDArray[np.bool_]
    enough: int

    def reached(self, values: NDArray[np.int32], which: NDArray[np.bool_]) -> float:
        """Give what entries `which` (k,) reached on enough of the days, minus infinity where on fewer."""
        highest = np.full(_DAYS + 1, -np.inf)
        which = which & self.counts
        np.maximum.at(highest, self.ago[which], values[which] / _PARTS)
        return float(np.sort(highest)[-self.enough])


def follow(times: Floats, excess: Floats, away: NDArray[np.float32], unit: float, memory: Batch) -> Floats:
    """Give how far rows at times (E, n) lie above the threshold where what is usual is no alarm (E, n).

    `excess` (E, n): how far above it they lie; `away` (K, F): how far the metrics of those K that do are from
    their day, in their own usual distances; `unit`: by how much a score of 1 lies above a usual row.
    `memory` moves on.
    """
    found = excess.copy()
    rows = excess > 0.0
    if not rows.any():
        return found
    metrics, logs = _farthest(away)
    ends = np.cumsum(rows.sum(axis=1))
    for b in np.flatnonzero(rows.any(axis=1) & ~memory.broken).tolist():
        on = np.flatnonzero(rows[b])
        first = int(ends[b]) - len(on)
        for part in runs_of(times[b, on] // _QUARTER_S):
            of = slice(first + part.start, first + part.stop)
            heights = np.log1p(excess[b, on[part]] / unit)
            alarmed = _Alarmed(int(times[b, on[part.start]] // _QUARTER_S), heights, metrics[of], logs[of])
            known = _lately(memory.alarms[b], alarmed.quarter)
            usual = on[part][_usual(known, alarmed)]
            found[b, usual] = -_LEAST / (1.0 + excess[b, usual])
            memory.alarms[b] = _with(known, alarmed)
    return found


def forget_since(memory: Batch, b: int, since: float) -> None:
    """Forget the alarms of an entity since a time: an operator called them broken."""
    memory.alarms[b] = memory.alarms[b][memory.alarms[b][:, _QUARTER] < since // _QUARTER_S]


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
    quarters = known[:, _QUARTER]
    since = alarmed.quarter - quarters + _BESIDE
    days = alarmed.quarter // _A_DAY - quarters // _A_DAY
    past = (since // _A_DAY > 0) & (since // _A_DAY <= _DAYS) & (since % _A_DAY <= 2 * _BESIDE)
    at_the_time = _Days(since // _A_DAY, past, _AT_THE_TIME)
    at_any = _Days(days, (days > 0) & (days <= _DAYS), _AT_ANY)
    return _is_like(known, at_the_time, alarmed) | _is_like(known, at_any, alarmed)


def _is_like(known: Alarms, days: _Days, alarmed: _Alarmed) -> NDArray[np.bool_]:
    """Say which rows are like what was there on enough of the days."""
    lasted = _lasted(known[:, _QUARTER], days)
    if not lasted or _lasts(known[:, _QUARTER], alarmed.quarter) > lasted + _LONGER:
        return np.zeros(len(alarmed.heights), dtype=bool)
    like = alarmed.heights <= days.reached(known[:, _HEIGHT], days.counts) + _FARTHER
    far = np.expm1(alarmed.away)
    looked_at = far >= _ALIKE * far[:, :1]
    looked_at[:, _LOOKED_AT:] = False
    for metric in np.unique(alarmed.metrics[looked_at & like[:, None]]).tolist():
        reached = days.reached(known[:, _AWAY], known[:, _METRIC] == metric)
        farther = looked_at & (alarmed.metrics == metric) & (alarmed.away > reached + _FARTHER)
        like &= ~farther.any(axis=1)
    return like


def _lasts(quarters: NDArray[np.int32], now: int) -> int:
    """Give for how many quarter hours the alarm goes on."""
    earlier = np.unique(quarters[quarters < now])[::-1]
    breaks = np.flatnonzero(-np.diff(earlier, prepend=now) > 1 + _BESIDE)
    return 1 + (int(breaks[0]) if len(breaks) else len(earlier))


def _lasted(quarters: NDArray[np.int32], days: _Days) -> int:
    """Give for how many quarter hours alarms lasted on enough of the days, 0 where there were fewer."""
    longest = np.zeros(_DAYS + 1, dtype=np.int64)
    for day in np.unique(days.ago[days.counts]).tolist():
        its = np.unique(quarters[days.ago == day])
        runs = np.split(its, np.flatnonzero(np.diff(its) > 1 + _BESIDE) + 1)
        longest[day] = max(len(run) for run in runs)
    return int(np.sort(longest)[-days.enough])
