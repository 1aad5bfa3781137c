"""Connections cut at random, a slow network, one of three brokers that dies: nothing is lost or doubled."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml
from faulty_proxy import FaultyProxy
from three_brokers import ThreeBrokers

from anomalyd.daemon.broker import EmbeddedBroker
from anomalyd.daemon.broker.ports import reserve_port
from anomalyd.daemon.config.config import Config, load_config

CHAOS = "CHAOS" in os.environ
SLICES = 60 if CHAOS else 4
ROWS = 30 * SLICES + 60


class BehindProxy(EmbeddedBroker):
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


@pytest.fixture
def behind_proxy() -> Iterator[BehindProxy]:
    broker = BehindProxy()
    try:
        with broker:
            yield broker
    finally:
        broker.proxy.stop()


def planted_on(plant: Any) -> list[Any]:
    return [plant(f"node0{n}", at + 5 * n, 6, "cpu") for n in range(4) for at in range(30, ROWS - 40, 60)]


def figures(world: Any, config: Config, planted: list[Any]) -> dict[str, int]:
    outcome = world.outcome(config)
    happened = outcome.happened()
    found = {
        "messages": sum(world.ends().values()),
        "reports": len(outcome.reports),
        "lost": len(planted) - len(outcome.reports),
        "doubled": sum(count - 1 for (_, event), count in happened.items() if event == "opened"),
    }
    assert (found["lost"], found["doubled"]) == (0, 0)
    assert {count for (_, event), count in happened.items() if event in ("opened", "closed")} == {1}
    return found


@pytest.mark.timeout(3600)
def test_connections_are_cut_and_slow(
    behind_proxy: BehindProxy,
    make_world: Any,
    running: Any,
    make_stream: Any,
    plant: Any,
    eventually: Any,
    chaos_figures: Any,
) -> None:
    world = make_world(behind_proxy)
    planted = planted_on(plant)
    stream = make_stream(ROWS, planted)
    config = load_config(file := world.configure("cut", explain=(), session_timeout_s=6.0))
    proxy = behind_proxy.proxy
    with running(file):
        for number in range(SLICES):
            proxy.delay_s = 0.0
            world.send(stream.hosts(range(30 * number, 30 * number + 30)))
            world.flush()
            proxy.delay_s = 0.02
            for _ in range(3):
                proxy.cut(0.5)
                time.sleep(0.2)
        proxy.delay_s = 0.0
        last = time.monotonic()
        world.send(stream.hosts(range(30 * SLICES, ROWS)))
        eventually(lambda: world.settled(config))
        resumed_s = time.monotonic() - last
    assert proxy.cuts >= SLICES
    chaos_figures(
        fault=f"{proxy.cuts} connections to Kafka cut at random, each piece 20 ms late",
        runs=proxy.cuts,
        **figures(world, config, planted),
        seconds_to_resume=round(resumed_s, 1),
    )


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
        planted = planted_on(plant)
        stream = make_stream(ROWS, planted)
        file = world.configure("three", explain=(), instance_id=None, session_timeout_s=10.0)
        about = yaml.safe_load(file.read_text())
        about["kafka"]["bootstrap_servers"] = [f"127.0.0.1:{port}" for port in brokers.ports]
        file.write_text(yaml.safe_dump(about))
        config = load_config(file)
        slices = iter(range(SLICES))

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
            send(20)
            eventually(lambda: world.settled(config), within_s=600.0)
            resumed_s = time.monotonic() - killed
            brokers.begin(2)
            eventually(lambda: brokers.up(2), within_s=600.0)
            time.sleep(15.0)  # until it has all copies again
            brokers.end(1, kill=False)
            send(SLICES - 30)
            brokers.begin(1)
            eventually(lambda: brokers.up(1), within_s=600.0)
            world.send(stream.hosts(range(30 * SLICES, ROWS)))
            eventually(lambda: world.settled(config), within_s=600.0)
        chaos_figures(
            fault="one of three brokers killed and another restarted under load (replication 3)",
            runs=2,
            **figures(world, config, planted),
            seconds_to_resume=round(resumed_s, 1),
        )
