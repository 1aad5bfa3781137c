"""What every room's tests share: one thread for torch, and brokers that are started once."""

from __future__ import annotations

import fcntl
import importlib.util
import itertools
import json
import os
import shutil
import signal
import tempfile
from collections.abc import Callable, Iterator
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, settings
from numpy.typing import NDArray
from postgresql_cluster import Cluster

from anomalyd.daemon.broker import ApacheKafka, EmbeddedBroker, LocalBroker, create_topics
from anomalyd.daemon.stages import Record, Sample
from anomalyd.detectors.detector import Series, TrainingSet
from anomalyd.detectors.detector_pair import DetectorPair, train_pair
from anomalyd.detectors.false_alarm_target import AlertRate
from anomalyd.detectors.library import LoadedPair
from anomalyd.detectors.maps.simulate.simulation import ElementSimulator

# On small models two threads are up to 170 times slower than one.
torch.set_num_threads(1)

# How long an example takes depends on what else the machine does.
settings.register_profile("any-machine", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("any-machine")

# A shell that starts the tests in the background has them ignore Ctrl-C, and every child would inherit that.
signal.signal(signal.SIGINT, signal.default_int_handler)

_BROKERS = {"broker", "embedded_broker", "apache_kafka"}
_SERVERS = "servers"
_KAFKA_BESIDE_US = Path(__file__).parents[2] / "shared" / "kafka"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what uses a broker, so that `-m "not broker"` leaves it out, and say what one process has to run.

    What starts servers is one group, the longest, and begins first: two at once would slow each other down.
    A file's tests use what the file has made, so they stay together.
    """
    for item in items:
        broker = bool(_BROKERS & set(getattr(item, "fixturenames", ())))
        if broker:
            item.add_marker("broker")
        group = _SERVERS if broker or "e2e" in item.path.parts else item.path.name
        item.add_marker(pytest.mark.xdist_group(group))
    items.sort(key=lambda item: item.get_closest_marker("xdist_group").args[0] != _SERVERS)


@pytest.fixture(scope="session")
def embedded_broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedBroker]:
    with EmbeddedBroker(tmp_path_factory.mktemp("tansu")) as broker:
        yield broker


@pytest.fixture(scope="session")
def kafka_home() -> Path:
    """An unpacked Apache Kafka 4 and a java to run it with."""
    home = Path(os.environ.get("KAFKA_HOME", _KAFKA_BESIDE_US))
    if not (home / "bin" / "kafka-server-start.sh").is_file():
        pytest.skip("no Apache Kafka: set KAFKA_HOME to an unpacked Apache Kafka 4")
    if shutil.which("java") is None and "JAVA_HOME" not in os.environ:
        pytest.skip("no java in PATH, which Apache Kafka needs")
    return home


@pytest.fixture(scope="session")
def apache_kafka(kafka_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ApacheKafka]:
    with ApacheKafka(kafka_home, tmp_path_factory.mktemp("kafka")) as broker:
        yield broker


@pytest.fixture(params=["embedded_broker", "apache_kafka"])
def broker(request: pytest.FixtureRequest) -> LocalBroker:
    """Each of the two brokers in turn; a test leaves it running."""
    started: LocalBroker = request.getfixturevalue(request.param)
    return started


_numbers = itertools.count()


@pytest.fixture
def make_topic() -> Callable[..., str]:
    """Make a topic that no other test has: make_topic(broker, partitions=1) -> its name."""

    def make(broker: LocalBroker, partitions: int = 1) -> str:
        name = f"test-{os.getpid()}-{next(_numbers)}"
        create_topics(broker.bootstrap_servers, {name: partitions})
        return name

    return make


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    if importlib.util.find_spec("psycopg") is None:
        pytest.skip("no psycopg: pip install 'anomalyd[postgres]'")
    found = shutil.which("initdb") or next(Path("/usr/lib/postgresql").glob("*/bin/initdb"), None)
    if found is None:
        pytest.skip("no PostgreSQL server programs (initdb): apt-get install postgresql")
    # Not below pytest's own folder: the user postgres may not enter that one.
    folder = Path(tempfile.mkdtemp(prefix="anomalyd-pg-"))
    try:
        cluster = Cluster(Path(found).resolve().parent, folder)
        yield cluster
        cluster.stop()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


class Experiment:
    """Three hosts and three drift-tube chambers, pairs trained on them once, and what they send."""

    begin = 1_795_288_500.0
    hosts = ("host/a", "host/b", "host/c")
    metrics = ("cpu", "memory", "net", "disk")
    chambers = ("DT/W-2/MB1/S01", "DT/W-2/MB1/S02", "DT/W+1/MB4/S13")
    _usual = np.array([5.0, 100.0, 50.0, 1.0])
    _scatter = np.array([1.0, 10.0, 5.0, 0.1])

    @cached_property
    def host_pair(self) -> DetectorPair:
        return self.train_hosts(self.begin)

    @cached_property
    def chamber_pair(self) -> DetectorPair:
        series = {c: Series(np.arange(40.0), s.maps(range(40))) for c, s in self._simulators.items()}
        return train_pair(
            TrainingSet(series),
            kind="map-autoencoder",
            parameters={"steps": 20},
            false_alarms=AlertRate(0.01),
            created=self.begin + 3600,
        )

    def train_hosts(self, created: float) -> DetectorPair:
        rows = np.random.default_rng(1).normal(size=(len(self.hosts), 120, len(self.metrics)))
        values = (self._usual + rows * self._scatter).astype(np.float32)
        series = {h: Series(np.arange(120.0), v) for h, v in zip(self.hosts, values, strict=True)}
        return train_pair(
            TrainingSet(series, self.metrics),
            kind="vector-autoencoder",
            parameters={"epochs": 3, "window": 4, "warmup": 10},
            classical_parameters={"warmup": 10},
            false_alarms=AlertRate(0.01),
            created=created,
        )

    @cached_property
    def _simulators(self) -> dict[str, ElementSimulator]:
        return {chamber: ElementSimulator(chamber, 1, 50.0) for chamber in self.chambers}

    def loaded(self, pair: DetectorPair, version: str = "v1") -> LoadedPair:
        return LoadedPair("name", version, pair, ())

    def row(self, host: str, second: int, jump: float = 0.0) -> dict[str, float]:
        """What a host sends at a second; `jump` is in usual scatters of its memory."""
        noise = np.random.default_rng((7, self.hosts.index(host), second)).normal(size=len(self.metrics))
        values = self._usual + noise.clip(-1, 1) * self._scatter
        values[1] += jump * self._scatter[1]
        return dict(zip(self.metrics, values.tolist(), strict=True))

    def map(self, chamber: str, lumisection: int, *, broken: bool = False) -> NDArray[np.float32]:
        """A chamber's map; if broken, one without hits on a side of four layers."""
        found = self._simulators[chamber].map(lumisection).astype(np.float32)
        if broken:
            found[:4, :25] *= 0
        return found

    def sample(self, entity: str, second: int, jump: float = 0.0) -> Sample:
        """A sample of a host, or (jump: broken) of a chamber."""
        time, place = self.begin + second, ("metrics", 0, second)
        if entity in self.hosts:
            return Sample(entity, time, *place, values=self.row(entity, second, jump))
        found = self.map(entity, 100 + second, broken=jump > 0)
        return Sample(entity, time, *place, map=found, run=7, lumisection=100 + second)

    def message(self, entity: str, second: int, jump: float = 0.0) -> bytes:
        """The same sample as JSON."""
        about: dict[str, Any] = {"entity": entity, "time": self.begin + second}
        if entity in self.hosts:
            about["values"] = self.row(entity, second, jump)
        else:
            found = self.map(entity, 100 + second, broken=jump > 0)
            cells = [[None if np.isnan(cell) else int(cell) for cell in row] for row in found]
            about |= {"map": cells, "run": 7, "lumisection": 100 + second}
        return json.dumps(about).encode()

    def record(self, topic: str, offset: int, value: bytes | None, partition: int = 0) -> Record:
        return Record(topic, partition, offset, self.begin, None, value)


@pytest.fixture(scope="session")
def experiment() -> Experiment:
    return Experiment()


_CHAOS = os.environ.get("CHAOS")
"""Where `make chaos` wants the figures; the tests are then as large as promised, else a short form."""


@pytest.fixture(scope="session")
def chaos_size() -> int:
    """How many times the short form a test of faults is to be."""
    return 5 if _CHAOS else 1


@pytest.fixture
def chaos_figures() -> Callable[..., None]:
    """Keep the figures of a fault: chaos_figures(fault=..., runs=..., ...)."""

    def keep(**figures: Any) -> None:
        print(figures)
        if _CHAOS is None:
            return
        file = Path(_CHAOS)
        file.parent.mkdir(parents=True, exist_ok=True)
        with file.open("a+") as both:
            fcntl.flock(both, fcntl.LOCK_EX)  # several runs add to it
            both.seek(0)
            found = json.loads(both.read() or "[]")
            both.truncate(0)
            both.write(json.dumps([*found, figures], indent=1) + "\n")

    return keep
