from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

import pytest
from kafka import KafkaConsumer, TopicPartition
from kafka.errors import KafkaTimeoutError, MessageSizeTooLargeError

from anomalyd.daemon.broker import EmbeddedBroker, create_topics
from anomalyd.daemon.broker.ports import reserve_port
from anomalyd.daemon.config.config import KafkaConfig
from anomalyd.daemon.producers.sender import Message, Sender


class Future:
    def __init__(self, error: Exception | None) -> None:
        self.error = error

    def get(self, timeout: float) -> None:
        if self.error is not None:
            raise self.error


class FakeKafka:
    """Brokers that can be away, lose acknowledgements, and refuse."""

    def __init__(self) -> None:
        self.arrived: list[bytes] = []
        self.reachable = threading.Event()
        self.reachable.set()
        self.unacknowledged: set[bytes] = set()
        self.fail_at_send: set[bytes] = set()
        self.attempts = 0
        self.open = 0

    def producer(self) -> FakeProducer:
        self.attempts += 1
        if not self.reachable.is_set():
            raise KafkaTimeoutError("nobody there")
        self.open += 1
        return FakeProducer(self)


class FakeProducer:
    def __init__(self, kafka: FakeKafka) -> None:
        self.kafka = kafka

    def send(self, topic: str, value: bytes, key: bytes, timestamp_ms: int) -> Future:
        assert (topic, key, timestamp_ms) == ("t", b"k", 1500)
        if value == b"large":
            raise MessageSizeTooLargeError("large")
        if value in self.kafka.fail_at_send:
            self.kafka.fail_at_send.remove(value)
            raise KafkaTimeoutError("no metadata")
        if value == b"large for the broker":
            return Future(MessageSizeTooLargeError("large"))
        if not self.kafka.reachable.is_set():
            return Future(KafkaTimeoutError("went away"))
        if value in self.kafka.unacknowledged:
            self.kafka.unacknowledged.remove(value)
            return Future(KafkaTimeoutError("no answer"))
        self.kafka.arrived.append(value)
        return Future(None)

    def close(self, timeout: float) -> None:
        self.kafka.open -= 1
        raise RuntimeError("a close that fails is nobody's business")


@pytest.fixture
def kafka() -> FakeKafka:
    return FakeKafka()


def sender_to(kafka: FakeKafka, capacity: int = 1000) -> Sender:
    return Sender("t", kafka.producer, capacity=capacity, retry_s=(0.001, 0.002))


def message(value: bytes) -> Message:
    return Message(b"k", value, 1.5)


def wait_for(condition: Callable[[], Any], within_s: float = 120.0) -> None:
    deadline = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.002)


def test_messages_arrive_in_order(kafka: FakeKafka) -> None:
    values = [b"%d" % i for i in range(1200)]  # more than two batches
    with sender_to(kafka, 2000) as sender:
        for value in values:
            sender.send(message(value))
        assert sender.flush(10)
    assert kafka.arrived == values
    assert (sender.sent, sender.dropped, sender.waiting, kafka.open) == (1200, 0, 0, 0)


def test_an_outage_from_the_start_loses_nothing(kafka: FakeKafka) -> None:
    kafka.reachable.clear()
    with sender_to(kafka) as sender:
        sender.send(message(b"a"))
        sender.send(message(b"b"))
        wait_for(lambda: kafka.attempts > 2)
        assert not sender.flush(0.0)
        assert sender.last_error == "KafkaTimeoutError: KafkaTimeoutError: nobody there"
        kafka.reachable.set()
        assert sender.flush(10)
    assert kafka.arrived == [b"a", b"b"]
    assert sender.last_error is None


def test_an_outage_in_between_loses_nothing(kafka: FakeKafka) -> None:
    with sender_to(kafka) as sender:
        sender.send(message(b"a"))
        assert sender.flush(10)
        kafka.reachable.clear()
        sender.send(message(b"b"))
        wait_for(lambda: kafka.attempts > 2)
        kafka.reachable.set()
        assert sender.flush(10)
    assert kafka.arrived == [b"a", b"b"]


def test_a_long_outage_keeps_the_newest(kafka: FakeKafka) -> None:
    kafka.reachable.clear()
    with sender_to(kafka, capacity=3) as sender:
        for i in range(10):
            sender.send(message(b"%d" % i))
        kafka.reachable.set()
        assert sender.flush(10)
    assert kafka.arrived == [b"7", b"8", b"9"]
    assert (sender.sent, sender.dropped) == (3, 7)


def test_only_what_was_not_acknowledged_is_sent_again(kafka: FakeKafka) -> None:
    kafka.unacknowledged = {b"2"}
    kafka.fail_at_send = {b"4"}
    kafka.reachable.clear()  # so that all are one batch
    with sender_to(kafka) as sender:
        for i in range(6):
            sender.send(message(b"%d" % i))
        kafka.reachable.set()
        assert sender.flush(10)
    assert kafka.arrived == [b"0", b"1", b"3", b"2", b"4", b"5"]
    assert sender.sent == 6


def test_a_message_too_large_holds_nobody_up(kafka: FakeKafka) -> None:
    with sender_to(kafka) as sender:
        for value in (b"a", b"large", b"large for the broker", b"b"):
            sender.send(message(value))
        assert sender.flush(10)
    assert kafka.arrived == [b"a", b"b"]
    assert (sender.sent, sender.dropped) == (2, 2)


def test_stop_sends_what_it_can_and_ends(kafka: FakeKafka) -> None:
    sender = sender_to(kafka)
    sender.start()
    for i in range(100):
        sender.send(message(b"%d" % i))
    sender.stop()
    assert len(kafka.arrived) == 100
    lost = sender_to(kafka)
    kafka.reachable.clear()
    lost.start()
    lost.send(message(b"late"))
    lost.stop(timeout_s=0.05)
    assert lost.waiting == 1
    assert not any(t.name == "sender-t" for t in threading.enumerate())
    sender_to(kafka).stop()  # never started


@pytest.mark.broker
def test_a_broker_that_comes_later() -> None:
    port = reserve_port()
    with Sender.to("late", KafkaConfig(bootstrap_servers=[f"127.0.0.1:{port}"])) as sender:
        sender.send(Message(b"k", b"early", 1795288499.5))
        with EmbeddedBroker(port=port) as broker:
            create_topics(broker.bootstrap_servers, {"late": 1})
            assert sender.flush(120)
            consumer = KafkaConsumer(bootstrap_servers=broker.bootstrap_servers, consumer_timeout_ms=120_000)
            consumer.assign([TopicPartition("late", 0)])
            consumer.seek_to_beginning()
            found = next(consumer)
            consumer.close()
    assert (found.key, found.value, found.timestamp) == (b"k", b"early", 1795288499500)
