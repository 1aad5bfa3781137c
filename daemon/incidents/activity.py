"""Samples of a step -> what each entity sent, for the store."""

from __future__ import annotations

from collections.abc import Sequence

from anomalyd.daemon.stages import Sample
from anomalyd.reports.step import Activity


def activity(samples: Sequence[Sample]) -> dict[str, Activity]:
    """Count what each entity sent."""
    seen: dict[str, tuple[str, float, float, int]] = {}
    for sample in samples:
        before = seen.get(sample.entity)
        if before is None:
            kind = "vector" if sample.map is None else "map"
            seen[sample.entity] = (kind, sample.time, sample.time, 1)
        else:
            kind, first, last, count = before
            seen[sample.entity] = (kind, min(first, sample.time), max(last, sample.time), count + 1)
    return {entity: Activity(*what) for entity, what in seen.items()}
