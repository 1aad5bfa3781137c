"""The newest records of topics, read outside any consumer group: to see what they are."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from typing import Any

from kafka import KafkaConsumer, TopicPartition

from anomalyd.daemon.config.config import KafkaConfig
from anomalyd.daemon.kafka.connection.connection import connect
from anomalyd.daemon.stages import Record

_POLL_MS = 500


def newest_records(
    config: KafkaConfig,
    topics: Iterable[str] | None = None,
    most: int = 300,
    *,
    within_s: float = 10.0,
    consumer_factory: Callable[..., Any] = KafkaConsumer,
) -> dict[str, list[Record]]:
    """Give up to about `most` of the newest records of each topic, by topic, in the order of their offsets.

    `topics` None: all that there are and that are not Kafka's own. A topic that does not exist is left out.

    Raises:
        BrokerError: Kafka cannot be reached.

    """
    consumer = connect(
        consumer_factory,
        config,
        enable_auto_commit=False,
        isolation_level="read_committed",
        auto_offset_reset="earliest",
        metrics_enabled=False,
    )
    try:
        named = sorted(t for t in consumer.topics() if not t.startswith("_")) if topics is None else topics
        places = [
            TopicPartition(topic, partition)
            for topic in named
            for partition in sorted(consumer.partitions_for_topic(topic) or ())
        ]
        found: dict[str, list[Record]] = {place.topic: [] for place in places}
        if not places:
            return found
        consumer.assign(places)
        ends, begins = consumer.end_offsets(places), consumer.beginning_offsets(places)
        for place in places:
            share = -(-most // sum(p.topic == place.topic for p in places))
            consumer.seek(place, max(begins[place], ends[place] - share))
        until = time.monotonic() + within_s
        while time.monotonic() < until and any(consumer.position(p) < ends[p] for p in places):
            for place, raws in consumer.poll(timeout_ms=_POLL_MS).items():
                found[place.topic] += [
                    Record(
                        *(place.topic, place.partition, r.offset, r.timestamp / 1000, r.key, r.value),
                        tuple(r.headers or ()),
                    )
                    for r in raws
                ]
        return found
    finally:
        consumer.close()
