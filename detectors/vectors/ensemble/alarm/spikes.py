"""Jolts: rows at which all metrics together leap further than at nearly any row of the last seven days.

How far they leap is said twice, and multiplied: in usual widths, where one metric that leaps a hundred of
them counts, and by each metric's own one leap in a hundred, at most ten times, where many count that leap a
little further than they ever do. Of each day the largest leaps are kept, so that the quantile of a week is
exact where jolts are as rare as they should be; beyond the tenth largest it falls exponentially (peaks over
threshold: Pickands, "Statistical inference using extreme order statistics", Ann. Stat. 3, 1975).
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from anomalyd.detectors.vectors.ensemble.feature_extraction import Followed
from anomalyd.detectors.vectors.ensemble.memory import Batch
from anomalyd.detectors.vectors.ensemble.time_bins import runs_of

_OWN = 0.5
"""Weight of the log of the leaps in each metric's own units beside the log of those in usual widths."""

_OWN_AT_MOST = 10.0
_WIDTHS_AT_MOST = 20.0
"""Times the most that a metric counts for elsewhere: a leap is told from a larger one for longer."""

LEAST_LEAP = 0.3
"""Usual widths that a metric may always leap by, before it says anything."""

_CONFIRMED = 2.5
"""Nats: a leap is an alarm where the quick views together find the row as rare, too."""

_TAIL = 10
"""Largest leaps of the week that give the tail."""

_DAY_S, _EACH_S = 86_400.0, 3 * 3600.0
_LEAST_ROWS = 500
"""Rows that must have been seen before any is a jolt."""

Floats = NDArray[np.float64]


def flips_of(rows: NDArray[np.float32]) -> NDArray[np.float32]:
    """Give how far the two values of each switch lie apart in training rows (T, F), NaN where missing: (F,).

    0 for a metric that showed one value or more than two: it is no switch.
    """
    flips = np.zeros(rows.shape[1], dtype=np.float32)
    for f, column in enumerate(rows.T):
        values = np.unique(column[np.isfinite(column)])
        if len(values) == 2:
            flips[f] = values[1] - values[0]
    return flips


def leaps_of(followed: Followed, clip: NDArray[Any], own: NDArray[Any], flip: NDArray[Any]) -> Floats:
    """Give the log of how far all metrics leapt to each row (E, n).

    `clip` (E, F): usual widths that a metric counts for at most; `own` (E, F): 99 % quantile of its leaps;
    `flip` (E, F): how far a switch leaps from one of its two values to the other, which is no news.
    """
    largest = _WIDTHS_AT_MOST * clip[:, None]
    last = np.clip(np.nan_to_num(followed.around.last), -largest, largest)
    leapt = np.abs(np.clip(followed.rows, -largest, largest) - last) * followed.observed
    leapt = np.maximum(leapt - flip[:, None], 0.0)
    whole = leapt.shape[-1] / np.maximum(followed.observed.sum(axis=-1), 1.0)
    widths = leapt.sum(axis=-1) * whole
    owned = np.minimum(leapt / own[:, None], _OWN_AT_MOST).sum(axis=-1) * whole
    found: Floats = (np.log(widths + 1e-3) + _OWN * np.log(owned + 1e-3)).astype(np.float64)
    return found


def follow(times: Floats, leaps: Floats, memory: Batch, share: float) -> Floats:
    """Give how far leaps (E, n) at times (E, n) lie above what a `share` of the rows of a week exceeds.

    In logs; infinitely far below where nothing is known yet. The threshold is measured every three hours.
    `memory` moves on.
    """
    slots, days = times // _EACH_S, times // _DAY_S
    begins = (slots[:, -1] > memory.leap_measured) | (days[:, -1] > memory.leap_day)
    over = leaps - memory.leap_threshold[:, None]
    for b in np.flatnonzero(begins).tolist():
        for part in runs_of(slots[b]):
            _begin(memory, b, float(slots[b, part.start]), float(days[b, part.start]), share)
            over[b, part] = leaps[b, part] - memory.leap_threshold[b]
            _add(memory, slice(b, b + 1), leaps[b : b + 1, part])
    if begins.all():
        return over
    others = np.flatnonzero(~begins) if begins.any() else slice(None)
    _add(memory, others, leaps[others])
    return over


def confirmed(over: Floats, quick: Floats) -> Floats:
    """Keep how far leaps lie above their threshold (E, n) where the quick mean of the views (E, n) agrees."""
    kept: Floats = np.where(quick >= _CONFIRMED, over, -np.inf)
    return kept


def _begin(memory: Batch, b: int, slot: float, day: float, share: float) -> None:
    """Measure the threshold of an entity where three hours begin, and make room where a day begins."""
    if slot > memory.leap_measured[b]:
        memory.leap_measured[b] = slot
        rows = float(memory.leap_rows[b].sum())
        if rows >= _LEAST_ROWS:
            memory.leap_threshold[b] = _threshold(memory.leaps[b], rows, share)
    if day > memory.leap_day[b]:
        memory.leap_day[b] = day
        # The oldest makes room; days without rows are not days of quiet.
        memory.leaps[b], memory.leap_rows[b] = (
            np.roll(memory.leaps[b], 1, axis=0),
            np.roll(memory.leap_rows[b], 1),
        )
        memory.leaps[b, 0], memory.leap_rows[b, 0] = -np.inf, 0.0


def _add(memory: Batch, which: slice | NDArray[np.int64], leaps: Floats) -> None:
    """Keep the largest of today and of leaps (B, n) of some entities."""
    new, n = leaps.astype(np.float16).astype(np.float32), leaps.shape[1]
    today = memory.leaps[which, 0]
    larger = np.flatnonzero(new.max(axis=1) > today[:, 0])
    if len(larger):
        both = np.concatenate([today[larger], new[larger]], axis=1)
        today[larger] = np.sort(both, axis=1)[:, n:]
        memory.leaps[which, 0] = today
    memory.leap_rows[which, 0] += n


def _threshold(tops: NDArray[np.float32], rows: float, share: float) -> float:
    """Give what a share of `rows` rows exceeds, of which these were the largest."""
    ordered = np.sort(tops[np.isfinite(tops)].astype(np.float64))[::-1]
    wanted = share * rows
    if wanted >= _TAIL:
        return float(ordered[min(math.ceil(wanted), len(ordered) - 1)])
    tenth = ordered[min(_TAIL, len(ordered)) - 1]
    scale = max(float(np.mean(ordered[:_TAIL] - tenth)), 1e-3)
    return float(tenth + scale * math.log(_TAIL / max(wanted, 1e-9)))
