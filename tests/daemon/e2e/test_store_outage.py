"""The store goes away and comes back while messages stream: the daemon lives, says so, and loses nothing."""

from __future__ import annotations

import json
import os
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from typing import Any
from urllib.error import HTTPError
from urllib.request import urlopen

import pytest
import yaml
from sqlalchemy import event

from anomalyd.daemon.config.config import load_config

ROWS = 160
AWAY_S = 60.0 if "CHAOS" in os.environ else 0.0
RESUMES_WITHIN_S = 10.0


def missing(daemon: Any) -> dict[str, str]:
    try:
        with urlopen(daemon.url + "/readyz", timeout=60.0):
            return {}
    except HTTPError as error:
        with error:
            told: dict[str, str] = json.loads(error.read())["missing"]
            return told


def failures(daemon: Any) -> float:
    with urlopen(daemon.url + "/metrics", timeout=60.0) as answer:
        lines = answer.read().decode().splitlines()
    return sum(float(line.split()[-1]) for line in lines if line.startswith("anomalyd_store_errors_total"))


def all_read(world: Any, config: Any) -> bool:
    stored = world.store(config).offsets(config.kafka.group)
    return all(stored.get(place) == end for place, end in world.ends().items())


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
    """Stream through an outage: survive(fault, away, back, url=None); `seen`: it must be told meanwhile."""

    def run(
        fault: str,
        away: Callable[[Any], None],
        back: Callable[[], None],
        url: str | None = None,
        *,
        seen: bool = True,
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
            away(daemon)
            world.send(stream.hosts(range(60, 110)))
            if seen:
                eventually(lambda: "store" in missing(daemon))
                eventually(lambda: failures(daemon) > 0)
            time.sleep(AWAY_S)
            back()
            came_back = time.monotonic()
            eventually(lambda: all_read(world, config))
            resumed_s = time.monotonic() - came_back
            eventually(lambda: world.settled(config))
            settled_s = time.monotonic() - came_back
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
            doubled=outcome.doubled(),
            seconds_to_resume=round(resumed_s, 1),
            seconds_until_told=round(settled_s, 1),
            seconds_away=AWAY_S,
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

        def lock(daemon: Any) -> None:
            database = daemon._config.store.url.get_secret_value().removeprefix("sqlite:///")
            held[0] = sqlite3.connect(database, isolation_level=None, check_same_thread=False)
            held[0].execute("BEGIN IMMEDIATE")

        survive("SQLite locked", lock, lambda: held[0].close())


def test_postgresql_fails_over_to_another_address(cluster: Any, standby: Any, survive: Any) -> None:
    """The primary is gone as in a crash; its standby, at another address of the same URL, takes over."""
    url = cluster.new_schema().replace("?host=", f"?host={standby.folder},")
    survive(
        "PostgreSQL failed over",
        lambda _: cluster.stop("immediate"),
        standby.promote,
        f"{url}&target_session_attrs=read-write",
    )


@pytest.fixture
def standby(cluster: Any) -> Iterator[Any]:
    with cluster.standby() as standby:
        yield standby
    cluster.start_again()


def test_postgresql_cuts_its_connections(cluster: Any, survive: Any) -> None:
    """Each connection again and again; whatever fails is tried anew, told or not."""
    stopping = threading.Event()

    def cut() -> None:
        while not stopping.wait(0.2):
            cluster.cut_connections()

    thread = threading.Thread(target=cut)

    def back() -> None:
        stopping.set()
        thread.join()

    try:
        survive(
            "PostgreSQL cuts its connections",
            lambda _: thread.start(),
            back,
            cluster.new_schema(),
            seen=False,
        )
    finally:
        stopping.set()


@contextmanager
def every_connection(daemon: Any) -> Iterator[list[str]]:
    """Say something to every SQLite connection that the daemon uses, before it does."""
    said = ["PRAGMA user_version"]

    def say(connection: Any, record: Any, proxy: Any) -> None:
        connection.execute(said[0])

    engine = daemon._store._database._engine
    event.listen(engine, "checkout", say)
    try:
        yield said
    finally:
        event.remove(engine, "checkout", say)


@pytest.mark.parametrize(
    ("fault", "away", "back"),
    [
        ("SQLite read-only", "PRAGMA query_only=ON", "PRAGMA query_only=OFF"),
        ("SQLite: disk full", "PRAGMA max_page_count=1", "PRAGMA max_page_count=1000000"),
    ],
)
def test_sqlite_takes_no_more(fault: str, away: str, back: str, survive: Any) -> None:
    """SQLite's own refusals, of a file that may not be written and of a disk without room."""
    held: list[Any] = []

    def refuse(daemon: Any) -> None:
        held.append(every_connection(daemon))
        held.append(held[0].__enter__())
        held[1][0] = away

    survive(fault, refuse, lambda: held[1].__setitem__(0, back))
    held[0].__exit__(None, None, None)


def test_a_store_that_is_slow_holds_up_but_loses_nothing(survive: Any) -> None:
    """Each transaction takes a third of a second, about a hundred times what it does."""
    over = threading.Event()

    def wait(connection: Any) -> None:
        if not over.is_set():
            time.sleep(0.3)

    def slow(daemon: Any) -> None:
        # It stays there: SQLAlchemy does not bear that a listener goes while others' transactions begin.
        event.listen(daemon._store._database._engine, "begin", wait)

    survive("store 100 times slower", slow, over.set, seen=False)
