"""Metrics of the intake: what was decoded, what could not be, what came late, which metrics come and go."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from heapq import nlargest

from anomalyd.daemon.stages import Fate, Outcome, Reason
from anomalyd.daemon.telemetry.metric_factory import Families

KINDS = ("counter", "gauge")
_NAMED = 100


class IntakeMetrics:
    """Counts by the topic that something came from."""

    def __init__(self, families: Families, *, topics: Collection[str] = ()) -> None:
        self._decoded = families.counter("samples_decoded", "Samples decoded from records.", "topic")
        self._settled = families.counter(
            "samples_settled", "Samples by what became of them.", "topic", "fate"
        )
        self._in_flight = families.gauge(
            "samples_in_flight", "Samples decoded that wait for what may still be joined to them.", "topic"
        )
        self._outcomes = families.counter(
            "records_settled",
            "Records, also those read again, by what decoding made of them.",
            "topic",
            "outcome",
        )
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
        self._clocks = families.gauge(
            "clock_offset_seconds",
            "By how much an entity's worst producer is behind its others, where that is steady.",
            "topic",
            "entity",
        )
        for topic in topics:
            self._churning.labels(topic)
            for kind in KINDS:
                self._kinds.labels(topic, kind)
            for of_topic in (self._decoded, self._late, self._appeared, self._vanished, self._collisions):
                of_topic.labels(topic)
            self._in_flight.labels(topic).set(0)
            for fate in Fate:
                self._settled.labels(topic, fate)
            for outcome in Outcome:
                self._outcomes.labels(topic, outcome)
            for reason in Reason:
                self._dead_letters.labels(topic, reason)

    def decoded(self, topic: str, samples: int) -> None:
        """Count samples decoded."""
        self._decoded.labels(topic).inc(samples)

    def settled(self, topic: str, fate: Fate, samples: int) -> None:
        """Count samples by what became of them (`Fate`)."""
        self._settled.labels(topic, fate).inc(samples)

    def in_flight(self, topic: str, samples: int) -> None:
        """Set how many samples wait for what may still be joined to them."""
        self._in_flight.labels(topic).set(samples)

    def records(self, topic: str, outcome: Outcome, records: int) -> None:
        """Count records by what decoding made of them (`Outcome`)."""
        self._outcomes.labels(topic, outcome).inc(records)

    def clocks(self, behind: Mapping[tuple[str, str], float]) -> None:
        """Set by how many seconds the worst producer of a (topic, entity) is behind; names the worst 100."""
        self._clocks.clear()
        for labels, seconds in nlargest(_NAMED, behind.items(), key=lambda item: item[1]):
            self._clocks.labels(*labels).set(seconds)

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
