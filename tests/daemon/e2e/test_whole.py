"""The whole way of a message, and what may happen on it: models that come and go bad, a broker that dies."""

from __future__ import annotations

import shutil
import threading
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import pytest
from prometheus_client.parser import text_string_to_metric_families

from anomalyd.assistant.answer import Assistant
from anomalyd.daemon.broker import ApacheKafka
from anomalyd.daemon.config.config import load_config
from anomalyd.detectors.detector_pair import DetectorPair
from anomalyd.detectors.library import ModelLibrary
from anomalyd.reports.queries import Queries
from anomalyd.reports.report import Status

METHODS = ("occlusion", "integrated-gradients")


@pytest.fixture
def figure() -> Callable[..., float]:
    """Read one figure of a daemon's /metrics: figure(daemon, "anomalyd_..._total", detector="hosts")."""

    def read(daemon: Any, name: str, **labels: str) -> float:
        with urlopen(daemon.url + "/metrics", timeout=60.0) as answer:
            families = text_string_to_metric_families(answer.read().decode())
            found = [
                s.value
                for f in families
                for s in f.samples
                if s.name == name and labels.items() <= s.labels.items()
            ]
        return sum(found)

    return read


def test_from_messages_to_answers(
    world: Any, running: Any, make_stream: Any, plant: Any, eventually: Any, figure: Any
) -> None:
    host, fault = plant("node02", 60, 8, "disk"), plant("DT/W0/MB1/S01", 20, 5, "dead-layer")
    stream = make_stream(90, [host, fault])
    hosts, maps = stream.hosts(range(90)), stream.maps(range(40))
    world.send(hosts + maps)
    file = world.configure("whole", explain=METHODS)
    config = load_config(file)
    with running(file) as daemon:
        eventually(lambda: world.settled(config))
        # What is stored is counted a moment later, by the thread that stored it. On a slow machine the budget
        # ends an explanation early: it is there all the same.
        outcomes = ({"outcome": "complete"}, {"outcome": "partial"})
        name = "anomalyd_explanations_total"
        eventually(lambda: sum(figure(daemon, name, **o) for o in outcomes) >= 4)
        with urlopen(daemon.url + "/readyz", timeout=60.0) as answer:
            assert answer.status == 200
        scored = {
            d: figure(daemon, "anomalyd_samples_scored_total", detector=d) for d in ("hosts", "chambers")
        }
        opened = figure(daemon, "anomalyd_incidents_opened_total")
    assert scored == {"hosts": len(hosts), "chambers": len(maps)}
    assert opened == 2

    outcome = world.outcome(config)
    found = {r.incident.entity: r for r in outcome.reports.values()}
    assert found.keys() == {"node02", "DT/W0/MB1/S01"}
    for planted in (host, fault):
        incident = found[planted.entity].incident
        assert incident.onset == stream.begin + planted.first
        assert incident.samples == planted.length
        assert incident.status is Status.CLOSED
        events = [e for e in outcome.events if e["id"] == incident.id]
        assert [e["event"] for e in events if e["event"] != "explained"] == ["opened", "closed"]
        assert "explained" in {e["event"] for e in events}
        assert events[-1]["narrative"] == found[planted.entity].narrative
    assert found["node02"].incident.causes[0] == "disk"
    assert found["DT/W0/MB1/S01"].incident.run == 7

    queries = Queries.open(config.store.url.get_secret_value())
    try:
        for report in found.values():
            explanations = queries.explanations(report.incident.id)
            assert {e.method for e in explanations} >= set(METHODS)
        answer = Assistant(queries).ask("How many incidents were there in the last hour?")
    finally:
        queries.close()
    assert answer.known
    assert "2 incidents" in answer.text
    assert {source.id for s in answer.sentences for source in s.sources} == set(outcome.reports)


def test_models_come_while_it_runs(
    make_world: Any,
    embedded_broker: Any,
    running: Any,
    make_stream: Any,
    plant: Any,
    eventually: Any,
    figure: Any,
    pairs: dict[str, DetectorPair],
    tmp_path: Path,
) -> None:
    world = make_world(embedded_broker)
    stream = make_stream(300, [plant("node00", at, 6, "cpu") for at in (50, 150, 250)])
    file = world.configure("learning", explain=(), models=tmp_path / "models")
    config, library = load_config(file), ModelLibrary(tmp_path / "models")
    with running(file) as daemon:

        def at_work(version: str) -> bool:
            return figure(daemon, "anomalyd_model_info", detector="hosts", version=version) == 1

        def send(rows: range) -> int:
            messages = stream.hosts(rows)
            world.send(messages)
            eventually(lambda: world.settled(config))
            return len(messages)

        untrained = send(range(100))
        assert (
            figure(daemon, "anomalyd_samples_unscored_total", detector="hosts", reason="untrained")
            == untrained
        )
        assert world.outcome(config).reports == {}

        good = library.publish("hosts", pairs["hosts"])
        eventually(lambda: at_work(good))
        send(range(100, 200))

        newer = library.publish("hosts", redated(pairs["hosts"]))
        eventually(lambda: at_work(newer))
        broken = tmp_path / "models" / "hosts" / "20990101T000000Z-00000000"
        shutil.copytree(tmp_path / "models" / "hosts" / newer, tmp_path / "half")
        weights = tmp_path / "half" / "autoencoder" / "model.safetensors"
        weights.write_bytes(weights.read_bytes()[:-100])
        (tmp_path / "half").rename(broken)
        eventually(lambda: figure(daemon, "anomalyd_model_refused_total", detector="hosts") == 1)
        assert at_work(newer), "the last good one stays"
        send(range(200, 300))
        assert figure(daemon, "anomalyd_samples_unscored_total") == untrained

    incidents = sorted((r.incident for r in world.outcome(config).reports.values()), key=lambda i: i.onset)
    assert [(i.onset, i.model) for i in incidents] == [
        (stream.begin + 150, good),
        (stream.begin + 250, newer),
    ]


def redated(pair: DetectorPair) -> DetectorPair:
    """The same pair, trained an hour later."""
    later = replace(
        pair.autoencoder, card=replace(pair.autoencoder.card, created=pair.autoencoder.card.created + 3600)
    )
    return DetectorPair(later, pair.classical)


@pytest.mark.slow
def test_a_broker_that_dies_and_comes_back(
    kafka_home: Path,
    make_world: Any,
    running: Any,
    make_stream: Any,
    plant: Any,
    message: Any,
    eventually: Any,
    tmp_path: Path,
) -> None:
    planted = [plant(f"node0{n}", at + 10 * n, 6, "cpu") for n in range(4) for at in range(30, 560, 90)]
    stream = make_stream(600, planted)
    with ApacheKafka(kafka_home, tmp_path / "kafka") as broker:
        world = make_world(broker)
        file, other = (
            world.configure("outlived", explain=(), max_poll_records=30),
            world.configure("after", explain=()),
        )
        outlived, after = load_config(file), load_config(other)

        def produce() -> None:
            for first in range(0, 600, 20):
                world.send(stream.hosts(range(first, first + 20)))
                world.send([message("hosts", b"node00", b"broken %d" % first, reason="syntax")])
                pause.wait(0.1 if first < 300 else 0.0)

        pause = threading.Event()  # never set: some come before the broker dies, some while it is dead
        producer = threading.Thread(target=produce)
        with running(file) as daemon:
            producer.start()
            eventually(lambda: sum(world.store(outlived).offsets("outlived").values()) > 200)
            broker.kill()

            def unready() -> bool:
                try:
                    urlopen(daemon.url + "/readyz", timeout=60.0)
                except OSError as error:
                    return "503" in str(error)
                return False

            eventually(unready)
            broker.start()
            producer.join(300.0)
            eventually(lambda: world.settled(outlived))
        with running(other):
            eventually(lambda: world.settled(after))
        first, second = world.outcome(outlived), world.outcome(after)
    assert {r.incident.entity for r in first.reports.values()} == {"node00", "node01", "node02", "node03"}
    assert len(first.reports) == len(planted)
    assert {i: r.incident for i, r in first.reports.items()} == {
        i: r.incident for i, r in second.reports.items()
    }
    assert first.activity == second.activity
    assert first.happened() == second.happened()
    assert first.happened() == Counter((i, e) for i in first.reports for e in ("opened", "closed"))
    assert first.letters() == second.letters() == world.broken()
