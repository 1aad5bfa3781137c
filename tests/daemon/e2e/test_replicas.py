"""Several daemons of one group on one store, killed and begun at random: nothing lost, nothing twice."""

from __future__ import annotations

import os
import random
import time
from collections import Counter
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import yaml
from accounting import assert_accounted
from replicas import Hosts, Replica, replicas

from anomalyd.daemon.config.config import Config, load_config

CHAOS = "CHAOS" in os.environ
WITHIN_S = 900.0 if CHAOS else 240.0


def prepared(world: Any, name: str, url: str | None, **kafka: Any) -> Path:
    file: Path = world.configure(name, explain=(), instance_id=None, **kafka)
    if url is not None:
        about = yaml.safe_load(file.read_text())
        about["store"]["url"] = url
        file.write_text(yaml.safe_dump(about))
    return file


def sent(world: Any, message: Any, hosts: Hosts, rows: range) -> None:
    world.send(message("hosts", key, value, reason=why) for key, value, why in hosts.messages(rows))
    world.flush()


def figures(world: Any, config: Config, undisturbed: Any) -> dict[str, int]:
    """See that it is as in an undisturbed run: each report once, each event once, each broken message one
    dead letter."""
    outcome = world.outcome(config)
    happened = outcome.happened()
    opened = Counter({report: n for (report, event), n in happened.items() if event == "opened"})
    found = {
        "messages": sum(world.ends().values()),
        "reports": len(outcome.reports),
        "lost": len(undisturbed.reports.keys() - outcome.reports.keys()),
        "doubled": len(outcome.reports.keys() - undisturbed.reports.keys())
        + sum(opened.values())
        - len(opened),
    }
    assert (found["lost"], found["doubled"]) == (0, 0)
    assert happened == undisturbed.happened()
    assert outcome.activity == undisturbed.activity
    assert outcome.letters() == undisturbed.letters() == world.broken()
    return found


@pytest.fixture
def undisturbed(running: Any, eventually: Any) -> Callable[[Any, Hosts], Any]:
    """Let one daemon read the same topics; give what it finds: a report for nearly each planted anomaly."""

    def run(world: Any, hosts: Hosts) -> Any:
        config = load_config(file := world.configure("undisturbed", explain=(), max_poll_records=200))
        with running(file):
            eventually(lambda: world.settled(config), within_s=WITHIN_S)
        outcome = world.outcome(config)
        assert len(outcome.reports) >= 0.9 * len(hosts.planted)
        return outcome

    return run


@pytest.fixture
def store_url(request: pytest.FixtureRequest) -> str | None:
    """PostgreSQL for what runs at size, else SQLite."""
    return request.getfixturevalue("cluster").new_schema() if CHAOS else None


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_two_replicas_are_killed_at_random(
    make_world: Any,
    embedded_broker: Any,
    message: Any,
    eventually: Any,
    store_url: str,
    undisturbed: Any,
    chaos_figures: Any,
) -> None:
    kills = int(os.environ.get("CHAOS_KILLS", "100")) if CHAOS else 2
    chance = random.Random(3)
    names = [f"node{n:02d}" for n in range(8)]
    a_kill = 25
    hosts = Hosts(names, a_kill * (kills + 1) + 100, time.time() - 20_000, broken=0.01)
    world = make_world(embedded_broker)
    file = prepared(world, "killed", store_url, max_poll_records=60)
    config = load_config(file)
    begun = time.monotonic()
    with replicas(file, 2) as both:
        for each in both:
            each.begin()
        for number in range(kills):
            sent(world, message, hosts, range(a_kill * number, a_kill * (number + 1)))
            if number % 5 == 0:  # now and then they get on with it
                before = sum(world.store(config).offsets(config.kafka.group).values())
                eventually(
                    lambda before=before: (
                        sum(world.store(config).offsets(config.kafka.group).values()) > before
                        or world.settled(config)
                    ),
                    within_s=WITHIN_S,
                )
            time.sleep(chance.uniform(0.0, 1.5))
            victim = chance.choice(both)
            assert victim.alive, victim.process.exitcode
            victim.kill()
            victim.begin()
        sent(world, message, hosts, range(a_kill * kills, hosts.rows))
        last = time.monotonic()
        eventually(lambda: world.settled(config), within_s=WITHIN_S)
        resumed_s = time.monotonic() - last
        for each in both:
            eventually(lambda each=each: answers(each), within_s=WITHIN_S)
            assert_accounted(each.exposition())
            assert each.terminate() == 0
    found = figures(world, config, undisturbed(world, hosts))
    chaos_figures(
        fault=f"kill -9 of two replicas at random ({'PostgreSQL' if store_url else 'SQLite'}), 1 % broken",
        runs=kills,
        **found,
        seconds_to_resume=round(resumed_s, 1),
        seconds=round(time.monotonic() - begun),
    )


def answers(replica: Replica) -> bool:
    assert replica.alive, replica.process.exitcode
    try:
        return bool(replica.exposition())
    except OSError:
        return False


class Idle:
    """Watches how long each partition stands still that has records to read."""

    def __init__(self) -> None:
        self.longest_s = 0.0
        self.then = 0.0
        self._at: dict[Any, tuple[int, float]] = {}

    def look(self, stored: dict[Any, int], ends: dict[Any, int]) -> None:
        now = time.monotonic()
        for place, end in ends.items():
            offset = stored.get(place, 0)
            before, since = self._at.get(place, (-1, now))
            if offset != before or offset >= end:
                since = now
            self._at[place] = (offset, since)
            if now - since > self.longest_s:
                self.longest_s, self.then = now - since, now


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.skipif(
    not CHAOS, reason="minutes of rebalances: `make chaos` runs it; two daemons are in test_kill.py"
)
def test_replicas_come_and_go(
    apache_kafka: Any,
    make_world: Any,
    make_topic: Any,
    message: Any,
    eventually: Any,
    store_url: str,
    undisturbed: Any,
    chaos_figures: Any,
) -> None:
    """Four replicas join and leave on twelve partitions, half of them by SIGKILL, while messages stream."""
    storm_s, session_s = float(os.environ.get("CHAOS_STORM_S", "300")), 10.0
    chance = random.Random(5)
    names = [f"node{n:02d}" for n in range(24)]
    rows = 2 * int(storm_s) + 300  # at most two a second, and some behind the storm
    hosts = Hosts(names, rows, time.time() - 20_000)
    world = make_world(apache_kafka)
    world.topics["hosts"] = make_topic(apache_kafka, 12)
    file = prepared(world, "storm", store_url, max_poll_records=200, session_timeout_s=session_s)
    config = load_config(file)
    idle, ends, row, changes = Idle(), {}, 0, list[Any]()
    with replicas(file, 4) as all_:
        for each in all_:
            each.begin()
        sent(world, message, hosts, range(60))
        eventually(lambda: world.settled(config), within_s=WITHIN_S)
        row, begun = 60, time.monotonic()
        change_at = begun
        while time.monotonic() < begun + storm_s:
            sent(world, message, hosts, range(row, row + 1))
            row += 1
            ends = world.ends()
            if time.monotonic() >= change_at:
                changes.append((round(time.monotonic() - begun, 1), change(all_, chance)))
                change_at = time.monotonic() + chance.uniform(2.0, 8.0)
            idle.look(world.store(config).offsets(config.kafka.group), ends)
            time.sleep(0.5)
        for each in all_:
            if not each.alive:
                each.begin()
        sent(world, message, hosts, range(row, rows))
        last = time.monotonic()
        eventually(lambda: world.settled(config), within_s=WITHIN_S)
        resumed_s = time.monotonic() - last
        for each in all_:
            eventually(lambda each=each: answers(each), within_s=WITHIN_S)
            assert_accounted(each.exposition())
            assert each.terminate() == 0
    found = figures(world, config, undisturbed(world, hosts))
    chaos_figures(
        fault=f"rebalance storm: {len(all_)} replicas, 12 partitions",
        runs=len(changes),
        **found,
        seconds_to_resume=round(resumed_s, 1),
        longest_idle_s=round(idle.longest_s, 1),
        session_timeout_s=session_s,
    )
    then = idle.then - begun
    near = [each for each in changes if then - 40 < each[0] < then]
    assert idle.longest_s <= 2 * session_s, f"until {then:.1f} s; before: {near}"


def change(all_: list[Replica], chance: random.Random) -> str:
    """Begin a replica that is gone, or end one, in order or not; one stays. Say which."""
    alive = [each for each in all_ if each.alive]
    gone = [each for each in all_ if not each.alive]
    if gone and (len(alive) == 1 or chance.random() < 0.5):
        chance.choice(gone).begin()
        return "begun"
    if chance.random() < 0.5:
        chance.choice(alive).kill()
        return "killed"
    assert chance.choice(alive).terminate() == 0
    return "terminated"


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.skipif(
    not CHAOS, reason="a dozen starts: `make chaos` runs it, tests/daemon/e2e/test_command.py two"
)
def test_sigterm_at_any_moment(
    make_world: Any, apache_kafka: Any, message: Any, eventually: Any, undisturbed: Any, chaos_figures: Any
) -> None:
    """While starting, joining and catching up: exit 0 each time, and nothing half done."""
    times = int(os.environ.get("CHAOS_STOPS", "40"))
    hosts = Hosts([f"node{n:02d}" for n in range(4)], 60 * times + 100, time.time() - 20_000)
    world = make_world(apache_kafka)
    file = prepared(world, "terminated", None, max_poll_records=30, session_timeout_s=6.0)
    config = load_config(file)
    chance, took = random.Random(7), []
    with replicas(file, 1) as (only,):
        for number in range(times):
            sent(world, message, hosts, range(60 * number, 60 * (number + 1)))
            only.begin()
            # Before the commands' own handler is there a signal is that of any Python program.
            eventually(partial(answers, only), within_s=WITHIN_S)
            time.sleep(chance.uniform(0.0, 2.0))
            asked = time.monotonic()
            assert only.terminate() == 0
            took.append(time.monotonic() - asked)
        sent(world, message, hosts, range(60 * times, hosts.rows))
        only.begin()
        eventually(lambda: world.settled(config), within_s=WITHIN_S)
        assert only.terminate() == 0
    found = figures(world, config, undisturbed(world, hosts))
    chaos_figures(
        fault="SIGTERM at any moment, also while catching up",
        runs=times,
        **found,
        seconds_to_resume=None,
        longest_seconds_to_end=round(max(took), 1),
    )
