"""A configuration made of what lies in the topics; and everything tried that a configuration stands on."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Iterable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from anomalyd.daemon.cli import doctor
from anomalyd.daemon.cli.init import configuration
from anomalyd.daemon.config.config import Config, parse_config
from anomalyd.daemon.intake.clocks import STATE_NAME, ProducerClocks
from anomalyd.daemon.intake.formats.registry import format_of
from anomalyd.daemon.intake.grid_and_lateness import Alignment
from anomalyd.daemon.learning.topic_survey import survey, surveys
from anomalyd.daemon.stages import Record, Sample
from anomalyd.daemon.status import instance_of
from anomalyd.detectors.registry import recommended_kind
from anomalyd.reports.step import Step
from anomalyd.reports.storage.repositories.daemon_status import DaemonStatus
from anomalyd.reports.storage.repositories.entity_states import StateChanges
from anomalyd.reports.storage.store import Store

NOW = 1_795_288_500.0


def records(*values: Any, every_s: float = 10.0, behind_s: float = 0.0) -> list[Record]:
    return [
        Record(
            "t",
            0,
            k,
            NOW + every_s * k + behind_s,
            b"k",
            v if isinstance(v, bytes) else json.dumps(v).encode(),
        )
        for k, v in enumerate(values)
    ]


def telegraf(k: int, host: str = "h", every_s: float = 10.0) -> dict[str, Any]:
    fields = {"pgfault": 100 * k, "load": (k * 7) % 5}
    return {"name": "m", "tags": {"host": host}, "fields": fields, "timestamp": NOW + every_s * k}


def test_what_a_topic_holds() -> None:
    found = survey("t", records(*(telegraf(k) for k in range(40)), b"junk"))
    assert found is not None
    assert (found.format, found.records, found.unread, found.is_map) == ("telegraf-json", 41, 1, False)
    assert (found.entities, found.metrics, found.interval_s) == (("h",), 2, 10.0)
    assert found.counters == ("m.pgfault",)
    assert found.clock_s == 0.0


def test_maps_lines_and_nothing() -> None:
    maps = survey("maps", records(*({"entity": "e", "time": NOW + k, "map": [[1, 2]]} for k in range(3))))
    assert maps is not None
    assert (maps.format, maps.is_map) == ("json", True)
    lines = survey("l", records(*(b"cpu,host=h a=%d %d" % (k, (NOW + k) * 1e9) for k in range(3))))
    assert lines is not None
    assert (lines.format, lines.interval_s) == ("influx", 1.0)
    assert survey("t", records(b"hello", b"world")) is None
    assert survey("t", []) is None


def test_the_configuration_that_is_written_is_good_and_works() -> None:
    metrics = survey("telegraf", records(*(telegraf(k, every_s=30.0) for k in range(40)), every_s=30.0))
    maps = survey("maps", records(*({"entity": "e", "time": NOW + k, "map": [[1, 2]]} for k in range(3))))
    assert metrics is not None
    assert maps is not None
    text = configuration(["broker:9092"], [metrics, maps])
    config = parse_config(text, "anomalyd.yaml", {})
    assert [(i.topic, i.format, i.grid_s) for i in config.inputs] == [
        ("telegraf", "telegraf-json", 30.0),
        ("maps", "json", None),
    ]
    assert [(d.name, d.kind) for d in config.detectors] == [
        ("metrics", recommended_kind("vector")),
        ("maps", recommended_kind("map")),
    ]
    for each in config.inputs:
        format_of(each)
    assert "# taken as rates, since they count up: m.pgfault" in text
    assert config.kafka.bootstrap_servers == ["broker:9092"]
    assert config.kafka.start == "trained"


@pytest.fixture
def config(tmp_path: Path) -> Config:
    return Config.model_validate(
        {
            "inputs": [{"topic": "t", "format": "influx"}],
            "detectors": [{"name": "d", "kind": "vector-autoencoder"}],
            "store": {"url": f"sqlite:///{tmp_path}/s.db", "models": str(tmp_path / "models")},
            "metrics": {"port": 0},
        }
    )


@pytest.mark.parametrize(
    ("found", "wrong"),
    [
        ([], "holds no messages"),
        (records(b"hello"), "no format reads"),
        (records(*(telegraf(k) for k in range(9))), "are 'telegraf-json', and inputs.format is 'influx'"),
        (records(b"m,host=h a=1 1795288500", b"x", b"y"), "2 of 3 messages cannot be read"),
        (records(b"m,host=h a=1 1795288500", behind_s=90.0), r"lie 1 min 30 s before Kafka's"),
        (records(b"m,host=h a=1 1795288500"), None),
    ],
)
def test_topics_are_looked_at(
    config: Config, found: list[Record], wrong: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "anomalyd.daemon.kafka.newest_records.newest_records", lambda kafka, topics, most: {"t": found}
    )
    (finding,) = doctor._topics(config)
    assert (finding.wrong is None) is (wrong is None), finding
    assert wrong is None or wrong in str(finding.wrong)


@pytest.mark.parametrize(
    ("hosts", "size", "asked", "said"),
    [
        (1000, 1, [300, 2400], "1000 entities"),
        (20, 1, [300], "20 entities"),
        (1, 1, [300], "1 entity"),
        (5000, 1, [300, 2400], "at least 2400 entities"),
        (1000, 100_000, [300], "at least 300 entities"),
    ],
)
def test_more_is_looked_at_until_hardly_an_entity_is_unseen(
    hosts: int, size: int, asked: list[int], said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("anomalyd.daemon.learning.topic_survey._RECORDS", 3000)
    pad = b" " * size

    def one(k: int) -> Record:
        value = b"m,host=h%d a=1 %d" % (k % hosts, NOW + 10 * (k // hosts))
        return Record("t", 0, k, NOW + 10 * (k // hosts), None, value + pad)

    calls = []

    def newest(topics: Iterable[str] | None, most: int) -> dict[str, list[Record]]:
        calls.append(most)
        found = {"t": [one(k) for k in range(40_000 - most, 40_000)], "none": list[Record]()}
        return {topic: found[topic] for topic in topics or found}

    found = surveys(newest)
    assert calls == asked
    seen = found["t"][1]
    assert seen is not None
    assert seen.counted_entities == said
    assert found["none"] == ([], None)


def test_a_clock_that_the_daemon_found_behind_is_named(config: Config) -> None:
    (nothing,) = doctor._clocks(config)
    assert nothing.wrong is None
    clocks = ProducerClocks({"t": Alignment(10.0, 20.0)}, {"t": 120.0})
    for n in range(60):
        for metric, behind in (("a", 0.0), ("b", 60.0)):
            clocks.corrected([Sample("host", 10.0 * n - behind, "t", 0, n, {metric: 1.0})])
    states = {(STATE_NAME, key): blob for key, blob in clocks.state().items()}
    with closing(Store.open(config.store.url.get_secret_value())) as store:
        store.commit(Step(group="g", moves={}, states=StateChanges(intake=states)))
    (found,) = doctor._clocks(config)
    assert "a producer of host is 60 s behind its others (corrected)" in str(found.wrong)


def test_store_models_disk_and_port(config: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "anomalyd.daemon.kafka.connection.access.access_problems", lambda config: ["no topic t"]
    )
    findings = {f.what: f.wrong for f in doctor.connections(config)}
    assert findings == {"broker": None, "access": "no topic t", "store": None}
    assert "none of d yet" in str(doctor._models(config).wrong)
    assert doctor._disk(config).wrong is None
    assert doctor._port(config).wrong is None
    bad = config.model_copy(update={"metrics": config.metrics.model_copy(update={"host": "192.0.2.1"})})
    assert "cannot be listened on" in str(doctor._port(bad).wrong)


def test_a_port_that_its_own_daemon_listens_on_is_no_fault(config: Config) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        taken = config.model_copy(update={"metrics": config.metrics.model_copy(update={"port": port})})

        def said(instance: str, *, stopped: bool = False, seen: float | None = None) -> None:
            now = time.time()
            status = DaemonStatus(instance, "1.0", now, now, 600.0, stopped)
            clock = (lambda: now) if seen is None else lambda: seen
            with closing(Store.open(config.store.url.get_secret_value(), clock=clock)) as store:
                store.status.keep(status)

        wrong = "not by a daemon of this configuration"
        assert wrong in str(doctor._port(taken).wrong)  # no store yet
        said("elsewhere:9464")
        assert wrong in str(doctor._port(taken).wrong)
        said(instance_of(taken), seen=time.time() - 3600.0)  # it was killed
        assert wrong in str(doctor._port(taken).wrong)
        said(instance_of(taken))
        assert doctor._port(taken).note == f"127.0.0.1:{port} is the running daemon's"
        said(instance_of(taken), stopped=True)
        assert wrong in str(doctor._port(taken).wrong)
