"""What is read of a Prometheus native histogram: count, sum and quantiles.

Source: Prometheus, "Native Histograms" specification: spans of buckets, each count as the difference from the
one before it (integer histograms) or as it is (float histograms); schema -53 has boundaries of its own.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

from anomalyd.daemon.intake.parsing.quantiles import exponential_quantiles, quantiles

_CUSTOM = -53
_GAUGE = 3  # a reset hint: its counts go up and down


def is_gauge(histogram: Any) -> bool:
    """Say whether its counts go up and down."""
    return bool(histogram.reset_hint == _GAUGE)


def values_of(histogram: Any) -> tuple[float | None, float | None, Mapping[float, float]]:
    """Give count, sum and quantiles; a NaN, such as the mark of a series that has ended, is None."""
    count = histogram.count_int or histogram.count_float
    total = histogram.sum
    if math.isnan(total):  # a stale marker has it as its sum
        return None, None, {}
    positive = dict(_buckets(histogram, "positive"))
    if histogram.schema == _CUSTOM:
        bounds = list(histogram.custom_values)
        return count, total, quantiles(bounds, [positive.get(k, 0) for k in range(len(bounds) + 1)])
    zeros = histogram.zero_count_int or histogram.zero_count_float
    # A bucket of Prometheus is called by its end, one of OpenTelemetry by its beginning.
    sides = [
        {k - 1: n for k, n in each.items()} for each in (positive, dict(_buckets(histogram, "negative")))
    ]
    return count, total, exponential_quantiles(histogram.schema, zeros, *sides)


def _buckets(histogram: Any, sign: str) -> Iterator[tuple[int, float]]:
    """Give the index and the count of each bucket of one side."""
    deltas = getattr(histogram, f"{sign}_deltas")
    counts = iter(deltas or getattr(histogram, f"{sign}_counts"))
    index, count = 0, 0.0
    for span in getattr(histogram, f"{sign}_spans"):
        index += span.offset
        for _ in range(span.length):
            told = next(counts, None)
            if told is None:
                return
            count = count + told if deltas else told
            yield index, count
            index += 1
