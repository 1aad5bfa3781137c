"""Metrics of scoring: what was scored, how often it alerts against what was wanted, the model at work."""

from __future__ import annotations

from collections.abc import Collection

import numpy as np
from numpy.typing import NDArray
from prometheus_client import Gauge

from anomalyd.daemon.stages import Suppression
from anomalyd.daemon.telemetry.metric_factory import Families
from anomalyd.reports.report import SeenBy

UNSCORED = ("untrained", "mismatch")
ADAPTED = ("new-normal", "told-normal", "told-broken", "undone")


class ScoringMetrics:
    """Counts and gauges by detector."""

    def __init__(self, families: Families, *, detectors: Collection[str] = ()) -> None:
        self._scored = families.counter("samples_scored", "Samples scored.", "detector")
        self._unscored = families.counter(
            "samples_unscored", "Samples a detector could not score.", "detector", "reason"
        )
        self._alerts = families.counter(
            "alerts", "Samples with a score above 1, by who saw it.", "detector", "seen_by"
        )
        self._suppressed = families.counter(
            "alerts_suppressed",
            "Samples with a score above 1 that could open no incident, by the policy.",
            "detector",
            "reason",
        )
        self._rate_wanted = families.gauge(
            "alert_rate_wanted", "Wanted share of normal samples with a score above 1.", "detector"
        )
        self._rate_realised = families.gauge(
            "alert_rate_realised",
            "Share of samples with a score above 1, over the last day of event time.",
            "detector",
        )
        self._alarms_wanted = families.gauge(
            "alarms_per_day_wanted",
            "Wanted false alarms a day of all entities, where alarms_per_day is set.",
            "detector",
        )
        self._alarms_realised = families.gauge(
            "alarms_per_day_realised", "Incidents opened in the last day of event time.", "detector"
        )
        self._learning = families.gauge(
            "entities_learning",
            "Entities that training did not know, in their first day: they alarm only beyond what any of "
            "their like ever showed.",
            "detector",
        )
        self._unfit = families.gauge(
            "entities_unfit", "Entities whose newest samples the model at work cannot take.", "detector"
        )
        self._learners: dict[str, set[str]] = {}
        self._misfits: dict[str, set[str]] = {}
        self._model = families.info("model", "The model at work.", "detector")
        self._refused = families.counter("model_refused", "Trained models refused.", "detector")
        self._adaptations = families.counter(
            "adaptations",
            "Changes of what a detector holds for normal of an entity, and those undone.",
            "detector",
            "what",
        )
        for detector in detectors:
            self._begin(detector)

    def _begin(self, detector: str) -> None:
        for of_detector in (self._scored, self._refused, self._alarms_realised, self._learning, self._unfit):
            of_detector.labels(detector)
        for unscored in UNSCORED:
            self._unscored.labels(detector, unscored)
        for seen_by in SeenBy:
            self._alerts.labels(detector, seen_by)
        for suppression in Suppression:
            self._suppressed.labels(detector, suppression)
        for what in ADAPTED:
            self._adaptations.labels(detector, what)

    def scored(self, detector: str, samples: int) -> None:
        """Count samples scored."""
        self._scored.labels(detector).inc(samples)

    def unscored(self, detector: str, reason: str, samples: int) -> None:
        """Count samples that could not be scored; `reason` is one of `UNSCORED`."""
        self._unscored.labels(detector, reason).inc(samples)

    def alerts(self, detector: str, autoencoder: NDArray[np.bool_], classical: NDArray[np.bool_]) -> None:
        """Count samples (n,) with a score above 1, by which of the two saw it."""
        if not (autoencoder.any() or classical.any()):
            return
        for seen_by, samples in (
            (SeenBy.BOTH, autoencoder & classical),
            (SeenBy.AUTOENCODER, autoencoder & ~classical),
            (SeenBy.CLASSICAL, classical & ~autoencoder),
        ):
            if count := int(np.count_nonzero(samples)):
                self._alerts.labels(detector, seen_by).inc(count)

    def learning(self, detector: str, entity: str, learns: bool) -> None:
        """Say whether a detector still learns what is usual of an entity."""
        _note(self._learners, self._learning, detector, entity, learns)

    def unfit(self, detector: str, entity: str, is_so: bool) -> None:
        """Say whether the model at work cannot take what an entity sends."""
        _note(self._misfits, self._unfit, detector, entity, is_so)

    def learners(self, detector: str) -> Collection[str]:
        """Name the entities that a detector still learns."""
        return tuple(self._learners.get(detector, ()))

    def misfits(self, detector: str) -> Collection[str]:
        """Name the entities of which a detector's model takes nothing."""
        return tuple(self._misfits.get(detector, ()))

    def suppressed(self, detector: str, reason: Suppression, samples: int) -> None:
        """Count samples with a score above 1 that the policy kept from opening an incident."""
        self._suppressed.labels(detector, reason).inc(samples)

    def wanted(self, detector: str, rate: float) -> None:
        """Set the wanted share of normal samples with a score above 1."""
        self._rate_wanted.labels(detector).set(rate)

    def realised(
        self, detector: str, *, rate: float | None, alarms: int, wanted_alarms: float | None = None
    ) -> None:
        """Set how often it really alarms: the share of samples above 1, and alarms a day of all entities."""
        if rate is not None:
            self._rate_realised.labels(detector).set(rate)
        self._alarms_realised.labels(detector).set(alarms)
        if wanted_alarms is not None:
            self._alarms_wanted.labels(detector).set(wanted_alarms)

    def model(self, detector: str, version: str, kind: str) -> None:
        """Say which model is at work; it takes the place of the detector's model before."""
        self._model.labels(detector).info({"version": version, "kind": kind})

    def model_refused(self, detector: str) -> None:
        """Count a trained model that was refused."""
        self._refused.labels(detector).inc()

    def adapted(self, detector: str, what: str) -> None:
        """Count an adaptation; `what` is the detector's short word, or one of `ADAPTED`."""
        self._adaptations.labels(detector, what).inc()


def _note(members: dict[str, set[str]], gauge: Gauge, detector: str, entity: str, belongs: bool) -> None:
    """Take an entity into a detector's set, or out of it, and tell how many there are."""
    of_detector = members.setdefault(detector, set())
    if belongs != (entity in of_detector):
        (of_detector.add if belongs else of_detector.discard)(entity)
        gauge.labels(detector).set(len(of_detector))
