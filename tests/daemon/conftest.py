"""A Kafka in memory that behaves as kafka-python does where it hurts; an experiment with trained pairs."""

from __future__ import annotations

import base64
import gzip
import json
import os
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from kafka import OffsetAndMetadata, TopicPartition
from kafka.consumer.fetcher import ConsumerRecord
from kafka.errors import KafkaConnectionError, KafkaTimeoutError, MessageSizeTooLargeError

from anomalyd.daemon.config.config import InputConfig
from anomalyd.daemon.intake.decode import Decoder
from anomalyd.daemon.stages import Record, Sample
from anomalyd.detectors.library import ModelLibrary

TIMESTAMP_MS = 1_795_288_499_500


class FakeKafka:
    """Topics, committed offsets, and the clients that are connected. Verbs act on the clients' next call."""

    def __init__(self) -> None:
        self.changed = threading.Condition()
        self.logs: dict[TopicPartition, list[ConsumerRecord]] = {}
        self.begins: dict[TopicPartition, int] = {}
        self.committed: dict[TopicPartition, int] = {}
        self.consumers: list[FakeConsumer] = []
        self.producers: list[FakeProducer] = []
        self.ended: list[str | None] = []  # members whose consumer was given up, as the next one found them
        self.polls = 0
        self.poll_timeout_ms = -1  # of the latest poll
        self.down = False
        self.commit_error: Exception | None = None
        self.max_message_bytes = 1_000_000
        self.lost_acknowledgements = 0
        self.during_round_trip: Callable[[], None] = lambda: None  # in the consumer's thread

    def create(self, topic: str, partitions: int = 1) -> None:
        for partition in range(partitions):
            self.logs[TopicPartition(topic, partition)] = []

    def produce(
        self,
        topic: str,
        *values: bytes | None,
        partition: int = 0,
        key: bytes | None = None,
        headers: Any = (),
    ) -> None:
        with self.changed:
            log = self.logs[TopicPartition(topic, partition)]
            for value in values:
                log.append(
                    ConsumerRecord(
                        topic,
                        partition,
                        0,
                        len(log),
                        TIMESTAMP_MS,
                        0,
                        key,
                        value,
                        list(headers),
                        None,
                        -1,
                        0,
                        -1,
                    )
                )
            self.changed.notify_all()

    def values(self, topic: str) -> list[bytes]:
        with self.changed:
            return [r.value for place, log in self.logs.items() if place.topic == topic for r in log]

    def delete_before(self, topic: str, offset: int, partition: int = 0) -> None:
        self.begins[TopicPartition(topic, partition)] = offset

    def drop_connection(self) -> None:
        """Break every client that is connected now, for good: its next call raises."""
        with self.changed:
            for client in [*self.consumers, *self.producers]:
                client.broken = True
            self.changed.notify_all()

    def assign(self, *places: tuple[str, int]) -> None:
        """Rebalance eagerly: within the next poll all is revoked, and these are assigned."""
        with self.changed:
            for consumer in self.members():
                consumer.next_assignment = {TopicPartition(*place) for place in places}

    def revoke(self, *places: tuple[str, int]) -> None:
        """Take partitions away within the next poll."""
        with self.changed:
            for consumer in self.members():
                consumer.next_revoked = {TopicPartition(*place) for place in places}

    def members(self) -> list[FakeConsumer]:
        return [c for c in self.consumers if c.topics and not c.closed and not c.broken]

    def consumer(self, **settings: Any) -> FakeConsumer:
        self._let_in(settings)
        return FakeConsumer(self, settings)

    def producer(self, **settings: Any) -> FakeProducer:
        self._let_in(settings)
        return FakeProducer(self, settings)

    def _let_in(self, settings: Mapping[str, Any]) -> None:
        if self.down:
            raise KafkaTimeoutError("Unable to bootstrap from ['nowhere:9092']")
        assert "value_deserializer" not in settings
        assert not settings.get("enable_auto_commit", False)


class _Client:
    """What consumers and producers share: one thread each, and no call after one that raised."""

    def __init__(self, kafka: FakeKafka, settings: Mapping[str, Any]) -> None:
        self.kafka = kafka
        self.settings = settings
        self.broken = False
        self.raised = False
        self.closed = False
        self.thread = threading.current_thread()

    def used(self) -> None:
        assert threading.current_thread() is self.thread, "a client is not thread safe"
        assert not self.closed
        assert not self.raised, "a client that raised must not be used again"
        if self.broken or self.kafka.down:
            self.raised = True
            raise KafkaConnectionError("the connection is gone")


class FakeConsumer(_Client):
    def __init__(self, kafka: FakeKafka, settings: Mapping[str, Any]) -> None:
        super().__init__(kafka, settings)
        self.topics: list[str] = []
        self.listener: Any = None
        self.next_assignment: set[TopicPartition] | None = None
        self.next_revoked: set[TopicPartition] = set()
        self.positions: dict[TopicPartition, int] = {}  # the assignment
        self.pausing: set[TopicPartition] = set()
        self.callbacks: list[Callable[[], None]] = []
        kafka.consumers.append(self)

    def subscribe(self, topics: list[str], listener: Any) -> None:
        self.topics, self.listener = topics, listener
        self.next_assignment = {place for place in self.kafka.logs if place.topic in topics}

    def group_metadata(self) -> Any:
        return SimpleNamespace(member_id=f"member-{self.kafka.consumers.index(self)}" if self.topics else "")

    def assign(self, places: list[TopicPartition]) -> None:
        self.positions = dict.fromkeys(places, 0)

    def poll(self, timeout_ms: int = 0) -> dict[TopicPartition, list[ConsumerRecord]]:
        """As kafka-python's: one poll may rebalance, then return records of what it just assigned."""
        self.kafka.polls += 1
        self.kafka.poll_timeout_ms = timeout_ms
        deadline = time.monotonic() + timeout_ms / 1000
        with self.kafka.changed:
            while True:
                self.used()
                self._rebalance()
                while self.callbacks:
                    self.callbacks.pop(0)()
                if found := self._fetch():
                    return found
                if (left := deadline - time.monotonic()) <= 0:
                    return {}
                self.kafka.changed.wait(left)

    def _rebalance(self) -> None:
        if self.next_revoked:
            revoked, self.next_revoked = self.next_revoked & self.positions.keys(), set()
            for place in revoked:
                del self.positions[place]
            self.listener.on_partitions_revoked(revoked)
        if self.next_assignment is not None:
            assigned, self.next_assignment = self.next_assignment, None
            self.listener.on_partitions_revoked(set(self.positions))
            # A partition that stays keeps its position and its pause; a new one starts where Kafka says.
            self.positions = {p: self.positions.get(p, self._start(p)) for p in assigned}
            self.pausing &= assigned
            self.listener.on_partitions_assigned(assigned)

    def _start(self, place: TopicPartition) -> int:
        earliest = self.kafka.begins.get(place, 0)
        reset = earliest if self.settings["auto_offset_reset"] == "earliest" else len(self.kafka.logs[place])
        return self.kafka.committed.get(place, reset)

    def _fetch(self) -> dict[TopicPartition, list[ConsumerRecord]]:
        found: dict[TopicPartition, list[ConsumerRecord]] = {}
        left = self.settings.get("max_poll_records", 500)
        for place, position in self.positions.items():
            if place in self.pausing or left <= 0:
                continue
            assert position >= self.kafka.begins.get(place, 0), "out of range"
            if records := self.kafka.logs[place][position : position + left]:
                found[place] = list(records)
                self.positions[place] += len(records)
                left -= len(records)
        return found

    def assignment(self) -> set[TopicPartition]:
        return set(self.positions)

    def paused(self) -> set[TopicPartition]:
        return set(self.pausing)

    def pause(self, *places: TopicPartition) -> None:
        assert set(places) <= self.positions.keys()
        self.pausing |= set(places)

    def resume(self, *places: TopicPartition) -> None:
        self.pausing -= set(places)

    def seek(self, place: TopicPartition, offset: int) -> None:
        self.used()
        if place not in self.positions:
            raise ValueError("Unassigned partition")
        self.positions[place] = offset

    def seek_to_end(self, place: TopicPartition) -> None:
        self.seek(place, len(self.kafka.logs[place]))

    def position(self, place: TopicPartition, timeout_ms: int | None = None) -> int:
        self.used()
        return self.positions[place]

    def highwater(self, place: TopicPartition) -> int:
        return len(self.kafka.logs[place])

    def beginning_offsets(self, places: list[TopicPartition], timeout_ms: int) -> dict[TopicPartition, int]:
        self.used()
        self.kafka.during_round_trip()
        return {place: self.kafka.begins.get(place, 0) for place in places}

    def end_offsets(self, places: list[TopicPartition], timeout_ms: int) -> dict[TopicPartition, int]:
        self.used()
        return {place: len(self.kafka.logs[place]) for place in places}

    def offsets_for_times(
        self, times: dict[TopicPartition, int], timeout_ms: int
    ) -> dict[TopicPartition, Any]:
        """The first offset of each that is not older, None where all are."""
        self.used()
        self.kafka.during_round_trip()
        found = {p: [r.offset for r in self.kafka.logs[p] if r.timestamp >= at] for p, at in times.items()}
        return {p: SimpleNamespace(offset=newer[0]) if newer else None for p, newer in found.items()}

    def committed(self, place: TopicPartition, timeout_ms: int) -> int | None:
        self.used()
        return self.kafka.committed.get(place)

    def commit_async(self, offsets: dict[TopicPartition, OffsetAndMetadata], callback: Any) -> None:
        self.used()
        error = self.kafka.commit_error
        if error is None:
            self.commit(offsets, timeout_ms=0)
        self.callbacks.append(lambda: callback(offsets, error or "well"))

    def commit(self, offsets: dict[TopicPartition, OffsetAndMetadata], timeout_ms: int) -> None:
        self.used()
        assert offsets.keys() <= self.positions.keys()
        self.kafka.committed.update({place: o.offset for place, o in offsets.items()})

    def close(self, autocommit: bool, timeout_ms: int) -> None:
        assert not autocommit
        assert threading.current_thread() is self.thread
        self.closed = True


class FakeProducer(_Client):
    def __init__(self, kafka: FakeKafka, settings: Mapping[str, Any]) -> None:
        super().__init__(kafka, settings)
        assert settings["enable_idempotence"]
        assert settings["acks"] == "all"
        kafka.producers.append(self)

    def partitions_for(self, topic: str) -> set[int]:
        self.used()
        return {place.partition for place in self.kafka.logs if place.topic == topic}

    def send(self, topic: str, value: bytes, key: bytes | None, headers: list[tuple[str, bytes]]) -> Any:
        self.used()
        place = TopicPartition(topic, sum(key or b"") % len(self.partitions_for(topic)))
        if len(value) > self.kafka.max_message_bytes:
            return _future(error=MessageSizeTooLargeError(f"{len(value)} bytes"))
        self.kafka.produce(topic, value, partition=place.partition, key=key, headers=headers)
        if self.kafka.lost_acknowledgements:
            self.kafka.lost_acknowledgements -= 1
            return _future(error=KafkaTimeoutError("no acknowledgement"))
        return _future(
            SimpleNamespace(topic=topic, partition=place.partition, offset=len(self.kafka.logs[place]) - 1)
        )

    def close(self, timeout: float) -> None:
        self.closed = True


def _future(value: Any = None, error: Exception | None = None) -> Any:
    def get(timeout: float) -> Any:
        if error is not None:
            raise error
        return value

    return SimpleNamespace(get=get)


@pytest.fixture
def kafka() -> FakeKafka:
    return FakeKafka()


@pytest.fixture
def eventually() -> Callable[..., None]:
    """Wait for a condition that another thread will bring about: eventually(condition)."""

    def wait(condition: Callable[[], Any], within_s: float = 300.0) -> None:
        deadline = time.monotonic() + within_s
        while not condition():
            assert time.monotonic() < deadline, "it did not come about in time"
            time.sleep(0.01)

    return wait


@pytest.fixture
def stopping() -> Iterator[Callable[[Any], Any]]:
    """Stop at the test's end what it starts: source = stopping(KafkaSource(...))."""
    started: list[Any] = []

    def note(thing: Any) -> Any:
        started.append(thing)
        return thing

    yield note
    for thing in started:
        assert thing.stop()


@pytest.fixture(scope="session")
def models(experiment: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The models of both detectors of the experiment, published."""
    root: Path = tmp_path_factory.mktemp("models")
    library = ModelLibrary(root)
    library.publish("hosts", experiment.host_pair)
    library.publish("chambers", experiment.chamber_pair)
    return root


@pytest.fixture
def library(tmp_path: Path) -> ModelLibrary:
    return ModelLibrary(tmp_path / "models")


CAPTURES = Path(os.environ.get("ANOMALYD_SHARED", Path(__file__).parents[3] / "shared")) / "data" / "captures"
JUST_AFTER = 1_795_323_400.0  # the last of them


@pytest.fixture(scope="session")
def messages() -> Callable[[str], list[Record]]:
    """The 3000 messages that a real producer sent: messages(file)."""
    if not (CAPTURES / "tg-json.jsonl.gz").is_file():
        pytest.skip("no captures: set ANOMALYD_SHARED to a folder with data/captures")
    return _messages


def _messages(file: str) -> list[Record]:
    with gzip.open(CAPTURES / file, "rt") as stream:
        told = [json.loads(line) for line in stream]
    assert len(told) == 3000
    return [
        Record("t", 0, i, m["ts"] / 1000, m["key"] and m["key"].encode(), base64.b64decode(m["value"]))
        for i, m in enumerate(told)
    ]


@pytest.fixture
def captured(messages: Callable[[str], list[Record]]) -> Callable[[str, str], list[Sample]]:
    """The samples of them, of which nothing is told but topic and format: captured(file, format)."""

    def samples(file: str, name: str) -> list[Sample]:
        decoder = Decoder([InputConfig(topic="t", format=name)], clock=lambda: JUST_AFTER)
        found, dead = decoder.decode(messages(file))
        assert [letter.text for letter in dead] == []
        return found

    return samples
