"""Where partitions begin to be read: where the store has them, else where it is least wrong."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

from kafka import TopicPartition

from anomalyd.daemon.stages import Partition

log = logging.getLogger(__name__)

ROUND_TRIP_MS = 5_000


class StartOffsets:
    """Seeks partitions to their stored offsets; else where this process, the group, or `start` begins.

    `start` is `earliest` or `latest`. Where this process began counts before the group: what is not in the
    store must not be skipped by a new connection.
    """

    def __init__(self, start: str) -> None:
        self._start = start
        self._began: dict[Partition, int] = {}

    def began(self, place: Partition, offset: int) -> None:
        """Note where this process begins to read a partition; only the first time counts."""
        self._began.setdefault(place, offset)

    def seek(self, consumer: Any, stored: Mapping[Partition, int | None]) -> None:
        """Seek the partitions; `stored` holds their offsets in the store, None where it has none.

        Raises:
            KafkaError: Kafka does not answer in time.

        """
        oldest = consumer.beginning_offsets([TopicPartition(*p) for p in stored], timeout_ms=ROUND_TRIP_MS)
        for place, offset in stored.items():
            self._seek(consumer, TopicPartition(*place), offset, oldest)

    def _seek(self, consumer: Any, place: Any, stored: int | None, oldest: Mapping[Any, int]) -> None:
        offset = stored if stored is not None else self._began.get(tuple(place))
        if offset is None:
            offset = consumer.committed(place, timeout_ms=ROUND_TRIP_MS)
        if offset is None and self._start == "latest":
            consumer.seek_to_end(place)
            return
        begins = oldest.get(place, 0)
        if offset is not None and offset < begins:
            log.warning("%s/%d: records %d to %d are gone from Kafka, unread", *place, offset, begins - 1)
        consumer.seek(place, max(offset or 0, begins))
