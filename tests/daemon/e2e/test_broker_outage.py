"""Kafka hangs, or is killed and comes back, while messages stream: the daemon says so, and loses nothing."""

from __future__ import annotations

import json
import os
import signal
import threading
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import urlopen

import pytest

from anomalyd.daemon.broker import ApacheKafka
from anomalyd.daemon.config.config import load_config

ROWS = 120
TOLD_WITHIN_S = 10.0
RESUMES_WITHIN_S = 15.0
SHARE_OF_A_CORE = 0.1


def missing(daemon: Any) -> dict[str, str]:
    try:
        with urlopen(daemon.url + "/readyz", timeout=60.0):
            return {}
    except HTTPError as error:
        with error:
            told: dict[str, str] = json.loads(error.read())["missing"]
            return told


def broker_answers(daemon: Any) -> bool:
    with urlopen(daemon.url + "/metrics", timeout=60.0) as answer:
        return b"\nanomalyd_kafka_answers 1.0" in answer.read()


def cpu_s(threads: Iterable[threading.Thread]) -> float:
    """CPU time of threads that are alive."""
    return sum(
        time.clock_gettime(time.pthread_getcpuclockid(thread.ident))
        for thread in threads
        if thread.ident is not None and thread.is_alive()
    )


@pytest.mark.slow
def test_kafka_hangs(
    kafka_home: Path,
    tmp_path: Path,
    make_world: Any,
    running: Any,
    make_stream: Any,
    plant: Any,
    eventually: Any,
    chaos_size: int,
    chaos_figures: Any,
) -> None:
    hangs_s = 12.0 * chaos_size
    with ApacheKafka(kafka_home, tmp_path / "broker") as broker:
        world = make_world(broker)
        planted = [plant(f"node0{n}", at + 5 * n, 6, "cpu") for n in range(4) for at in (20, 70)]
        stream = make_stream(ROWS, planted)
        config = load_config(file := world.configure("hangs", explain=()))
        before = set(threading.enumerate())
        with running(file) as daemon:
            world.send(stream.hosts(range(60)))
            eventually(lambda: world.settled(config) and not missing(daemon))
            world.send(stream.hosts(range(60, ROWS)))
            pid = broker._process.pid
            os.kill(pid, signal.SIGSTOP)
            hung = time.monotonic()
            try:
                eventually(lambda: "kafka" in missing(daemon))
                assert not broker_answers(daemon)
                told_s = time.monotonic() - hung
                ours = set(threading.enumerate()) - before  # the test's own producer spins, too
                used_s = cpu_s(ours)
                watched = time.monotonic()
                time.sleep(max(5.0, hangs_s - told_s))
                busy = (cpu_s(ours) - used_s) / (time.monotonic() - watched)
            finally:
                os.kill(pid, signal.SIGCONT)
            back = time.monotonic()
            eventually(lambda: not missing(daemon))
            resumed_s = time.monotonic() - back
            eventually(lambda: world.settled(config))
        outcome = world.outcome(config)
        happened = outcome.happened()
        chaos_figures(
            fault=f"Kafka hangs for {hangs_s:g} s",
            runs=1,
            messages=sum(world.ends().values()),
            reports=len(outcome.reports),
            lost=len(planted) - len(outcome.reports),
            doubled=outcome.doubled(),
            seconds_to_resume=round(resumed_s, 1),
            seconds_to_tell=round(told_s, 1),
            share_of_a_core=round(busy, 3),
        )
        if chaos_size > 1:  # the time it takes is a promise, but no other work may run beside it
            assert told_s < TOLD_WITHIN_S
            assert resumed_s < RESUMES_WITHIN_S
        assert busy < SHARE_OF_A_CORE
        assert len(outcome.reports) == len(planted)
        assert {count for (_, event), count in happened.items() if event in ("opened", "closed")} == {1}
