"""The course of an entity as the store holds it: its scores, its metrics, and how much it sent."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any

import numpy as np

from anomalyd.reports.report import Evidence
from anomalyd.reports.step import Point

_GAP = 5.0
"""Samples further apart than so many usual distances are not joined by a line: nothing is known between."""


def scores(entity: str, points: Sequence[tuple[str, Point]], *, both: bool) -> list[dict[str, Any]]:
    """Give rows of `time`, `score`, `who` and `part` (what is joined by a line).

    `both`: the two detectors apart; else the higher of their scores, for a comparison of entities.
    """
    rows: list[dict[str, Any]] = []
    parts = _parts([point.time for _, point in points])
    for (_, point), part in zip(points, parts, strict=True):
        time = datetime.fromtimestamp(point.time, UTC)
        named = (("autoencoder", point.autoencoder), ("classical test", point.classical))
        if both:
            rows += [{"time": time, "score": v, "who": who, "part": part} for who, v in named]
        else:
            known = [v for _, v in named if v is not None]
            rows.append({"time": time, "score": max(known, default=None), "who": entity, "part": part})
    return rows


def metric(evidence: Iterable[Evidence], name: str) -> list[dict[str, Any]]:
    """Give the course of a metric from what incidents keep of it, with what was expected (NaN: unknown).

    Rows of `time`, `value`, `expected`, `low`, `high` (two usual widths on either side) and `part`.
    """
    rows: list[dict[str, Any]] = []
    for part, each in enumerate(evidence):
        if name not in each.features:
            continue
        f = each.features.index(name)
        expected = float(each.expectation[f])
        width = float(each.width[f]) if each.width.shape == each.values.shape else float("nan")
        times, values = each.history_times, each.history[:, f] if each.history.size else np.zeros(0)
        for time, value in sorted(
            {*zip(times.tolist(), values.tolist(), strict=True), (each.time, float(each.values[f]))}
        ):
            rows.append(
                {
                    "time": datetime.fromtimestamp(time, UTC),
                    "value": value,
                    "expected": expected,
                    "low": expected - 2 * width,
                    "high": expected + 2 * width,
                    "part": part,
                }
            )
    return rows


def _parts(times: Sequence[float]) -> list[int]:
    """Number the pieces of a course that has gaps."""
    if len(times) < 3:
        return [0] * len(times)
    steps = np.diff(np.asarray(times))
    usual = float(np.median(steps)) or 1.0
    return [0, *np.cumsum(steps > _GAP * usual).tolist()]
