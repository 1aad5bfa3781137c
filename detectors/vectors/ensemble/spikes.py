"""Jolts: rows at which all metrics together leap further than at nearly any row of the last seven days.

How far they leap is said twice, and multiplied: in usual widths, where one metric that leaps a hundred of
them counts, and by each metric's own one leap in a hundred, at most ten times, where many count that leap a
little further than they ever do. Of each day the largest leaps are kept, so that the quantile of a week is
exact where jolts are as rare as they should be; beyond the tenth largest it falls exponentially (peaks over
threshold: Pickands, "Statistical inference using extreme order statistics", Ann. Stat. 3, 1975).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from anomalyd.detectors.vectors.ensemble.feature_extraction import Followed
from anomalyd.detectors.vectors.ensemble.time_bins import runs_of

_OWN = 0.5
"""Weight of the log of the leaps in each metric's own units beside the log of those in usual widths."""

_OWN_AT_MOST = 10.0
_WIDTHS_AT_MOST = 20.0
"""Times the most that a metric counts for elsewhere: a leap is told from a larger one for longer."""

LEAST_LEAP = 0.3
"""Usual widths that a metric may always leap by, before it says anything."""

_DAYS = 7
_LARGEST = 128
"""Leaps kept of each day: with one row in a second a week's 99.9 % is the 600th largest of 896."""

_TAIL = 10
"""Largest leaps of the week that give the tail."""

_DAY_S, _EACH_S = 86_400.0, 3 * 3600.0
_LEAST_ROWS = 500
"""Rows that must have been seen before any is a jolt."""

Floats = NDArray[np.float64]


def leaps_of(followed: Followed, clip: NDArray[Any], own: NDArray[Any]) -> Floats:
    """Give the log of how far all metrics leapt to each row (n,).

    `clip` (F,): usual widths that a metric counts for at most; `own` (F,): 99 % quantile of its leaps.
    """
    largest = _WIDTHS_AT_MOST * clip
    last = np.clip(np.nan_to_num(followed.around.last), -largest, largest)
    leapt = np.abs(np.clip(followed.rows, -largest, largest) - last) * followed.observed
    whole = leapt.shape[1] / np.maximum(followed.observed.sum(axis=1), 1.0)
    widths = leapt.sum(axis=1) * whole
    owned = np.minimum(leapt / own, _OWN_AT_MOST).sum(axis=1) * whole
    found: Floats = (np.log(widths + 1e-3) + _OWN * np.log(owned + 1e-3)).astype(np.float64)
    return found


def follow(
    times: Floats, leaps: Floats, state: Mapping[str, NDArray[Any]], share: float
) -> tuple[Floats, dict[str, NDArray[Any]]]:
    """Give how far leaps (n,) at times (n,) lie above what a `share` of the rows of a week exceeds, in logs.

    Infinitely far below where nothing is known yet. The threshold is measured every three hours.
    """
    tops = np.array(state.get("leaps", np.full((_DAYS, _LARGEST), -np.inf, dtype=np.float32)))
    rows = np.array(state.get("leaps_rows", np.zeros(_DAYS)))
    day, measured, threshold = (float(x) for x in state.get("leaps_at", (-1.0, -1.0, math.inf)))
    over = np.empty(len(leaps))
    slots = times // _EACH_S
    for part in runs_of(slots):
        start = part.start
        if slots[start] > measured:
            measured = float(slots[start])
            if rows.sum() >= _LEAST_ROWS:
                threshold = _threshold(tops, rows.sum(), share)
        over[part] = leaps[part] - threshold
        if times[start] // _DAY_S > day:
            day = float(times[start] // _DAY_S)
            # The oldest makes room; days without rows are not days of quiet.
            tops, rows = np.roll(tops, 1, axis=0), np.roll(rows, 1)
            tops[0], rows[0] = -np.inf, 0.0
        both = np.concatenate([tops[0], leaps[part].astype(np.float32)])
        tops[0] = np.sort(both)[-_LARGEST:]
        rows[0] += part.stop - start
    return over, {"leaps": tops, "leaps_rows": rows, "leaps_at": np.array([day, measured, threshold])}


def _threshold(tops: NDArray[np.float32], rows: float, share: float) -> float:
    """Give what a share of `rows` rows exceeds, of which these were the largest."""
    ordered = np.sort(tops[np.isfinite(tops)].astype(np.float64))[::-1]
    wanted = share * rows
    if wanted >= _TAIL:
        return float(ordered[min(math.ceil(wanted), len(ordered) - 1)])
    tenth = ordered[min(_TAIL, len(ordered)) - 1]
    scale = max(float(np.mean(ordered[:_TAIL] - tenth)), 1e-3)
    return float(tenth + scale * math.log(_TAIL / max(wanted, 1e-9)))
