"""When metrics left their usual course: the change point that belongs to an incident, and others.

A change point is estimated as by Page, "Continuous inspection schemes", Biometrika 1954: the last row at
which the cumulative sum of departures was 0. It belongs to an incident where it lies close before the onset,
or where the metric is still on the move then. A metric that had gone to another level before, and stood there
when something else broke, has its usual course at that level.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from anomalyd.detectors.detector import Floats

LATE = 10
"""Rows by which detectors see a clear fault late at most."""

_LATEST = 30
"""Rows by which any fault is seen late: what stands for longer was not it, whatever else happened."""

_DEPARTED = 2.5
"""Usual widths from which a row belongs to a departure."""

_SLACK, _MOST = 1.5, 4.0
"""Usual widths that a cumulative sum takes for usual, and what one row counts for at most."""

_FORGOTTEN = 10.0
"""What the sum comes to at most: some rows as usual end a departure, however long it was."""

CLEARLY = 10.0
"""Usual widths by which a metric leaps where nobody doubts that it began there."""

_MOVES_ON = 0.12
"""Part of its departure by which a metric moves on within ten rows if it is still under way."""

_BY_CHANCE = 2.0
"""Of what neighbouring rows differ by, so much levels of five rows may differ by without any move."""

_ON_THE_WAY = 0.3
"""Part of its departure that it then still had before it in the first half of the time."""

_LEVEL = 5
"""Rows that a level is taken of."""

REACH = 2.5
"""Usual widths of the furthest that a metric went before: who always bursts did not depart with one more."""

LEAST = 8
"""Fewer rows say nothing of what is usual."""

LAST_ROWS = 30
"""Rows that a centre is taken of: enough for a median, few enough to follow a daily course."""

_MAD_TO_SIGMA = 1.4826
_RANGE_TO_SIGMA = 3.29  # from the 5 % to the 95 % quantile of a normal distribution

Rows = NDArray[np.float64]


def departure_starts(away: Rows) -> NDArray[np.int64]:
    """Give the row (F,) at which the departure began that the last of rows (n, F) is in; n: it is in none.

    `away`: signed departures in usual widths, NaN where missing.
    """
    side = np.sign(away[-1])
    steps = np.clip(np.nan_to_num(away * side), -_MOST, _MOST) - _SLACK
    summed, least = np.zeros(away.shape[1]), np.zeros(away.shape[1], dtype=np.int64)
    for k, step in enumerate(steps, 1):
        np.clip(summed + step, 0.0, _FORGOTTEN, out=summed)
        least[summed == 0.0] = k
    # A row that is a little away by chance just before is not of it.
    beyond = (np.arange(len(away))[:, None] >= least) & (away * side > _DEPARTED)
    begun = np.where(beyond.any(axis=0), np.argmax(beyond, axis=0), len(away) - 1)
    found: NDArray[np.int64] = np.where(np.abs(away[-1]) > _DEPARTED, begun, len(away))
    return found


def since_earlier_changes(rows: Rows, width: Floats) -> Rows:
    """Give rows (n, F), the last being the onset, with NaN before a change that does not belong to it.

    A metric had changed before if it was away `LATE` rows before the onset and stood there. That is taken for
    another matter where some metric clearly leaps within these rows, or where it had stood for 30 rows.
    `width` (F,) stands in for the scatter of metrics that never moved.
    """
    if len(rows) < LAST_ROWS + LATE:
        return rows
    until = len(rows) - LATE
    before = rows[:until]
    earlier = before[: max(LEAST, len(before) - LAST_ROWS)]
    usual = quantiles(earlier, 0.5)[0]
    # Of a change that lies among the earlier rows the range would know nothing.
    spread = _MAD_TO_SIGMA * quantiles(np.abs(earlier - usual), 0.5)[0]
    spread = np.where(spread > 0, spread, np.fmax(scatter(earlier), np.nan_to_num(width, nan=0.0)))
    with np.errstate(invalid="ignore", divide="ignore"):
        away = (before - usual) / spread
        # What a single row does is no level.
        away[-1] = quantiles(away[-_LEVEL:], 0.5)[0]
        starts = departure_starts(away)
        level = quantiles(before[-_LEVEL:], 0.5)[0]
        moving = _moving(before, starts, level, np.abs(level - usual))
        lately = np.nan_to_num(np.abs(before[-LAST_ROWS:] - level), nan=0.0).max(axis=0)
        from_level = away - (level - usual) / spread
        leapt = bool(np.any(np.abs(rows[-1] - level) > CLEARLY * np.fmax(spread, lately / REACH)))
    old = (starts < until) & ~moving & (leapt | (starts < until - (_LATEST - LATE)))
    cut = np.where(old, np.minimum(_arrivals(from_level, starts), until - LEAST), 0)
    found: Rows = np.where(np.arange(len(rows))[:, None] < cut, np.nan, rows)
    return found


def _arrivals(from_level: Rows, starts: NDArray[np.int64]) -> NDArray[np.int64]:
    """Give the row (F,) from which metrics that departed at `starts` stood at a level."""
    off = np.abs(from_level) > _DEPARTED
    off[1:] &= off[:-1]  # two in a row
    last = len(off) - np.argmax(off[::-1], axis=0)
    found: NDArray[np.int64] = np.where(off.any(axis=0), np.maximum(last, starts), starts)
    return found


def _moving(before: Rows, starts: NDArray[np.int64], level: Rows, gone: Rows) -> NDArray[np.bool_]:
    """Say which metrics (F,) of rows (n, F), departed at `starts` and `gone` so far, are under way yet.

    They still move, and were not yet at their `level` in the first half of the departure.
    """
    at = np.arange(len(before))[:, None]
    first_half = np.where((at >= starts) & (2 * at < starts + len(before)), before, np.nan)
    noise = quantiles(np.abs(np.diff(before, axis=0)), 0.5)[0]
    shortly = quantiles(before[-3 * _LEVEL : -2 * _LEVEL], 0.5)[0]
    moved = np.abs(level - shortly) > np.maximum(_MOVES_ON * gone, _BY_CHANCE * noise)
    found: NDArray[np.bool_] = moved & (np.abs(level - quantiles(first_half, 0.5)[0]) > _ON_THE_WAY * gone)
    return found


def centre(rows: Rows) -> Rows:
    """Give the median (F,) of the last rows of (h, F)."""
    found: Rows = quantiles(rows[-LAST_ROWS:], 0.5)[0]
    return found


def scatter(rows: Rows) -> Rows:
    """Give the width (F,): what outliers do not move, or the range where a metric bursts now and then."""
    low, middle, high = quantiles(rows, 0.05, 0.5, 0.95)
    median_deviation = quantiles(np.abs(rows - middle), 0.5)[0]
    width: Rows = np.fmax(_MAD_TO_SIGMA * median_deviation, (high - low) / _RANGE_TO_SIGMA)
    return width


def quantiles(rows: Rows, *shares: float) -> Rows:
    """Give quantiles (Q, F) of the known rows (h, F), NaN where none is; the nearest row, nothing between."""
    ordered = np.sort(rows, axis=0)  # NaN last
    counts = np.isfinite(ordered).sum(axis=0)
    found = np.full((len(shares), rows.shape[1]), np.nan)
    for q, share in enumerate(shares):
        place = np.clip(np.rint(share * (counts - 1)).astype(np.int64), 0, None)
        if len(ordered):
            found[q] = np.where(
                counts > 0, ordered[np.minimum(place, len(ordered) - 1), range(rows.shape[1])], np.nan
            )
    return found
