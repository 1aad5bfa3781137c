"""What Prometheus is told of the daemon: the metrics of each room, in one registry."""

from __future__ import annotations

import platform
import time
from collections.abc import Callable, Collection
from typing import Self

from prometheus_client import CollectorRegistry, ProcessCollector

from anomalyd import __version__
from anomalyd.daemon.config.config import Config
from anomalyd.daemon.config.otlp_config import OtlpConfig
from anomalyd.daemon.stages import Scored
from anomalyd.daemon.telemetry.canary_metrics import CanaryMetrics
from anomalyd.daemon.telemetry.entity_scores import EntityScores
from anomalyd.daemon.telemetry.incident_metrics import IncidentMetrics
from anomalyd.daemon.telemetry.intake_metrics import IntakeMetrics
from anomalyd.daemon.telemetry.kafka_metrics import KafkaMetrics
from anomalyd.daemon.telemetry.metric_factory import Families
from anomalyd.daemon.telemetry.score_output import ScoreOutput, Scores, http_sender
from anomalyd.daemon.telemetry.scoring_metrics import ScoringMetrics
from anomalyd.daemon.telemetry.store_metrics import StoreMetrics
from anomalyd.daemon.telemetry.timing_metrics import TimingMetrics


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
        scores: Collection[str] = (),
        otlp: OtlpConfig | None = None,
        limit: int = 1000,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        self.registry = registry
        ProcessCollector(registry=registry)
        families = Families(registry)
        families.info("build", "The anomalyd that runs.").info(
            {"version": __version__, "python": platform.python_version()}
        )
        self._config_refused = families.counter(
            "config_refused", "Changed configurations refused; the last good one stays at work."
        )
        self.kafka = KafkaMetrics(families, topics=topics, output_topics=output_topics)
        self.intake = IntakeMetrics(families, topics=topics)
        self.scoring = ScoringMetrics(families, detectors=detectors)
        self.entity_scores = EntityScores(families, entities=scores, limit=limit)
        send = otlp and http_sender(
            otlp.url, {n: v.get_secret_value() for n, v in otlp.headers.items()}, otlp.timeout_s
        )
        self.score_output = ScoreOutput(families, otlp.entities, otlp.queue, send) if otlp and send else None
        self.incidents = IncidentMetrics(
            families, detectors=detectors, explain_methods=explain_methods, limit=limit
        )
        self.store = StoreMetrics(families)
        self.timing = TimingMetrics(families, clock=clock)
        self.canary = CanaryMetrics(families, detectors=detectors)

    def scored(self, scored: Scored) -> None:
        """Tell of the scores of one entity."""
        autoencoder, classical = scored.scores.autoencoder.score, scored.scores.classical.score
        self.entity_scores.scored(scored.detector, scored.entity, autoencoder, classical)
        if self.score_output is not None:
            self.score_output.scored(
                Scores(scored.detector, scored.entity, scored.window.times, autoencoder, classical)
            )

    def config_refused(self) -> None:
        """Count a changed configuration that cannot be used."""
        self._config_refused.inc()

    @classmethod
    def for_config(cls, config: Config, registry: CollectorRegistry) -> Self:
        """Make the metrics of a configuration's topics, detectors and methods."""
        return cls(
            registry,
            topics=[i.topic for i in config.inputs],
            detectors=[d.name for d in config.detectors],
            output_topics=[t for t in (config.output.topic, config.output.dead_letter_topic) if t],
            explain_methods=config.explain.methods if config.explain.enabled else (),
            scores=config.metrics.scores,
            otlp=config.metrics.otlp,
            limit=config.metrics.limit,
        )
