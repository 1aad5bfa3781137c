"""Figures of merit on labelled series: point-wise, at the fixed threshold 1, and of the blame.

Every function takes scores (T,) without NaN and labels (T,), 1 = anomalous; events are rows [start, end).
None of them is point-adjusted: under that adjustment a random score reaches the state of the art (Kim et al.,
"Towards a rigorous evaluation of time-series anomaly detection", AAAI 2022). What is not defined, as any
figure of detection where nothing is anomalous, is NaN.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from anomalyd.detectors.calibration import ALERT

VUS_BUFFER = 100
"""The largest buffer, in rows, of `vus_pr`."""

ALARM_GAP = 10
"""Runs of alerts closer than this many rows are one false alarm."""

Scores = NDArray[np.float64]
Labels = NDArray[np.uint8]
Events = Sequence[tuple[int, int]]


def events_of(label: Labels) -> list[tuple[int, int]]:
    """Give the runs [start, end) of label 1."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], label.astype(np.int8), [0]])))
    return [(int(start), int(end)) for start, end in edges.reshape(-1, 2)]


def _curve(score: Scores, label: Labels) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Give, for each distinct score in descending order, the alerts at that threshold and the right ones."""
    order = np.argsort(-score, kind="stable")
    last = np.flatnonzero(np.append(np.diff(score[order]) != 0, True))
    return last + np.float64(1), np.cumsum(label[order], dtype=np.float64)[last]


def auprc(score: Scores, label: Labels) -> float:
    """Area under the precision-recall curve, as average precision (no interpolation)."""
    if not label.any():
        return math.nan
    alerts, hits = _curve(score, label)
    return float(np.sum(np.diff(hits, prepend=0.0) * hits / alerts) / hits[-1])


def auroc(score: Scores, label: Labels) -> float:
    """Area under the ROC curve: the chance that an anomalous row scores above a normal one, ties half."""
    if not label.any() or label.all():
        return math.nan
    alerts, hits = _curve(score, label)
    falls = alerts - hits
    return float(np.trapezoid(np.append(0.0, hits), np.append(0.0, falls)) / hits[-1] / falls[-1])


def best_f1(score: Scores, label: Labels) -> float:
    """Give the best F1 over all thresholds: what an oracle would choose."""
    if not label.any():
        return math.nan
    alerts, hits = _curve(score, label)
    return float(np.max(2.0 * hits / (alerts + hits[-1])))


def vus_pr(score: Scores, label: Labels, buffer: int = VUS_BUFFER, thresholds: int = 250) -> float:
    """Volume under the precision-recall surface over buffers of 0 to `buffer` rows, as TSB-AD computes it.

    `generate_curve(label, score, 100, "opt", 250)` of Liu and Paparrizos, "The elephant in the room", NeurIPS
    2024, after Paparrizos et al., "Volume under the surface", PVLDB 15(11), 2022: labels fade out over half a
    buffer on both sides of an event, recall is multiplied by the share of events seen at all, and the curve
    is sampled at `thresholds` scores.
    """
    if not label.any():
        return math.nan
    order = np.argsort(-score, kind="stable")
    ranked = score[order]
    at = ranked[np.linspace(0, len(score) - 1, thresholds).astype(int)]
    alerts = np.searchsorted(-ranked, -at, side="right")
    events, inside = events_of(label), (label > 0)[order]
    areas = []
    for length in range(buffer + 1):
        soft = _faded(label, length)[order]
        hits = np.cumsum(soft)[alerts - 1]
        # Rows beside an event count as positives only where they alert.
        beside = np.cumsum(np.where(inside, 0.0, soft))[alerts - 1]
        regions = _joined(events, length // 2, len(label))
        peaks = np.sort([score[start:end].max() for start, end in regions])
        seen = 1.0 - np.searchsorted(peaks, at, side="left") / len(peaks)
        recall = np.minimum(hits / (label.sum() + beside / 2.0), 1.0) * seen
        areas.append(np.sum(np.diff(recall, prepend=0.0) * hits / alerts))
    return float(np.mean(areas))


def _joined(events: Events, margin: int, rows: int) -> list[tuple[int, int]]:
    """Widen events by `margin` rows on both sides; those that touch become one."""
    joined = [events[0]]
    for start, end in events[1:]:
        first, last = joined[-1]
        if last - 1 + margin < start - margin:
            joined.append((start, end))
        else:
            joined[-1] = (first, end)
    return [(max(start - margin, 0), min(end + margin, rows)) for start, end in joined]


def _faded(label: Labels, length: int) -> NDArray[np.float64]:
    """Let labels fade out as sqrt(1 - distance / length) up to half of `length` rows from an event."""
    soft = label.astype(np.float64)
    for start, end in events_of(label):
        for distance in range(1, length // 2 + 1):
            height = math.sqrt(1.0 - distance / length)
            if start - distance >= 0:
                soft[start - distance] += height
            if end - 1 + distance < len(soft):
                soft[end - 1 + distance] += height
    return np.minimum(soft, 1.0)


def f1_at_1(score: Scores, label: Labels) -> float:
    """F1 of the alerts, a score above 1 being one; 0 where nothing alerts."""
    if not label.any():
        return math.nan
    alert = score > ALERT
    return float(2.0 * np.sum(alert & (label > 0)) / (alert.sum() + label.sum()))


def fpr_at_1(score: Scores, label: Labels) -> float:
    """Share of the normal rows that alert."""
    normal = label == 0
    return float(np.mean(score[normal] > ALERT)) if normal.any() else math.nan


def events_found(score: Scores, events: Events) -> float:
    """Share of the events with at least one alert."""
    return float(np.mean([bool((score[s:e] > ALERT).any()) for s, e in events])) if events else math.nan


def delay(score: Scores, events: Events) -> float:
    """Median rows from an event's start to its first alert, over the events that are found."""
    first = [int(np.argmax(score[s:e] > ALERT)) for s, e in events if (score[s:e] > ALERT).any()]
    return float(np.median(first)) if first else math.nan


def false_alarms_per_day(score: Scores, label: Labels, interval_s: float) -> float:
    """Runs of alerts outside events, a day; runs with fewer than `ALARM_GAP` rows between them are one."""
    rows = np.flatnonzero((score > ALERT) & (label == 0))
    runs = int(len(rows) > 0) + int(np.sum(np.diff(rows) > ALARM_GAP))
    return runs / (len(score) * interval_s / 86_400.0)


def long_coverage(score: Scores, events: Events, interval_s: float) -> float:
    """Share of the rows that alert, over the events of four hours and more."""
    rows = [score[s:e] > ALERT for s, e in events if (e - s) * interval_s >= 4 * 3600]
    return float(np.mean(np.concatenate(rows))) if rows else math.nan


def hit_rate(
    contribution: NDArray[np.floating], events: Events, causes: NDArray[np.uint8], percent: int
) -> float:
    """HitRate@P%: of an event's true causes, the share among the P % x (their number) metrics most blamed.

    `contribution` (T, F) is aggregated over an event by its maximum (NaN blames nobody), `causes` (S, F) are
    the true ones; events without any are left out. Su et al., KDD 2019; mean over the events.
    """
    rates = []
    for (start, end), true in zip(events, causes, strict=True):
        wanted = int(true.sum())
        if wanted:
            blame = np.nan_to_num(contribution[start:end], nan=-1.0).max(axis=0)
            highest = np.argsort(-blame, kind="stable")[: wanted * percent // 100]
            rates.append(true[highest].sum() / wanted)
    return float(np.mean(rates)) if rates else math.nan
