"""The Grafana dashboard: every metric that the daemon exports, in the order in which an operator asks.

A test holds it against the registry: each metric has a panel, and no panel shows one that is gone.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

_WIDTH, _HEIGHT = 8, 7
_STAT_WIDTH, _STAT_HEIGHT = 4, 4
_COLUMNS = 24

_ANY = 'instance=~"$instance"'
_OF_DETECTOR = f'{_ANY},detector=~"$detector"'
_DATASOURCE = {"type": "prometheus", "uid": "${datasource}"}


@dataclass(frozen=True, slots=True)
class Query:
    """One expression of PromQL; `legend` is Grafana's template of a series' name."""

    expr: str
    legend: str = ""


@dataclass(frozen=True, slots=True)
class Panel:
    """A panel of one or more queries; `unit` is Grafana's name of it."""

    title: str
    queries: tuple[Query, ...]
    unit: str = "short"
    kind: Literal["timeseries", "stat", "table"] = "timeseries"


@dataclass(frozen=True, slots=True)
class Row:
    """Panels that belong together, under a heading."""

    title: str
    panels: tuple[Panel, ...]


def _now(metric: str, *by: str, of: str = _ANY, how: str = "sum") -> Query:
    """Show what a gauge says."""
    return Query(f"{how} by ({', '.join(by)}) ({_name(metric)}{{{of}}})", _legend(by))


def _rate(metric: str, *by: str, of: str = _ANY) -> Query:
    """Show how often a counter counts, a second."""
    return Query(f"sum by ({', '.join(by)}) (rate({_name(metric)}{{{of}}}[$__rate_interval]))", _legend(by))


def _count(metric: str, *by: str, of: str = _ANY) -> Query:
    """Show how much a counter counted within an hour: for what should hardly happen."""
    return Query(f"sum by ({', '.join(by)}) (increase({_name(metric)}{{{of}}}[1h]))", _legend(by))


def _quantiles(metric: str, *by: str) -> tuple[Query, ...]:
    """Show the median and the slowest hundredth of a histogram."""
    buckets = f"rate({_name(metric)}_bucket{{{_ANY}}}[$__rate_interval])"
    labels = ", ".join(("le", *by))
    return tuple(
        Query(f"histogram_quantile({q}, sum by ({labels}) ({buckets}))", f"{_legend(by)} {name}".strip())
        for q, name in ((0.5, "median"), (0.99, "99 %"))
    )


def _name(metric: str) -> str:
    return f"anomalyd_{metric}"


def _legend(by: tuple[str, ...]) -> str:
    return " ".join(f"{{{{{label}}}}}" for label in by)


ROWS = (
    Row(
        "Now",
        (
            Panel(
                "Open incidents",
                (_now("incidents_open", "severity", of=_OF_DETECTOR, how="max"),),
                kind="stat",
            ),
            Panel("Waiting in Kafka", (_now("consumer_lag", how="sum"),), kind="stat"),
            Panel(
                "Age of the newest event",
                (Query(f"time() - max({_name('last_event_timestamp_seconds')}{{{_ANY}}})"),),
                unit="s",
                kind="stat",
            ),
            Panel("Store can be written", (_now("store_writable", how="min"),), kind="stat"),
            Panel("Kafka answers", (_now("kafka_answers", how="min"),), kind="stat"),
            Panel("Version", (_now("build_info", "version", "python"),), kind="stat"),
        ),
    ),
    Row(
        "Anomalies",
        (
            Panel(
                "Worst open incidents",
                (
                    Query(
                        "topk(50, max by (detector, entity, severity, report) "
                        f"({_name('incident_score')}{{{_OF_DETECTOR}}}))"
                    ),
                ),
                kind="table",
            ),
            Panel(
                "Opened an hour", (_count("incidents_opened_total", "detector", "severity", of=_OF_DETECTOR),)
            ),
            Panel("Samples that alert", (_rate("alerts_total", "detector", "seen_by", of=_OF_DETECTOR),)),
            Panel(
                "Alerts that open nothing, by the policy",
                (_rate("alerts_suppressed_total", "detector", "reason", of=_OF_DETECTOR),),
            ),
            Panel("Scores of entities", (_now("score", "entity", "by", of=_OF_DETECTOR, how="max"),)),
            Panel(
                "Scores sent on, and not",
                (
                    _rate("scores_sent_total"),
                    _rate("scores_dropped_total", "reason"),
                    _rate("scores_send_failures_total"),
                ),
            ),
            Panel(
                "Left out of these", (_now("scores_left_out"), _now("incident_scores_left_out", how="max"))
            ),
        ),
    ),
    Row(
        "Trust: how often it alarms, and what it learnt",
        (
            Panel("Entities that are learning", (_now("entities_learning", "detector", of=_OF_DETECTOR),)),
            Panel("Entities that fit no model", (_now("entities_unfit", "detector", of=_OF_DETECTOR),)),
            Panel(
                "Share of samples that alert",
                (
                    _now("alert_rate_realised", "detector", of=_OF_DETECTOR, how="max"),
                    _now("alert_rate_wanted", "detector", of=_OF_DETECTOR, how="max"),
                ),
                unit="percentunit",
            ),
            Panel(
                "Alarms a day",
                (
                    _now("alarms_per_day_realised", "detector", of=_OF_DETECTOR),
                    _now("alarms_per_day_wanted", "detector", of=_OF_DETECTOR),
                ),
            ),
            Panel("Adaptations an hour", (_count("adaptations_total", "detector", "what", of=_OF_DETECTOR),)),
            Panel("Operators' words an hour", (_count("words_total", "detector", "word", of=_OF_DETECTOR),)),
            Panel(
                "Models at work",
                (_now("model_info", "detector", "version", "kind", of=_OF_DETECTOR, how="max"),),
                kind="table",
            ),
            Panel("Models refused an hour", (_count("model_refused_total", "detector", of=_OF_DETECTOR),)),
        ),
    ),
    Row(
        "Data",
        (
            Panel("Records a second", (_rate("records_consumed_total", "topic"),)),
            Panel("Samples decoded a second", (_rate("samples_decoded_total", "topic"),)),
            Panel("Samples scored a second", (_rate("samples_scored_total", "detector", of=_OF_DETECTOR),)),
            Panel(
                "Samples not scored a second",
                (_rate("samples_unscored_total", "detector", "reason", of=_OF_DETECTOR),),
            ),
            Panel("Dead letters an hour", (_count("dead_letters_total", "topic", "reason"),)),
            Panel("Late samples an hour", (_count("samples_late_total", "topic"),)),
            Panel(
                "Metrics that come and go, an hour",
                (_count("metrics_appeared_total", "topic"), _count("metrics_vanished_total", "topic")),
            ),
            Panel(
                "Metrics of another kind, or left out, an hour",
                (
                    _count("metric_kinds_changed_total", "topic", "kind"),
                    _count("metrics_churning_total", "topic"),
                ),
            ),
            Panel("Label collisions an hour", (_count("label_collisions_total", "topic"),)),
            Panel(
                "Clocks that are behind",
                (_now("clock_offset_seconds", "topic", "entity", how="max"),),
                unit="s",
            ),
            Panel("Records settled a second", (_rate("records_settled_total", "topic", "outcome"),)),
            Panel("Samples settled a second", (_rate("samples_settled_total", "topic", "fate"),)),
            Panel("Samples that wait to be joined", (_now("samples_in_flight", "topic"),)),
        ),
    ),
    Row(
        "Kafka",
        (
            Panel("Consumer lag", (_now("consumer_lag", "topic", "partition"),)),
            Panel("Records that wait in memory", (_now("queue_records", "instance"),)),
            Panel("Connections lost an hour", (_count("source_errors_total", "instance"),)),
            Panel("Messages published a second", (_rate("published_total", "topic"),)),
            Panel("Messages that wait for Kafka", (_now("outbox_pending", how="max"),)),
            Panel(
                "Records lost, read again, partitions made anew, an hour",
                (
                    _count("records_lost_total", "topic"),
                    _count("records_reread_total", "topic"),
                    _count("partitions_made_anew_total", "topic"),
                ),
            ),
        ),
    ),
    Row(
        "The daemon",
        (
            Panel("From Kafka to the store", _quantiles("end_to_end_seconds"), unit="s"),
            Panel("A step of each stage", _quantiles("stage_seconds", "stage"), unit="s"),
            Panel(
                "Canaries sent, and back, an hour",
                (
                    _count("canary_sent_total", "detector", "kind", of=_OF_DETECTOR),
                    _count("canary_returned_total", "detector", "kind", "verdict", of=_OF_DETECTOR),
                ),
            ),
            Panel("Canaries: from sent to stored", _quantiles("canary_latency_seconds"), unit="s"),
            Panel("Explanations an hour", (_count("explanations_total", "method", "outcome"),)),
            Panel("Reports that wait for one", (_now("explanations_pending", how="max"),)),
            Panel(
                "Store: failures and conflicts an hour",
                (_count("store_errors_total", "kind"), _count("store_conflicts_total")),
            ),
            Panel("Store: let go by retention, an hour", (_count("store_pruned_total", "what"),)),
            Panel("Configurations refused an hour", (_count("config_refused_total"),)),
            Panel(
                "Processor",
                (
                    Query(
                        f'rate(process_cpu_seconds_total{{job="anomalyd",{_ANY}}}[$__rate_interval])',
                        "{{instance}}",
                    ),
                ),
                unit="percentunit",
            ),
            Panel(
                "Memory",
                (Query(f'process_resident_memory_bytes{{job="anomalyd",{_ANY}}}', "{{instance}}"),),
                unit="bytes",
            ),
        ),
    ),
)


def dashboard() -> dict[str, Any]:
    """Give the dashboard as Grafana imports it."""
    return {
        "uid": "anomalyd",
        "title": "anomalyd",
        "tags": ["anomalyd"],
        "timezone": "browser",
        "schemaVersion": 39,
        "refresh": "30s",
        "time": {"from": "now-6h", "to": "now"},
        "templating": {
            "list": [
                {"name": "datasource", "type": "datasource", "query": "prometheus"},
                _variable("instance", "label_values(anomalyd_build_info, instance)"),
                _variable("detector", "label_values(anomalyd_samples_scored_total, detector)"),
            ]
        },
        "panels": list(_placed()),
    }


def dashboard_file() -> str:
    """Give the dashboard as JSON."""
    return json.dumps(dashboard(), indent=1, ensure_ascii=False) + "\n"


def _variable(name: str, query: str) -> dict[str, Any]:
    return {
        "name": name,
        "type": "query",
        "datasource": _DATASOURCE,
        "query": {"query": query, "refId": name},
        "definition": query,
        "refresh": 2,
        "includeAll": True,
        "multi": True,
        "allValue": ".*",
        "current": {"text": "All", "value": "$__all"},
    }


def _placed() -> Iterator[dict[str, Any]]:
    """Put the panels side by side, from the left to the right, under their headings."""
    number, top = 1, 0
    for row in ROWS:
        place = {"x": 0, "y": top, "w": _COLUMNS, "h": 1}
        heading = {"type": "row", "title": row.title, "collapsed": False, "panels": []}
        yield {"id": number, "gridPos": place, **heading}
        number, top, left = number + 1, top + 1, 0
        stats = all(panel.kind == "stat" for panel in row.panels)
        width, height = (_STAT_WIDTH, _STAT_HEIGHT) if stats else (_WIDTH, _HEIGHT)
        for panel in row.panels:
            if left + width > _COLUMNS:
                left, top = 0, top + height
            yield _drawn(panel, number, {"x": left, "y": top, "w": width, "h": height})
            number, left = number + 1, left + width
        top += height


def _drawn(panel: Panel, number: int, place: dict[str, int]) -> dict[str, Any]:
    table = panel.kind == "table"
    targets = [
        {
            "refId": chr(ord("A") + i),
            "datasource": _DATASOURCE,
            "expr": query.expr,
            "legendFormat": query.legend or "__auto",
            **({"instant": True, "format": "table"} if table else {}),
        }
        for i, query in enumerate(panel.queries)
    ]
    options: dict[str, Any] = {}
    if panel.kind == "stat":
        options = {"reduceOptions": {"calcs": ["lastNotNull"]}, "textMode": "auto", "colorMode": "none"}
        if "info" in panel.queries[0].expr:
            options["textMode"] = "name"
    return {
        "id": number,
        "type": panel.kind,
        "title": panel.title,
        "datasource": _DATASOURCE,
        "gridPos": place,
        "targets": targets,
        "options": options,
        "fieldConfig": {"defaults": {"unit": panel.unit}, "overrides": []},
    }
