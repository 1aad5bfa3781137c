"""What Prometheus is told: one method for each thing that happens; names and labels stand here only."""

from __future__ import annotations

import platform
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from typing import Self

import numpy as np
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Info, ProcessCollector

from anomalyd import __version__
from anomalyd.daemon.config.config import Config
from anomalyd.daemon.intake.formats.format import Reason
from anomalyd.daemon.scoring.alert_policy import Suppression
from anomalyd.daemon.scoring.realised_rate import Figures
from anomalyd.daemon.telemetry.batch_histogram import BatchHistogram
from anomalyd.detectors.detector import Floats
from anomalyd.reports.report import SeenBy, Severity
from anomalyd.verdict import Verdict

STAGES = ("decode", "align", "score", "track", "commit", "explain")
UNSCORED = ("untrained", "mismatch")
ADAPTED = ("new-normal", "told-normal", "told-broken", "undone")
OUTCOMES = ("complete", "partial", "failed")

# A step takes 0.1 ms (one small message) to seconds (a full batch of large maps).
_STAGE_BUCKETS = (1e-4, 3e-4, 1e-3, 3e-3, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0)
# From Kafka's timestamp to the report store: 10 ms when all is idle, hours after an outage.
_END_TO_END_BUCKETS = (0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 100.0, 300.0, 1000.0, 3600.0, 86_400.0)


class Telemetry:
    """All metrics of the daemon, in a registry of its own; safe to call from any thread.

    Counters are there with 0 from the start, for every topic, detector, and method that is named here: a rate
    over a counter that springs into being at 1 misses that first one.
    """

    def __init__(
        self,
        registry: CollectorRegistry,
        *,
        topics: Collection[str] = (),
        detectors: Collection[str] = (),
        output_topics: Collection[str] = (),
        explain_methods: Collection[str] = (),
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        self.registry = registry
        self._clock = clock
        ProcessCollector(registry=registry)
        build = Info("anomalyd_build", "The anomalyd that runs.", registry=registry)
        build.info({"version": __version__, "python": platform.python_version()})

        def counter(name: str, text: str, *labels: str) -> Counter:
            return Counter(f"anomalyd_{name}", text, labels, registry=registry)

        def gauge(name: str, text: str, *labels: str) -> Gauge:
            return Gauge(f"anomalyd_{name}", text, labels, registry=registry)

        self._consumed = counter("records_consumed", "Records taken from Kafka.", "topic")
        self._decoded = counter("samples_decoded", "Samples decoded from records.", "topic")
        self._dead_letters = counter(
            "dead_letters", "Records, or parts of them, that could not be used.", "topic", "reason"
        )
        self._late = counter(
            "samples_late", "Samples not newer than what was handed on of their entity before.", "topic"
        )
        self._appeared = counter(
            "metrics_appeared", "Metrics that an entity sent for the first time.", "topic"
        )
        self._vanished = counter(
            "metrics_vanished", "Metrics that an entity that still sends sent no more.", "topic"
        )
        self._scored = counter("samples_scored", "Samples scored.", "detector")
        self._unscored = counter(
            "samples_unscored", "Samples a detector could not score.", "detector", "reason"
        )
        self._alerts = counter(
            "alerts", "Samples with a score above 1, by who saw it.", "detector", "seen_by"
        )
        self._suppressed = counter(
            "alerts_suppressed",
            "Samples with a score above 1 that could open no incident, by the policy.",
            "detector",
            "reason",
        )
        self._rate_wanted = gauge(
            "alert_rate_wanted", "Wanted share of normal samples with a score above 1.", "detector"
        )
        self._rate_realised = gauge(
            "alert_rate_realised",
            "Share of samples with a score above 1, over the last day of event time.",
            "detector",
        )
        self._alarms_wanted = gauge(
            "alarms_per_day_wanted",
            "Wanted false alarms a day of all entities, where alarms_per_day is set.",
            "detector",
        )
        self._alarms_realised = gauge(
            "alarms_per_day_realised", "Incidents opened in the last day of event time.", "detector"
        )
        self._opened = counter("incidents_opened", "Incidents opened.", "detector", "severity")
        self._open = gauge("incidents_open", "Incidents that go on now.", "severity")
        self._adaptations = counter(
            "adaptations",
            "Changes of what a detector holds for normal of an entity, and those undone.",
            "detector",
            "what",
        )
        self._words = counter("words", "Operators' words applied.", "detector", "word")
        self._lag = gauge("consumer_lag", "Records in Kafka not taken yet.", "topic", "partition")
        self._event_time = gauge(
            "last_event_time_seconds",
            "Event time of the newest sample, seconds since the epoch.",
            "topic",
            "partition",
        )
        self._stages = Histogram(
            "anomalyd_stage_seconds",
            "Duration of one step of a stage.",
            ["stage"],
            registry=registry,
            buckets=_STAGE_BUCKETS,
        )
        self._end_to_end = BatchHistogram(
            "anomalyd_end_to_end_seconds",
            "From a record's Kafka timestamp until it is in the report store.",
            _END_TO_END_BUCKETS,
        )
        registry.register(self._end_to_end)
        self._model = Info("anomalyd_model", "The model at work.", ["detector"], registry=registry)
        self._refused = counter("model_refused", "Trained models refused.", "detector")
        self._queue = gauge("queue_records", "Records taken from Kafka that wait to be scored.")
        self._explanations = counter("explanations", "Explanations made.", "method", "outcome")
        self._unexplained = gauge("explanations_pending", "Reports that wait for an explanation.")
        self._outbox = gauge("outbox_pending", "Messages stored that Kafka has not acknowledged yet.")
        self._published = counter("published", "Messages that Kafka has acknowledged.", "topic")
        self._conflicts = counter("store_conflicts", "Steps undone because another daemon was faster.")
        self._source_errors = counter("source_errors", "Connections to Kafka lost, or not made.")

        for stage in STAGES:
            self._stages.labels(stage)
        for severity in Severity:
            self._open.labels(severity)
        for topic in topics:
            for of_topic in (self._consumed, self._decoded, self._late, self._appeared, self._vanished):
                of_topic.labels(topic)
            for reason in Reason:
                self._dead_letters.labels(topic, reason)
        for detector in detectors:
            self._scored.labels(detector)
            self._refused.labels(detector)
            for unscored in UNSCORED:
                self._unscored.labels(detector, unscored)
            for seen_by in SeenBy:
                self._alerts.labels(detector, seen_by)
            for suppression in Suppression:
                self._suppressed.labels(detector, suppression)
            self._alarms_realised.labels(detector)
            for severity in Severity:
                self._opened.labels(detector, severity)
            for verdict in Verdict:
                self._words.labels(detector, verdict)
            for what in ADAPTED:
                self._adaptations.labels(detector, what)
        for topic in output_topics:
            self._published.labels(topic)
        for method in explain_methods:
            for outcome in OUTCOMES:
                self._explanations.labels(method, outcome)

    @classmethod
    def for_config(cls, config: Config, registry: CollectorRegistry) -> Self:
        """Make the metrics of a configuration's topics, detectors and methods."""
        return cls(
            registry,
            topics=[i.topic for i in config.inputs],
            detectors=[d.name for d in config.detectors],
            output_topics=[t for t in (config.output.topic, config.output.dead_letter_topic) if t],
            explain_methods=config.explain.methods if config.explain.enabled else (),
        )

    # ---- source

    def consumed(self, topic: str, records: int) -> None:
        """Count records taken from Kafka."""
        self._consumed.labels(topic).inc(records)

    def lag(self, records: Mapping[tuple[str, int], int]) -> None:
        """Set the consumer lag by (topic, partition); partitions that are not named are no longer ours."""
        self._replace(self._lag, records)

    def last_event_time(self, seconds: Mapping[tuple[str, int], float]) -> None:
        """Set the newest event time by (topic, partition); partitions not named are no longer ours."""
        self._replace(self._event_time, seconds)

    def queue(self, records: int) -> None:
        """Set how many records wait to be scored."""
        self._queue.set(records)

    def source_error(self, errors: int = 1) -> None:
        """Count connections to Kafka lost, or not made."""
        self._source_errors.inc(errors)

    # ---- decode and score

    def decoded(self, topic: str, samples: int) -> None:
        """Count samples decoded."""
        self._decoded.labels(topic).inc(samples)

    def dead_letter(self, topic: str, reason: str, letters: int = 1) -> None:
        """Count what could not be used; `topic` is the one it came from."""
        self._dead_letters.labels(topic, reason).inc(letters)

    def late(self, topic: str, samples: int) -> None:
        """Count samples not newer than what was handed on of their entity before."""
        self._late.labels(topic).inc(samples)

    def presence(self, topic: str, appeared: int, vanished: int) -> None:
        """Count metrics that an entity began to send, and those that it sends no more."""
        self._appeared.labels(topic).inc(appeared)
        self._vanished.labels(topic).inc(vanished)

    def scored(self, detector: str, samples: int) -> None:
        """Count samples scored."""
        self._scored.labels(detector).inc(samples)

    def unscored(self, detector: str, reason: str, samples: int) -> None:
        """Count samples that could not be scored; `reason` is one of `UNSCORED`."""
        self._unscored.labels(detector, reason).inc(samples)

    def alerted(self, detector: str, seen_by: SeenBy, samples: int) -> None:
        """Count samples with a score above 1."""
        self._alerts.labels(detector, seen_by).inc(samples)

    def suppressed(self, detector: str, reason: Suppression, samples: int) -> None:
        """Count samples with a score above 1 that the policy kept from opening an incident."""
        self._suppressed.labels(detector, reason).inc(samples)

    def wanted(self, detector: str, rate: float) -> None:
        """Set the wanted share of normal samples with a score above 1."""
        self._rate_wanted.labels(detector).set(rate)

    def realised(self, detector: str, figures: Figures, alarms_per_day: float | None = None) -> None:
        """Set how often it really alarms, beside the wanted `alarms_per_day` of each entity."""
        if figures.rate is not None:
            self._rate_realised.labels(detector).set(figures.rate)
        self._alarms_realised.labels(detector).set(figures.alarms)
        if alarms_per_day is not None:
            self._alarms_wanted.labels(detector).set(alarms_per_day * figures.entities)

    def model(self, detector: str, version: str, kind: str) -> None:
        """Say which model is at work; it takes the place of the detector's model before."""
        self._model.labels(detector).info({"version": version, "kind": kind})

    def model_refused(self, detector: str) -> None:
        """Count a trained model that was refused."""
        self._refused.labels(detector).inc()

    # ---- incidents and their reports

    def incident_opened(self, detector: str, severity: Severity) -> None:
        """Count an incident."""
        self._opened.labels(detector, severity).inc()

    def incidents_open(self, incidents: Mapping[Severity, int]) -> None:
        """Set how many incidents go on; a severity that is not named has none."""
        for severity in Severity:
            self._open.labels(severity).set(incidents.get(severity, 0))

    def explained(self, method: str, outcome: str) -> None:
        """Count an explanation; `outcome` is one of `OUTCOMES`."""
        self._explanations.labels(method, outcome).inc()

    def explanations_pending(self, reports: int) -> None:
        """Set how many reports wait for an explanation."""
        self._unexplained.set(reports)

    def adapted(self, detector: str, what: str) -> None:
        """Count an adaptation; `what` is the detector's short word, or one of `ADAPTED`."""
        self._adaptations.labels(detector, what).inc()

    def word(self, detector: str, word: Verdict) -> None:
        """Count an operator's word that was applied."""
        self._words.labels(detector, word).inc()

    def store_conflict(self) -> None:
        """Count a step that was undone because another daemon had moved the offsets on."""
        self._conflicts.inc()

    def outbox_pending(self, messages: int) -> None:
        """Set how many stored messages Kafka has not acknowledged."""
        self._outbox.set(messages)

    def published(self, topic: str, messages: int) -> None:
        """Count messages that Kafka has acknowledged."""
        self._published.labels(topic).inc(messages)

    # ---- how long it takes

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

    @staticmethod
    def _replace(gauge: Gauge, values: Mapping[tuple[str, int], float]) -> None:
        kept = {(topic, str(partition)) for topic, partition in values}
        for family in gauge.collect():
            for sample in family.samples:
                labels = (sample.labels["topic"], sample.labels["partition"])
                if labels not in kept:
                    gauge.remove(*labels)
        for (topic, partition), value in values.items():
            gauge.labels(topic, partition).set(value)
