"""A Prometheus histogram that is told a whole array at once.

prometheus-client's own takes one value a call, 0.8 microseconds each; here it is 0.007 in batches of 4,000.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence

import numpy as np
from prometheus_client.core import HistogramMetricFamily
from prometheus_client.registry import Collector
from prometheus_client.utils import floatToGoString

from anomalyd.detectors.detector import Floats


class BatchHistogram(Collector):
    """A histogram without labels; `buckets` are the rising upper bounds (inclusive), +Inf comes by itself."""

    def __init__(self, name: str, text: str, buckets: Sequence[float]) -> None:
        self._name = name
        self._text = text
        self._bounds = np.array(buckets, dtype=np.float64)
        self._names = [*map(floatToGoString, buckets), "+Inf"]
        self._lock = threading.Lock()
        self._counts = np.zeros(len(buckets) + 1, dtype=np.int64)
        self._sum = 0.0

    def observe(self, values: Floats) -> None:
        """Count values (n,); none may be NaN."""
        places = np.searchsorted(self._bounds, values, side="left")
        counts = np.bincount(places, minlength=len(self._counts))
        total = float(np.sum(values, dtype=np.float64))
        with self._lock:
            self._counts += counts
            self._sum += total

    def describe(self) -> Iterator[HistogramMetricFamily]:
        """Give the name without figures, for the registry's check of names."""
        yield HistogramMetricFamily(self._name, self._text)

    def collect(self) -> Iterator[HistogramMetricFamily]:
        """Give the figures for one scrape."""
        with self._lock:
            counts, total = np.cumsum(self._counts), self._sum
        family = HistogramMetricFamily(self._name, self._text)
        family.add_metric([], list(zip(self._names, counts.tolist(), strict=True)), total)
        yield family
