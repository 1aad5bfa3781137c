"""Messages a second: a bare kafka-python loop against the daemon without explanation, and their ratio.

Beside them messages a second of processor time of the daemon (all of its threads), which other work on the
machine changes less.

    python benchmarks/throughput.py [--vectors N] [--maps N] [--rounds N] [--only STREAM] [--apache]

Streams are put into a broker first, in lz4 batches over four partitions: JSON vectors of 38 metrics (815
bytes, 50 entities), maps of 12 x 60 cells (20 chambers) as JSON and as `npy`, and maps of 34 x 72 cells (8
ECAL barrels) as `npy`. Then each is read to its end, in turn by a bare loop and by the daemon with each kind
of detector; the median of the rounds counts. The daemon does all it does in production (decoding,
alignment, both detectors of a pair, incidents, one transaction a step) but for explanations and publishing.
The clock starts with the first records, so that joining the group is not counted.
"""

from __future__ import annotations

import argparse
import io
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
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
from anomalyd.daemon.scoring.active_model import ActiveModel
from anomalyd.daemon.service import Service
from anomalyd.daemon.stages import Record
from anomalyd.daemon.telemetry.telemetry import Telemetry
from anomalyd.detectors.detector_pair import train_pair
from anomalyd.detectors.library import ModelLibrary
from anomalyd.detectors.maps.geometries.drift_tubes import dt_chambers
from anomalyd.detectors.maps.geometries.known import shipped
from anomalyd.detectors.maps.geometry import Geometry
from anomalyd.detectors.maps.simulate.simulation import LUMISECTION_S, ElementSimulator
from anomalyd.reports.storage.store import Store

PARTITIONS = 4
ENTITIES = 50
METRICS = 38
CHAMBERS, BARRELS = 20, 8
DRAWN = 100
"""Maps that are drawn of an element, and sent over and over: only the first count what they cost to draw."""

BYTES = 815
TRAINED_ON = 200  # samples of an entity, the first of the stream
GIVE_UP_S = 300.0


@dataclass(frozen=True, slots=True)
class Sent:
    """One record to send."""

    key: bytes
    value: bytes
    headers: tuple[tuple[str, bytes], ...] = ()


@dataclass(frozen=True, slots=True)
class Stream:
    """What is in a topic: `count` records of `entities` entities in a format, and what watches them."""

    name: str
    format: str
    count: int
    entities: int
    records: Callable[[], Iterator[Sent]]
    kinds: tuple[str, ...]


def vectors(count: int, newest: float) -> Iterator[Sent]:
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
        yield Sent(name.encode(), text.ljust(BYTES))


def chambers() -> list[Geometry]:
    """Give chambers of the second station, 12 layers of up to 60 wires."""
    return [c for c in dt_chambers() if c.shape == (12, 60)][:CHAMBERS]


def barrels() -> list[Geometry]:
    """Give ECAL barrels, 34 x 72 towers each."""
    return [replace(shipped("ecal-barrel").elements[0], entity=f"EB/part{n}") for n in range(BARRELS)]


def maps(elements: list[Geometry], count: int, newest: float, format_: str) -> Iterator[Sent]:
    """Give maps of elements, one of each a lumisection, the last at `newest`."""
    simulators = [ElementSimulator(g, 0) for g in elements]
    steps = -(-count // len(elements))
    drawn = [s.maps(range(1, min(steps, DRAWN) + 1)) for s in simulators]
    for number in range(count):
        step, k = divmod(number, len(elements))
        at = newest - (steps - 1 - step) * LUMISECTION_S
        counts, entity = drawn[k][step % DRAWN], elements[k].entity
        if format_ == "npy":
            file = io.BytesIO()
            np.save(file, counts)
            told = {"entity": entity, "time": repr(at), "run": "1", "lumisection": str(step + 1)}
            yield Sent(entity.encode(), file.getvalue(), tuple((n, t.encode()) for n, t in told.items()))
        else:
            rows = [[None if c != c else int(c) for c in row] for row in counts.tolist()]
            sample = {"entity": entity, "time": at, "run": 1, "lumisection": step + 1, "map": rows}
            yield Sent(entity.encode(), msgspec.json.encode(sample))


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
    for record in stream.records():
        size += len(record.value)
        futures.append(producer.send(stream.name, record.value, record.key, list(record.headers)))
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
    first_cpu = 0.0

    def take(self, timeout_s: float, max_records: int | None = None) -> PollResult | None:
        """Take, as the service does."""
        polled = super().take(timeout_s, max_records)
        if self.first is None and polled is not None and polled.batches:
            self.first, self.first_cpu = time.perf_counter(), time.process_time()
        return polled


def daemon(broker: LocalBroker, stream: Stream, kind: str, folder: Path, group: str) -> tuple[float, float]:
    """Take the topic through all stages of the daemon; gives messages a second after the first records.

    The second figure is messages a second of processor time.
    """
    config = config_of(stream, kind, broker, group)
    registry = CollectorRegistry()
    telemetry = Telemetry.for_config(config, registry)
    library = ModelLibrary(folder / "models")
    store = Store.open(f"sqlite:///{folder / group}.db")
    source = TimedSource(config.kafka, [stream.name])
    ended = ended_cpu = consumed = 0.0

    def after_step() -> None:
        nonlocal ended, ended_cpu, consumed
        ended, ended_cpu = time.perf_counter(), time.process_time()
        consumed = registry.get_sample_value("anomalyd_records_consumed_total", {"topic": stream.name}) or 0.0
        if consumed >= stream.count:
            service.stop()

    began = time.perf_counter()

    def after_turn() -> None:
        if time.perf_counter() - began > GIVE_UP_S:
            service.stop()

    watches = [ActiveModel(detector, library) for detector in config.detectors]
    service = Service(config, source, store, watches, telemetry, on_step=after_step, on_turn=after_turn)
    source.start()
    service.run()
    source.stop()
    store.close()
    scored = registry.get_sample_value("anomalyd_samples_scored_total", {"detector": kind})
    if source.first is None or scored != stream.count:
        raise SystemExit(f"{stream.name}: {consumed:.0f} consumed, {scored:.0f} scored, of {stream.count}")
    return consumed / (ended - source.first), consumed / (ended_cpu - source.first_cpu)


def config_of(stream: Stream, kind: str, broker: LocalBroker, group: str) -> Config:
    """Give the daemon's configuration: all defaults but for where things are."""
    return Config(
        kafka=KafkaConfig(bootstrap_servers=[broker.bootstrap_servers], group=group, session_timeout_s=6.0),
        inputs=[InputConfig(topic=stream.name, format=stream.format)],
        detectors=[DetectorConfig(name=kind, kind=kind)],
    )


def train(stream: Stream, kind: str, folder: Path) -> None:
    """Train a detector on the stream's beginning, and publish it."""
    records = [
        Record(stream.name, 0, offset, time.time(), sent.key, sent.value, sent.headers)
        for offset, sent in zip(range(stream.entities * TRAINED_ON), stream.records(), strict=False)
    ]
    samples, _ = Decoder([InputConfig(topic=stream.name, format=stream.format)]).decode(records)
    training = training_set(samples, DetectorConfig(name=kind, kind=kind), now=time.time())
    ModelLibrary(folder / "models").publish(kind, train_pair(training, kind=kind))


def compare(broker: LocalBroker, stream: Stream, rounds: int, folder: Path) -> None:
    """Produce, train, run all in turn, print."""
    size = produce(broker, stream)
    for kind in stream.kinds:
        train(stream, kind, folder)
    bare = [bare_loop(broker, stream) for _ in range(rounds)]
    kafka = statistics.median(bare)
    for kind in stream.kinds:
        ours = [daemon(broker, stream, kind, folder, f"{stream.name}-{kind}-{n}") for n in range(rounds)]
        anomalyd, of_cpu = (statistics.median(some) for some in zip(*ours, strict=True))
        told = f"{stream.name:<9} {kind:<19} {stream.count:>7} {size:>6.0f}"
        print(
            f"{told} {kafka:>13,.0f} {anomalyd:>9,.0f} {anomalyd / kafka:>6.2f} {of_cpu:>9,.0f}", flush=True
        )


def streams_of(vector_count: int, map_count: int, now: float) -> list[Stream]:
    """List the streams, of whole steps each."""
    flat = vector_count // ENTITIES * ENTITIES
    dt = map_count // CHAMBERS * CHAMBERS
    ecal = map_count // 4 // BARRELS * BARRELS

    def of(elements: list[Geometry], count: int, format_: str) -> Callable[[], Iterator[Sent]]:
        return lambda: maps(elements, count, now, format_)

    both = ("map-autoencoder", "map-scan")
    return [
        Stream("vectors", "json", flat, ENTITIES, lambda: vectors(flat, now), ("vector-autoencoder",)),
        Stream("dt", "json", dt, CHAMBERS, of(chambers(), dt, "json"), both),
        Stream("dt-npy", "npy", dt, CHAMBERS, of(chambers(), dt, "npy"), both),
        Stream("ecal-npy", "npy", ecal, BARRELS, of(barrels(), ecal, "npy"), both),
    ]


def main() -> None:
    """Run it."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--vectors", type=int, default=200_000, help="vectors to send [%(default)s]")
    parser.add_argument("--maps", type=int, default=10_000, help="maps to send [%(default)s]")
    parser.add_argument("--rounds", type=int, default=3, help="the median of so many counts [%(default)s]")
    parser.add_argument("--only", nargs="*", help="these streams only")
    parser.add_argument("--apache", action="store_true", help="on the Apache Kafka of KAFKA_HOME")
    given = parser.parse_args()
    torch.set_num_threads(1)
    streams = [
        s
        for s in streams_of(given.vectors, given.maps, float(round(time.time())))
        if not given.only or s.name in given.only
    ]
    with (
        tempfile.TemporaryDirectory(prefix="anomalyd-bench-") as folder,
        start_broker(os.environ) if given.apache else EmbeddedBroker() as broker,
    ):
        print(f"{broker.name}; messages a second, median of {given.rounds}")
        print("stream    kind                  count  bytes  kafka-python  anomalyd  ratio   a CPU s")
        for stream in streams:
            own = Path(folder) / stream.name  # its models are of one shape
            own.mkdir()
            compare(broker, stream, given.rounds, own)


if __name__ == "__main__":
    main()
