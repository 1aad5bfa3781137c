"""Metrics of the intake: what was decoded, what could not be, what came late, which metrics come and go."""

from __future__ import annotations

from collections.abc import Collection

from anomalyd.daemon.stages import Reason
from anomalyd.daemon.telemetry.families import Families

KINDS = ("counter", "gauge")


class IntakeMetrics:
    """Counts by the topic that something came from."""

    def __init__(self, families: Families, *, topics: Collection[str] = ()) -> None:
        self._decoded = families.counter("samples_decoded", "Samples decoded from records.", "topic")
        self._dead_letters = families.counter(
            "dead_letters", "Records, or parts of them, that could not be used.", "topic", "reason"
        )
        self._late = families.counter(
            "samples_late", "Samples not newer than what was handed on of their entity before.", "topic"
        )
        self._appeared = families.counter(
            "metrics_appeared", "Metrics that an entity sent for the first time.", "topic"
        )
        self._vanished = families.counter(
            "metrics_vanished", "Metrics that an entity that still sends sent no more.", "topic"
        )
        self._collisions = families.counter(
            "label_collisions", "Series found to share a name with another of their entity.", "topic"
        )
        self._kinds = families.counter(
            "metric_kinds_changed", "Metrics that turned out to count, or not to.", "topic", "kind"
        )
        self._churning = families.counter(
            "metrics_churning", "Metrics left out: ever new series of them, or too many in a vector.", "topic"
        )
        for topic in topics:
            self._churning.labels(topic)
            for kind in KINDS:
                self._kinds.labels(topic, kind)
            for of_topic in (self._decoded, self._late, self._appeared, self._vanished, self._collisions):
                of_topic.labels(topic)
            for reason in Reason:
                self._dead_letters.labels(topic, reason)

    def decoded(self, topic: str, samples: int) -> None:
        """Count samples decoded."""
        self._decoded.labels(topic).inc(samples)

    def dead_letter(self, topic: str, reason: str, letters: int = 1) -> None:
        """Count what could not be used; `topic` is the one it came from."""
        self._dead_letters.labels(topic, reason).inc(letters)

    def late(self, topic: str, samples: int) -> None:
        """Count samples not newer than what was handed on of their entity before."""
        self._late.labels(topic).inc(samples)

    def churning(self, topic: str) -> None:
        """Count a metric of an entity that is left out."""
        self._churning.labels(topic).inc()

    def collision(self, topic: str) -> None:
        """Count a series that shares its name with another."""
        self._collisions.labels(topic).inc()

    def kind_changed(self, topic: str, kind: str) -> None:
        """Count a metric that turned out to be of another kind (one of `KINDS`)."""
        self._kinds.labels(topic, kind).inc()

    def presence(self, topic: str, appeared: int, vanished: int) -> None:
        """Count metrics that an entity began to send, and those that it sends no more."""
        self._appeared.labels(topic).inc(appeared)
        self._vanished.labels(topic).inc(vanished)
