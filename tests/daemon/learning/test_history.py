"""What the topics still hold, as training data."""

from __future__ import annotations

import json
from collections import namedtuple
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pytest
from kafka import TopicPartition

from anomalyd.daemon.config.config import Config, DetectorConfig
from anomalyd.daemon.intake.counter_kinds import Kind, Trained
from anomalyd.daemon.learning.history import read_history, training_set
from anomalyd.daemon.learning.wanted_samples import WantedSamples
from anomalyd.daemon.stages import Sample
from anomalyd.detectors.detector import TrainingSet
from anomalyd.errors import BrokerError, TrainingError

NOW = 1_795_288_500.0


class Reader:
    """A consumer outside any group, as kafka-python's: it is given partitions, and seeks."""

    Found = namedtuple("Found", "offset")
    Raw = namedtuple("Raw", "offset timestamp key value headers")

    def __init__(self, kafka: Kafka, settings: Mapping[str, Any]) -> None:
        assert not settings["enable_auto_commit"]
        assert "group_id" not in settings
        self.kafka = kafka
        self.at: dict[TopicPartition, int] = {}
        self.most = settings["max_poll_records"]
        self.closed = False

    def partitions_for_topic(self, topic: str) -> set[int] | None:
        return {p.partition for p in self.kafka.logs if p.topic == topic} or None

    def assign(self, places: list[TopicPartition]) -> None:
        self.at = dict.fromkeys(places, 0)

    def end_offsets(self, places: list[TopicPartition]) -> dict[TopicPartition, int]:
        return {place: len(self.kafka.logs[place]) for place in places}

    def offsets_for_times(self, times: Mapping[TopicPartition, int]) -> dict[TopicPartition, Any]:
        """The first offset of each that is not older, None where all are."""
        found = {}
        for place, since in times.items():
            offsets = [raw.offset for raw in self.kafka.logs[place] if raw.timestamp >= since]
            found[place] = self.Found(offsets[0]) if offsets else None
        return found

    def seek(self, place: TopicPartition, offset: int) -> None:
        self.at[place] = offset

    def position(self, place: TopicPartition) -> int:
        return self.at[place]

    def poll(self, timeout_ms: int) -> dict[TopicPartition, list[Any]]:
        found = {}
        for place, position in self.at.items():
            if records := self.kafka.serve(place, position, self.most):
                found[place] = records
                self.at[place] += len(records)
        self.kafka.polled()
        return found

    def close(self) -> None:
        self.closed = True


class Kafka:
    """Topics to read from; `polled` happens after every poll."""

    def __init__(self) -> None:
        self.logs: dict[TopicPartition, list[Any]] = {}
        self.polled: Callable[[], None] = lambda: None
        self.silent = False
        self.readers: list[Reader] = []
        self.read: list[tuple[int, int]] = []

    def send(self, topic: str, time: float, value: bytes | dict[str, Any], partition: int = 0) -> None:
        log = self.logs.setdefault(TopicPartition(topic, partition), [])
        if isinstance(value, dict):
            value = json.dumps(value).encode()
        log.append(Reader.Raw(len(log), int(time * 1000), None, value, []))

    def row(self, entity: str, time: float, partition: int = 0, **values: float | None) -> None:
        """A vector of an entity, sent when it was measured."""
        self.send("metrics", time, {"entity": entity, "time": time, "values": values}, partition)

    def serve(self, place: TopicPartition, position: int, most: int) -> list[Any]:
        records = [] if self.silent else self.logs[place][position : position + most]
        self.read += [(place.partition, record.offset) for record in records]
        return records

    def consumer(self, **settings: Any) -> Reader:
        settings.pop("kafka_client")
        self.readers.append(Reader(self, settings))
        return self.readers[-1]


@pytest.fixture
def kafka() -> Kafka:
    return Kafka()


def configured(*detectors: dict[str, Any], **kafka: Any) -> Config:
    hosts = {"name": "hosts", "kind": "vector-autoencoder"}
    return Config.model_validate(
        {
            "kafka": kafka,
            "inputs": [{"topic": "metrics"}, {"topic": "maps"}],
            "detectors": list(detectors) or [hosts],
        }
    )


def history(kafka: Kafka, config: Config | None = None) -> dict[str, TrainingSet]:
    config = config or configured()
    return read_history(config, config.detectors, consumer_factory=kafka.consumer, clock=lambda: NOW)


def detector(kind: str = "vector-autoencoder", **training: Any) -> dict[str, Any]:
    return {"name": "hosts", "kind": kind, "training": training}


def test_it_reads_only_the_last_seconds_asked_for(kafka: Kafka) -> None:
    for age in range(100, 0, -1):
        kafka.row("a", NOW - age, partition=age % 2, cpu=float(age))
    found = history(kafka, configured(detector(history_s=30.0), max_poll_records=7))
    series = found["hosts"].series["a"]
    assert series.times.tolist() == [NOW - age for age in range(30, 0, -1)]
    assert series.values[:, 0].tolist() == [float(age) for age in range(30, 0, -1)]
    assert sorted(kafka.read) == [(p, offset) for p in (0, 1) for offset in range(35, 50)]
    assert kafka.readers[0].closed


def test_the_event_time_counts_where_kafka_got_it_late(kafka: Kafka) -> None:
    for age in (500, 20, 10):  # sent late, all together
        kafka.send("metrics", NOW - 5, {"entity": "a", "time": NOW - age, "values": {"cpu": 1.0}})
    found = history(kafka, configured(detector(history_s=60.0)))
    assert found["hosts"].series["a"].times.tolist() == [NOW - 20, NOW - 10]


def test_each_detector_has_its_own_history_and_entities_and_the_longest_is_read(kafka: Kafka) -> None:
    for age in range(50, 0, -1):
        for entity in ("host/a", "gpu/a"):
            kafka.row(entity, NOW - age, cpu=1.0)
    found = history(
        kafka,
        configured(
            {**detector(history_s=10.0), "entities": ["host/*"]},
            {**detector(history_s=40.0), "name": "gpus", "entities": ["gpu/*"]},
        ),
    )
    assert {name: {e: len(s.times) for e, s in t.series.items()} for name, t in found.items()} == {
        "hosts": {"host/a": 10},
        "gpus": {"gpu/a": 40},
    }


def test_what_is_sent_meanwhile_is_not_waited_for(kafka: Kafka) -> None:
    for age in (3, 2, 1):
        kafka.row("a", NOW - age, cpu=1.0)
    kafka.polled = lambda: kafka.row("a", NOW, cpu=1.0)  # faster than it can be read
    found = history(kafka, configured(max_poll_records=2))
    assert found["hosts"].series["a"].times.tolist() == [NOW - 3, NOW - 2, NOW - 1]


def test_broken_messages_are_passed_over(kafka: Kafka) -> None:
    kafka.row("a", NOW - 2, cpu=1.0)
    kafka.send("metrics", NOW - 1, b"{broken")
    kafka.row("a", NOW - 1, cpu=2.0)
    assert history(kafka)["hosts"].series["a"].values.tolist() == [[1.0], [2.0]]


def test_parts_of_a_vector_are_joined_where_the_input_waits_for_them(kafka: Kafka) -> None:
    for age in (3, 2, 1):
        for name in ("cpu", "load"):
            about = {"entity": "a", "time": NOW - age, "values": {name: float(age)}, "partial": True}
            kafka.send("metrics", NOW - age, about)
    config = configured()
    config = Config.model_validate(
        {**config.model_dump(), "inputs": [{"topic": "metrics", "lateness_s": 5.0}]}
    )
    found = history(kafka, config)["hosts"]
    assert found.features == ("cpu", "load")
    assert found.series["a"].values.tolist() == [[3, 3], [2, 2], [1, 1]]


def test_a_partition_that_is_read_later_makes_no_part_late(kafka: Kafka) -> None:
    for _ in range(20):
        kafka.send("metrics", NOW - 40, b"{broken", partition=1)
    for age in range(30, 0, -1):
        for partition, name in enumerate(("cpu", "load")):
            about = {"entity": "a", "time": NOW - age, "values": {name: float(age)}, "partial": True}
            kafka.send("metrics", NOW - age, about, partition)
    config = configured(max_poll_records=5)
    config = Config.model_validate(
        {**config.model_dump(), "inputs": [{"topic": "metrics", "lateness_s": 5.0}]}
    )
    found = history(kafka, config)["hosts"]
    assert found.series["a"].values.tolist() == [[age, age] for age in range(30, 0, -1)]


def test_topics_that_are_not_there_are_said(kafka: Kafka) -> None:
    with pytest.raises(BrokerError, match="none of the topics metrics, maps yet"):
        history(kafka)
    assert kafka.readers[0].closed


def test_a_topic_without_anything_new_ends_at_once(kafka: Kafka) -> None:
    kafka.row("a", NOW - 100_000, cpu=1.0)
    with pytest.raises(TrainingError, match=r"no vector of an entity like \* in the last 60 s"):
        history(kafka, configured(detector(history_s=60.0)))
    assert kafka.read == []


def test_a_broker_that_falls_silent_is_given_up(kafka: Kafka) -> None:
    kafka.row("a", NOW - 1, cpu=1.0)
    kafka.silent = True
    with pytest.raises(BrokerError, match="sends nothing more of metrics/0"):
        history(kafka)
    assert kafka.readers[0].closed


def test_progress_is_told_from_the_first_to_the_last(kafka: Kafka) -> None:
    for age in range(20, 0, -1):
        kafka.row("a", NOW - age, cpu=1.0)
    told: list[tuple[int, int]] = []
    config = configured(max_poll_records=6)
    read_history(
        config,
        config.detectors,
        consumer_factory=kafka.consumer,
        clock=lambda: NOW,
        progress=lambda what, step, total, figures=None: told.append((step, total)),
    )
    assert told == [(0, 20), (6, 20), (12, 20), (18, 20), (20, 20)]


# ---- samples into series


def made(*samples: Sample, **settings: Any) -> TrainingSet:
    return training_set(samples, DetectorConfig.model_validate({**detector(), **settings}), now=NOW)


def vector(entity: str, age: float, offset: int = 0, **values: float | None) -> Sample:
    return Sample(entity, NOW - age, "metrics", 0, offset, values=values)


def test_metrics_come_in_the_order_they_are_first_met() -> None:
    found = made(vector("a", 3, cpu=1, load=2), vector("b", 2, net=3, cpu=4), vector("a", 1, load=5))
    assert found.features == ("cpu", "load", "net")
    np.testing.assert_array_equal(found.series["a"].values, [[1, 2, np.nan], [np.nan, 5, np.nan]])
    np.testing.assert_array_equal(found.series["b"].values, [[4, np.nan, 3]])


def test_series_are_in_event_time_order_and_a_time_counts_once() -> None:
    found = made(vector("a", 1, cpu=3), vector("a", 3, cpu=1), vector("a", 2, cpu=2), vector("a", 3, cpu=9))
    assert found.series["a"].times.tolist() == [NOW - 3, NOW - 2, NOW - 1]
    assert found.series["a"].values.tolist() == [[1], [2], [3]]  # the first that came


def test_the_newest_are_kept_where_there_are_too_many() -> None:
    samples = [vector("ab"[age % 2], age, cpu=float(age)) for age in range(60, 0, -1)]
    found = made(*samples, training={"max_samples": 20})
    times = sorted(t for s in found.series.values() for t in s.times)
    assert times == [NOW - age for age in range(20, 0, -1)]


def test_no_more_are_held_than_are_wanted_and_the_same_are_taken(
    kafka: Kafka, monkeypatch: pytest.MonkeyPatch
) -> None:
    held = [0]
    add = WantedSamples.add

    def watched(self: WantedSamples, samples: list[Sample]) -> None:
        add(self, samples)
        held[0] = max(held[0], len(self._samples))

    monkeypatch.setattr(WantedSamples, "add", watched)
    order = np.random.default_rng(0).permutation(600).tolist()
    for age in order:
        kafka.row("ab"[age % 2], NOW - 1 - age, cpu=float(age))
    few = {"name": "a", "kind": "vector-autoencoder", "entities": ["a"], "training": {"max_samples": 20}}
    more = detector(max_samples=60)
    config = configured(few, more, max_poll_records=50)
    found = history(kafka, config)
    assert found["a"].series.keys() == {"a"}
    assert found["a"].series["a"].times.tolist() == [NOW - 1 - age for age in range(38, -1, -2)]
    times = sorted(t for series in found["hosts"].series.values() for t in series.times)
    assert times == [NOW - 1 - age for age in range(59, -1, -1)]
    assert 0 < held[0] <= 100


def test_a_detector_takes_its_kind_of_sample_and_its_entities() -> None:
    map_ = Sample("a", NOW - 1, "maps", 0, 0, map=np.ones((2, 3), dtype=np.float32))
    found = made(vector("a", 2, cpu=1), vector("other", 2, cpu=1), map_, entities=["a"])
    assert list(found.series) == ["a"]
    assert found.series["a"].values.shape == (1, 1)
    found = made(vector("a", 2, cpu=1), map_, kind="map-autoencoder")
    assert found.features == ()
    assert found.series["a"].values.shape == (1, 2, 3)


def test_of_maps_the_shape_that_an_element_sends_most_is_kept() -> None:
    def shaped(age: float, columns: int) -> Sample:
        return Sample("a", NOW - age, "maps", 0, 0, map=np.full((2, columns), age, dtype=np.float32))

    found = made(*(shaped(age, 5 if age == 2 else 3) for age in (4, 3, 2, 1)), kind="map-autoencoder")
    assert found.series["a"].times.tolist() == [NOW - 4, NOW - 3, NOW - 1]
    assert found.series["a"].values[:, 0, 0].tolist() == [4, 3, 1]


def test_without_data_it_is_said_what_to_check() -> None:
    with pytest.raises(TrainingError, match=r"hosts: no map .* like DT/.* check inputs, entities"):
        made(vector("a", 1, cpu=1), kind="map-autoencoder", entities=["DT/*"])


def test_a_training_settles_what_counts_from_the_beginning(kafka: Kafka) -> None:
    orders = [1200, 800, 950, 600, 610, 2000]
    for slot in range(30):
        fields = {"pgfault": 50.0 * slot, "orders_sum": orders[slot % 6], "load": slot % 7, "errors": 3}
        at = NOW - 400 + 10 * slot
        kafka.send("t", at, {"name": "x", "tags": {"host": "h"}, "fields": fields, "timestamp": at})
    config = Config.model_validate(
        {
            "inputs": [{"topic": "t", "format": "telegraf-json"}],
            "detectors": [{"name": "d", "kind": "vector-autoencoder"}],
        }
    )
    told: list[Trained] = []
    found = read_history(
        config,
        config.detectors,
        consumer_factory=kafka.consumer,
        clock=lambda: NOW,
        on_kinds=told.append,
    )["d"]
    column = dict(zip(found.features, found.series["h"].values.T, strict=True))
    np.testing.assert_allclose(column["x.pgfault"][1:], 5.0)  # a rate from the first on
    np.testing.assert_allclose(column["x.orders_sum"], orders * 5)
    assert told[0].kinds["t"] == {
        "x.pgfault": Kind.COUNTER,
        "x.orders_sum": Kind.GAUGE,
        "x.load": Kind.GAUGE,
        "x.errors": Kind.UNPROVEN,
    }


@pytest.mark.parametrize("stamp", [0.0, NOW - 40 * 86_400, NOW + 86_400])
def test_training_goes_by_event_time_whatever_kafkas_times_are(kafka: Kafka, stamp: float) -> None:
    for k in range(50):
        kafka.send("metrics", stamp, {"entity": "h", "time": NOW - 100 + k, "values": {"a": k}})
    kafka.send("maps", NOW - 1, {"entity": "m", "time": NOW - 1, "map": [[1]]})
    assert len(history(kafka)["hosts"].series["h"].times) == 50


def test_an_old_topic_is_not_read_from_its_beginning_for_nothing(kafka: Kafka) -> None:
    for k in range(500):
        kafka.send("metrics", NOW - 10**6 + k, {"entity": "h", "time": NOW - 10**6 + k, "values": {"a": k}})
    with pytest.raises(TrainingError, match="no vector"):
        history(kafka)
    assert len(kafka.read) <= 20
