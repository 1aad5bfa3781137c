"""Metrics of canaries: how many were sent and came back, how long that took, and whether they were told."""

from __future__ import annotations

from collections.abc import Collection
from typing import get_args

from anomalyd.daemon.telemetry.metric_factory import Families
from anomalyd.reports.step import CanaryCheck, CanaryKind

# From sent to stored: 10 ms when all is idle, a minute when it should be looked at, hours after an outage.
_BUCKETS = (0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 60.0, 300.0, 1000.0, 3600.0)


class CanaryMetrics:
    """Counts by detector and kind (healthy, faulty)."""

    def __init__(self, families: Families, *, detectors: Collection[str] = ()) -> None:
        self._sent = families.counter(
            "canary_sent", "Canaries sent, or that could not be sent.", "detector", "kind"
        )
        self._returned = families.counter(
            "canary_returned",
            "Canaries that came back, were scored and are stored, by what was said of them.",
            "detector",
            "kind",
            "verdict",
        )
        self._latency = families.histogram(
            "canary_latency_seconds", "From a canary's being sent until it is in the store.", _BUCKETS
        )
        for detector in detectors:
            for kind in get_args(CanaryKind):
                self._sent.labels(detector, kind)
                for verdict in ("right", "wrong"):
                    self._returned.labels(detector, kind, verdict)

    def sent(self, detector: str, kind: CanaryKind) -> None:
        """Count a canary that is being sent."""
        self._sent.labels(detector, kind).inc()

    def came_back(self, check: CanaryCheck) -> None:
        """Count a canary that is stored, and how long it took."""
        self._returned.labels(check.detector, check.kind, "right" if check.right else "wrong").inc()
        self._latency.observe(check.latency_s)
