"""The alert rules, by Prometheus' own `promtool`: each fires where it should, and not where all is well."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml

from anomalyd.daemon.config.config import Config, parse_config
from anomalyd.daemon.deployment.alert_rules import RECORDED, AlertRule, alert_rules, rules_file

ROOT = Path(__file__).parents[2]
QUEUE = 20_000

WELL = {
    'up{job="anomalyd"}': "1x600",
    "anomalyd_source_errors_total": "0x600",
    "anomalyd_config_refused_total": "0x600",
    "anomalyd_outbox_pending": "0 3 0 5 0 0 2 0x593",
    'anomalyd_last_event_timestamp_seconds{topic="t",partition="0"}': "0+60x600",
    'anomalyd_consumer_lag{topic="t",partition="0"}': "0 500 20 0 30 700 0x594",
    'anomalyd_records_consumed_total{topic="t"}': "0+6000x600",
    'anomalyd_samples_decoded_total{topic="t"}': "0+6000x600",
    'anomalyd_dead_letters_total{topic="t",reason="syntax"}': "0+6x600",
    'anomalyd_samples_late_total{topic="t"}': "0+20x600",
    'anomalyd_records_lost_total{topic="t"}': "0x600",
    'anomalyd_store_errors_total{kind="locked"}': "0 1x599",
    "anomalyd_store_writable": "1x600",
    "anomalyd_store_conflicts_total": "0 1x599",
    "anomalyd_explanations_pending": "0 40 20 0x597",
    'anomalyd_model_refused_total{detector="d"}': "0x600",
    'anomalyd_samples_unscored_total{detector="d",reason="untrained"}': "5x600",
    'anomalyd_samples_unscored_total{detector="d",reason="mismatch"}': "0x600",
    'anomalyd_alert_rate_wanted{detector="d"}': "0.001x600",
    'anomalyd_alert_rate_realised{detector="d"}': "0.002x600",
    'anomalyd_incidents_open{detector="d",severity="error"}': "0 1 1 1 0x596",
    'anomalyd_incidents_open{detector="d",severity="warning"}': "3x600",
    'anomalyd_incident_score{detector="d",entity="e",severity="warning",report="r1"}': "1.5x600",
    'anomalyd_incident_score{detector="d",entity="e",severity="error",report="r2"}': "_ 3 4 4 _x596",
    'anomalyd_incidents_opened_total{detector="d",severity="error"}': "0 1 2 3x597",
    'anomalyd_canary_sent_total{detector="d",kind="healthy"}': "0+1x600",
    'anomalyd_canary_sent_total{detector="d",kind="faulty"}': "0+1x600",
    'anomalyd_canary_returned_total{detector="d",kind="healthy",verdict="right"}': "0+1x600",
    'anomalyd_canary_returned_total{detector="d",kind="faulty",verdict="right"}': "0+1x600",
    'anomalyd_canary_returned_total{detector="d",kind="faulty",verdict="wrong"}': "0 1 1 2 2x596",
}
"""Ten hours, a minute apart, of a daemon that is well; a topic that is read, some faults that pass."""

BROKEN: dict[str, dict[str, str]] = {
    "AnomalydDown": {'up{job="anomalyd"}': "0x600"},
    "AnomalydReloadFailed": {"anomalyd_config_refused_total": "0x590 1x10"},
    "AnomalydKafkaErrors": {"anomalyd_source_errors_total": "0+2x600"},
    "AnomalydOutboxStuck": {"anomalyd_outbox_pending": "0+3x600"},
    "AnomalydNoData": {'anomalyd_last_event_timestamp_seconds{topic="t",partition="0"}': "0+60x100 6000x500"},
    "AnomalydConsumerLag": {'anomalyd_consumer_lag{topic="t",partition="0"}': f"{2 * QUEUE + 1}x600"},
    "AnomalydPartitionStalled": {
        'anomalyd_consumer_lag{topic="t",partition="0"}': "5x600",
        'anomalyd_last_event_timestamp_seconds{topic="t",partition="0"}': "36000x600",
    },
    "AnomalydDeadLetters": {'anomalyd_dead_letters_total{topic="t",reason="syntax"}': "0+600x600"},
    "AnomalydLateSamples": {'anomalyd_samples_late_total{topic="t"}': "0+600x600"},
    "AnomalydRecordsLost": {'anomalyd_records_lost_total{topic="t"}': "0x590 150x10"},
    "AnomalydStoreErrors": {"anomalyd_store_writable": "0x600"},
    "AnomalydStoreConflicts": {"anomalyd_store_conflicts_total": "0+2x600"},
    "AnomalydExplanationsPending": {"anomalyd_explanations_pending": "0+4x600"},
    "AnomalydCanaryMissed": {
        'anomalyd_canary_returned_total{detector="d",kind="faulty",verdict="right"}': "0+1x500 500x100"
    },
    "AnomalydCanaryUndetected": {
        'anomalyd_canary_returned_total{detector="d",kind="faulty",verdict="right"}': "0x600",
        'anomalyd_canary_returned_total{detector="d",kind="faulty",verdict="wrong"}': "0+1x600",
    },
    "AnomalydModelRefused": {'anomalyd_model_refused_total{detector="d"}': "0x590 1x10"},
    "AnomalydUntrained": {'anomalyd_samples_unscored_total{detector="d",reason="untrained"}': "0+9x600"},
    "AnomalydModelUnfit": {'anomalyd_samples_unscored_total{detector="d",reason="mismatch"}': "0+9x600"},
    "AnomalydAlarmRateOff": {'anomalyd_alert_rate_realised{detector="d"}': "0.05x600"},
    "AnomalydIncident": {
        'anomalyd_incident_score{detector="d",entity="e",severity="error",report="r2"}': "4x600"
    },
    "AnomalydAnomalySustained": {'anomalyd_incidents_open{detector="d",severity="error"}': "2x600"},
    "AnomalydAnomalyBurst": {
        'anomalyd_incidents_opened_total{detector="d",severity="error"}': "0x595 10 20 30 40 50"
    },
}
"""What is different where a rule must fire."""


@pytest.fixture(scope="module")
def config() -> Config:
    return parse_config(
        "inputs: [{topic: t}]\ndetectors: [{name: d, kind: vector-autoencoder}]\n"
        f"kafka: {{queue_records: {QUEUE}}}\n",
        "test.yaml",
        {},
    )


@pytest.fixture(scope="module")
def promtool() -> str:
    found = shutil.which("promtool")
    if found is None:
        pytest.skip("no promtool in PATH: install Debian's package prometheus")
    return found


def test_every_rule_is_tried_and_has_its_page(config: Config) -> None:
    rules = alert_rules(config)
    assert {rule.name for rule in rules} == BROKEN.keys()
    for rule in rules:
        page = ROOT / "docs" / "runbooks" / f"{rule.runbook}.md"
        assert page.read_text().startswith(f"# {rule.name}\n")


def test_every_metric_of_a_rule_is_exported(config: Config) -> None:
    exported = set(re.findall(r"`(anomalyd_\w+)`", (ROOT / "docs" / "metrics.md").read_text()))
    named = {rule.name: rule.expr for rule in alert_rules(config)} | RECORDED
    for name, expr in named.items():
        assert set(re.findall(r"anomalyd_\w+", expr)) <= exported, name


def test_what_is_recorded(config: Config, promtool: str, tmp_path: Path) -> None:
    expected = {
        'detector:anomalyd_alert_rate:realised_to_wanted{detector="d"}': 2.0,
        'detector:anomalyd_samples_scored:rate5m{detector="d"}': 20.0,
        'topic:anomalyd_consumer_lag:sum{topic="t"}': 12.0,
        'detector_severity:anomalyd_incidents_open:max{detector="d",severity="error"}': 3.0,
        'topic:anomalyd_event_age_seconds:min{topic="t"}': 30.0,
    }
    assert {name.partition("{")[0] for name in expected} == RECORDED.keys()
    given = {
        'anomalyd_alert_rate_wanted{detector="d",instance="a"}': "0.001x20",
        'anomalyd_alert_rate_realised{detector="d",instance="a"}': "0.002x20",
        'anomalyd_samples_scored_total{detector="d",instance="a"}': "0+600x20",
        'anomalyd_samples_scored_total{detector="d",instance="b"}': "0+600x20",
        'anomalyd_consumer_lag{topic="t",partition="0"}': "5x20",
        'anomalyd_consumer_lag{topic="t",partition="1"}': "7x20",
        'anomalyd_incidents_open{detector="d",severity="error",instance="a"}': "3x20",
        'anomalyd_incidents_open{detector="d",severity="error",instance="b"}': "3x20",
        'anomalyd_last_event_timestamp_seconds{topic="t",partition="0"}': "570x20",
        'anomalyd_last_event_timestamp_seconds{topic="t",partition="1"}': "100x20",
    }
    test = {
        "interval": "1m",
        "input_series": [{"series": series, "values": values} for series, values in given.items()],
        "promql_expr_test": [
            {
                "expr": name.partition("{")[0],
                "eval_time": "10m",
                "exp_samples": [{"labels": name, "value": value}],
            }
            for name, value in expected.items()
        ],
    }
    rules = tmp_path / "rules.yml"
    rules.write_text(rules_file(alert_rules(config)))
    tests = tmp_path / "tests.yml"
    tests.write_text(yaml.safe_dump({"rule_files": [str(rules)], "tests": [test]}))
    told = subprocess.run([promtool, "test", "rules", tests], capture_output=True, text=True, timeout=120)
    assert told.returncode == 0, told.stdout + told.stderr


def test_thresholds_follow_from_the_configuration(config: Config) -> None:
    rules = {rule.name: rule for rule in alert_rules(config)}
    assert f"> {2 * QUEUE}" in rules["AnomalydConsumerLag"].expr
    silent = config.model_copy(
        update={"output": config.output.model_copy(update={"topic": None, "dead_letter_topic": None})}
    )
    assert "AnomalydOutboxStuck" not in {rule.name for rule in alert_rules(silent)}
    slow = config.model_copy(update={"inputs": [config.inputs[0].model_copy(update={"grid_s": 300.0})]})
    assert "> 9000" in {rule.name: rule for rule in alert_rules(slow)}["AnomalydNoData"].expr


def test_the_shipped_file_is_that_of_the_shipped_configuration() -> None:
    config = parse_config((ROOT / "anomalyd.yaml").read_text(), "anomalyd.yaml", {"KAFKA_PASSWORD": "x"})
    shipped = ROOT / "deploy" / "prometheus" / "anomalyd.rules.yml"
    assert shipped.read_text() == rules_file(alert_rules(config)), "run `make docs`"


def test_an_alert_of_an_incident_says_how_bad_it_is_and_links_its_report(
    promtool: str, config: Config, tmp_path: Path
) -> None:
    (tmp_path / "rules.yml").write_text(rules_file(alert_rules(config, dashboard="https://here")))
    name = 'anomalyd_incident_score{detector="d",entity="e",severity="%s",report="r%d",instance="%s"}'
    given = [("error", 1, "one"), ("critical", 2, "one"), ("critical", 2, "other"), ("warning", 3, "one")]
    expected = [
        {
            "exp_labels": {
                "component": "anomalies",
                "detector": "d",
                "entity": "e",
                "report": report,
                "severity": severity,
            },
            "exp_annotations": {
                "summary": "e is anomalous",
                "description": "d scores it 4; above 1 is an alert. The report: "
                f"https://here/incident?report={report}",
                "runbook_url": "docs/runbooks/incident.md",
            },
        }
        for severity, report in (("ticket", "r1"), ("page", "r2"))
    ]
    test = {
        "interval": "1m",
        "input_series": [{"series": name % about, "values": "4x10"} for about in given],
        "alert_rule_test": [
            {"eval_time": "5m", "alertname": "AnomalydIncident", "exp_alerts": expected},
        ],
    }
    file = tmp_path / "tests.yml"
    file.write_text(yaml.safe_dump({"rule_files": ["rules.yml"], "tests": [test]}))
    done = subprocess.run([promtool, "test", "rules", str(file)], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr


def test_prometheus_takes_the_rules(promtool: str, config: Config, tmp_path: Path) -> None:
    file = tmp_path / "rules.yml"
    file.write_text(rules_file(alert_rules(config)))
    done = subprocess.run(
        [promtool, "check", "rules", str(file)], capture_output=True, text=True, timeout=280
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_each_rule_fires_where_it_should_and_nothing_does_where_all_is_well(
    promtool: str, config: Config, tmp_path: Path
) -> None:
    rules = alert_rules(config)

    def expected(name: str, fires: bool) -> dict[str, Any]:
        # Only whether it fires: the labels and texts are the rule's own.
        count = f'count(ALERTS{{alertname="{name}",alertstate="firing"}}) or vector(0)'
        samples = [{"labels": "{}", "value": 1 if fires else 0}]
        return {"expr": count, "eval_time": "10h", "exp_samples": samples}

    def write(name: str, tried: Sequence[AlertRule], changes: dict[str, str], *, fires: bool) -> Path:
        (tmp_path / f"{name}.rules.yml").write_text(rules_file(tried))
        test = {
            "interval": "1m",
            "input_series": [{"series": s, "values": v} for s, v in {**WELL, **changes}.items()],
            "promql_expr_test": [expected(rule.name, fires) for rule in tried],
        }
        file = tmp_path / f"{name}.yml"
        about = {"rule_files": [f"{name}.rules.yml"], "evaluation_interval": "1m", "tests": [test]}
        file.write_text(yaml.safe_dump(about))
        return file

    files = [write("well", rules, {}, fires=False)]
    files += [write(rule.name, [rule], BROKEN[rule.name], fires=True) for rule in rules]
    done = subprocess.run([promtool, "test", "rules", *files], capture_output=True, text=True, timeout=99)
    assert done.returncode == 0, done.stdout + done.stderr
