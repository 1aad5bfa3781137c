"""The dead-letter topic, read back: what lies in it, and how it is sent to where it came from once more."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from kafka import KafkaConsumer, KafkaProducer, TopicPartition

from anomalyd.daemon.config.config import KafkaConfig
from anomalyd.daemon.kafka.connection.connection import close_producer, connect
from anomalyd.daemon.kafka.messages import PREFIX
from anomalyd.errors import BrokerError

REPLAYED = PREFIX + "replayed"
"""Header of a message that was sent once more: which dead letter it was."""

_WITHIN_MS = 10_000


@dataclass(frozen=True, slots=True)
class StoredLetter:
    """A message of the dead-letter topic.

    `id` is its `partition/offset` there; `origin` the `topic/partition/offset` that it came from; `part` says
    which part of that message it is, None: all. `timestamp` is the original's, in milliseconds.
    """

    id: str
    reason: str
    text: str
    topic: str
    origin: str
    part: str | None
    timestamp: int
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes], ...]


def read_letters(config: KafkaConfig, topic: str) -> Iterator[StoredLetter]:
    """Give the letters that lie in the topic now, oldest of each partition first.

    Raises:
        BrokerError: the topic is not there or cannot be read.

    """
    consumer = connect(KafkaConsumer, config, group_id=None, enable_auto_commit=False)
    try:
        places = [TopicPartition(topic, n) for n in sorted(consumer.partitions_for_topic(topic) or ())]
        if not places:
            raise BrokerError(f"there is no topic {topic}; no dead letter was sent yet, or none is to be")
        ends = consumer.end_offsets(places, timeout_ms=_WITHIN_MS)
        begins = consumer.beginning_offsets(places, timeout_ms=_WITHIN_MS)
        consumer.assign(places)
        for place in places:
            consumer.seek(place, begins[place])
        left = {place for place in places if begins[place] < ends[place]}
        while left:
            polled = consumer.poll(timeout_ms=_WITHIN_MS)
            if not polled:
                raise BrokerError(f"{topic} cannot be read to its end; try again")
            for place, records in polled.items():
                yield from (_letter(record) for record in records if record.offset < ends[place])
            left = {place for place in left if consumer.position(place, timeout_ms=_WITHIN_MS) < ends[place]}
    finally:
        consumer.close(autocommit=False, timeout_ms=2_000)


def replay(config: KafkaConfig, letters: Iterable[StoredLetter]) -> int:
    """Send letters to the topics they came from, as they were; give how many Kafka has acknowledged.

    Raises:
        BrokerError: it cannot be reached.
        KafkaError: it does not take one.

    """
    producer = connect(KafkaProducer, config, acks="all", enable_idempotence=True)
    try:
        sent = [
            producer.send(
                letter.topic,
                # kafka-python refuses a message with neither; an empty one says as little.
                value=b"" if letter.key is None and letter.value is None else letter.value,
                key=letter.key,
                headers=[*letter.headers, (REPLAYED, letter.id.encode())],
                timestamp_ms=letter.timestamp,
            )
            for letter in letters
        ]
        for future in sent:
            future.get(timeout=_WITHIN_MS / 1000)
        return len(sent)
    finally:
        close_producer(producer, 2.0)


def _letter(record: Any) -> StoredLetter:
    told: dict[str, bytes] = {
        name.removeprefix(PREFIX): value for name, value in record.headers if name.startswith(PREFIX)
    }

    def text(name: str, default: str = "") -> str:
        return told.get(name, default.encode()).decode(errors="replace")

    return StoredLetter(
        id=f"{record.partition}/{record.offset}",
        reason=text("reason", "unknown"),
        text=text("text"),
        topic=text("topic"),
        origin=f"{text('topic')}/{text('partition')}/{text('offset')}",
        part=text("part") if "part" in told else None,
        timestamp=int(text("timestamp", str(record.timestamp))),
        key=record.key,
        value=None if "null-value" in told else record.value,
        headers=tuple((name, value) for name, value in record.headers if not name.startswith(PREFIX)),
    )
