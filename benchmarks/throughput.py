"""Messages a second: a bare kafka-python loop against the daemon without explanation, and their ratio.

    python benchmarks/throughput.py [--vectors N] [--maps N] [--rounds N] [--apache]

Two streams are put into a broker first: JSON vectors of 38 metrics (815 bytes, 50 entities) and JSON maps of
12 x 60 cells (20 chambers), both in lz4 batches over four partitions. Then each is read to its end, in turn
by both contestants; the median of the rounds counts. The daemon does all it does in production (decoding,
alignment, both detectors of a pair, incidents, one transaction a step) but for explanations and publishing.
The clock starts with the first records, so that joining the group is not counted.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import msgspec
import numpy as np
import torch
from kafka import KafkaConsumer, KafkaProducer, TopicPartition
from prometheus_client import CollectorRegistry

from anomalyd.daemon.broker import EmbeddedBroker, LocalBroker, create_topics, start_broker
from anomalyd.daemon.config.config import Config, DetectorConfig, InputConfig, KafkaConfig
from anomalyd.daemon.intake.decode import Decoder
from anomalyd.daemon.kafka.source import KafkaSource, PollResult
from anomalyd.daemon.learning.history import training_set
from anomalyd.daemon.producers.chambers import ChamberStream
from anomalyd.daemon.producers.sender import Message, Sender
from anomalyd.daemon.scoring.active_model import ActiveModel
from anomalyd.daemon.service import Service
from anomalyd.daemon.stages import Record
from anomalyd.daemon.telemetry.telemetry import Telemetry
from anomalyd.detectors.detector_pair import train_pair
from anomalyd.detectors.library import ModelLibrary
from anomalyd.detectors.maps.geometries.drift_tubes import dt_chambers
from anomalyd.reports.storage.store import Store

PARTITIONS = 4
ENTITIES = 50
METRICS = 38
CHAMBERS = 20
BYTES = 815
LUMISECTION_S = 23.3
TRAINED_ON = 200  # samples of an entity, the first of the stream
GIVE_UP_S = 300.0


@dataclass(frozen=True, slots=True)
class Stream:
    """What is in a topic: `count` messages of `entities` entities, and the detector that watches them."""

    name: str
    count: int
    entities: int
    messages: Callable[[], Iterable[Message]]
    detector: DetectorConfig


def vector_messages(count: int, newest: float) -> Iterator[Message]:
    """Give vectors of slowly wandering metrics, one a second from every entity, the last at `newest`."""
    rng = np.random.default_rng(0)
    names = [f"metric{i:02d}" for i in range(METRICS)]
    level = rng.random((ENTITIES, METRICS))
    values = level.copy()
    steps = -(-count // ENTITIES)
    for number in range(count):
        step, entity = divmod(number, ENTITIES)
        if entity == 0:
            values += 0.1 * (level - values) + rng.normal(0, 0.02, values.shape)
        name, at = f"host/node{entity:02d}", newest - (steps - 1 - step)
        row = dict(zip(names, values[entity].round(6).tolist(), strict=True))
        text = msgspec.json.encode({"entity": name, "time": at, "values": row})
        yield Message(name.encode(), text.ljust(BYTES), time.time())


def map_messages(count: int, newest: float) -> Iterator[Message]:
    """Give maps of chambers of the second station, 12 layers of up to 60 wires, the last at `newest`."""
    chambers = [c.entity for c in dt_chambers() if c.shape == (12, 60)][:CHAMBERS]
    stream = ChamberStream(Sender("unused", lambda: None), chambers)
    steps = -(-count // CHAMBERS)
    for step in range(steps):
        at = newest - (steps - 1 - step) * LUMISECTION_S
        for message in stream.messages(step + 1, at):
            yield Message(message.key, message.value, time.time())


def produce(broker: LocalBroker, stream: Stream) -> float:
    """Put a stream into its topic; gives the mean size of a message in bytes."""
    create_topics(broker.bootstrap_servers, {stream.name: PARTITIONS})
    producer = KafkaProducer(
        bootstrap_servers=broker.bootstrap_servers,
        compression_type="lz4",
        batch_size=262_144,
        linger_ms=50,
        metrics_enabled=False,
    )
    size = 0
    futures = []
    for message in stream.messages():
        size += len(message.value)
        at_ms = int(message.time * 1000)
        futures.append(producer.send(stream.name, message.value, message.key, timestamp_ms=at_ms))
    for future in futures:
        future.get(timeout=GIVE_UP_S)
    producer.close()
    return size / stream.count


def bare_loop(broker: LocalBroker, stream: Stream) -> float:
    """Read the topic to its end and do nothing; gives messages a second after the first poll with any."""
    consumer = KafkaConsumer(
        bootstrap_servers=broker.bootstrap_servers, max_poll_records=4000, metrics_enabled=False
    )
    places = [TopicPartition(stream.name, p) for p in range(PARTITIONS)]
    consumer.assign(places)
    consumer.seek_to_beginning(*places)
    first = read = 0
    began = time.perf_counter()
    try:
        while read < stream.count:
            read += sum(map(len, consumer.poll(timeout_ms=200).values()))
            if not first and read:
                first, began = read, time.perf_counter()
            if time.perf_counter() - began > GIVE_UP_S:
                raise SystemExit(f"{stream.name}: only {read} of {stream.count} messages came")
        return (read - first) / (time.perf_counter() - began)
    finally:
        consumer.close()


class TimedSource(KafkaSource):
    """Notes when the first records were handed out."""

    first: float | None = None

    def take(self, timeout_s: float, max_records: int | None = None) -> PollResult | None:
        """Take, as the service does."""
        polled = super().take(timeout_s, max_records)
        if self.first is None and polled is not None and polled.batches:
            self.first = time.perf_counter()
        return polled


def daemon(broker: LocalBroker, stream: Stream, folder: Path, group: str) -> float:
    """Take the topic through all stages of the daemon; gives messages a second after the first records."""
    config = config_of(stream, broker, group)
    registry = CollectorRegistry()
    telemetry = Telemetry.for_config(config, registry)
    library = ModelLibrary(folder / "models")
    store = Store.open(f"sqlite:///{folder / group}.db")
    source = TimedSource(config.kafka, [stream.name])
    ended = consumed = 0.0

    def after_step() -> None:
        nonlocal ended, consumed
        ended = time.perf_counter()
        consumed = registry.get_sample_value("anomalyd_records_consumed_total", {"topic": stream.name}) or 0.0
        if consumed >= stream.count:
            service.stop()

    began = time.perf_counter()

    def after_turn() -> None:
        if time.perf_counter() - began > GIVE_UP_S:
            service.stop()

    watches = [ActiveModel(stream.detector, library)]
    service = Service(config, source, store, watches, telemetry, on_step=after_step, on_turn=after_turn)
    source.start()
    service.run()
    source.stop()
    store.close()
    scored = registry.get_sample_value("anomalyd_samples_scored_total", {"detector": stream.detector.name})
    if source.first is None or scored != stream.count:
        raise SystemExit(f"{stream.name}: {consumed:.0f} consumed, {scored:.0f} scored, of {stream.count}")
    return consumed / (ended - source.first)


def config_of(stream: Stream, broker: LocalBroker, group: str) -> Config:
    """Give the daemon's configuration: all defaults but for where things are."""
    return Config(
        kafka=KafkaConfig(bootstrap_servers=[broker.bootstrap_servers], group=group, session_timeout_s=6.0),
        inputs=[InputConfig(topic=stream.name)],
        detectors=[stream.detector],
    )


def train(stream: Stream, folder: Path) -> None:
    """Train the stream's detector on its beginning, and publish it."""
    records = []
    for offset, message in enumerate(stream.messages()):
        if offset == stream.entities * TRAINED_ON:
            break
        records.append(Record(stream.name, 0, offset, message.time, message.key, message.value))
    samples, _ = Decoder([InputConfig(topic=stream.name)]).decode(records)
    training = training_set(samples, stream.detector, now=time.time())
    ModelLibrary(folder / "models").publish(
        stream.detector.name, train_pair(training, kind=stream.detector.kind)
    )


def compare(broker: LocalBroker, stream: Stream, rounds: int, folder: Path) -> None:
    """Produce, train, run both in turn, print."""
    size = produce(broker, stream)
    train(stream, folder)
    bare, ours = [], []
    for number in range(rounds):
        bare.append(bare_loop(broker, stream))
        ours.append(daemon(broker, stream, folder, f"{stream.name}-{number}"))
    kafka, anomalyd = statistics.median(bare), statistics.median(ours)
    rates = f"{kafka:>14,.0f} {anomalyd:>11,.0f} {anomalyd / kafka:>7.2f}"
    print(f"{stream.name:<8} {stream.count:>8} {size:>7.0f} {rates}", flush=True)


def main() -> None:
    """Run it."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--vectors", type=int, default=200_000, help="vectors to send [%(default)s]")
    parser.add_argument("--maps", type=int, default=10_000, help="maps to send [%(default)s]")
    parser.add_argument("--rounds", type=int, default=3, help="the median of so many counts [%(default)s]")
    parser.add_argument("--apache", action="store_true", help="on the Apache Kafka of KAFKA_HOME")
    given = parser.parse_args()
    torch.set_num_threads(1)
    now = float(round(time.time()))
    streams = [
        Stream(
            "vectors",
            given.vectors // ENTITIES * ENTITIES,
            ENTITIES,
            lambda: vector_messages(given.vectors // ENTITIES * ENTITIES, now),
            DetectorConfig(name="vectors", kind="vector-autoencoder"),
        ),
        Stream(
            "maps",
            given.maps // CHAMBERS * CHAMBERS,
            CHAMBERS,
            lambda: map_messages(given.maps // CHAMBERS * CHAMBERS, now),
            DetectorConfig(name="maps", kind="map-autoencoder"),
        ),
    ]
    with (
        tempfile.TemporaryDirectory(prefix="anomalyd-bench-") as folder,
        start_broker(os.environ) if given.apache else EmbeddedBroker() as broker,
    ):
        print(f"{broker.name}; messages a second, median of {given.rounds}")
        print("stream      count   bytes   kafka-python    anomalyd   ratio")
        for stream in streams:
            compare(broker, stream, given.rounds, Path(folder))


if __name__ == "__main__":
    main()
