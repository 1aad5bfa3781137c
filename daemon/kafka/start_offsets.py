"""Where partitions begin to be read: where the store has them, else where it is least wrong."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import Any

from kafka import TopicPartition

from anomalyd.daemon.kafka.topic_ids import TopicIds
from anomalyd.daemon.stages import Partition

log = logging.getLogger(__name__)

ROUND_TRIP_MS = 5_000


class StartOffsets:
    """Seeks partitions to their stored offsets; else where this process, the group, or `start` begins.

    `start` is `earliest`, `latest`, or `trained`: after `trained_until()`, the event time (s) that the models
    were trained up to, from the beginning where that is None. Where this process began counts before the
    group: what is not in the store must not be skipped by a new connection.
    """

    def __init__(
        self,
        start: str,
        ids: TopicIds | None = None,
        trained_until: Callable[[], float | None] = lambda: None,
    ) -> None:
        self._start = start
        self._ids = ids or TopicIds()
        self._trained_until = trained_until
        self._began: dict[Partition, int] = {}
        self._asked: dict[Partition, int] = {}  # of partitions of which nothing came yet

    def began(self, place: Partition, offset: int) -> None:
        """Note where this process begins to read a partition; only the first time counts.

        Kafka begins at the beginning where it does not reach to the offset that it was asked for.
        """
        self._began.setdefault(place, offset)
        asked = self._asked.pop(place, offset)
        if offset < asked:
            self._another(place, f"{asked} was read before, and it does not reach so far")

    def seek(self, consumer: Any, stored: Mapping[Partition, int | None]) -> None:
        """Seek the partitions; `stored` holds their offsets in the store, None where it has none.

        Raises:
            KafkaError: Kafka does not answer in time.

        """
        places = [TopicPartition(*place) for place in stored]
        oldest = consumer.beginning_offsets(places, timeout_ms=ROUND_TRIP_MS)
        self._ids.look(consumer, [topic for topic, _ in stored])
        for place in places:
            offset = stored[tuple(place)]
            if offset is not None and self._ids.made_anew(tuple(place)):
                self._began.pop(tuple(place), None)
                self._another(tuple(place), "it was deleted and made anew (its id is another)")
                consumer.seek(place, oldest.get(place, 0))
            else:
                self._seek(consumer, place, offset, oldest)

    def _another(self, place: Partition, why: str) -> None:
        self._ids.count_made_anew(place[0])
        log.warning("%s/%d is read from its beginning: %s", *place, why)

    def _seek(self, consumer: Any, place: Any, stored: int | None, oldest: Mapping[Any, int]) -> None:
        offset = stored if stored is not None else self._began.get(tuple(place))
        if offset is None:
            offset = consumer.committed(place, timeout_ms=ROUND_TRIP_MS)
        if offset is None and self._start == "latest":
            consumer.seek_to_end(place)
            return
        if offset is None and self._start == "trained":
            offset = self._untrained(consumer, place)
        begins = oldest.get(place, 0)
        if offset is not None and offset < begins:
            log.warning("%s/%d: records %d to %d are gone from Kafka, unread", *place, offset, begins - 1)
            self._ids.count_lost(place.topic, begins - offset)
        self._asked[tuple(place)] = max(offset or 0, begins)
        consumer.seek(place, max(offset or 0, begins))

    def _untrained(self, consumer: Any, place: Any) -> int | None:
        """Give the first offset after what was trained on, by Kafka's times; None where no model is."""
        until = self._trained_until()
        if until is None:
            return None
        # The end is asked for first: what comes between the two answers is newer, and must not be skipped.
        end: int = consumer.end_offsets([place], timeout_ms=ROUND_TRIP_MS)[place]
        newer = consumer.offsets_for_times({place: int(until * 1000) + 1}, timeout_ms=ROUND_TRIP_MS)[place]
        offset = end if newer is None else int(newer.offset)
        log.info("%s/%d begins at %d, after what the models were trained on", *place, offset)
        return offset
