"""From a broker with messages to a report, with no line of configuration written by hand."""

from __future__ import annotations

import json
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from kafka import KafkaProducer
from typer.testing import CliRunner

from anomalyd.daemon.cli.app import app
from anomalyd.daemon.config.config import load_config
from anomalyd.daemon.learning import auto_training
from anomalyd.reports.queries import Queries
from anomalyd.reports.storage.repositories.daemon_status import DaemonStatus
from anomalyd.reports.storage.store import Store

ROWS, EVERY_S = 400, 10.0


def test_init_check_run_train_find_and_doctor(
    embedded_broker: Any,
    make_topic: Any,
    running: Any,
    eventually: Any,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    # In this process, and at once: another would import everything anew.
    monkeypatch.setattr(auto_training, "_in_another_process", auto_training.train_one_anew)
    defaults = auto_training.AutoTraining.__init__.__kwdefaults__
    monkeypatch.setattr(
        auto_training.AutoTraining.__init__, "__kwdefaults__", {**(defaults or {}), "look_s": 0.5}
    )
    topic = make_topic(embedded_broker)
    producer = KafkaProducer(bootstrap_servers=embedded_broker.bootstrap_servers, linger_ms=5)
    begin = time.time() - ROWS * EVERY_S
    chance = np.random.default_rng(1)

    def send(rows: range, jump: float = 0.0) -> None:
        for row in rows:
            for host in ("n1", "n2"):
                at = begin + row * EVERY_S
                fields = {name: 10.0 + chance.normal() for name in ("user", "system", "iowait")}
                fields["user"] += jump if host == "n2" else 0.0
                body = {"name": "cpu", "tags": {"host": host}, "fields": fields, "timestamp": int(at)}
                producer.send(topic, json.dumps(body).encode(), host.encode(), timestamp_ms=int(at * 1000))
        producer.flush(10)

    def command(*arguments: str) -> str:
        done = CliRunner().invoke(app, list(arguments))
        assert done.exit_code == 0, done.output
        return done.output

    def alarms(daemon: DaemonStatus) -> int:
        return sum(each.alarms_realised or 0 for each in daemon.detectors)

    send(range(ROWS - 10))
    told = command("init", "-b", embedded_broker.bootstrap_servers, "--topic", topic)
    assert f"{topic}: telegraf-json, 2 entities, 3 metrics, one every 10 s" in told
    with Path("anomalyd.yaml").open("a") as file:
        file.write("metrics: {port: 0}\n")
    assert "anomalyd.yaml: good" in command("check-config")
    config = load_config(Path("anomalyd.yaml"))
    with running(Path("anomalyd.yaml")):
        eventually(lambda: any(Path("models").glob("metrics/2*")))
        send(range(ROWS - 10, ROWS), jump=40.0)
        url = config.store.url.get_secret_value()
        with closing(Store.open(url)) as store, closing(Queries.open(url)) as queries:
            eventually(lambda: store.open_incidents())
            assert {incident.entity for incident in store.open_incidents()} == {"n2"}
            # What the daemon says of itself, for the dashboard.
            eventually(lambda: any(alarms(d) for d in queries.overview.daemons()))
            (daemon,) = queries.overview.daemons()
            assert topic in daemon.lag
            assert daemon.detectors[0].model
    examined = CliRunner().invoke(app, ["doctor"])
    assert "ok    models: every detector has one" in examined.output, examined.exception
    producer.close(5)
