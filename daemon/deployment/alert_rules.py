"""Prometheus alert rules of the daemon, with thresholds that follow from its configuration.

Each rule names its page in docs/runbooks/ as `runbook_url`. By default nothing fires that should not: what is
bounded in the configuration is compared with that bound, the rest with what was wanted.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal

import yaml

from anomalyd.daemon.config.config import Config

RUNBOOKS = "docs/runbooks"
DASHBOARD = "http://localhost:8501"

_NO_DATA_S = 600.0
"""Ten minutes without data: twenty polls of the slowest common producer, and no pause between two runs."""


Component = Literal["daemon", "data", "store", "models", "anomalies"]


@dataclass(frozen=True, slots=True)
class AlertRule:
    """One alerting rule.

    `component` is what it tells of: alerts of one component are one notification. `hold` is how long the
    expression must hold, `keep` how long it fires after it held last, in Prometheus' notation. `severity` is
    "page" or "ticket", or a template that gives one.
    """

    component: Component
    name: str
    expr: str
    hold: str
    severity: str
    summary: str
    description: str
    keep: str = "0m"

    @property
    def runbook(self) -> str:
        """The name of its page in docs/runbooks/."""
        return self.name.removeprefix("Anomalyd").lower()


def alert_rules(config: Config, *, dashboard: str = DASHBOARD) -> tuple[AlertRule, ...]:
    """Give the rules for a configuration; `dashboard` is the address that people open."""
    return (
        *_service(config),
        *_data(config),
        *_broken_data(),
        *_canaries(),
        *_store(),
        *_models(),
        *_anomalies(config, dashboard),
    )


def _service(config: Config) -> Iterable[AlertRule]:
    yield AlertRule(
        "daemon",
        "AnomalydDown",
        'up{job="anomalyd"} == 0 or absent(up{job="anomalyd"})',
        "2m",
        "page",
        "anomalyd does not answer",
        "Prometheus cannot read its metrics: nothing is watched until it is back. Nothing is lost: it goes "
        "on where its stored offsets say.",
    )
    yield AlertRule(
        "daemon",
        "AnomalydReloadFailed",
        "increase(anomalyd_config_refused_total[1h]) > 0",
        "0m",
        "ticket",
        "a changed configuration was refused",
        "The last good one stays at work, and the change has no effect. The log names every mistake.",
    )
    yield AlertRule(
        "daemon",
        "AnomalydKafkaErrors",
        "increase(anomalyd_source_errors_total[10m]) > 3",
        "5m",
        "page",
        "anomalyd keeps losing Kafka",
        "{{ $value | humanize }} connections were lost or not made in ten minutes.",
    )
    if config.output.topic is not None or config.output.dead_letter_topic is not None:
        yield AlertRule(
            "daemon",
            "AnomalydOutboxStuck",
            "anomalyd_outbox_pending > 0 and delta(anomalyd_outbox_pending[10m]) >= 0",
            "10m",
            "ticket",
            "events wait to be sent to Kafka",
            "{{ $value | humanize }} messages are stored and not acknowledged; check the output topics and "
            "the right to write them.",
        )


def _data(config: Config) -> Iterable[AlertRule]:
    latest = max([_NO_DATA_S, *(30 * (i.grid_s or 0.0) for i in config.inputs)])
    yield AlertRule(
        "data",
        "AnomalydNoData",
        f"time() - max by (topic) (anomalyd_last_event_timestamp_seconds) > {latest:g}",
        "5m",
        "page",
        "no data on {{ $labels.topic }}",
        "The newest event is {{ $value | humanizeDuration }} old. Either nothing is sent, or the clock of "
        "the producer is behind.",
    )
    # What waits in the queue is read already: more than twice that lies in Kafka only if we do not keep up.
    yield AlertRule(
        "data",
        "AnomalydConsumerLag",
        f"sum by (topic) (anomalyd_consumer_lag) > {2 * config.kafka.queue_records:d}",
        "10m",
        "page",
        "anomalyd does not keep up with {{ $labels.topic }}",
        "{{ $value | humanize }} records wait in Kafka; reports come late by as much.",
    )
    yield AlertRule(
        "data",
        "AnomalydPartitionStalled",
        "anomalyd_consumer_lag > 0 and on (topic, partition) "
        "changes(anomalyd_last_event_timestamp_seconds[15m]) == 0",
        "10m",
        "page",
        "partition {{ $labels.partition }} of {{ $labels.topic }} stands still",
        "Records wait there ({{ $value | humanize }}), and none was taken for a quarter of an hour.",
    )
    yield AlertRule(
        "data",
        "AnomalydRecordsLost",
        "increase(anomalyd_records_lost_total[1h]) > 0",
        "0m",
        "page",
        "records of {{ $labels.topic }} were lost before they were read",
        "{{ $value | humanize }} records are gone from Kafka unread: its retention is shorter than the time "
        "anomalyd was behind or away.",
    )


def _broken_data() -> Iterable[AlertRule]:
    yield AlertRule(
        "data",
        "AnomalydDeadLetters",
        "sum by (topic) (increase(anomalyd_dead_letters_total[15m])) "
        "> 0.01 * sum by (topic) (increase(anomalyd_records_consumed_total[15m]))",
        "15m",
        "ticket",
        "more than 1 % of {{ $labels.topic }} cannot be read",
        "{{ $value | humanize }} dead letters in a quarter of an hour; the dead-letter topic says why.",
    )
    yield AlertRule(
        "data",
        "AnomalydLateSamples",
        "sum by (topic) (increase(anomalyd_samples_late_total[30m])) "
        "> 0.05 * sum by (topic) (increase(anomalyd_samples_decoded_total[30m]))",
        "30m",
        "ticket",
        "more than 5 % of {{ $labels.topic }} comes too late",
        "{{ $value | humanize }} samples were older than what was scored already; check the producer's clock "
        "and lateness_s.",
    )


def _canaries() -> Iterable[AlertRule]:
    # Of all daemons together: whoever reads the partition answers for what another has sent.
    sent = "sum by (detector, kind) (increase(anomalyd_canary_sent_total[10m]))"
    returned = "sum by (detector, kind) (increase(anomalyd_canary_returned_total[10m]))"
    yield AlertRule(
        "data",
        "AnomalydCanaryMissed",
        f"{sent} > 0 and {returned} == 0",
        "5m",
        "page",
        "canaries of {{ $labels.detector }} do not come back",
        "{{ $value | humanize }} synthetic samples were sent in ten minutes, and none was scored and stored: "
        "what is real does not get through, either.",
    )
    answered = 'sum by (detector) (increase(anomalyd_canary_returned_total{kind="faulty"}[10m]))'
    undetected = answered.replace('kind="faulty"', 'kind="faulty",verdict="wrong"')
    yield AlertRule(
        "models",
        "AnomalydCanaryUndetected",
        f"{undetected} > 0.5 * {answered}",
        "5m",
        "page",
        "{{ $labels.detector }} does not see a planted fault",
        "{{ $value | humanize }} synthetic faults of ten minutes gave no alert: real ones are missed, too.",
    )


def _store() -> Iterable[AlertRule]:
    yield AlertRule(
        "store",
        "AnomalydStoreErrors",
        "sum(increase(anomalyd_store_errors_total[10m])) > 3 or anomalyd_store_writable == 0",
        "2m",
        "page",
        "the report store fails",
        "Nothing is lost while it lasts, and nothing goes on: records wait in Kafka until the store is back.",
    )
    yield AlertRule(
        "store",
        "AnomalydStoreConflicts",
        "increase(anomalyd_store_conflicts_total[10m]) > 5",
        "10m",
        "ticket",
        "two daemons fight for the same partitions",
        "{{ $value | humanize }} steps were undone because another daemon was faster; one instance_id may be "
        "used twice.",
    )
    yield AlertRule(
        "store",
        "AnomalydExplanationsPending",
        "anomalyd_explanations_pending > 100 and delta(anomalyd_explanations_pending[30m]) >= 0",
        "30m",
        "ticket",
        "reports wait for their explanation",
        "{{ $value | humanize }} reports have none yet; the worst are explained first.",
    )


def _models() -> Iterable[AlertRule]:
    yield AlertRule(
        "models",
        "AnomalydModelRefused",
        "increase(anomalyd_model_refused_total[1h]) > 0",
        "0m",
        "ticket",
        "a model of {{ $labels.detector }} was refused",
        "It is damaged or of another kind; the last good one goes on. The log says why.",
    )
    yield AlertRule(
        "models",
        "AnomalydUntrained",
        'increase(anomalyd_samples_unscored_total{reason="untrained"}[30m]) > 0',
        "30m",
        "ticket",
        "{{ $labels.detector }} has no model",
        "{{ $value | humanize }} samples came in half an hour and were not scored.",
    )
    yield AlertRule(
        "models",
        "AnomalydModelUnfit",
        'increase(anomalyd_samples_unscored_total{reason="mismatch"}[30m]) > 0',
        "30m",
        "ticket",
        "the model of {{ $labels.detector }} does not fit what is sent",
        "{{ $value | humanize }} samples could not be scored in half an hour: other metrics, or maps of "
        "another shape; train it again.",
    )
    yield AlertRule(
        "models",
        "AnomalydAlarmRateOff",
        "anomalyd_alert_rate_realised > 10 * anomalyd_alert_rate_wanted "
        "and anomalyd_alert_rate_realised > 0.01",
        "6h",
        "ticket",
        "{{ $labels.detector }} alerts far more often than wanted",
        "{{ $value | humanizePercentage }} of its samples over the last day. Either much is broken, or its "
        "model is of another time; look at its incidents, then train it again.",
    )


def _anomalies(config: Config, dashboard: str) -> Iterable[AlertRule]:
    detectors = len(config.detectors)
    # Without the instance: of several daemons on one store each names every incident.
    yield AlertRule(
        "anomalies",
        "AnomalydIncident",
        'max by (detector, entity, report, severity) (anomalyd_incident_score{severity=~"error|critical"})',
        "0m",
        '{{ if eq $labels.severity "critical" }}page{{ else }}ticket{{ end }}',
        "{{ $labels.entity }} is anomalous",
        "{{ $labels.detector }} scores it {{ $value | humanize }}; above 1 is an alert. The report: "
        f"{dashboard}/incident?report={{{{ $labels.report }}}}",
        keep="2m",  # a daemon that starts again resolves nothing
    )
    yield AlertRule(
        "anomalies",
        "AnomalydAnomalySustained",
        'sum by (detector) (anomalyd_incidents_open{severity=~"error|critical"}) > 0',
        "15m",
        "page",
        "anomalies of {{ $labels.detector }} last",
        "{{ $value | humanize }} incidents of error or critical severity are open for a quarter of an hour: "
        f"{dashboard}/incidents?detector={{{{ $labels.detector }}}}",
    )
    yield AlertRule(
        "anomalies",
        "AnomalydAnomalyBurst",
        f"sum(increase(anomalyd_incidents_opened_total[10m])) > {max(20, 10 * detectors)}",
        "0m",
        "page",
        "many anomalies at once",
        "{{ $value | humanize }} incidents opened in ten minutes: look for one common cause first: "
        f"{dashboard}",
    )


RECORDED = {
    "detector:anomalyd_alert_rate:realised_to_wanted": (
        "max by (detector) (anomalyd_alert_rate_realised) / max by (detector) (anomalyd_alert_rate_wanted)"
    ),
    "detector:anomalyd_samples_scored:rate5m": "sum by (detector) (rate(anomalyd_samples_scored_total[5m]))",
    "topic:anomalyd_consumer_lag:sum": "sum by (topic) (anomalyd_consumer_lag)",
    # Without the instance: of several daemons on one store each names every incident.
    "detector_severity:anomalyd_incidents_open:max": (
        "max by (detector, severity) (anomalyd_incidents_open)"
    ),
    "topic:anomalyd_event_age_seconds:min": "time() - max by (topic) (anomalyd_last_event_timestamp_seconds)",
}
"""Names of recorded series (level:metric:operations, as Prometheus advises), and what they are."""


def rules_file(rules: Iterable[AlertRule], *, runbooks: str = RUNBOOKS) -> str:
    """Give the rules as a Prometheus rules file (YAML)."""
    return _yaml({"groups": [_recorded(), _group(rules, runbooks)]})


def rules_resource(rules: Iterable[AlertRule], *, runbooks: str = RUNBOOKS) -> str:
    """Give the rules as a PrometheusRule (YAML), which the Prometheus operator reads from Kubernetes."""
    return _yaml(
        {
            "apiVersion": "monitoring.coreos.com/v1",
            "kind": "PrometheusRule",
            "metadata": {"name": "anomalyd"},
            "spec": {"groups": [_recorded(), _group(rules, runbooks)]},
        }
    )


def _recorded() -> dict[str, Any]:
    return {
        "name": "anomalyd-recorded",
        "rules": [{"record": name, "expr": expr} for name, expr in RECORDED.items()],
    }


def _group(rules: Iterable[AlertRule], runbooks: str) -> dict[str, Any]:
    return {
        "name": "anomalyd",
        "rules": [
            {
                "alert": rule.name,
                "expr": rule.expr,
                **({"for": rule.hold} if rule.hold != "0m" else {}),
                **({"keep_firing_for": rule.keep} if rule.keep != "0m" else {}),
                "labels": {"component": rule.component, "severity": rule.severity},
                "annotations": {
                    "summary": rule.summary,
                    "description": rule.description,
                    "runbook_url": f"{runbooks}/{rule.runbook}.md",
                },
            }
            for rule in rules
        ],
    }


def _yaml(document: dict[str, Any]) -> str:
    return yaml.safe_dump(document, sort_keys=False, width=110, allow_unicode=True)
