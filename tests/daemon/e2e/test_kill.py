"""Killed at any moment and started again, or another goes on: nothing is lost, and nothing is there twice."""

from __future__ import annotations

import multiprocessing
import os
import random
import signal
import sqlite3
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import asdict
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import urlopen

import pytest
import yaml
from accounting import assert_accounted

from anomalyd.daemon.broker.ports import reserve_port
from anomalyd.daemon.cli.operate import run
from anomalyd.daemon.config.config import Config, load_config
from anomalyd.reports.report import Severity, Status

WAYS = (("starting",) * 7 + ("working",) * 9 + ("producing",) * 6) * (5 if "CHAOS" in os.environ else 1)
SLICE = 36
"""Rows of each host that are sent in one life; with fewer there would be no work left to be killed in."""

ROWS = SLICE * sum(2 if way == "producing" else 1 for way in WAYS)
START_S = 1.2
"""How long a start takes until the first records are read."""

# Imported once, so that a start is a fork and not four seconds of imports.
PRELOADED = [
    "anomalyd.daemon.application",
    "anomalyd.daemon.cli.operate",
    "anomalyd.daemon.intake.formats.json_samples",
    "anomalyd.daemon.intake.formats.npy",
    "anomalyd.detectors.maps.autoencoder.autoencoder",
    "anomalyd.detectors.maps.classical.classical",
    "anomalyd.detectors.vectors.autoencoder",
    "anomalyd.detectors.vectors.distance",
    "captum.attr",
    "matplotlib.backends.backend_agg",
    "sqlalchemy.dialects.sqlite",
    "alembic.command",
    "pytest",
]


@pytest.fixture(scope="session")
def forks() -> Iterator[Any]:
    """Processes that start as forks of one that has imported everything."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OMP_NUM_THREADS", "1")  # read when torch is first imported
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload(PRELOADED)
        first = context.Process(target=str)
        first.start()
        first.join(300.0)
        assert first.exitcode == 0
        yield context


def planted(plant: Any) -> list[Any]:
    """Anomalies too short to open, just long enough, long, interrupted, growing, and going on at the end."""
    found = []
    for n, entity in enumerate(("node00", "node01", "node02", "node03", "part00", "part01")):
        metric = ("cpu", "load", "memory", "disk", "network", "files")[n]
        for at, length in ((40, 1), (90, 2), (140, 3), (300, 35), (460, 4), (467, 4)):
            found.append(plant(entity, at + 7 * n, length, metric))
        found.append(plant(entity, 520 + 11 * n, 40, "disk", (6.0, 60.0)))
        found += [plant(entity, at + 5 * n, 8, "load", (20.0, 20.0)) for at in range(640, ROWS - 80, 160)]
    found.append(plant("node01", ROWS - 20, 20, "files"))
    found.append(plant("part01", ROWS - 20, 20, "cpu"))
    for n, entity in enumerate(("DT/W0/MB1/S01", "DT/W-1/MB2/S04", "DT/W+1/MB3/S07")):
        kinds = ("dead-region", "hot-wires", "dead-layer", "low-voltage")
        for k, at in enumerate(range(20 + 9 * n, ROWS // 4 - 20, 40)):
            found.append(plant(entity, at, (2, 3, 9, 14)[(k + n) % 4], kinds[k % 4]))
    return found


def slices(stream: Any, message: Any) -> Iterator[list[Any]]:
    """The stream cut into lives, three kinds of messages mixed, with broken ones between them."""
    chance = random.Random(5)
    for first in range(0, ROWS, SLICE):
        rows = range(first, first + SLICE)
        kinds = [stream.hosts(rows), stream.parts(rows), stream.maps(range(first // 4, (first + SLICE) // 4))]
        for n, kind in enumerate(("hosts", "parts", "maps", "hosts")):
            broken = message(kind, b"node00", b"broken %d" % (first + n), reason="syntax")
            if kind == "maps":
                broken = message(kind, b"m", b"broken %d" % first, (("time", b"1"),), reason="clock")
            kinds[min(n, 2)].insert(chance.randrange(len(kinds[min(n, 2)])), broken)
        turns = [n for n, some in enumerate(kinds) for _ in some]
        chance.shuffle(turns)
        queues = [iter(some) for some in kinds]
        yield [next(queues[n]) for n in turns]


class Lives:
    """One daemon's lives, in processes of their own."""

    def __init__(self, context: Any, file: Path) -> None:
        self._context = context
        self._file = file
        self.config: Config = load_config(file)
        self.process: Any = None

    def begin(self) -> None:
        self.process = self._context.Process(target=run, args=(self._file,))
        self.process.start()

    def read(self) -> int:
        """How many records are done with, as the database says; read past the daemon's own code."""
        try:
            with closing(sqlite3.connect(f"file:{self._database()}?mode=ro", uri=True)) as database:
                (done,) = database.execute("SELECT coalesce(sum(next), 0) FROM consumer_offsets").fetchone()
                return int(done)
        except sqlite3.OperationalError:  # it is not made yet
            return 0

    def _database(self) -> str:
        return self.config.store.url.get_secret_value().removeprefix("sqlite:///")

    def until(self, condition: Callable[[], bool], within_s: float = 600.0) -> None:
        deadline = time.monotonic() + within_s
        while not condition():
            assert self.process.is_alive(), f"the daemon ended by itself: {self.process.exitcode}"
            assert time.monotonic() < deadline, f"the daemon did not get on; /readyz says {self.readiness()}"
            self.process.join(0.005)

    def ready(self) -> bool:
        return self.readiness() == "ok"

    def readiness(self) -> str:
        """What /readyz says is missing, or "ok"."""
        try:
            with urlopen(f"http://127.0.0.1:{self.config.metrics.port}/readyz", timeout=60.0) as answer:
                return "ok" if answer.status == 200 else str(answer.status)
        except HTTPError as refused:
            return refused.read().decode()
        except OSError as error:
            return str(error)

    def exposition(self) -> str:
        with urlopen(f"http://127.0.0.1:{self.config.metrics.port}/metrics", timeout=60.0) as answer:
            return str(answer.read().decode())

    def hang(self) -> None:
        """Stop the process where it is, but not while it holds the database's lock: nobody could go on."""
        while True:
            os.kill(self.process.pid, signal.SIGSTOP)
            try:
                with closing(
                    sqlite3.connect(self._database(), timeout=1.0, isolation_level=None)
                ) as database:
                    database.execute("BEGIN IMMEDIATE")
                return
            except sqlite3.OperationalError:
                # The lock is its own, or the other daemon's for a moment: it goes on before the next stop.
                self.go_on()
                self.process.join(0.2)

    def go_on(self) -> None:
        os.kill(self.process.pid, signal.SIGCONT)

    def kill(self, after_s: float) -> None:
        self.process.join(after_s)
        assert self.process.is_alive(), f"the daemon ended by itself: {self.process.exitcode}"
        self.process.kill()
        self.process.join()

    def stop(self) -> None:
        """SIGTERM."""
        self.process.terminate()
        self.process.join(120.0)
        assert self.process.exitcode == 0


@pytest.fixture
def lives(forks: Any) -> Iterator[Callable[[Path], Lives]]:
    begun: list[Lives] = []

    def make(file: Path) -> Lives:
        begun.append(Lives(forks, file))
        return begun[-1]

    yield make
    for each in begun:
        if each.process is not None and each.process.is_alive():
            each.process.kill()
            each.process.join()


@pytest.mark.slow
@pytest.mark.timeout(1800 if len(WAYS) < 100 else 3600)  # each wait ends earlier, and says what is missing
def test_killed_at_random_moments(
    world: Any,
    lives: Any,
    running: Any,
    make_stream: Any,
    plant: Any,
    message: Any,
    eventually: Any,
    chaos_figures: Any,
) -> None:
    chance = random.Random(11)
    ways = list(WAYS)
    chance.shuffle(ways)
    some = slices(make_stream(ROWS, planted(plant)), message)
    daemon = lives(with_port(world.configure("killed", max_poll_records=30), "killed-port"))
    begun, in_work = time.monotonic(), 0
    for way in ways:
        world.send(next(some))
        world.flush()
        before = daemon.read()
        daemon.begin()
        if way == "starting":
            daemon.kill(after_s=chance.uniform(0.0, START_S))
            continue
        daemon.until(lambda before=before: daemon.read() > before)
        if way == "producing":
            world.send(next(some))
        daemon.kill(after_s=chance.uniform(0.0, 0.3))
        in_work += daemon.read() < sum(world.ends().values())
    assert next(some, None) is None
    daemon.begin()
    daemon.until(lambda: world.settled(daemon.config))
    assert_accounted(daemon.exposition())
    daemon.stop()
    killed = world.outcome(daemon.config)
    took = time.monotonic() - begun

    file = world.configure("undisturbed", explain=())
    config = load_config(file)
    with running(file):
        eventually(lambda: world.settled(config), within_s=900.0)
    undisturbed = world.outcome(config)
    print(
        f"\n{world.broker.name}: {len(WAYS)} kills in {took:.0f} s, {in_work} with work in hand; "
        f"{len(killed.reports)} reports, {sum(killed.happened().values())} events, "
        f"{len(killed.dead_letters)} dead letters; undisturbed {time.monotonic() - begun - took:.0f} s"
    )

    chaos_figures(
        fault=f"kill -9 at random moments ({world.broker.name})",
        runs=len(WAYS),
        messages=sum(world.ends().values()),
        reports=len(killed.reports),
        lost=len(undisturbed.reports.keys() - killed.reports.keys()),
        doubled=killed.doubled(),
        seconds_to_resume=None,
    )
    assert len(WAYS) >= 20
    assert in_work >= 8, "most kills came after the work was done: the test says little"
    assert_same(killed, undisturbed)
    assert killed.letters() == undisturbed.letters() == world.broken()
    assert_told_once(killed)


@pytest.mark.timeout(1800)
def test_two_daemons_share_a_group_and_a_store(
    world: Any, lives: Any, running: Any, make_stream: Any, plant: Any, eventually: Any
) -> None:
    """One hangs until the other has its partitions, and comes back; then it dies."""
    planted = [plant(f"node0{n}", at + 10 * n, 6, "cpu") for n in range(4) for at in range(30, 800, 90)]
    stream = make_stream(900, planted)
    some = (stream.hosts(range(at, at + 100)) for at in range(0, 900, 100))
    # No static members: their place would be kept for them.
    file = world.configure("shared", explain=(), max_poll_records=30, instance_id=None)
    first, second = (lives(with_port(file, name)) for name in ("first", "second"))
    for daemon in (first, second):
        daemon.begin()
    first.until(lambda: first.ready() and second.ready())
    before = first.read()
    for _ in range(3):
        world.send(next(some))
    first.until(lambda: first.read() > before + 100)
    first.hang()
    for _ in range(2):
        world.send(next(some))
    # The one that hangs may hold the lease of the outbox.
    second.until(lambda: world.settled(second.config))
    first.go_on()
    world.send(next(some))
    first.until(first.ready)
    world.send(next(some))
    first.until(lambda: world.settled(first.config))
    for _ in range(2):
        world.send(next(some))
    first.kill(after_s=0.1)
    second.until(lambda: world.settled(second.config))
    second.stop()
    shared = world.outcome(first.config)

    other = world.configure("alone", explain=())
    config = load_config(other)
    with running(other):
        eventually(lambda: world.settled(config))
    alone = world.outcome(config)
    assert len({place for place in world.ends() if place[0] == world.topics["hosts"]}) == 2
    assert len(alone.reports) == len(planted)
    for report_id, report in alone.reports.items():
        # In other batches the last bits of a score differ.
        assert asdict(shared.reports[report_id].incident) == {
            name: pytest.approx(value, rel=1e-6) if isinstance(value, float) else value
            for name, value in asdict(report.incident).items()
        }
    assert shared.reports.keys() == alone.reports.keys()
    assert shared.activity == alone.activity
    assert shared.happened() == alone.happened()


def with_port(file: Path, name: str) -> Path:
    """The same daemon with a port of its own."""
    config = yaml.safe_load(file.read_text())
    config["metrics"]["port"] = reserve_port()
    own = file.with_name(f"{name}.yaml")
    own.write_text(yaml.safe_dump(config))
    return own


def assert_same(killed: Any, undisturbed: Any) -> None:
    """The same reports, with the same courses, of the same samples."""
    assert killed.reports.keys() == undisturbed.reports.keys()
    assert len(killed.reports) > 40
    assert {r.incident.detector for r in killed.reports.values()} == {"hosts", "chambers"}
    assert sum(r.incident.status is Status.OPEN for r in killed.reports.values()) >= 2
    assert {r.incident.severity for r in killed.reports.values()} == set(Severity)
    for report_id, report in killed.reports.items():
        ours, theirs = report.incident, undisturbed.reports[report_id].incident
        for name in ("entity", "onset", "last", "closed", "samples", "peak_time", "seen_by", "severity"):
            assert getattr(ours, name) == getattr(theirs, name), (report_id, name)
        for name in ("causes", "status", "run", "first_lumisection", "last_lumisection", "source", "model"):
            assert getattr(ours, name) == getattr(theirs, name), (report_id, name)
        for name in ("peak", "autoencoder", "classical"):
            assert getattr(ours, name) == pytest.approx(getattr(theirs, name), rel=1e-4), (report_id, name)
        points = [[point.time for point in outcome.points[report_id]] for outcome in (killed, undisturbed)]
        assert points[0] == points[1], report_id
    assert killed.activity == undisturbed.activity
    assert killed.happened() == undisturbed.happened()


def assert_told_once(outcome: Any) -> None:
    """Every event once; a report is explained again only as it went on or closed, never twice as it was."""
    happened = outcome.happened()
    for report_id, report in outcome.reports.items():
        assert report.explained_by, report.explain_error
        assert happened[report_id, "opened"] == 1
        assert happened[report_id, "closed"] == (report.incident.status is Status.CLOSED)
        assert happened[report_id, "escalated"] <= 2
        mine = [e for e in outcome.events if (e["id"], e["event"]) == (report_id, "explained")]
        explained = [e["peak_time"] for e in mine]
        assert 1 <= len(explained) <= report.incident.samples + 1
        assert explained == sorted(explained)
        # Another sample of it may be the one to explain though its peak stays: how often depends on when.
        assert len({(e["samples"], e["status"]) for e in mine}) == len(mine)
    assert Counter(e["id"] for e in outcome.events).keys() == outcome.reports.keys()
