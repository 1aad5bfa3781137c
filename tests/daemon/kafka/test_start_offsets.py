"""Start `trained`: what the models were trained on is not read again, and nothing newer is passed over."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
from kafka import TopicPartition
from kafka.errors import KafkaConnectionError

from anomalyd.daemon.kafka.start_offsets import StartOffsets

PLACE = TopicPartition("t", 0)


class Consumer:
    """A partition with a record at each of `times_ms`; `between` happens after each answer."""

    def __init__(self, times_ms: list[int], begins: int = 0) -> None:
        self.times_ms = times_ms
        self.begins = begins
        self.group: int | None = None
        self.at = -1
        self.down = False
        self.between: Callable[[], None] = lambda: None

    def beginning_offsets(self, places: list[TopicPartition], timeout_ms: int) -> dict[Any, int]:
        return dict.fromkeys(places, self.begins)

    def committed(self, place: TopicPartition, timeout_ms: int) -> int | None:
        return self.group

    def end_offsets(self, places: list[TopicPartition], timeout_ms: int) -> dict[Any, int]:
        end = len(self.times_ms)
        self.between()
        return dict.fromkeys(places, end)

    def offsets_for_times(self, times: dict[TopicPartition, int], timeout_ms: int) -> dict[Any, Any]:
        if self.down:
            raise KafkaConnectionError
        newer = [k for k, at in enumerate(self.times_ms) if at >= times[PLACE] and k >= self.begins]
        self.between()
        return {PLACE: SimpleNamespace(offset=newer[0]) if newer else None}

    def seek(self, place: TopicPartition, offset: int) -> None:
        self.at = offset


def begin(consumer: Consumer, until: float | None, stored: int | None = None) -> int:
    StartOffsets("trained", trained_until=lambda: until).seek(consumer, {("t", 0): stored})
    return consumer.at


@pytest.mark.parametrize(
    ("until", "expected"),
    [(None, 0), (0.5, 0), (1.0, 1), (2.0, 2), (2.0004, 2), (2.5, 2), (3.0, 3), (99.0, 3)],
)
def test_it_begins_after_the_last_event_that_was_trained_on(until: float | None, expected: int) -> None:
    assert begin(Consumer([1000, 2000, 3000]), until) == expected


def test_an_offset_of_the_store_or_the_group_counts_before() -> None:
    consumer = Consumer([1000, 2000, 3000])
    assert begin(consumer, 2.0, stored=1) == 1
    assert begin(consumer, 2.0, stored=0) == 0
    consumer.group = 1
    assert begin(consumer, 2.0) == 1


def test_what_retention_deleted_is_not_asked_for() -> None:
    assert begin(Consumer([1000, 2000, 3000], begins=2), 1.0) == 2
    assert begin(Consumer([1000, 2000, 3000], begins=3), None) == 3


def test_what_comes_while_kafka_is_asked_is_not_passed_over() -> None:
    consumer = Consumer([1000, 2000])
    consumer.between = lambda: consumer.times_ms.append(3000)
    assert begin(consumer, 2.0) == 2


def test_a_model_of_after_the_first_records_does_not_move_where_it_began() -> None:
    """It trains by itself while the daemon runs: a new connection goes on where the first one began."""
    until: list[float | None] = [None]
    offsets = StartOffsets("trained", trained_until=lambda: until[0])
    consumer = Consumer([1000, 2000, 3000])
    offsets.seek(consumer, {("t", 0): None})
    offsets.began(("t", 0), consumer.at)
    until[0] = 2.0
    offsets.seek(consumer, {("t", 0): None})
    assert consumer.at == 0


def test_an_outage_seeks_nowhere() -> None:
    consumer = Consumer([1000, 2000])
    consumer.down = True
    with pytest.raises(KafkaConnectionError):
        begin(consumer, 1.0)
    assert consumer.at == -1
    consumer.down = False
    assert begin(consumer, 1.0) == 1
