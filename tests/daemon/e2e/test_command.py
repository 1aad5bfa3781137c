"""The command `anomalyd run` on a real broker: broken messages among good ones, readiness, and its end."""

from __future__ import annotations

import io
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.request import urlopen

import numpy as np
import pytest
import yaml
from kafka import KafkaAdminClient
from prometheus_client.parser import text_string_to_metric_families

from anomalyd.daemon.broker import EmbeddedBroker
from anomalyd.daemon.broker.ports import reserve_port
from anomalyd.daemon.config.config import load_config

ROWS = 60
ENDS_WITHIN_S = 10.0 if "CHAOS" in os.environ else 60.0
"""Ten seconds are the promise; here other work may run beside it."""


class Command:
    """`anomalyd run -c FILE`, as a person starts it."""

    def __init__(self, file: Path, port: int, log: Path) -> None:
        self.url = f"http://127.0.0.1:{port}"
        self.log = log
        program = [sys.executable, "-c", "from anomalyd.daemon.cli import main; main()"]
        with log.open("wb") as output:
            self.process = subprocess.Popen(
                [*program, "run", "-c", str(file)],
                stdout=output,
                stderr=output,
                env={**os.environ, "OMP_NUM_THREADS": "1"},
            )

    def get(self, path: str) -> tuple[int, str]:
        try:
            with urlopen(self.url + path, timeout=60.0) as answer:
                return answer.status, answer.read().decode()
        except HTTPError as error:
            with error:
                return error.code, error.read().decode()
        except (URLError, OSError):
            return 0, ""

    def figures(self) -> dict[tuple[str, ...], float]:
        """Every figure of /metrics by its name and the values of its labels, in their names' order."""
        _, text = self.get("/metrics")
        return {
            (sample.name, *(value for _, value in sorted(sample.labels.items()))): sample.value
            for family in text_string_to_metric_families(text)
            for sample in family.samples
        }

    def terminate(self) -> float:
        """SIGTERM; gives how long it took to end."""
        began = time.monotonic()
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(120.0)
        return time.monotonic() - began


@pytest.fixture
def command(tmp_path: Path) -> Iterator[Callable[[Path], Command]]:
    begun: list[Command] = []

    def begin(file: Path) -> Command:
        text = yaml.safe_load(file.read_text())
        text["metrics"]["port"] = reserve_port()
        file.write_text(yaml.safe_dump(text))
        begun.append(Command(file, text["metrics"]["port"], tmp_path / f"run-{len(begun)}.log"))
        return begun[-1]

    yield begin
    for each in begun:
        each.process.kill()
        each.process.wait()


def broken(message: Any, now: float) -> list[Any]:
    """One message of every kind that cannot be used."""
    good = b'{"entity": "node00", "time": %d, "values": {"cpu": 1}}' % now

    def changed(old: bytes, new: bytes, reason: str) -> Any:
        assert old in good
        return message("hosts", b"node00", good.replace(old, new), reason=reason)

    def array(values: Any) -> bytes:
        bytes_ = io.BytesIO()
        np.save(bytes_, values, allow_pickle=True)
        return bytes_.getvalue()

    about = (("time", b"%d" % now), ("entity", b"DT/W0/MB1/S01"), ("of", b"the producer"))
    return [
        message("hosts", b"node00", b"", reason="empty"),
        message("hosts", b"node00", b"[]", reason="empty"),
        message("hosts", b"node00", None, (("of", b"the producer"),), reason="empty"),
        message("hosts", b"node00", b'{"entity": "node00", ', reason="syntax"),
        message("hosts", b"node00", b"\xff\xfe\x00", reason="syntax"),
        changed(b'"cpu": 1', b'"cpu": "high"', "field"),
        changed(b'"cpu": 1', b'"cpu": 1e999', "field"),
        changed(b"%d" % now, b"12", "clock"),
        changed(b"%d" % now, b'"yesterday"', "time"),
        changed(b'{"cpu": 1}', b"{}", "metrics"),
        changed(b'{"cpu": 1}', b'{"cpu": 1}, "map": [[1]]', "field"),
        changed(b'"node00"', b'"a\\u0000b"', "entity"),
        message("hosts", b"node00", good + b" " * 70_000, reason="too-large"),
        message("maps", b"m", b"\x93NUMPY\x01\x00", about, reason="syntax"),
        message("maps", b"m", array(np.zeros((4, 4)))[:-1], about, reason="syntax"),
        message("maps", b"m", array(np.zeros((2, 2, 2))), about, reason="map"),
        message("maps", b"m", array(np.array([[object]])), about, reason="map"),
        message("maps", b"m", array(np.full((2, 2), np.inf)), about, reason="field"),
        message("maps", b"m", array(np.zeros((4, 4))), reason="time"),
    ]


def by_value(letters: Any) -> list[Any]:
    return sorted(letters, key=lambda letter: (letter.value or b"", len(letter.headers)))


def test_broken_messages_among_good_ones_and_an_orderly_end(
    world: Any, command: Any, make_stream: Any, message: Any, eventually: Any
) -> None:
    stream = make_stream(ROWS)
    letters = broken(message, time.time())
    good = stream.hosts(range(ROWS))
    for n, letter in enumerate(letters):
        good.insert(n * 11, letter)
    world.send(good)
    world.send(stream.maps(range(5)))
    file = world.configure("run", explain=(), instance_id=None)
    running = command(file)
    config = load_config(file)

    eventually(lambda: running.get("/livez")[0] == 200)
    eventually(lambda: world.settled(config))
    eventually(lambda: running.get("/readyz")[0] == 200)

    reasons = {letter.reason for letter in letters}
    outcome = world.outcome(config)
    assert outcome.letters() == world.broken()
    for sent, came in zip(by_value(letters), by_value(outcome.dead_letters), strict=True):
        assert (came.value, came.key) == (sent.value or b"", sent.key)
        assert set(sent.headers) <= set(came.headers)
    to_hosts = sum(m.kind == "hosts" for m in good)
    figures = running.figures()
    counted = {
        name[1] for name, value in figures.items() if name[0] == "anomalyd_dead_letters_total" and value
    }
    assert counted == reasons
    assert figures["anomalyd_samples_scored_total", "hosts"] == len(good) - len(letters)
    assert figures["anomalyd_samples_scored_total", "chambers"] == 15
    assert figures["anomalyd_records_consumed_total", world.topics["hosts"]] == to_hosts
    assert sum(seen.samples for seen in outcome.activity.values()) == len(good) - len(letters) + 15

    assert running.terminate() < ENDS_WITHIN_S
    assert running.process.returncode == 0, running.log.read_text()
    assert "Traceback" not in running.log.read_text()
    if isinstance(world.broker, EmbeddedBroker):
        return  # kafka-python cannot read how Tansu describes a group
    admin = KafkaAdminClient(bootstrap_servers=world.broker.bootstrap_servers)
    try:
        (group,) = admin.describe_groups([config.kafka.group]).values()
    finally:
        admin.close()
    assert group["members"] == [], "it has not left the group"


def test_it_ends_in_time_while_it_still_starts_and_while_there_is_no_broker(
    make_world: Any, embedded_broker: Any, command: Any, eventually: Any
) -> None:
    file = make_world(embedded_broker).configure("nowhere")
    text = yaml.safe_load(file.read_text())
    text["kafka"]["bootstrap_servers"] = [f"127.0.0.1:{reserve_port()}"]
    file.write_text(yaml.safe_dump(text))
    running = command(file)
    eventually(lambda: running.get("/livez")[0] == 200)
    status, why = running.get("/readyz")
    assert status == 503
    assert "kafka" in why
    assert running.terminate() < ENDS_WITHIN_S
    assert running.process.returncode == 0, running.log.read_text()


def test_it_ends_in_time_while_its_broker_is_dead(
    make_world: Any, command: Any, make_stream: Any, plant: Any, eventually: Any, tmp_path: Path
) -> None:
    with EmbeddedBroker(tmp_path / "broker") as broker:
        world = make_world(broker)
        world.send(make_stream(100, [plant("node00", 30, 60, "cpu")]).hosts(range(100)))
        world.flush()
        file = world.configure("orphan")
        running = command(file)
        eventually(lambda: running.get("/readyz")[0] == 200)
        eventually(lambda: world.store(load_config(file)).offsets("orphan"))
        broker.kill()
        eventually(lambda: running.get("/readyz")[0] == 503)
        assert "kafka" in running.get("/readyz")[1]
        assert running.get("/livez")[0] == 200, "a restart would not bring the broker back"
        assert running.terminate() < ENDS_WITHIN_S
        assert running.process.returncode == 0
        # kafka-python shows where its sockets broke; none of that may come through to us.
        assert not re.search(r'File ".*anomalyd/', running.log.read_text())


def test_a_signal_before_it_listens_ends_it_too(
    make_world: Any, embedded_broker: Any, command: Any, eventually: Any
) -> None:
    file = make_world(embedded_broker).configure("early")
    running = command(file)
    database = Path(load_config(file).store.url.get_secret_value().removeprefix("sqlite:///"))
    eventually(database.exists)  # the daemon is being put together
    assert running.terminate() < ENDS_WITHIN_S
    assert running.process.returncode in (0, -signal.SIGTERM)
    assert "Traceback" not in running.log.read_text()
