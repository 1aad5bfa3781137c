"""Kafka -> Record between two offsets of each partition, outside any group: the source of a replay."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from datetime import datetime
from typing import Any

from kafka import KafkaConsumer, TopicPartition

from anomalyd.daemon.config.config import KafkaConfig
from anomalyd.daemon.kafka.connection.connection import connect
from anomalyd.daemon.kafka.poll_result import Batch, PollResult
from anomalyd.daemon.stages import Partition, Record
from anomalyd.errors import BrokerError

_WITHIN_MS = 10_000
_SILENT_TURNS = 60


class RangeSource:
    """Hands out what lies in [begin, end) of each partition, as `source.KafkaSource` hands out what comes.

    Arguments:
        config: the brokers.
        begin: the first offset in every partition, or the first record at or after a time (Kafka's).
        ends: (topic, partition) -> where to stop; what is not named is not read.

    Raises:
        BrokerError: Kafka cannot be reached.

    """

    def __init__(
        self,
        config: KafkaConfig,
        begin: int | datetime,
        ends: Mapping[Partition, int],
        *,
        consumer_factory: Callable[..., Any] = KafkaConsumer,
    ) -> None:
        self._consumer = connect(
            consumer_factory,
            config,
            group_id=None,
            enable_auto_commit=False,
            isolation_level="read_committed",
            auto_offset_reset="earliest",
            max_poll_records=config.max_poll_records,
            metrics_enabled=False,
        )
        places = [TopicPartition(*place) for place in ends]
        self._consumer.assign(places)
        self.begins = {tuple(p): at for p, at in self._begins(places, begin, ends).items()}
        self.ends = {place: max(end, self.begins[place]) for place, end in ends.items()}
        self._announced = False
        self._silent = 0

    def _begins(
        self, places: list[Any], begin: int | datetime, ends: Mapping[Partition, int]
    ) -> dict[Any, int]:
        oldest = self._consumer.beginning_offsets(places, timeout_ms=_WITHIN_MS)
        if isinstance(begin, int):
            return {place: max(begin, oldest[place]) for place in places}
        found = self._consumer.offsets_for_times(dict.fromkeys(places, int(begin.timestamp() * 1000)))
        return {
            place: ends[tuple(place)] if found.get(place) is None else found[place].offset for place in places
        }

    @property
    def finished(self) -> bool:
        """Whether all was handed out."""
        return self._announced and not self.behind()

    def take(self, timeout_s: float) -> PollResult | None:
        """Wait for what comes next.

        Raises:
            BrokerError: Kafka sends nothing more, and the ends are not reached.

        """
        if not self._announced:
            self._announced = True
            return PollResult(assigned=frozenset(self.ends))
        polled = self._consumer.poll(timeout_ms=int(timeout_s * 1000))
        self._silent = 0 if polled or self.finished else self._silent + 1
        if self._silent > _SILENT_TURNS:
            left = ", ".join(f"{topic}/{partition}" for topic, partition in sorted(self.behind()))
            raise BrokerError(f"Kafka sends nothing more of {left}")
        batches = []
        for place, raws in polled.items():
            records = [_record(raw) for raw in raws if raw.offset < self.ends[tuple(place)]]
            if records:
                batches.append(Batch(place.topic, place.partition, records))
            if len(records) < len(raws):
                self._consumer.pause(place)
        return PollResult(tuple(batches)) if batches else None

    def start_at(self, offsets: Mapping[Partition, int]) -> None:
        """Seek every partition: to where the replay's own store has it, else to its beginning."""
        for place, begin in self.begins.items():
            self._consumer.seek(TopicPartition(*place), offsets.get(place, begin))
            self._consumer.resume(TopicPartition(*place))

    def rewind(self) -> None:
        """Tell all partitions anew."""
        self._announced = False

    def committed(self, offsets: Mapping[Partition, int]) -> None:
        """Do nothing: Kafka is told nothing of a replay."""

    def behind(self) -> Collection[Partition]:
        """Give the partitions of which there is more to take."""
        return [
            place
            for place, end in self.ends.items()
            if self._consumer.position(TopicPartition(*place), timeout_ms=_WITHIN_MS) < end
        ]

    def close(self) -> None:
        """Disconnect."""
        self._consumer.close(autocommit=False, timeout_ms=2_000)


def _record(raw: Any) -> Record:
    return Record(
        *(raw.topic, raw.partition, raw.offset, raw.timestamp / 1000, raw.key, raw.value),
        tuple(raw.headers or ()),
    )
