"""The store goes away and comes back while messages stream: the daemon lives, says so, and loses nothing."""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import urlopen

import pytest
import yaml

from anomalyd.daemon.config.config import load_config

ROWS = 160
RESUMES_WITHIN_S = 10.0


def missing(daemon: Any) -> dict[str, str]:
    try:
        with urlopen(daemon.url + "/readyz", timeout=10.0):
            return {}
    except HTTPError as error:
        with error:
            told: dict[str, str] = json.loads(error.read())["missing"]
            return told


def failures(daemon: Any) -> float:
    with urlopen(daemon.url + "/metrics", timeout=5.0) as answer:
        lines = answer.read().decode().splitlines()
    return sum(float(line.split()[-1]) for line in lines if line.startswith("anomalyd_store_errors_total"))


@pytest.fixture
def survive(
    make_world: Any,
    embedded_broker: Any,
    running: Any,
    make_stream: Any,
    plant: Any,
    eventually: Any,
    chaos_size: int,
    chaos_figures: Any,
) -> Callable[..., None]:
    """Stream through an outage: survive(fault, away, back, url=None)."""

    def run(
        fault: str, away: Callable[[Path], None], back: Callable[[], None], url: str | None = None
    ) -> None:
        world = make_world(embedded_broker)
        planted = [plant(f"node0{n}", at + 5 * n, 6, "cpu") for n in range(4) for at in (30, 70, 110)]
        stream = make_stream(ROWS, planted)
        file = world.configure("outage", explain=())
        about = yaml.safe_load(file.read_text())
        if url is not None:
            about["store"]["url"] = url
        file.write_text(yaml.safe_dump(about))
        config = load_config(file)
        with running(file) as daemon:
            world.send(stream.hosts(range(60)))
            eventually(lambda: world.settled(config) and not missing(daemon))
            away(file)
            world.send(stream.hosts(range(60, 110)))
            eventually(lambda: "store" in missing(daemon))
            eventually(lambda: failures(daemon) > 0)
            back()
            came_back = time.monotonic()
            eventually(lambda: world.settled(config))
            resumed_s = time.monotonic() - came_back
            # The time it takes is a promise, but no other work may run beside it.
            assert chaos_size == 1 or resumed_s < RESUMES_WITHIN_S
            world.send(stream.hosts(range(110, ROWS)))
            eventually(lambda: world.settled(config) and not missing(daemon))
        outcome = world.outcome(config)
        told = outcome.happened()
        chaos_figures(
            fault=fault,
            runs=1,
            messages=sum(world.ends().values()),
            reports=len(outcome.reports),
            lost=len(planted) - len(outcome.reports),
            doubled=sum(count - 1 for (_, event), count in told.items() if event == "opened"),
            seconds_to_resume=round(resumed_s, 1),
        )
        assert len(outcome.reports) == len(planted)
        assert told == {(i, event): 1 for i in outcome.reports for event in ("opened", "closed")} | {
            key: count for key, count in told.items() if key[1] == "escalated" and count <= 2
        }

    return run


@pytest.mark.parametrize("how", ["fast", "immediate"])
def test_postgresql_is_stopped_and_started(how: str, cluster: Any, survive: Any) -> None:
    survive(f"PostgreSQL stopped ({how})", lambda _: cluster.stop(how), cluster.start, cluster.new_schema())


def test_sqlite_is_locked_by_another(survive: Any) -> None:
    with closing(sqlite3.connect(":memory:")) as nothing:
        held = [nothing]

        def lock(file: Path) -> None:
            database = load_config(file).store.url.get_secret_value().removeprefix("sqlite:///")
            held[0] = sqlite3.connect(database, isolation_level=None, check_same_thread=False)
            held[0].execute("BEGIN IMMEDIATE")

        survive("SQLite locked", lock, lambda: held[0].close())
