"""What was usual of each metric before an onset, frozen: what every part of a report compares with.

A detector's own expectation follows the entity, and so follows a fault that lasts. The reference does not: it
is the median of the rows before the metric began to depart (Iglewicz and Hoaglin, "How to detect and handle
outliers", 1993, for median and MAD as centre and width).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from anomalyd.detectors.detector import Floats
from anomalyd.interpret.change_point import (
    CLEARLY,
    LAST_ROWS,
    LATE,
    LEAST,
    REACH,
    Rows,
    centre,
    departure_starts,
    quantiles,
    scatter,
    since_earlier_changes,
)

_STUCK_RUNS, _STUCK_ROWS = 4, 6
"""A metric is stuck when it repeats its value so many times as often in a row as it usually does, and for at
least so many rows, ..."""

_BY_CHANCE = 1e-4
"""... and when one that repeats itself as often as it does stands so long with no more than this chance."""

_LATE_STUCK = 48
"""Rows by which a detector sees late that a metric stands still: what stood for longer was not it."""

_FURTHER = 1.6 * REACH
"""Such widths from which a metric leapt: over half as far again as it ever went."""


@dataclass(frozen=True, slots=True)
class Reference:
    """Of F metrics: what was expected of each, in its unit, how wide it usually scatters, `reach`, the width
    that the furthest it went before implies, and `runs`, the rows in a row with the same value from which it
    is stuck."""

    expected: NDArray[np.float32]
    width: NDArray[np.float32]
    reach: NDArray[np.float32]
    runs: NDArray[np.int64]

    @classmethod
    def before(cls, rows: Floats, onset: Floats, expected: Floats, width: Floats) -> Reference:
        """Measure what was usual in rows (h, F) before the row `onset` (F,), at which an incident began.

        `expected` and `width` (F,), the detector's own, stand in for metrics of which too little was seen
        before, and for the width of those that never moved.
        """
        observed = np.vstack([rows, onset]).astype(np.float64)
        with_onset = since_earlier_changes(observed, width)
        before = with_onset[:-1]
        # A departure that grew slowly fills the last rows: it is looked for from further back.
        long = np.isfinite(before).sum(axis=0) >= LAST_ROWS + LEAST
        latest = np.arange(len(before))[:, None] >= len(before) - LAST_ROWS
        earlier = np.where(long & latest, np.nan, before)
        middle, spread = centre(before), scatter(earlier)
        usable = np.where(spread > 0, spread, width)
        with np.errstate(invalid="ignore", divide="ignore"):
            begins = departure_starts((with_onset - quantiles(earlier, 0.5)[0]) / usable)
        stood = run_lengths(with_onset)[-1]
        still = stood >= stuck_from(observed, _late(observed, middle, usable))
        for f in np.flatnonzero((begins < len(before)) | still):
            if still[f]:
                own = before[: len(before) + 1 - stood[f], f]
            else:
                # As many rows again are left out: what grows was there before it could be told.
                own = before[: max(2 * begins[f] - len(before), min(LEAST, begins[f])), f]
            if np.isfinite(own).any():
                middle[f], spread[f] = centre(own[:, None])[0], scatter(own[:, None])[0]
        known = (np.isfinite(before).sum(axis=0) >= LEAST) & np.isfinite(middle)
        middle = np.where(known, middle, expected)
        spread = np.where(known & np.isfinite(spread) & (spread > 0), spread, width)
        # A metric that never moved is asked to move by a thousandth of its size before it counts.
        floor = np.maximum(1e-3 * np.abs(middle), np.finfo(np.float32).tiny)
        spread = np.fmax(np.nan_to_num(spread, nan=0.0), floor)
        return cls.frozen(middle, spread, observed)

    @classmethod
    def frozen(cls, expected: Floats, width: Floats, before: Floats) -> Reference:
        """Take up one that was frozen, with rows (h, F) up to its onset."""
        return cls(
            expected.astype(np.float32),
            width.astype(np.float32),
            _reach(before.astype(np.float64), expected, width),
            stuck_from(before, _late(before.astype(np.float64), expected, width)),
        )

    def departures(self, values: Floats) -> NDArray[np.float64]:
        """Give how far values (..., F) are from what was expected, in usual widths, signed; NaN: missing."""
        away: NDArray[np.float64] = (values.astype(np.float64) - self.expected) / self.width
        return away


def expected_course(
    before: Floats, starts: NDArray[np.int64], expected: Floats, rows: int
) -> NDArray[np.float32]:
    """Give what each metric would have sent in so many rows: its own course before it departed, mirrored.

    `before` (h, F) are the rows before an onset, `starts` (F,) where in them each metric departed (h where
    only later), `expected` (F,) about what the course is laid. It keeps the usual noise, so that what is put
    back does not stand still.
    """
    found = np.repeat(expected.astype(np.float32)[None], rows, axis=0)
    for f, start in enumerate(starts):
        own = before[max(0, start - max(rows, LAST_ROWS)) : start, f].astype(np.float64)
        own = own[np.isfinite(own)]
        if len(own) < LEAST:
            continue
        mirrored = np.pad(own[::-1], (0, max(0, rows - len(own))), mode="reflect" if len(own) > 1 else "edge")
        found[:, f] += (mirrored[:rows] - np.median(own)).astype(np.float32)
    return found


def run_lengths(rows: Floats) -> NDArray[np.int64]:
    """Count, for each row (n, F), for how many rows up to it each metric has had the same value."""
    lengths = np.ones(rows.shape, dtype=np.int64)
    for k in range(1, len(rows)):
        lengths[k] = np.where(rows[k] == rows[k - 1], lengths[k - 1] + 1, 1)
    return lengths


def stuck_from(rows: Floats, late: int = _LATE_STUCK) -> NDArray[np.int64]:
    """Give the rows in a row with one value (F,) from which a metric is stuck; `rows` (n, F) end at an onset.

    Its own runs before the one it is in tell how long it stands by chance. Who hardly moved in them, or was
    stuck for more than `late` rows before the onset, is never stuck: that is another matter.
    """
    never = np.iinfo(np.int64).max
    if len(rows) < 2:
        return np.full(rows.shape[1], never)
    lengths = run_lengths(rows)
    stood = lengths[-1]
    over = np.arange(len(rows))[:, None] <= len(rows) - 1 - stood
    longest = np.where(over, lengths, 1).max(axis=0)
    seen = np.isfinite(rows)
    moves = (over & (lengths == 1) & seen & np.vstack([seen[:1], seen[:-1]])).sum(axis=0)
    repeats = (over & (lengths > 1)).sum(axis=0)
    chance = (repeats + 1) / (repeats + moves + 2)
    by_chance = np.ceil(np.log(_BY_CHANCE) / np.log(chance)).astype(np.int64)
    found = np.maximum(np.maximum(_STUCK_RUNS * longest, by_chance), _STUCK_ROWS)
    settled = (moves < LEAST) | (stood > np.maximum(by_chance, _STUCK_ROWS) + late)
    limit: NDArray[np.int64] = np.where(settled, never, found)
    return limit


def _late(rows: Rows, expected: Floats, width: Floats) -> int:
    """Give for how many rows before the last of (n, F) a metric that is to blame may have been stuck.

    What leaps is seen at once: who was stuck long before something leapt is another matter.
    """
    if not len(rows):
        return _LATE_STUCK
    away = np.nan_to_num(np.abs(rows[-1] - expected), nan=0.0)
    leapt = (away >= CLEARLY * width) & (away >= _FURTHER * _reach(rows, expected, width))
    return LATE if leapt.any() else _LATE_STUCK


def _reach(before: Rows, expected: Floats, width: Floats) -> NDArray[np.float32]:
    """Give the width (F,) that the furthest departure in rows (h, F) implies.

    Without the last ones, and without the departure that the very last is in: they may be of the incident.
    """
    if not len(before):
        return width.astype(np.float32)
    away = before - expected
    with np.errstate(invalid="ignore", divide="ignore"):
        until = np.minimum(departure_starts(away / width), len(before) - LAST_ROWS)
    own = np.where(np.arange(len(before))[:, None] < until, np.nan_to_num(np.abs(away), nan=0.0), 0.0)
    found: NDArray[np.float32] = np.fmax(width, own.max(axis=0) / REACH).astype(np.float32)
    return found
