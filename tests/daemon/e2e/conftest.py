"""A whole world for a daemon: trained models, streams with planted anomalies, topics, and what came of it."""

from __future__ import annotations

import io
import json
import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from accounting import assert_accounted
from kafka import KafkaConsumer, KafkaProducer, TopicPartition
from numpy.typing import NDArray
from prometheus_client import generate_latest

from anomalyd.daemon.application import Daemon
from anomalyd.daemon.broker import EmbeddedBroker, LocalBroker
from anomalyd.daemon.config.config import Config, load_config
from anomalyd.daemon.kafka.connection.connection import close_producer
from anomalyd.detectors.detector import Series, TrainingSet
from anomalyd.detectors.detector_pair import DetectorPair, train_pair
from anomalyd.detectors.library import ModelLibrary
from anomalyd.detectors.maps.simulate.faults import random_fault
from anomalyd.detectors.maps.simulate.simulation import ElementSimulator
from anomalyd.errors import StoreError
from anomalyd.reports.queries import Queries, Selection
from anomalyd.reports.report import Report
from anomalyd.reports.step import Activity, Point
from anomalyd.reports.storage.store import Store

Place = tuple[str, int]

HOSTS = ("node00", "node01", "node02", "node03")
PARTED = ("part00", "part01")
"""Hosts whose metrics come in two messages each."""
CHAMBERS = ("DT/W0/MB1/S01", "DT/W-1/MB2/S04", "DT/W+1/MB3/S07")

METRICS = ("cpu", "load", "memory", "disk", "network", "files")
_UNITS = np.array([1.0, 1e6, 10.0, 5.0, 0.5, 2.0])
_SEED = 3
_TRAINED_MAPS = 60
MESSAGE_BYTES = 60_000

LATENESS_S = 3.0
"""More than the two rows by which the parts are out of order, and more than a broker or a busy machine keeps
anybody waiting: what comes after so long a silence would rightly be late."""


def host_rows(rows: int, seed: int) -> NDArray[np.float32]:
    """Normal rows (rows, 6): metrics of different units that follow two hidden ones."""
    chance = np.random.default_rng(seed)
    hidden = np.column_stack([np.sin(np.arange(rows) / 9.0), chance.normal(size=rows)])
    mixing = np.random.default_rng(99).uniform(0.5, 1.0, size=(2, len(METRICS)))
    values = hidden @ mixing + 0.2 * chance.normal(size=(rows, len(METRICS)))
    return ((10.0 + values) * _UNITS).astype(np.float32)


def chamber(entity: str) -> ElementSimulator:
    return ElementSimulator(entity, _SEED, 40.0)


@dataclass(frozen=True)
class Planted:
    """An anomaly of an entity, from row (or lumisection) `first` on; `strength`, in units of the metric's
    scatter, grows to the second number. For a chamber `metric` is the kind of fault."""

    entity: str
    first: int
    length: int
    metric: str
    strength: tuple[float, float] = (60.0, 60.0)


@dataclass(frozen=True)
class Message:
    """What is sent to the topic of `kind` (hosts, parts or maps). `reason`: why it will be a dead letter."""

    kind: str
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes], ...] = ()
    reason: str | None = None


class Stream:
    """What the entities send: row r at `begin` + r seconds; the same arguments give the same messages."""

    def __init__(self, begin: float, rows: int, planted: Iterable[Planted] = ()) -> None:
        self.begin = begin
        self._planted = list(planted)
        self._rows = {entity: host_rows(rows, 100 + i) for i, entity in enumerate((*HOSTS, *PARTED))}
        for anomaly in self._planted:
            if anomaly.entity in self._rows:
                column = METRICS.index(anomaly.metric)
                growth = np.linspace(*anomaly.strength, anomaly.length) * _UNITS[column]
                self._rows[anomaly.entity][anomaly.first :][: anomaly.length, column] += growth
        self._chambers = {entity: chamber(entity) for entity in CHAMBERS}

    def hosts(self, rows: range) -> list[Message]:
        """A message for each host and row; every tenth host's row comes twice, as from a producer's retry."""
        found = []
        for row in rows:
            for i, entity in enumerate(HOSTS):
                message = Message("hosts", entity.encode(), self._reported(entity, row, METRICS))
                found += [message] * (2 if (row + i) % 10 == 0 else 1)
        return found

    def parts(self, rows: range) -> list[Message]:
        """Two messages for each host and row, out of order by two rows at most."""
        chance = random.Random(rows.start)
        found = [
            (row + chance.uniform(0, 2), Message("parts", entity.encode(), self._reported(entity, row, part)))
            for row in rows
            for entity in PARTED
            for part in (METRICS[:3], METRICS[3:])
        ]
        return [message for _, message in sorted(found, key=lambda pair: pair[0])]

    def maps(self, rows: range) -> list[Message]:
        """A map of each chamber for each lumisection, in the format npy."""
        return [self._map(entity, row) for row in rows for entity in CHAMBERS]

    def _reported(self, entity: str, row: int, metrics: Sequence[str]) -> bytes:
        values = dict(zip(METRICS, self._rows[entity][row].tolist(), strict=True))
        told: dict[str, Any] = {"entity": entity, "time": self.begin + row}
        told["values"] = {name: values[name] for name in metrics}
        if len(metrics) < len(METRICS):
            told["partial"] = True
        return json.dumps(told).encode()

    def _map(self, entity: str, row: int) -> Message:
        simulator = self._chambers[entity]
        fault = next(
            (
                random_fault(p.metric, simulator.chamber, np.random.default_rng(p.first))
                for p in self._planted
                if p.entity == entity and p.first <= row < p.first + p.length
            ),
            None,
        )
        bytes_ = io.BytesIO()
        np.save(bytes_, simulator.map(_TRAINED_MAPS + 1 + row, fault), allow_pickle=False)
        headers = {"entity": entity, "time": str(self.begin + row), "run": "7", "lumisection": str(row)}
        encoded = tuple((name, text.encode()) for name, text in headers.items())
        return Message("maps", entity.encode(), bytes_.getvalue(), encoded)


@dataclass(frozen=True)
class Outcome:
    """What a daemon left: in its database, and in its two output topics."""

    reports: Mapping[str, Report]
    points: Mapping[str, list[Point]]
    activity: Mapping[str, Activity]
    events: list[dict[str, Any]]
    dead_letters: list[Any]

    def happened(self) -> Counter[tuple[str, str]]:
        """Count the events but for `explained`, by report and name."""
        return Counter((e["id"], e["event"]) for e in self.events if e["event"] != "explained")

    def doubled(self) -> int:
        """Count the reports that were told more than once, each time more."""
        return sum(count - 1 for (_, event), count in self.happened().items() if event == "opened")

    def letters(self) -> Counter[tuple[str, int, int, str]]:
        """Count the dead letters by where they came from and why."""
        told = [{name: value.decode() for name, value in r.headers} for r in self.dead_letters]
        return Counter(
            (
                t["anomalyd-topic"],
                int(t["anomalyd-partition"]),
                int(t["anomalyd-offset"]),
                t["anomalyd-reason"],
            )
            for t in told
        )


class World:
    """Topics on a broker with what was sent to them; daemons that read them, each with a database."""

    def __init__(
        self, broker: LocalBroker, folder: Path, models: Path, topics: Mapping[str, str], make_output: Any
    ) -> None:
        self.broker = broker
        self.topics = topics
        self._folder = folder
        self._models = models
        self._make_output = make_output
        self._producer = self._connect()
        self._sent: list[tuple[Message, Any]] = []
        self._arrived: list[tuple[Message, Any]] = []
        self._ends: dict[Place, int] = {}
        self._stores: dict[str, Store] = {}

    def _connect(self) -> Any:
        return KafkaProducer(bootstrap_servers=self.broker.bootstrap_servers, linger_ms=5)

    def reconnect(self) -> None:
        """Send over new connections from now on."""
        self.flush()
        close_producer(self._producer, 5.0)
        self._producer = self._connect()

    def send(self, messages: Iterable[Message]) -> None:
        """Hand messages to the producer."""
        for m in messages:
            future = self._producer.send(
                self.topics[m.kind], key=m.key, value=m.value, headers=list(m.headers)
            )
            self._sent.append((m, future))

    def flush(self) -> None:
        """Wait until all that was sent has arrived."""
        self._producer.flush(120)
        for m, future in self._sent:
            at = future.get(1)
            place = (at.topic, at.partition)
            self._ends[place] = max(self._ends.get(place, 0), at.offset + 1)
            self._arrived.append((m, at))
        self._sent.clear()

    def ends(self) -> dict[Place, int]:
        """Where each partition ends that anything was sent to."""
        self.flush()
        return self._ends.copy()

    def broken(self) -> Counter[tuple[str, int, int, str]]:
        """The places of the messages that are dead letters, and why."""
        self.flush()
        return Counter((at.topic, at.partition, at.offset, m.reason) for m, at in self._arrived if m.reason)

    def configure(
        self,
        name: str,
        *,
        explain: Sequence[str] = ("integrated-gradients",),
        models: Path | None = None,
        **kafka: Any,
    ) -> Path:
        """Write the configuration of a daemon with a group, a database and output topics of its own."""
        embedded = isinstance(self.broker, EmbeddedBroker)
        limits = {"message_bytes": MESSAGE_BYTES}
        alert = {
            "open_after": 3,
            "close_after": 6,
            "alert_on": "either",  # faults of each kind are planted: those of the baseline, too
            "false_alarm_rate": 1e-3,
            "severity": {"error": 2.4, "critical": 3.2},
        }
        detectors = [
            {"name": "hosts", "kind": "vector-autoencoder", "entities": ["node*", "part*"], "alert": alert},
            {"name": "chambers", "kind": "map-autoencoder", "entities": ["DT/*"], "alert": alert},
        ]
        inputs = [
            {"topic": self.topics["hosts"], "limits": limits},
            {"topic": self.topics["parts"], "limits": limits, "lateness_s": LATENESS_S},
            {"topic": self.topics["maps"], "limits": limits, "format": "npy"},
        ]
        config = {
            "kafka": {
                "bootstrap_servers": [self.broker.bootstrap_servers],
                "group": name,
                # Tansu holds a dead member's place for a whole session, a static one's always for 6 seconds
                # and answers a join after one; Apache Kafka lets a static member back at once.
                "session_timeout_s": 1.0 if embedded else 6.0,
                "instance_id": None if embedded else f"{name}-1",
                **kafka,
            },
            "inputs": inputs,
            "detectors": detectors,
            "store": {"url": f"sqlite:///{self._folder / name}.db", "models": str(models or self._models)},
            "metrics": {"port": 0},
            "explain": {"methods": list(explain), "enabled": bool(explain), "budget_s": 2.0},
            "output": {
                "topic": self._make_output(self.broker),
                "dead_letter_topic": self._make_output(self.broker),
            },
        }
        file = self._folder / f"{name}.yaml"
        file.write_text(yaml.safe_dump(config))
        return file

    def store(self, config: Config) -> Store:
        """The database of a daemon."""
        url = config.store.url.get_secret_value()
        if url not in self._stores:
            self._stores[url] = _opened(url)
        return self._stores[url]

    def settled(self, config: Config) -> bool:
        """Whether a daemon has nothing left to do: all is read, sent and explained."""
        store = self.store(config)
        stored = store.offsets(config.kafka.group)
        return (
            all(stored.get(place) == end for place, end in self.ends().items())
            and store.outbox_size() == 0
            and not (config.explain.enabled and store.unexplained(1))
        )

    def outcome(self, config: Config) -> Outcome:
        """Read all that a daemon left."""
        queries = Queries.open(config.store.url.get_secret_value())
        try:
            reports = {r.incident.id: r for r in queries.reports(Selection(), limit=10_000)}
            points = {report_id: queries.points(report_id) for report_id in reports}
            activity = queries.activity()
        finally:
            queries.close()
        events = [json.loads(record.value) for record in self.read(config.output.topic)]
        return Outcome(reports, points, activity, events, self.read(config.output.dead_letter_topic))

    def figures(self, config: Config, planted: Sequence[Any]) -> dict[str, int]:
        """See that each planted anomaly is one report, told once, and each broken message one dead letter."""
        outcome = self.outcome(config)
        found = {
            "messages": sum(self.ends().values()),
            "reports": len(outcome.reports),
            "lost": len(planted) - len(outcome.reports),
            "doubled": outcome.doubled(),
        }
        assert (found["lost"], found["doubled"]) == (0, 0)
        told = outcome.happened().items()
        assert {count for (_, event), count in told if event in ("opened", "closed")} == {1}
        assert outcome.letters() == self.broken()
        return found

    def read(self, topic: str | None, quiet_s: float = 1.0) -> list[Any]:
        """Read a topic (of one partition) from its beginning to its end, and until nothing more comes."""
        assert topic is not None
        consumer = KafkaConsumer(bootstrap_servers=self.broker.bootstrap_servers)
        try:
            place = TopicPartition(topic, 0)
            consumer.assign([place])
            consumer.seek_to_beginning(place)
            # A busy broker is silent for longer; Tansu's ends can lag, so that they alone would not do.
            (end,) = consumer.end_offsets([place], timeout_ms=120_000).values()
            records: list[Any] = []
            begun = last = time.monotonic()
            while time.monotonic() - last < quiet_s or consumer.position(place) < end:
                assert time.monotonic() - begun < 300.0, f"{topic} ends at {end}"
                for some in consumer.poll(timeout_ms=100).values():
                    records += some
                    last = time.monotonic()
            return records
        finally:
            consumer.close()

    def close(self) -> None:
        """Close what is open."""
        close_producer(self._producer, 5.0)
        for store in self._stores.values():
            store.close()


@pytest.fixture(scope="session")
def pairs() -> dict[str, DetectorPair]:
    """Small trained pairs of the detectors `hosts` and `chambers`."""
    times = np.arange(400, dtype=np.float64)
    rows = {e: Series(times, host_rows(400, i)) for i, e in enumerate((*HOSTS, *PARTED))}
    numbers = range(1, _TRAINED_MAPS + 1)
    maps = {e: Series(times[:_TRAINED_MAPS], chamber(e).maps(numbers)) for e in CHAMBERS}
    about: dict[str, Any] = {
        "alert_on": "either",
        "code_version": "test",
        "created": 1_795_468_500.0,
    }
    return {
        "hosts": train_pair(
            TrainingSet(rows, METRICS),
            kind="vector-autoencoder",
            parameters={"epochs": 6, "warmup": 12},
            classical_parameters={"warmup": 12},
            **about,
        ),
        "chambers": train_pair(
            TrainingSet(maps),
            kind="map-autoencoder",
            parameters={"steps": 20, "channels": 4, "batch": 8},
            **about,
        ),
    }


@pytest.fixture(scope="session")
def models(pairs: dict[str, DetectorPair], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model library with both pairs; nobody adds to it."""
    root = tmp_path_factory.mktemp("models")
    for name, pair in pairs.items():
        ModelLibrary(root).publish(name, pair)
    return root


@pytest.fixture
def make_world(
    tmp_path: Path, models: Path, make_topic: Callable[..., str]
) -> Iterator[Callable[[LocalBroker], World]]:
    """Make topics on a broker: make_world(broker)."""
    made: list[World] = []

    def make(broker: LocalBroker) -> World:
        topics = {"hosts": make_topic(broker, 2), "parts": make_topic(broker), "maps": make_topic(broker)}
        made.append(World(broker, tmp_path, models, topics, make_topic))
        return made[-1]

    yield make
    for world in made:
        world.close()


@pytest.fixture
def world(broker: LocalBroker, make_world: Callable[[LocalBroker], World]) -> World:
    """Topics on each of the two brokers in turn."""
    return make_world(broker)


def _opened(url: str, within_s: float = 300.0) -> Store:
    """Open a database that daemons are at work on: on a slow machine its lock is held for long."""
    deadline = time.monotonic() + within_s
    while True:
        try:
            return Store.open(url)
        except StoreError:
            if time.monotonic() > deadline:
                raise


@contextmanager
def _running(file: Path) -> Iterator[Daemon]:
    daemon = Daemon(load_config(file), on_found=lambda found: None)
    raised: list[BaseException] = []

    def run() -> None:
        try:
            daemon.run()
        except BaseException as error:
            raised.append(error)

    thread = threading.Thread(target=run, name="daemon")
    thread.start()
    try:
        yield daemon
    finally:
        daemon.stop()
        thread.join(120.0)
        assert not thread.is_alive(), "the daemon did not stop within two minutes"
        assert not raised, raised
    assert_accounted(generate_latest(daemon._telemetry.registry).decode())


@pytest.fixture
def running() -> Callable[[Path], Any]:
    """Run a daemon in a thread: with running(file) as daemon."""
    return _running


@pytest.fixture
def make_stream() -> Callable[..., Stream]:
    """Make a stream that has just ended: make_stream(rows, planted)."""

    def make(rows: int, planted: Iterable[Planted] = ()) -> Stream:
        return Stream(float(int(time.time())) - rows, rows, planted)

    return make


@pytest.fixture
def plant() -> type[Planted]:
    return Planted


@pytest.fixture
def message() -> type[Message]:
    return Message
