"""The outbox: everything arrives, once, in order, whatever fails; and what its messages say."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from kafka import KafkaConsumer

from anomalyd.daemon.broker import LocalBroker
from anomalyd.daemon.config.config import KafkaConfig
from anomalyd.daemon.kafka.messages import dead_letter_entry, report_entry
from anomalyd.daemon.kafka.outbox import Publisher
from anomalyd.daemon.stages import DeadLetter, Record
from anomalyd.errors import StoreError
from anomalyd.reports.report import Incident, SeenBy, Severity, Status
from anomalyd.reports.step import Outgoing
from anomalyd.reports.storage.store import OutboxEntry, Step, Store


class Turn:
    """The lease of a real store, until another is said to hold it."""

    def __init__(self, lease: Any) -> None:
        self._lease = lease
        self.held_by_another = False

    def renew(self) -> bool:
        return not self.held_by_another and self._lease.renew()

    def take(self) -> bool:
        return not self.held_by_another and self._lease.take()

    def release(self) -> None:
        self._lease.release()


class Fragile:
    """The outbox of a real store, which fails when told to: before it marks, or in reading."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.marks_to_lose = 0
        self.reads_to_fail = 0
        self.publisher_lease = Turn(store.publisher_lease)

    def put(self, *values: bytes, topic: str = "out", key: bytes = b"k") -> None:
        entries = tuple(OutboxEntry(topic, key, value, (("h", b"1"),)) for value in values)
        self.store.commit(Step(group="g", outbox=entries))

    def unsent(self, limit: int) -> list[Outgoing]:
        if self.reads_to_fail:
            self.reads_to_fail -= 1
            raise StoreError("the disk is full")
        return self.store.unsent(limit)

    def mark_sent(self, ids: Sequence[int], positions: Mapping[tuple[str, int], int]) -> None:
        if ids and self.marks_to_lose:
            self.marks_to_lose -= 1
            raise StoreError("killed before the mark")
        self.store.mark_sent(ids, positions)

    def sent_positions(self) -> dict[tuple[str, int], int]:
        return self.store.sent_positions()


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Fragile]:
    opened = Store.open(f"sqlite:///{tmp_path}/reports.db")
    yield Fragile(opened)
    opened.close()


@pytest.fixture
def publish(
    kafka: Any, store: Fragile, stopping: Any, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., Publisher]:
    """Start a publisher of the store to the fake; the topic `out` is there, and not empty."""
    kafka.create("out", 2)
    kafka.produce("out", b"of somebody else", headers=[("anomalyd-id", b"1")])
    monkeypatch.setattr("anomalyd.daemon.kafka.outbox.QUIET_MS", 5)

    def start() -> Publisher:
        publisher: Publisher = stopping(
            Publisher(
                store,
                KafkaConfig(),
                producer_factory=kafka.producer,
                consumer_factory=kafka.consumer,
                retry_s=(0.01, 0.02),
                idle_s=0.01,
            )
        )
        publisher.start()
        return publisher

    return start


def ours(kafka: Any, topic: str = "out") -> list[bytes]:
    return [value for value in kafka.values(topic) if value != b"of somebody else"]


def test_messages_arrive_in_order_as_they_were_put_in(
    kafka: Any, store: Fragile, publish: Any, eventually: Any
) -> None:
    publisher = publish()
    store.put(*[b"%d" % i for i in range(1200)])
    publisher.wake()
    eventually(lambda: not store.unsent(1))
    assert ours(kafka) == [b"%d" % i for i in range(1200)]
    ((record, *_),) = [log[-1200:] for place, log in kafka.logs.items() if len(log) > 1]
    assert (record.key, dict(record.headers)) == (b"k", {"h": b"1", "anomalyd-id": b"1"})
    assert publisher.published == {"out": 1200}
    assert (publisher.recovered, publisher.errors, publisher.last_error) == (0, 0, None)


def test_a_crash_between_acknowledgement_and_mark_doubles_nothing(
    kafka: Any, store: Fragile, publish: Any, eventually: Any
) -> None:
    store.put(b"a")
    publisher = publish()
    eventually(lambda: not store.unsent(1))
    assert publisher.stop()
    store.marks_to_lose = 1
    store.put(b"b", b"c")
    publisher = publish()
    eventually(lambda: publisher.recovered == 2)
    store.put(b"d")
    eventually(lambda: not store.unsent(1))
    assert ours(kafka) == [b"a", b"b", b"c", b"d"]


def test_a_crash_with_the_very_first_messages_doubles_nothing(
    kafka: Any, store: Fragile, publish: Any, eventually: Any
) -> None:
    """And the number 1 of somebody else, which lies there already, is not taken for ours."""
    store.marks_to_lose = 1
    store.put(b"a", b"b")
    publisher = publish()
    eventually(lambda: not store.unsent(1))
    assert ours(kafka) == [b"a", b"b"]
    eventually(lambda: publisher.recovered == 2)


def test_a_number_of_another_store_in_the_tail_is_not_taken_for_ours(
    kafka: Any, store: Fragile, publish: Any, eventually: Any
) -> None:
    store.put(b"a")
    publisher = publish()
    eventually(lambda: not store.unsent(1))
    publisher.stop()
    for partition in (0, 1):
        kafka.produce(
            "out", b"of somebody else", partition=partition, key=b"k", headers=[("anomalyd-id", b"2")]
        )
    store.put(b"b")
    publisher = publish()
    eventually(lambda: not store.unsent(1))
    assert ours(kafka) == [b"a", b"b"]
    assert publisher.recovered == 0


def test_a_lost_acknowledgement_doubles_nothing(
    kafka: Any, store: Fragile, publish: Any, eventually: Any
) -> None:
    kafka.lost_acknowledgements = 2
    store.put(*[b"%d" % i for i in range(5)])
    publisher = publish()
    eventually(lambda: not store.unsent(1))
    assert ours(kafka) == [b"%d" % i for i in range(5)]
    eventually(lambda: publisher.recovered == 2)
    assert publisher.errors == 1


def test_nothing_is_lost_or_doubled_while_everything_fails(
    kafka: Any, store: Fragile, publish: Any, eventually: Any
) -> None:
    publisher = publish()
    values = [b"%d" % i for i in range(300)]
    for i, chunk in enumerate(values[at : at + 30] for at in range(0, 300, 30)):
        match i % 4:
            case 0:
                kafka.drop_connection()
            case 1:
                store.marks_to_lose += 1
            case 2:
                kafka.lost_acknowledgements += 3
            case 3:
                store.reads_to_fail += 1
        store.put(*chunk, key=b"%d" % i)
        publisher.wake()
        if i % 3 == 0:
            eventually(lambda: not store.store.unsent(1))
    eventually(lambda: not store.store.unsent(1))
    assert sorted(ours(kafka), key=int) == values


def test_an_outage_is_outlived_and_told(kafka: Any, store: Fragile, publish: Any, eventually: Any) -> None:
    kafka.down = True
    publisher = publish()
    store.put(b"a")
    eventually(lambda: publisher.errors >= 2)
    assert "cannot reach Kafka" in str(publisher.last_error)
    assert publisher.alive()
    kafka.down = False
    eventually(lambda: not store.unsent(1))
    eventually(lambda: publisher.last_error is None)
    assert ours(kafka) == [b"a"]


def test_one_that_only_waits_for_its_turn_is_well(
    kafka: Any, store: Fragile, publish: Any, eventually: Any
) -> None:
    kafka.down = True
    store.put(b"a")
    publisher = publish()
    eventually(lambda: publisher.last_error is not None)
    # As after a SIGSTOP: another has taken over meanwhile, and sends.
    store.publisher_lease.held_by_another = True
    eventually(lambda: publisher.last_error is None)
    kafka.down = store.publisher_lease.held_by_another = False
    eventually(lambda: not store.unsent(1))
    assert ours(kafka) == [b"a"]


def test_a_message_too_large_for_kafka_is_cut_and_does_not_block_the_others(
    kafka: Any, store: Fragile, publish: Any, eventually: Any
) -> None:
    kafka.max_message_bytes = 100_000
    store.put(b"a", b"x" * 200_000, b"b")
    publish()
    eventually(lambda: not store.unsent(1))
    assert sorted(map(len, ours(kafka))) == [1, 1, 65_536]
    (cut,) = [r for log in kafka.logs.values() for r in log if len(r.value) == 65_536]
    assert dict(cut.headers)["anomalyd-cut-from"] == b"200000"


def test_stop_sends_what_is_left(kafka: Any, store: Fragile, publish: Any, eventually: Any) -> None:
    publisher = publish()
    store.put(*[b"%d" % i for i in range(700)])
    assert publisher.stop()
    assert len(ours(kafka)) == 700
    assert not publisher.alive()


def test_stop_does_not_wait_for_a_broker_that_is_away(
    kafka: Any, store: Fragile, publish: Any, eventually: Any
) -> None:
    kafka.down = True
    store.put(b"a")
    publisher = publish()
    eventually(lambda: publisher.errors)
    began = time.monotonic()
    assert publisher.stop()
    assert time.monotonic() - began < 60
    assert len(store.unsent(10)) == 1


def test_a_real_broker(
    broker: LocalBroker, make_topic: Callable[..., str], store: Fragile, stopping: Any, eventually: Any
) -> None:
    """A crash between acknowledgement and mark, in a topic where others wrote before."""
    topic = make_topic(broker, partitions=3)
    config = KafkaConfig(bootstrap_servers=[broker.bootstrap_servers])
    values = [b"%d" % i for i in range(300)]
    for chunk in (values[:100], values[100:200], values[200:]):
        store.put(*chunk, topic=topic)
        store.marks_to_lose = 1
        publisher = stopping(Publisher(store, config, retry_s=(0.01, 0.1)))
        publisher.start()
        eventually(lambda: not store.unsent(1))
        assert publisher.stop()
        assert publisher.recovered == 100
    consumer = KafkaConsumer(
        topic,
        bootstrap_servers=broker.bootstrap_servers,
        auto_offset_reset="earliest",
        enable_auto_commit=False,
        group_id=None,
    )
    read: list[bytes] = []
    try:
        eventually(lambda: read.extend(_poll(consumer)) or len(read) >= 300)
        assert not _poll(consumer)
    finally:
        consumer.close()
    assert read == values


def _poll(consumer: Any) -> list[bytes]:
    return [record.value for records in consumer.poll(timeout_ms=300).values() for record in records]


incident = Incident(
    id="inc-1",
    detector="hosts",
    entity="host/pc1",
    sample_kind="vector",
    severity=Severity.ERROR,
    status=Status.OPEN,
    onset=1.0,
    last=2.0,
    closed=None,
    samples=3,
    peak=2.5,
    peak_time=1.5,
    autoencoder=2.5,
    classical=math.nan,
    seen_by=SeenBy.AUTOENCODER,
    causes=("cpu",),
    model="v1",
)


def test_a_report_event_is_strict_json_with_the_report_as_key() -> None:
    entry = report_entry("opened", incident, "out", "It is hot.")

    def refuse(constant: str) -> None:
        raise AssertionError(constant)

    told = json.loads(entry.value or b"", parse_constant=refuse)
    assert (entry.topic, entry.key) == ("out", b"inc-1")
    assert (told["event"], told["id"], told["severity"], told["causes"]) == (
        "opened",
        "inc-1",
        "error",
        ["cpu"],
    )
    assert (told["classical"], told["closed"], told["narrative"]) == (None, None, "It is hot.")
    assert dict(entry.headers)["anomalyd-event"] == b"opened"
    assert "link" not in told
    page = json.loads(
        report_entry("opened", incident, "out", link="https://x/incident?report=inc-1").value or b""
    )
    assert page == told | {"narrative": "", "link": "https://x/incident?report=inc-1"}


def test_a_dead_letter_carries_the_original_and_why() -> None:
    record = Record(
        "in", 3, 17, 1795288499.123, b"key", b"\xff{", (("time", b"1"), ("anomalyd-reason", b"old"))
    )
    entry = dead_letter_entry(DeadLetter(record, "syntax", "not JSON: ä"), "dead")
    assert (entry.topic, entry.key, entry.value) == ("dead", b"key", b"\xff{")
    assert entry.headers == (
        ("time", b"1"),
        ("anomalyd-reason", b"syntax"),
        ("anomalyd-text", "not JSON: ä".encode()),
        ("anomalyd-topic", b"in"),
        ("anomalyd-partition", b"3"),
        ("anomalyd-offset", b"17"),
        ("anomalyd-timestamp", b"1795288499123"),
    )


def test_a_tombstone_becomes_an_empty_message_that_says_so() -> None:
    entry = dead_letter_entry(DeadLetter(Record("in", 0, 0, 0.0, None, None), "empty", ""), "dead")
    assert entry.value == b""
    assert dict(entry.headers)["anomalyd-null-value"] == b"true"


@given(st.text(), st.lists(st.tuples(st.text(), st.binary() | st.none())))
def test_any_dead_letter_can_be_sent(text: str, headers: list[tuple[str, Any]]) -> None:
    record = Record("in", 0, 0, -0.001, None, b"x", tuple(headers))
    entry = dead_letter_entry(DeadLetter(record, "field", text + "\ud800"), "dead")
    assert all(isinstance(value, bytes) for _, value in entry.headers)
