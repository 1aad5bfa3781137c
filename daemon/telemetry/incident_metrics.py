"""Metrics of incidents: opened, open now, explained, and what operators said of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence

from anomalyd.daemon.telemetry.metric_factory import Families
from anomalyd.reports.report import Incident, Severity
from anomalyd.verdict import Verdict

OUTCOMES = ("complete", "partial", "failed")


class IncidentMetrics:
    """Counts and gauges by detector and severity, and by method of explanation."""

    def __init__(
        self,
        families: Families,
        *,
        detectors: Collection[str] = (),
        explain_methods: Collection[str] = (),
        limit: int = 1000,
    ) -> None:
        self._detectors = tuple(detectors)
        self._limit = limit
        self._opened = families.counter("incidents_opened", "Incidents opened.", "detector", "severity")
        self._open = families.gauge("incidents_open", "Incidents that go on now.", "detector", "severity")
        self._scores = families.replaced_gauge(
            "incident_score",
            "Highest score of an incident that goes on now, up to metrics.limit of them, the worst.",
            "detector",
            "entity",
            "severity",
            "report",
        )
        self._left_out = families.gauge(
            "incident_scores_left_out", "Incidents that go on and are not exported: metrics.limit is reached."
        )
        self._feedback = families.counter("words", "Operators' words applied.", "detector", "word")
        self._explanations = families.counter("explanations", "Explanations made.", "method", "outcome")
        self._unexplained = families.gauge("explanations_pending", "Reports that wait for an explanation.")
        for detector in detectors:
            for severity in Severity:
                self._opened.labels(detector, severity)
                self._open.labels(detector, severity)
            for verdict in Verdict:
                self._feedback.labels(detector, verdict)
        for method in explain_methods:
            for outcome in OUTCOMES:
                self._explanations.labels(method, outcome)

    def opened(self, detector: str, severity: Severity) -> None:
        """Count an incident."""
        self._opened.labels(detector, severity).inc()

    def open(self, incidents: Sequence[Incident]) -> None:
        """Set which incidents go on, and how many by detector and severity."""
        counts = Counter((i.detector, i.severity) for i in incidents)
        named = {(detector, severity) for detector in self._detectors for severity in Severity}
        for detector, severity in named | counts.keys():
            self._open.labels(detector, severity).set(counts[detector, severity])
        worst = sorted(incidents, key=lambda i: (-i.peak, i.id))[: self._limit]
        self._scores.replace({(i.detector, i.entity, i.severity.value, i.id): i.peak for i in worst})
        self._left_out.set(len(incidents) - len(worst))

    def explained(self, method: str, outcome: str) -> None:
        """Count an explanation; `outcome` is one of `OUTCOMES`."""
        self._explanations.labels(method, outcome).inc()

    def explanations_pending(self, reports: int) -> None:
        """Set how many reports wait for an explanation."""
        self._unexplained.set(reports)

    def feedback(self, detector: str, verdict: Verdict) -> None:
        """Count an operator's feedback that was applied."""
        self._feedback.labels(detector, verdict).inc()
