"""Metrics of single entities: their newest scores, for those who keep everything in a time series database.

A series for each entity is what Prometheus bears least. So they are asked for by name, there are never more
than a limit, and how many are left out is a metric of its own.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Collection, Iterator
from fnmatch import fnmatchcase

import numpy as np
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from anomalyd.daemon.telemetry.metric_factory import Families
from anomalyd.detectors.detector import Floats

SILENT_S = 900.0
"""An entity that was not scored for so long gives its place to another."""

_Key = tuple[str, str]


class EntityScores(Collector):
    """The newest score of each entity by both detectors; the first `limit` entities that come are kept."""

    def __init__(
        self,
        families: Families,
        *,
        entities: Collection[str] = (),
        limit: int = 1000,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._patterns = tuple(entities)
        self._limit = limit
        self._clock = clock
        self._lock = threading.Lock()
        self._kept: dict[_Key, tuple[float, float, float]] = {}
        self._left_out: dict[_Key, float] = {}
        families.registry.register(self)

    def scored(self, detector: str, entity: str, autoencoder: Floats, classical: Floats) -> None:
        """Take the newest of an entity's scores (n,), NaN where a detector could not tell."""
        if not self._patterns or not len(autoencoder):
            return
        key, now = (detector, entity), self._clock()
        with self._lock:
            if key not in self._kept and not self._has_room(key, now):
                return
            self._kept[key] = (_newest(autoencoder), _newest(classical), now)

    def _has_room(self, key: _Key, now: float) -> bool:
        if not any(fnmatchcase(key[1], pattern) for pattern in self._patterns):
            return False
        if len(self._kept) >= self._limit:
            self._left_out[key] = now
            return False
        self._left_out.pop(key, None)
        return True

    def describe(self) -> Iterator[GaugeMetricFamily]:
        """Give the names without figures, for the registry's check of names."""
        yield from _families()

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """Give the figures for one scrape; entities that are silent go."""
        since = self._clock() - SILENT_S
        with self._lock:
            self._kept = {key: value for key, value in self._kept.items() if value[2] >= since}
            self._left_out = {key: seen for key, seen in self._left_out.items() if seen >= since}
            kept, left_out = dict(self._kept), len(self._left_out)
        scores, omitted = _families()
        for (detector, entity), (autoencoder, classical, _) in kept.items():
            scores.add_metric((detector, entity, "autoencoder"), autoencoder)
            scores.add_metric((detector, entity, "classical"), classical)
        omitted.add_metric((), left_out)
        yield scores
        yield omitted


def _families() -> tuple[GaugeMetricFamily, GaugeMetricFamily]:
    return (
        GaugeMetricFamily(
            "anomalyd_score",
            "Newest score of an entity named by metrics.scores; above 1 is an alert, NaN: it cannot tell.",
            labels=("detector", "entity", "by"),
        ),
        GaugeMetricFamily(
            "anomalyd_scores_left_out", "Entities whose score is not exported: metrics.limit is reached."
        ),
    )


def _newest(scores: Floats) -> float:
    told = np.flatnonzero(~np.isnan(scores))
    return float(scores[told[-1]]) if len(told) else float("nan")
