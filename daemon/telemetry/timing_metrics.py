"""Metrics of time: how long each stage of a step takes, and from a record's timestamp to the store."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np

from anomalyd.daemon.telemetry.batch_histogram import BatchHistogram
from anomalyd.daemon.telemetry.metric_factory import Families
from anomalyd.detectors.detector import Floats

STAGES = ("decode", "align", "score", "track", "commit", "explain")

# A step takes 0.1 ms (one small message) to seconds (a full batch of large maps).
_STAGE_BUCKETS = (1e-4, 3e-4, 1e-3, 3e-3, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0)
# From Kafka's timestamp to the report store: 10 ms when all is idle, hours after an outage.
_END_TO_END_BUCKETS = (0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 100.0, 300.0, 1000.0, 3600.0, 86_400.0)


class TimingMetrics:
    """Histograms in seconds; `clock` is monotonic."""

    def __init__(self, families: Families, *, clock: Callable[[], float] = time.perf_counter) -> None:
        self._clock = clock
        self._stages = families.histogram(
            "stage_seconds", "Duration of one step of a stage.", _STAGE_BUCKETS, "stage"
        )
        self._end_to_end = BatchHistogram(
            "anomalyd_end_to_end_seconds",
            "From a record's Kafka timestamp until it is in the report store.",
            _END_TO_END_BUCKETS,
        )
        families.registry.register(self._end_to_end)
        for stage in STAGES:
            self._stages.labels(stage)

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Measure one step of a stage (one of `STAGES`), also when it raises."""
        begun = self._clock()
        try:
            yield
        finally:
            self._stages.labels(name).observe(self._clock() - begun)

    def end_to_end(self, seconds: Floats) -> None:
        """Count the latencies (n,) in seconds of records now in the store, from their Kafka timestamps on.

        A timestamp of the future (a producer's clock) counts as no latency.
        """
        self._end_to_end.observe(np.maximum(seconds, 0.0))
