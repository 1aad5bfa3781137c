"""Connections cut at random, a slow network, one of three brokers that dies: nothing is lost or doubled."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml
from faulty_proxy import FaultyProxy
from three_brokers import ThreeBrokers

from anomalyd.daemon.broker import ApacheKafka, EmbeddedBroker
from anomalyd.daemon.broker.ports import reserve_port
from anomalyd.daemon.config.config import Config, load_config

CHAOS = "CHAOS" in os.environ
SLICES = 30 if CHAOS else 4
ROWS = 30 * SLICES + 60
RESUMES_WITHIN_S = 15.0


class EmbeddedBehindProxy(EmbeddedBroker):
    """A broker that tells its clients to come through a proxy."""

    def __init__(self) -> None:
        super().__init__(port=reserve_port())
        assert self._port is not None
        self.proxy = FaultyProxy(reserve_port(), self._port)

    def _prepare(self, port: int) -> tuple[Sequence[str], Mapping[str, str]]:
        command, environment = super()._prepare(port)
        told = list(command)
        told[told.index("--advertised-listener-url") + 1] = f"tcp://127.0.0.1:{self.proxy.port}"
        return told, environment


class ApacheBehindProxy(ApacheKafka):
    """The same of an Apache Kafka."""

    def __init__(self, home: Path, folder: Path) -> None:
        super().__init__(home, folder, port=reserve_port())
        assert self._port is not None
        self.proxy = FaultyProxy(reserve_port(), self._port)

    def _prepare(self, port: int) -> tuple[Sequence[str], Mapping[str, str]]:
        command, environment = super()._prepare(port)
        properties = Path(command[1])
        own, told = (f"advertised.listeners=PLAINTEXT://127.0.0.1:{n}" for n in (port, self.proxy.port))
        properties.write_text(properties.read_text().replace(own, told))
        return command, environment


@pytest.fixture(params=["embedded", "apache"] if CHAOS else ["embedded"])
def behind_proxy(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Any]:
    apache = request.param == "apache"
    broker = (
        ApacheBehindProxy(request.getfixturevalue("kafka_home"), tmp_path / "kafka")
        if apache
        else EmbeddedBehindProxy()
    )
    try:
        with broker:
            yield broker
    finally:
        broker.proxy.stop()


def session(world: Any) -> dict[str, Any]:
    """On Apache Kafka the default; the embedded broker's joins take half of it."""
    return {"session_timeout_s": 6.0 if isinstance(world.broker, EmbeddedBroker) else 45.0}


def planted_on(plant: Any, slices: int = SLICES) -> list[Any]:
    rows = range(30, 30 * slices + 20, 60)
    return [plant(f"node0{n}", at + 5 * n, 6, "cpu") for n in range(4) for at in rows]


def reads_again(world: Any, config: Config) -> Callable[[], bool]:
    """Tell when every partition that waits now has been read on in, or to its end."""
    then, ends = world.store(config).offsets(config.kafka.group), world.ends()

    def told() -> bool:
        now = world.store(config).offsets(config.kafka.group)
        return all(now.get(place, 0) > then.get(place, 0) or now.get(place) == ends[place] for place in ends)

    return told


FAULTS = {
    "cut": "all connections to Kafka cut",
    "swallow": "all connections to Kafka carry nothing any more and stay open",
    "swallow a seek": "the same while partitions are sought anew, so that the consumer is given up",
}


@pytest.mark.timeout(3600)
@pytest.mark.parametrize("how", FAULTS if CHAOS else ["cut"])
def test_connections_fail_at_random(
    how: str,
    behind_proxy: Any,
    make_world: Any,
    running: Any,
    make_stream: Any,
    plant: Any,
    eventually: Any,
    chaos_figures: Any,
) -> None:
    """Each connection lives for some seconds, and every piece comes late; then the network is good again."""
    world = make_world(behind_proxy)
    planted = planted_on(plant)
    stream = make_stream(ROWS, planted)
    config = load_config(file := world.configure("cut", explain=(), instance_id=None, **session(world)))
    proxy = behind_proxy.proxy
    with running(file) as daemon:
        for number in range(SLICES):
            world.send(stream.hosts(range(30 * number, 30 * number + 30)))
            world.flush()
            if number == 0:
                eventually(lambda: world.settled(config))
                continue
            proxy.delay_s = 0.02
            for _ in range(4):
                proxy.cut(0.08)
                time.sleep(0.25)
            proxy.delay_s = 0.0
        if how != "cut":
            proxy.swallow()
            world.reconnect()
            if how == "swallow a seek":
                daemon._source.rewind()
        else:
            proxy.cut(1.1)
        last = time.monotonic()
        world.send(stream.hosts(range(30 * SLICES, ROWS)))
        eventually(reads_again(world, config))
        resumed_s = time.monotonic() - last
        eventually(lambda: world.settled(config))
        settled_s = time.monotonic() - last
    chaos_figures(
        fault=f"{FAULTS[how]} ({world.broker.name}), connections cut before at random, each piece 20 ms late",
        runs=proxy.cuts,
        **world.figures(config, planted),
        seconds_to_resume=round(resumed_s, 1),
        seconds_until_settled=round(settled_s, 1),
    )
    # The time it takes is a promise, but no other work may run beside it.
    assert not CHAOS or resumed_s < RESUMES_WITHIN_S


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.skipif(not CHAOS, reason="three brokers take a minute to start: `make chaos` runs it")
def test_one_of_three_brokers_is_killed_and_another_restarted(
    kafka_home: Path,
    tmp_path: Path,
    make_world: Any,
    running: Any,
    make_stream: Any,
    plant: Any,
    eventually: Any,
    chaos_figures: Any,
) -> None:
    with ThreeBrokers(kafka_home, tmp_path / "brokers") as brokers:
        for node in range(3):
            eventually(lambda node=node: brokers.up(node), within_s=600.0)
        world = make_world(brokers)
        planted = planted_on(plant, 2 * SLICES)
        stream = make_stream(30 * 2 * SLICES + 60, planted)
        file = world.configure("three", explain=(), instance_id=None, session_timeout_s=10.0)
        about = yaml.safe_load(file.read_text())
        about["kafka"]["bootstrap_servers"] = [f"127.0.0.1:{port}" for port in brokers.ports]
        file.write_text(yaml.safe_dump(about))
        config = load_config(file)
        slices = iter(range(2 * SLICES))

        def send(number: int) -> None:
            for _ in range(number):
                at = 30 * next(slices)
                world.send(stream.hosts(range(at, at + 30)))
                world.flush()

        with running(file):
            send(10)
            eventually(lambda: world.settled(config), within_s=600.0)
            brokers.end(2, kill=True)
            killed = time.monotonic()
            send(1)
            eventually(reads_again(world, config), within_s=600.0)
            resumed_s = time.monotonic() - killed
            send(19)
            eventually(lambda: world.settled(config), within_s=600.0)
            brokers.begin(2)
            eventually(lambda: brokers.up(2), within_s=600.0)
            time.sleep(15.0)  # until it has all copies again
            brokers.end(1, kill=False)
            send(2 * SLICES - 30)
            brokers.begin(1)
            eventually(lambda: brokers.up(1), within_s=600.0)
            world.send(stream.hosts(range(60 * SLICES, 60 * SLICES + 60)))
            eventually(lambda: world.settled(config), within_s=600.0)
        chaos_figures(
            fault="one of three brokers killed and another restarted under load (replication 3)",
            runs=2,
            **world.figures(config, planted),
            seconds_to_resume=round(resumed_s, 1),
        )
        assert resumed_s < RESUMES_WITHIN_S
