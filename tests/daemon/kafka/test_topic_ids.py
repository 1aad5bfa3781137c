"""A topic that was deleted and made anew is another one; what Kafka deleted unread is counted."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from typing import Any

import pytest
from kafka import TopicPartition

from anomalyd.daemon.kafka.start_offsets import StartOffsets
from anomalyd.daemon.kafka.topic_ids import TopicIds

OLD, NEW = uuid.UUID(int=1), uuid.UUID(int=2)
PLACE = ("t", 0)


class Consumer:
    """Knows the id of its topic, and where it begins."""

    def __init__(self, id_: uuid.UUID | None, begins: int = 0, cluster: bool = True) -> None:
        self.id = id_
        self.begins = begins
        self.sought: dict[tuple[str, int], int] = {}
        if cluster:
            self._cluster = self

    def topic_id(self, topic: str) -> uuid.UUID | None:
        return self.id

    def beginning_offsets(self, places: list[TopicPartition], timeout_ms: int) -> Mapping[Any, int]:
        return dict.fromkeys(places, self.begins)

    def committed(self, place: TopicPartition, timeout_ms: int) -> int | None:
        return None

    def seek(self, place: TopicPartition, offset: int) -> None:
        self.sought[tuple(place)] = offset


def sought(ids: TopicIds, consumer: Consumer, stored: int | None) -> int:
    StartOffsets("earliest", ids).seek(consumer, {PLACE: stored})
    return consumer.sought[PLACE]


def test_a_topic_made_anew_is_read_from_its_beginning(caplog: pytest.LogCaptureFixture) -> None:
    ids = TopicIds()
    assert sought(ids, Consumer(OLD), None) == 0
    stored = ids.state([PLACE])
    assert stored == {"t/0": str(OLD).encode()}
    assert ids.state([PLACE]) == {}  # it is there already

    same = TopicIds()
    same.restore(stored)
    assert sought(same, Consumer(OLD), 30) == 30
    assert not same.anew

    other = TopicIds()
    other.restore(stored)
    assert sought(other, Consumer(NEW, begins=5), 30) == 5
    assert other.anew == {"t": 1}
    assert "t/0 is read from its beginning: it was deleted and made anew" in caplog.text
    assert other.state([PLACE]) == {"t/0": str(NEW).encode()}
    assert sought(other, Consumer(NEW), 7) == 7  # from then on it is this one


def test_each_partition_keeps_the_id_that_its_offset_belongs_to() -> None:
    """One that was not read before the crash still has the offset of the topic that is gone."""
    ids = TopicIds()
    ids.restore({"t/0": str(NEW).encode(), "t/1": str(OLD).encode()})
    consumer = Consumer(NEW)
    StartOffsets("earliest", ids).seek(consumer, {("t", 0): 3, ("t", 1): 30})
    assert consumer.sought == {("t", 0): 3, ("t", 1): 0}


@pytest.mark.parametrize(
    "consumer", [Consumer(None), Consumer(uuid.UUID(int=0)), Consumer(OLD, cluster=False)]
)
def test_a_broker_without_ids_changes_nothing(consumer: Consumer) -> None:
    ids = TopicIds()
    ids.restore({"t/0": str(OLD).encode()})
    assert sought(ids, consumer, 30) == 30


def test_a_topic_made_anew_while_it_is_read_is_noticed() -> None:
    ids = TopicIds()
    consumer = Consumer(OLD)
    assert not ids.look(consumer, ["t"])
    assert not ids.look(consumer, ["t"])
    consumer.id = NEW
    assert ids.look(consumer, ["t"])
    assert not ids.look(consumer, ["t"])


def test_a_topic_that_does_not_reach_so_far_is_said(caplog: pytest.LogCaptureFixture) -> None:
    ids = TopicIds()
    offsets = StartOffsets("earliest", ids)
    offsets.seek(Consumer(None), {PLACE: 30})
    offsets.began(PLACE, 0)  # where Kafka begins then
    offsets.began(PLACE, 5)
    assert ids.anew == {"t": 1}
    assert "30 was read before, and it does not reach so far" in caplog.text


def test_records_that_are_gone_are_counted(caplog: pytest.LogCaptureFixture) -> None:
    ids = TopicIds()
    assert sought(ids, Consumer(OLD, begins=250), 100) == 250
    assert ids.lost == {"t": 150}
    assert "records 100 to 249 are gone" in caplog.text
