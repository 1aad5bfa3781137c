"""Which metrics are to blame, in numbers: group, direction, when each began, expected and seen.

Two witnesses have to agree: how far a metric left its reference since the onset, which no detector can follow
away, and what the detector itself holds against it. Metrics that moved in the same row are ordered by blame.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from anomalyd.detectors.detector import Floats
from anomalyd.interpret.change_point import departure_starts
from anomalyd.interpret.expected_values import Reference, run_lengths
from anomalyd.reports.report import Cause, Direction

_FURTHEST = 50.0
"""Usual widths that count at most: beyond, one metric with a tiny width would silence all others."""

_DEPARTED = 3.0
"""Usual widths from which a metric has begun to depart."""

_OUTSIDE = 3.5
"""Usual widths from which a metric that stands still has moved first: what fell to 0 is below, not stuck."""

_CLEARLY = 10.0
"""Usual widths from which nobody doubts that a metric departed."""

_STUCK = 12.0
"""Usual widths that standing still counts for, as soon as a metric is stuck."""

_TRIED = 8
"""Departed metrics whose part in the score is asked for one by one, those furthest away."""

_LEAST_SHARE = 0.1
"""Of the first one's blame: what has less is not named."""

_DETECTOR, _DETECTOR_CLEARLY = 0.05, 0.1
"""Part of the departure that counts even where the detector holds nothing against a metric. The second is of
metrics that clearly departed; a memory 790 widths away comes before a buffer at 3 the detector blames."""


def stuck_rows(reference: Reference, rows: Floats) -> NDArray[np.float64]:
    """Give how strange it is that each metric stands still at each row (n, F), in usual widths; 0: not."""
    runs = run_lengths(rows)
    still = (runs >= reference.runs) & np.isfinite(rows)
    found: NDArray[np.float64] = np.where(still, _STUCK * runs / reference.runs, 0.0)
    return found


def strength(reference: Reference, rows: Floats) -> NDArray[np.float64]:
    """Give how strange each metric is at each row (n, F): usual widths away, or so much for standing."""
    strange: NDArray[np.float64] = np.minimum(_unbounded(reference, rows), _FURTHEST)
    return strange


def fullness(reference: Reference, rows: Floats, shares: Floats) -> NDArray[np.float64]:
    """Give how much of the furthest departure of metrics each row (n, F) shows: 1 where all stand there.

    `shares` (F,): what each metric is to blame for, 0 of those that do not matter.
    """
    strange = _unbounded(reference, rows)
    furthest = strange.max(axis=0)
    weight = np.where(furthest > 0, shares, 0.0)
    shown = strange / np.where(furthest > 0, furthest, 1.0)
    found: NDArray[np.float64] = shown @ weight / max(float(weight.sum()), 1e-12)
    return found


def _unbounded(reference: Reference, rows: Floats) -> NDArray[np.float64]:
    away = np.nan_to_num(np.abs(rows.astype(np.float64) - reference.expected) / reference.reach, nan=0.0)
    found: NDArray[np.float64] = np.maximum(away, stuck_rows(reference, rows))
    return found


def departed(strangeness: NDArray[np.float64], present: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Give the metrics that departed since the onset, furthest first, eight at most.

    `strangeness` (F,) is the furthest of `strength`, `present` (F,) which metrics the sample has. Where none
    departed, those that come nearest to it.
    """
    order = np.argsort(-np.where(present, strangeness, -np.inf), kind="stable")[: int(present.sum())]
    found: NDArray[np.int64] = order[strangeness[order] >= _DEPARTED]
    return found[:_TRIED] if len(found) else order[:_TRIED]


def clearly_departed(strangeness: NDArray[np.float64]) -> bool:
    """Say whether any metric is so far away that nobody doubts it."""
    return bool(strangeness.max(initial=0.0) >= _CLEARLY)


def rank_causes(
    reference: Reference,
    features: Sequence[str],
    times: Floats,
    rows: Floats,
    onset: int,
    contribution: Floats,
    most: int,
) -> tuple[Cause, ...]:
    """Rank the metrics to blame for the sample that is the last of rows (h, F) at `times` (h,).

    The incident began at row `onset`; the rows before it show when each metric began to move. `contribution`
    (F,) is the detector's. At most `most` are named, worst first.
    """
    strange = strength(reference, rows)
    since = strange[onset:].max(axis=0)
    held = np.nan_to_num(contribution.astype(np.float64), nan=0.0)
    alone = np.where(since >= _CLEARLY, _DETECTOR_CLEARLY, _DETECTOR)
    agreed = since * (alone + held / (held.max(initial=0.0) or 1.0))
    total = float(agreed.sum())
    if total <= 0:
        return ()
    order = np.argsort(-agreed, kind="stable")[:most]
    still = stuck_rows(reference, rows)
    away = reference.departures(rows)
    # Who neither departed nor stands still is named only where nobody did.
    named = (since >= _DEPARTED) | (agreed == agreed.max())
    beyond = away * (reference.width / reference.reach)
    return tuple(
        Cause(
            name=features[f],
            group=group_of(features[f]),
            direction=_direction(away[onset:, f], bool(still[onset:, f].any())),
            started=float(times[_start(beyond[:, f], still[:, f], onset, rows[:, f])]),
            expected=float(reference.expected[f]),
            seen=float(rows[-1, f]),
            sigmas=float(away[-1, f]),
            share=float(agreed[f] / total),
        )
        for f in map(int, order)
        if agreed[f] > _LEAST_SHARE * agreed[order[0]] and named[f]
    )


def group_of(metric: str) -> str:
    """Give the part of a host that a metric belongs to, from its name: "disk" of "disk.read_bytes"."""
    found = re.match(r"[A-Za-z]+", metric)
    return found[0].lower() if found else metric


def _direction(away: NDArray[np.float64], still: bool) -> Direction:
    """Tell what departures (n,) since the onset do; the last is the sample's."""
    if np.isnan(away[-1]):
        return Direction.MISSING
    if still and np.abs(away[-1]) < _OUTSIDE:
        return Direction.STUCK
    beyond = away[np.abs(away) >= _DEPARTED]
    if len(beyond) >= 4 and min(np.mean(beyond > 0), np.mean(beyond < 0)) >= 0.25:
        return Direction.SWINGS
    return Direction.ABOVE if away[-1] >= 0 else Direction.BELOW


def _start(
    away: NDArray[np.float64], still: NDArray[np.float64], onset: int, values: NDArray[np.floating]
) -> int:
    """Find the row at which a metric began to depart: the change point before it is away in the incident.

    `away` (n,): signed departures in the widths of its reach; `still` (n,): as `stuck_rows`.
    """
    strange = np.nan_to_num(np.abs(away), nan=0.0)
    if still[onset:].any() and strange[onset:].max() <= still[onset:].max():
        k = onset + int(np.argmax(still[onset:] > 0))
        while k > 0 and values[k - 1] == values[k]:
            k -= 1
        return k
    beyond = strange[onset:] >= _DEPARTED
    if not beyond.any():
        return onset
    k = onset + int(np.argmax(beyond))
    return int(departure_starts(away[: k + 1, None])[0])
