"""Messages that end or hang the process, models and settings that are broken, clocks that jump: at size.

`make chaos` runs these; tests/daemon/test_service.py, tests/daemon/scoring/test_active_model.py and
tests/daemon/cli/test_reload.py hold the same in short form.
"""

from __future__ import annotations

import os
import shutil
import signal
import time
from collections import Counter
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.request import urlopen

import pytest
from accounting import assert_accounted, by_topic
from replicas import HANGS, KILLS, Replica, replicas, run_fragile

from anomalyd.daemon.config.config import load_config
from anomalyd.daemon.service import Service

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(3600),
    pytest.mark.skipif("CHAOS" not in os.environ, reason="only in `make chaos`: see the module"),
]

ROWS = 1200
WITHIN_S = 3000.0 if "CHAOS" in os.environ else 600.0


def planted_on(plant: Callable[..., Any]) -> list[Any]:
    return [plant(f"node0{n}", at + 5 * n, 6, "cpu") for n in range(4) for at in range(60, ROWS - 40, 90)]


def alive(replica: Replica) -> bool:
    """Whether its loop goes round, as whoever restarts it sees it."""
    try:
        with urlopen(f"http://127.0.0.1:{replica.port}/livez", timeout=10.0):
            return True
    except HTTPError:
        return False
    except (URLError, OSError):
        return replica.alive  # it does not listen yet, or no more


@pytest.mark.parametrize("poison", [KILLS, HANGS])
def test_messages_that_end_or_hang_the_process(
    poison: bytes,
    make_world: Any,
    embedded_broker: Any,
    make_stream: Any,
    message: Any,
    plant: Any,
    chaos_figures: Any,
) -> None:
    """Two of them; a supervisor begins the process again, as systemd would."""
    world = make_world(embedded_broker)
    planted = planted_on(plant)
    sent = make_stream(ROWS, planted).hosts(range(ROWS))
    for n in range(2):
        sent.insert(2500 * n + 700, message("hosts", b"node01", poison + b" %d" % n, reason="poison"))
    file = world.configure("poisoned", explain=(), instance_id=None)
    config = load_config(file)
    world.send(sent)
    begun, lives = time.monotonic(), 0
    with replicas(file, 1) as (only,):
        while not world.settled(config):
            assert time.monotonic() < begun + WITHIN_S
            if not only.alive:
                only.begin(run_fragile)
                lives += 1
            elif not alive(only):
                only.kill()
            time.sleep(0.2)
        took = time.monotonic() - begun
        assert_accounted(only.exposition())
        assert only.terminate() == 0
    assert lives > 3
    what = "end" if poison == KILLS else "hang"
    chaos_figures(
        fault=f"two messages that {what} the process, each a dead letter after three attempts",
        runs=lives - 1,
        **world.figures(config, planted),
        seconds_to_resume=round(took / lives, 1),
    )


def test_models_and_settings_that_are_broken_are_refused_while_it_works(
    make_world: Any,
    embedded_broker: Any,
    make_stream: Any,
    models: Path,
    tmp_path: Path,
    plant: Any,
    eventually: Any,
    chaos_figures: Any,
) -> None:
    library = tmp_path / "models-of-its-own"
    shutil.copytree(models, library)
    world = make_world(embedded_broker)
    planted = planted_on(plant)
    stream = make_stream(ROWS, planted)
    file = world.configure("refuses", explain=(), models=library)
    config = load_config(file)
    faults = list(broken_models(library))

    with replicas(file, 1) as (only,):
        only.begin()
        slices = iter(range(0, ROWS, ROWS // (len(faults) + 2)))

        def send() -> None:
            at = next(slices)
            world.send(stream.hosts(range(at, at + ROWS // (len(faults) + 2))))

        send()
        eventually(lambda: world.settled(config), within_s=WITHIN_S)
        for n, publish in enumerate(faults, 1):
            publish()
            send()
            eventually(lambda n=n: counted(only, "model_refused_total") >= n, within_s=WITHIN_S)
        good = only.file.read_text()
        only.file.write_text(good + "\nnonsense: [")
        os.kill(only.process.pid, signal.SIGHUP)
        eventually(lambda: counted(only, "config_refused_total") >= 1, within_s=WITHIN_S)
        world.send(stream.hosts(range(next(slices), ROWS)))
        eventually(lambda: world.settled(config), within_s=WITHIN_S)
        assert_accounted(only.exposition())
        assert only.terminate() == 0
    chaos_figures(
        fault="models that are cut off, swapped, pickled, of another shape; a configuration that is no YAML",
        runs=len(faults) + 1,
        **world.figures(config, planted),
        seconds_to_resume=0.0,
    )


def counted(replica: Replica, name: str) -> float:
    lines = replica.exposition().splitlines()
    return sum(float(line.split()[-1]) for line in lines if line.startswith(f"anomalyd_{name}"))


def broken_models(library: Path) -> list[Callable[[], None]]:
    """Give what publishes newer models of `hosts`: cut off, swapped, pickled, of another shape."""
    (good,) = (library / "hosts").iterdir()
    (maps,) = (library / "chambers").iterdir()

    def publish(number: int, spoil: Callable[[Path], None], model: Path = good) -> None:
        prepared = library / f"prepared-{number}"
        shutil.copytree(model, prepared)
        spoil(prepared)
        prepared.rename(good.with_name(f"20990101T00000{number}Z-0000000{number}"))

    def cut_off(at: Path) -> None:
        weights = at / "autoencoder" / "model.safetensors"
        weights.write_bytes(weights.read_bytes()[:-7])

    def pickled(at: Path) -> None:
        (at / "autoencoder" / "model.safetensors").write_bytes(b"\x80\x04cos\nsystem\n(S'true'\ntR.")

    def other_weights(at: Path) -> None:
        shutil.copy(maps / "autoencoder" / "model.safetensors", at / "autoencoder" / "model.safetensors")

    return [
        partial(publish, 1, cut_off),
        partial(publish, 2, pickled),
        partial(publish, 3, other_weights),
        partial(publish, 4, lambda at: None, maps),
    ]


def test_clocks_jump_and_events_come_in_disorder(
    make_world: Any,
    apache_kafka: Any,
    running: Any,
    make_stream: Any,
    message: Any,
    plant: Any,
    eventually: Any,
    monkeypatch: pytest.MonkeyPatch,
    chaos_figures: Any,
) -> None:
    """The daemon's clock is an hour ahead every other second; the stream has rows in disorder and twice."""
    world = make_world(apache_kafka)
    planted = planted_on(plant) + [
        plant(f"part0{n}", at + 5 * n, 8, "load") for n in range(2) for at in range(60, ROWS - 40, 90)
    ]
    stream = make_stream(ROWS, planted)
    year = b'{"entity": "node00", "time": %d, "values": {"cpu": 1}}' % (time.time() + 3.2e7)

    def send(rows: range) -> None:
        hosts, parts = stream.hosts(rows), stream.parts(rows)
        hosts.insert(50, message("hosts", b"node00", year, reason="clock"))
        world.send(hosts)
        world.send(parts)
        world.send(parts[::3])  # again, and late
        world.flush()

    jumps = Counter[bool]()

    def clock() -> float:
        ahead = int(time.monotonic()) % 2 == 1
        jumps[ahead] += 1
        return time.time() + 3600.0 * ahead

    monkeypatch.setattr("anomalyd.daemon.application.Service", partial(Service, clock=clock))
    config = load_config(file := world.configure("jumps", explain=()))
    with running(file) as daemon:
        for first in range(0, ROWS, 60):
            send(range(first, first + 60))
            time.sleep(1.0)
        eventually(lambda: world.settled(config), within_s=WITHIN_S)
        with urlopen(daemon.url + "/metrics", timeout=60.0) as answer:
            told = by_topic(answer.read().decode())
    assert min(jumps.values()) >= 10
    undisturbed = load_config(file := world.configure("stands", explain=()))
    monkeypatch.undo()
    with running(file):
        eventually(lambda: world.settled(undisturbed), within_s=WITHIN_S)
    found = world.figures(config, planted)
    one, other = world.outcome(config), world.outcome(undisturbed)
    assert one.reports.keys() == other.reports.keys()
    assert one.happened() == other.happened()
    chaos_figures(
        fault="the clock jumps by an hour each second; events in disorder, twice, a year ahead",
        runs=sum(told["dead_letters_total"].values()),
        **found,
        seconds_to_resume=0.0,
    )
