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

_ROWS = 30
"""Rows that the centre is taken of: enough for a median, few enough to follow a daily course."""

_LEAST = 8
"""Fewer rows say nothing of what is usual."""

_DEPARTED = 2.5
"""Usual widths from which a row belongs to the departure, when it is followed back to its beginning."""

_STUCK_RUNS = 4
"""A metric is stuck when it repeats its value so many times as often in a row as it usually does, ..."""

_STUCK_ROWS = 6
"""... and for at least so many rows."""

_MAD_TO_SIGMA = 1.4826
_RANGE_TO_SIGMA = 3.29  # from the 5 % to the 95 % quantile of a normal distribution


@dataclass(frozen=True, slots=True)
class Reference:
    """Of F metrics: what was expected of each, in its unit, how wide it usually scatters, and `runs`, the
    most rows in a row that it usually has the same value."""

    expected: NDArray[np.float32]
    width: NDArray[np.float32]
    runs: NDArray[np.int64]

    @classmethod
    def before(cls, rows: Floats, onset: Floats, expected: Floats, width: Floats) -> Reference:
        """Measure what was usual in rows (h, F) before the row `onset` (F,), at which an incident began.

        `expected` and `width` (F,), the detector's own, stand in for metrics of which too little was seen
        before, and for the width of those that never moved.
        """
        before: NDArray[np.float64] = rows.astype(np.float64)
        with_onset = np.vstack([before, onset.astype(np.float64)])
        counts = np.isfinite(before).sum(axis=0)
        # A departure that grew slowly fills the last rows: it is looked for from further back.
        earlier = before[:-_ROWS] if len(before) >= _ROWS + _LEAST else before
        centre, scatter = _centre(before), _scatter(earlier)
        usable = np.where(scatter > 0, scatter, width)
        begins = _departures(before, onset.astype(np.float64), _quantiles(earlier, 0.5)[0], usable)
        runs = _longest_runs(with_onset)
        stood = run_lengths(with_onset)[-1]
        for f in np.flatnonzero((begins < len(before)) | stuck(stood, runs)):
            if stuck(stood, runs)[f]:
                own = before[: len(before) + 1 - stood[f], f]
            else:
                # As many rows again are left out: what grows was there before it could be told.
                own = before[: max(2 * begins[f] - len(before), min(_LEAST, begins[f])), f]
            if len(own):
                centre[f], scatter[f] = _centre(own[:, None])[0], _scatter(own[:, None])[0]
        known = (counts >= _LEAST) & np.isfinite(centre)
        centre = np.where(known, centre, expected)
        scatter = np.where(known & np.isfinite(scatter) & (scatter > 0), scatter, width)
        # A metric that never moved is asked to move by a thousandth of its size before it counts.
        floor = np.maximum(1e-3 * np.abs(centre), np.finfo(np.float32).tiny)
        scatter = np.fmax(np.nan_to_num(scatter, nan=0.0), floor)
        return cls(centre.astype(np.float32), scatter.astype(np.float32), runs)

    @classmethod
    def frozen(cls, expected: Floats, width: Floats, before: Floats) -> Reference:
        """Take up one that was frozen, with rows (h, F) up to its onset."""
        return cls(expected.astype(np.float32), width.astype(np.float32), _longest_runs(before))

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
        own = before[max(0, start - max(rows, _ROWS)) : start, f].astype(np.float64)
        own = own[np.isfinite(own)]
        if len(own) < _LEAST:
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


def stuck(stood: NDArray[np.int64], usual: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Say where metrics that `stood` still for so many rows are stuck, given their longest usual runs."""
    found: NDArray[np.bool_] = stood >= np.maximum(_STUCK_RUNS * usual, _STUCK_ROWS)
    return found


def _departures(
    rows: NDArray[np.float64], onset: NDArray[np.float64], centre: NDArray[np.float64], width: Floats
) -> NDArray[np.int64]:
    """Follow each metric back from the onset: the first row (F,) of its departure; h: it departs later."""
    with np.errstate(invalid="ignore", divide="ignore"):
        away = (np.vstack([rows, onset]) - centre) / width
    side = np.sign(away[-1])
    beyond = away * side > _DEPARTED
    begins = np.full(rows.shape[1], len(rows))
    for f in np.flatnonzero(beyond[-1]):
        k = len(rows)
        while k > 0 and (beyond[k - 1, f] or (k > 1 and beyond[k - 2, f])):
            k -= 1
        begins[f] = k
    return begins


def _centre(rows: NDArray[np.float64]) -> NDArray[np.float64]:
    centre: NDArray[np.float64] = _quantiles(rows[-_ROWS:], 0.5)[0]
    return centre


def _scatter(rows: NDArray[np.float64]) -> NDArray[np.float64]:
    """Give the width (F,): what outliers do not move, or the range where a metric bursts now and then."""
    low, middle, high = _quantiles(rows, 0.05, 0.5, 0.95)
    median_deviation = _quantiles(np.abs(rows - middle), 0.5)[0]
    width: NDArray[np.float64] = np.fmax(_MAD_TO_SIGMA * median_deviation, (high - low) / _RANGE_TO_SIGMA)
    return width


def _quantiles(rows: NDArray[np.float64], *shares: float) -> NDArray[np.float64]:
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


def _longest_runs(rows: Floats) -> NDArray[np.int64]:
    """Give the longest run of equal values (F,) in rows (h, F), without the one that the last row is in.

    A metric that has stood (all but) since the first row is usually still: the size of a file system.
    """
    if not len(rows):
        return np.ones(rows.shape[1], dtype=np.int64)
    lengths = run_lengths(rows)
    moved = len(rows) - lengths[-1]
    over = np.arange(len(rows))[:, None] < moved
    longest: NDArray[np.int64] = np.where(over, lengths, 1).max(axis=0)
    return np.where(moved < _LEAST, len(rows), longest)
