"""Daemons of one group and one store, each a process that can be killed; and hosts for many partitions."""

from __future__ import annotations

import json
import multiprocessing
import os
import random
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import numpy as np
import yaml

from anomalyd.daemon import application
from anomalyd.daemon.broker.ports import reserve_port
from anomalyd.daemon.cli.operate import run
from anomalyd.daemon.intake.decode import Decoder
from anomalyd.daemon.stages import Record

_PRELOADED = [
    "anomalyd.daemon.application",
    "anomalyd.daemon.cli.operate",
    "anomalyd.daemon.intake.formats.json_samples",
    "anomalyd.detectors.vectors.autoencoder",
    "anomalyd.detectors.vectors.distance",
    "anomalyd.detectors.maps.autoencoder.autoencoder",
    "anomalyd.detectors.maps.classical.classical",
    "sqlalchemy.dialects.sqlite",
    "alembic.command",
]


KILLS, HANGS = b"ends the process", b"hangs the process"


def run_fragile(file: Path) -> None:
    """Run a daemon whose decoder has two faults; one that hangs is called so after 5 s."""
    decode = Decoder.decode

    def fragile(self: Decoder, records: Sequence[Record]) -> Any:
        for record in records:
            if record.value is not None and record.value.startswith(KILLS):
                os.kill(os.getpid(), signal.SIGKILL)
            while record.value is not None and record.value.startswith(HANGS):
                time.sleep(1.0)
        return decode(self, records)

    Decoder.decode = fragile  # type: ignore[method-assign]
    application._STILL_S = 5.0
    run(file)


class Replica:
    """One daemon; after its end it can be begun again."""

    def __init__(self, context: Any, file: Path, number: int) -> None:
        about = yaml.safe_load(file.read_text())
        about["metrics"]["port"] = self.port = reserve_port()
        about["kafka"]["instance_id"] = None  # a static member's place would be kept for it
        self.file = file.with_name(f"{file.stem}-{number}.yaml")
        self.file.write_text(yaml.safe_dump(about))
        self._context = context
        self.process: Any = None

    @property
    def alive(self) -> bool:
        return self.process is not None and bool(self.process.is_alive())

    def begin(self, target: Callable[[Path], None] = run) -> None:
        self.process = self._context.Process(target=target, args=(self.file,))
        self.process.start()

    def kill(self) -> None:
        self.process.kill()
        self.process.join()

    def terminate(self, within_s: float = 120.0) -> int | None:
        """SIGTERM; give the exit status."""
        self.process.terminate()
        self.process.join(within_s)
        status: int | None = self.process.exitcode
        return status

    def exposition(self) -> str:
        with urlopen(f"http://127.0.0.1:{self.port}/metrics", timeout=60.0) as answer:
            return str(answer.read().decode())


@contextmanager
def replicas(file: Path, number: int) -> Iterator[list[Replica]]:
    """Make so many replicas; none is begun. They are forks of a process that has imported everything."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(_PRELOADED)
    made = [Replica(context, file, each) for each in range(number)]
    try:
        yield made
    finally:
        for each in made:
            if each.alive:
                each.kill()


class Hosts:
    """Hosts that send a row a second, like those that the end-to-end tests' models know.

    Every host has an anomaly of six rows of each ninety. `broken`: share of messages that are no JSON.
    """

    metrics = ("cpu", "load", "memory", "disk", "network", "files")
    _units = np.array([1.0, 1e6, 10.0, 5.0, 0.5, 2.0])

    def __init__(self, names: list[str], rows: int, begin: float, broken: float = 0.0) -> None:
        self.names, self.rows, self._begin, self._broken = names, rows, begin, broken
        mixing = np.random.default_rng(99).uniform(0.5, 1.0, size=(2, len(self.metrics)))
        self._values = []
        self.planted: list[tuple[str, float]] = []
        """Entity, and the time of its first anomalous row."""
        for number in range(len(names)):
            chance = np.random.default_rng(100 + number)
            hidden = np.column_stack([np.sin(np.arange(rows) / 9.0), chance.normal(size=rows)])
            values = 10.0 + hidden @ mixing + 0.2 * chance.normal(size=(rows, len(self.metrics)))
            for at in range(40 + 7 * number % 40, rows - 20, 90):
                values[at : at + 6, 0] += 60.0
                self.planted.append((names[number], begin + at))
            self._values.append(values * self._units)

    def messages(self, rows: range) -> Iterator[tuple[bytes, bytes, str | None]]:
        """Give key, value, and why it will be a dead letter, row by row."""
        for row in rows:
            for name, values in zip(self.names, self._values, strict=True):
                if random.Random(f"{name}{row}").random() < self._broken:
                    yield name.encode(), b"broken %d" % row, "syntax"
                told = dict(zip(self.metrics, values[row].tolist(), strict=True))
                sample = {"entity": name, "time": self._begin + row, "values": told}
                yield name.encode(), json.dumps(sample).encode(), None
