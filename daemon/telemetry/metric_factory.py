"""How the metrics of anomalyd are declared: each once, with its help, under one prefix, in one registry."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Info

from anomalyd.daemon.telemetry.replaced_gauge import ReplacedGauge

Partitions = Mapping[tuple[str, int], float]
"""A value for each (topic, partition)."""


class Families:
    """Makes metrics named `anomalyd_...` in a registry."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.registry = registry

    def counter(self, name: str, text: str, *labels: str) -> Counter:
        """Declare a counter; the exposition adds `_total` to its name."""
        return Counter(f"anomalyd_{name}", text, labels, registry=self.registry)

    def gauge(self, name: str, text: str, *labels: str) -> Gauge:
        """Declare a gauge."""
        return Gauge(f"anomalyd_{name}", text, labels, registry=self.registry)

    def replaced_gauge(self, name: str, text: str, *labels: str) -> ReplacedGauge:
        """Declare a gauge whose series are replaced all at once."""
        made = ReplacedGauge(f"anomalyd_{name}", text, labels)
        self.registry.register(made)
        return made

    def info(self, name: str, text: str, *labels: str) -> Info:
        """Declare an info metric, whose labels say what is at work; the exposition adds `_info`."""
        return Info(f"anomalyd_{name}", text, labels, registry=self.registry)

    def histogram(self, name: str, text: str, buckets: Sequence[float], *labels: str) -> Histogram:
        """Declare a histogram with these upper bounds."""
        return Histogram(f"anomalyd_{name}", text, labels, registry=self.registry, buckets=buckets)


def set_partitions(gauge: Gauge, values: Partitions) -> None:
    """Set a gauge by topic and partition; partitions that are not named are no longer ours, and go."""
    kept = {(topic, str(partition)) for topic, partition in values}
    for family in gauge.collect():
        for sample in family.samples:
            labels = (sample.labels["topic"], sample.labels["partition"])
            if labels not in kept:
                gauge.remove(*labels)
    for (topic, partition), value in values.items():
        gauge.labels(topic, partition).set(value)
