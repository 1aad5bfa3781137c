from __future__ import annotations

import math
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, Histogram, generate_latest
from prometheus_client.openmetrics.exposition import generate_latest as generate_openmetrics
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse

from anomalyd.daemon.config.config import parse_config
from anomalyd.daemon.stages import Reason, Suppression
from anomalyd.daemon.telemetry.batch_histogram import BatchHistogram
from anomalyd.daemon.telemetry.entity_scores import SILENT_S, EntityScores
from anomalyd.daemon.telemetry.metric_factory import Families
from anomalyd.daemon.telemetry.reference import markdown
from anomalyd.daemon.telemetry.telemetry import Telemetry
from anomalyd.reports.report import Incident, SeenBy, Severity, Status
from anomalyd.verdict import Verdict


@pytest.fixture
def registry() -> CollectorRegistry:
    return CollectorRegistry()


@pytest.fixture
def telemetry(registry: CollectorRegistry) -> Telemetry:
    return Telemetry(
        registry,
        topics=["hosts", "maps"],
        detectors=["host"],
        output_topics=["reports"],
        explain_methods=["occlusion"],
    )


def incident(report: str, severity: Severity, peak: float) -> Incident:
    return Incident(
        report,
        "host",
        f"host/{report}",
        "vector",
        severity,
        Status.OPEN,
        onset=0.0,
        last=0.0,
        closed=None,
        samples=3,
        peak=peak,
        peak_time=0.0,
        autoencoder=peak,
        classical=peak,
        seen_by=SeenBy.BOTH,
        causes=(),
        model="v1",
    )


def exercise(telemetry: Telemetry) -> None:
    """Call every method once."""
    telemetry.kafka.consumed("hosts", 10)
    telemetry.kafka.lag({("hosts", 0): 3})
    telemetry.kafka.last_event_time({("hosts", 0): 1795288499.5})
    telemetry.kafka.queue(7)
    telemetry.kafka.source_error()
    telemetry.intake.decoded("hosts", 9)
    telemetry.intake.dead_letter("hosts", Reason.SYNTAX)
    telemetry.intake.late("hosts", 2)
    telemetry.scoring.scored("host", 8)
    telemetry.scoring.unscored("host", "untrained", 1)
    alert = np.array([True] * 4 + [False])
    telemetry.scoring.alerts("host", alert, alert)
    telemetry.scoring.suppressed("host", Suppression.QUIET_HOURS, 2)
    for entity, learns in (("new", True), ("newer", True), ("new", False), ("old", False)):
        telemetry.scoring.learning("host", entity, learns)
        telemetry.scoring.unfit("host", entity, learns)
    telemetry.scoring.wanted("host", 0.001)
    telemetry.scoring.realised("host", rate=0.002, alarms=3, wanted_alarms=2.0)
    telemetry.scoring.model("host", "v1", "vector-autoencoder")
    telemetry.scoring.model_refused("host")
    telemetry.incidents.opened("host", Severity.ERROR)
    telemetry.incidents.open([incident("r1", Severity.ERROR, 2.5)])
    telemetry.incidents.explained("occlusion", "complete")
    telemetry.incidents.explanations_pending(5)
    telemetry.scoring.adapted("host", "new-normal")
    telemetry.incidents.feedback("host", Verdict.BROKEN)
    telemetry.store.conflict()
    telemetry.kafka.outbox_pending(6)
    telemetry.kafka.published("reports", 3)
    with telemetry.timing.stage("score"):
        pass
    telemetry.timing.end_to_end(np.array([0.02, 0.5]))


def test_every_call_arrives_under_its_name(registry: CollectorRegistry, telemetry: Telemetry) -> None:
    exercise(telemetry)
    expected = {
        ("records_consumed_total", "topic=hosts"): 10,
        ("consumer_lag", "topic=hosts partition=0"): 3,
        ("last_event_timestamp_seconds", "topic=hosts partition=0"): 1795288499.5,
        ("queue_records", ""): 7,
        ("source_errors_total", ""): 1,
        ("samples_decoded_total", "topic=hosts"): 9,
        ("dead_letters_total", "topic=hosts reason=syntax"): 1,
        ("samples_late_total", "topic=hosts"): 2,
        ("samples_scored_total", "detector=host"): 8,
        ("samples_unscored_total", "detector=host reason=untrained"): 1,
        ("alerts_total", "detector=host seen_by=both"): 4,
        ("alerts_suppressed_total", "detector=host reason=quiet-hours"): 2,
        ("entities_learning", "detector=host"): 1,
        ("entities_unfit", "detector=host"): 1,
        ("alert_rate_wanted", "detector=host"): 0.001,
        ("alert_rate_realised", "detector=host"): 0.002,
        ("alarms_per_day_wanted", "detector=host"): 2.0,
        ("alarms_per_day_realised", "detector=host"): 3,
        ("model_info", "detector=host version=v1 kind=vector-autoencoder"): 1,
        ("model_refused_total", "detector=host"): 1,
        ("incidents_opened_total", "detector=host severity=error"): 1,
        ("incidents_open", "detector=host severity=error"): 1,
        ("incidents_open", "detector=host severity=critical"): 0,
        ("incident_score", "detector=host entity=host/r1 severity=error report=r1"): 2.5,
        ("incident_scores_left_out", ""): 0,
        ("explanations_total", "method=occlusion outcome=complete"): 1,
        ("explanations_pending", ""): 5,
        ("adaptations_total", "detector=host what=new-normal"): 1,
        ("words_total", "detector=host word=broken"): 1,
        ("words_total", "detector=host word=normal"): 0,
        ("store_conflicts_total", ""): 1,
        ("outbox_pending", ""): 6,
        ("published_total", "topic=reports"): 3,
        ("stage_seconds_count", "stage=score"): 1,
        ("end_to_end_seconds_count", ""): 2,
        ("end_to_end_seconds_sum", ""): 0.52,
        ("end_to_end_seconds_bucket", "le=0.03"): 1,
        ("end_to_end_seconds_bucket", "le=1.0"): 2,
    }
    found = {
        (name, labels): registry.get_sample_value(
            f"anomalyd_{name}", dict(pair.split("=") for pair in labels.split())
        )
        for name, labels in expected
    }
    assert found == expected


def test_counters_begin_with_nought(registry: CollectorRegistry, telemetry: Telemetry) -> None:
    samples = [s for family in registry.collect() for s in family.samples if s.name.startswith("anomalyd_")]
    counters = [s for s in samples if s.name.endswith("_total")]
    assert {s.value for s in counters} == {0.0}
    letters = {(s.labels["topic"], s.labels["reason"]) for s in counters if "dead_letters" in s.name}
    assert letters == {(topic, reason.value) for topic in ("hosts", "maps") for reason in Reason}
    before = {(s.name, *sorted(s.labels.items())) for s in counters}
    exercise(telemetry)
    after = {
        (s.name, *sorted(s.labels.items()))
        for family in registry.collect()
        for s in family.samples
        if s.name.startswith("anomalyd_") and s.name.endswith("_total")
    }
    assert after == before  # nothing known springs into being later


def test_both_text_formats_can_be_parsed(registry: CollectorRegistry, telemetry: Telemetry) -> None:
    exercise(telemetry)
    families = {f.name: f for f in parse_openmetrics(generate_openmetrics(registry).decode())}
    ours = {name: f for name, f in families.items() if name.startswith("anomalyd_")}
    assert len(ours) == sum(family.name.startswith("anomalyd_") for family in registry.collect())
    assert all(f.documentation.endswith(".") for f in ours.values())
    assert ours["anomalyd_end_to_end_seconds"].type == "histogram"
    plain = {f.name for f in parse(generate_latest(registry).decode())}
    assert "anomalyd_records_consumed" in plain


def test_promtool_has_nothing_to_say(registry: CollectorRegistry, telemetry: Telemetry) -> None:
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.skip("no promtool in PATH")
    exercise(telemetry)
    done = subprocess.run(
        [promtool, "check", "metrics"], input=generate_latest(registry), capture_output=True, timeout=280
    )
    assert (done.returncode, done.stderr) == (0, b"")


def test_a_partition_that_left_is_forgotten(registry: CollectorRegistry, telemetry: Telemetry) -> None:
    telemetry.kafka.lag({("hosts", 0): 3, ("hosts", 1): 4})
    telemetry.kafka.lag({("hosts", 1): 5, ("maps", 0): 0})
    family = next(f for f in registry.collect() if f.name == "anomalyd_consumer_lag")
    found = {(s.labels["topic"], s.labels["partition"]): s.value for s in family.samples}
    assert found == {("hosts", "1"): 5, ("maps", "0"): 0}


def test_a_new_model_takes_the_place_of_the_old(registry: CollectorRegistry, telemetry: Telemetry) -> None:
    telemetry.scoring.model("host", "v1", "vector-autoencoder")
    telemetry.scoring.model("host", "v2", "vector-autoencoder")
    family = next(f for f in registry.collect() if f.name == "anomalyd_model")
    assert [s.labels["version"] for s in family.samples] == ["v2"]


def test_a_stage_that_raises_is_measured(registry: CollectorRegistry) -> None:
    ticks = iter([10.0, 10.25])
    telemetry = Telemetry(registry, clock=lambda: next(ticks))
    with pytest.raises(ZeroDivisionError), telemetry.timing.stage("decode"):
        _ = 1 / 0
    assert registry.get_sample_value("anomalyd_stage_seconds_sum", {"stage": "decode"}) == 0.25


def test_a_timestamp_of_the_future_is_no_latency(registry: CollectorRegistry, telemetry: Telemetry) -> None:
    telemetry.timing.end_to_end(np.array([-5.0, 0.0]))
    assert registry.get_sample_value("anomalyd_end_to_end_seconds_sum") == 0
    assert registry.get_sample_value("anomalyd_end_to_end_seconds_bucket", {"le": "0.01"}) == 2


def test_the_configuration_names_the_labels(registry: CollectorRegistry) -> None:
    config = parse_config(
        "inputs: [{topic: hosts}]\n"
        "detectors: [{name: host, kind: vector-autoencoder}]\n"
        "output: {dead_letter_topic: null}\n",
        "test.yaml",
        {},
    )
    Telemetry.for_config(config, registry)
    value = registry.get_sample_value
    assert value("anomalyd_records_consumed_total", {"topic": "hosts"}) == 0
    assert value("anomalyd_samples_scored_total", {"detector": "host"}) == 0
    assert value("anomalyd_published_total", {"topic": "anomalyd-reports"}) == 0
    assert value("anomalyd_published_total", {"topic": "anomalyd-dead-letters"}) is None
    assert value("anomalyd_explanations_total", {"method": "occlusion", "outcome": "failed"}) == 0


@given(st.lists(st.lists(st.floats(0, 1e6) | st.sampled_from([0.1, 1.0, 10.0, math.inf]))))
def test_a_batch_counts_as_its_values_one_by_one(batches: list[list[float]]) -> None:
    bounds = (0.1, 1.0, 10.0)
    one_by_one, ours = CollectorRegistry(), CollectorRegistry()
    theirs = Histogram("h", "A histogram.", buckets=bounds, registry=one_by_one)
    batched = BatchHistogram("h", "A histogram.", bounds)
    ours.register(batched)
    for batch in batches:
        batched.observe(np.array(batch, dtype=np.float64))
        for value in batch:
            theirs.observe(value)
    for le in ("0.1", "1.0", "10.0", "+Inf"):
        labels = {"le": le}
        assert ours.get_sample_value("h_bucket", labels) == one_by_one.get_sample_value("h_bucket", labels)
    expected = one_by_one.get_sample_value("h_sum")
    assert ours.get_sample_value("h_sum") == pytest.approx(expected)
    assert ours.get_sample_value("h_count") == sum(map(len, batches))


def test_the_page_of_metrics_is_what_is_exported() -> None:
    page = Path(__file__).parents[2] / "docs" / "metrics.md"
    assert page.read_text() == markdown(), "metrics changed: run `make docs`"


def test_of_many_incidents_the_worst_are_named(registry: CollectorRegistry) -> None:
    telemetry = Telemetry(registry, detectors=["host"], limit=2)

    def named() -> set[str]:
        family = next(f for f in registry.collect() if f.name == "anomalyd_incident_score")
        return {sample.labels["report"] for sample in family.samples}

    peaks = {"a": 1.5, "b": 9.0, "c": 3.0}
    telemetry.incidents.open([incident(name, Severity.ERROR, peak) for name, peak in peaks.items()])
    assert named() == {"b", "c"}
    assert registry.get_sample_value("anomalyd_incident_scores_left_out") == 1
    about = {"detector": "host", "severity": "error"}
    assert registry.get_sample_value("anomalyd_incidents_open", about) == 3
    telemetry.incidents.open([incident("a", Severity.WARNING, 1.5)])
    assert named() == {"a"}
    assert registry.get_sample_value("anomalyd_incidents_open", about) == 0


class TestEntityScores:
    now = 0.0

    @pytest.fixture
    def scores(self, registry: CollectorRegistry) -> EntityScores:
        return EntityScores(Families(registry), entities=["web*", "db1"], limit=2, clock=lambda: self.now)

    @staticmethod
    def exported(registry: CollectorRegistry) -> dict[tuple[str, str], float]:
        family = next(f for f in registry.collect() if f.name == "anomalyd_score")
        return {(s.labels["entity"], s.labels["by"]): s.value for s in family.samples}

    def test_the_newest_that_is_known_is_exported(
        self, registry: CollectorRegistry, scores: EntityScores
    ) -> None:
        scores.scored("d", "web1", np.array([0.1, 0.4, np.nan]), np.array([0.2, 0.3, 1.5]))
        assert self.exported(registry) == {("web1", "autoencoder"): 0.4, ("web1", "classical"): 1.5}
        scores.scored("d", "web1", np.array([np.nan]), np.array([0.5]))
        found = self.exported(registry)
        assert math.isnan(found["web1", "autoencoder"])
        assert found["web1", "classical"] == 0.5

    def test_others_are_not_named(self, registry: CollectorRegistry, scores: EntityScores) -> None:
        scores.scored("d", "mail1", np.ones(1), np.ones(1))
        scores.scored("d", "web1", np.ones(0), np.ones(0))
        assert self.exported(registry) == {}
        assert registry.get_sample_value("anomalyd_scores_left_out") == 0
        nobody = CollectorRegistry()
        EntityScores(Families(nobody)).scored("d", "web1", np.ones(1), np.ones(1))
        assert self.exported(nobody) == {}

    def test_there_are_never_more_than_the_limit_and_a_silent_one_makes_room(
        self, registry: CollectorRegistry, scores: EntityScores
    ) -> None:
        def score(*entities: str) -> None:
            for entity in entities:
                scores.scored("d", entity, np.ones(1), np.ones(1))

        score("web1", "db1", "web2", "web3", "web2")
        assert {entity for entity, _ in self.exported(registry)} == {"web1", "db1"}
        assert registry.get_sample_value("anomalyd_scores_left_out") == 2
        self.now += SILENT_S - 1
        score("web1", "web2")
        self.now += 2
        assert {entity for entity, _ in self.exported(registry)} == {"web1"}
        score("web2", "web3")
        assert {entity for entity, _ in self.exported(registry)} == {"web1", "web2"}
        assert registry.get_sample_value("anomalyd_scores_left_out") == 1
