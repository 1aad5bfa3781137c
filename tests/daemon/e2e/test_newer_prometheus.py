"""Real receivers of OTLP take the scores, and a real Prometheus 3 sends remote write 2.0 that is read."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlencode
from urllib.request import urlopen

import numpy as np
import pytest
from newer_prometheus import HOW, program, prometheus, victoria_metrics, write_receiver

from anomalyd.daemon.config.config import InputConfig
from anomalyd.daemon.intake.formats.registry import format_of
from anomalyd.daemon.stages import Record
from anomalyd.daemon.telemetry.score_output import Scores, encode, http_sender

pytestmark = pytest.mark.timeout(600)
WITHIN_S = 240.0


def needs(name: str) -> pytest.MarkDecorator:
    return pytest.mark.skipif(program(name) is None, reason=f"no newer {name}: {HOW}")


def eventually(ask: Callable[[], list[dict[str, object]]]) -> list[dict[str, object]]:
    """Ask until there is an answer."""
    deadline = time.monotonic() + WITHIN_S
    while not (found := ask()):
        assert time.monotonic() < deadline
        time.sleep(0.2)
    return found


@needs("victoria-metrics")
def test_scores_arrive_with_their_times_and_names(tmp_path: Path) -> None:
    now = round(time.time()) - 60.0
    given = np.array([0.5, 3.25])
    sent = Scores("hosts", "host/数据库-🚀", now + np.arange(2.0), given, given / 2)
    with victoria_metrics(tmp_path) as url:
        http_sender(url + "/opentelemetry/v1/metrics", {}, 60.0)(encode([sent]))

        def ask() -> list[dict[str, object]]:
            about = {"query": '{by="autoencoder", entity="host/数据库-🚀"}[5m]', "time": now + 30}
            with urlopen(f"{url}/api/v1/query?{urlencode(about)}", timeout=60) as answer:
                return list(json.load(answer)["data"]["result"])

        (series,) = eventually(ask)
    assert series["metric"]["detector"] == "hosts"
    assert [(at, float(score)) for at, score in series["values"]] == [(now, 0.5), (now + 1, 3.25)]


@needs("prometheus")
def test_remote_write_of_a_live_sender_is_read(tmp_path: Path) -> None:
    with write_receiver(8) as (address, requests, enough), prometheus(tmp_path, address):
        assert enough.wait(WITHIN_S), (tmp_path / "prometheus.log").read_text()
        decoder = format_of(InputConfig(topic="t", format="prometheus"))
        names: set[str] = set()
        counted: set[str] = set()
        for number, (headers, body) in enumerate(list(requests)):
            assert headers["X-Prometheus-Remote-Write-Version"] == "2.0.0"
            samples, error = decoder.decode(Record("t", 0, number, time.time(), None, body), time.time())
            assert error is None
            for sample in samples:
                assert sample.entity.startswith("127.0.0.1:")
                names.update(sample.values or ())
                counted.update(sample.counters or ())
    assert "process_resident_memory_bytes" in names
    assert "prometheus_tsdb_head_samples_appended_total" in {name.split("{")[0] for name in counted}
