"""What the topics still hold, as training data: read through the same stages as the daemon reads."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import msgspec
import numpy as np
from kafka import KafkaConsumer, TopicPartition

from anomalyd.daemon.config.config import Config, DetectorConfig
from anomalyd.daemon.intake.align import Aligner
from anomalyd.daemon.intake.churn import Churn, bare
from anomalyd.daemon.intake.clocks import ProducerClocks
from anomalyd.daemon.intake.counter_kinds import CounterKinds, Trained
from anomalyd.daemon.intake.decode import Decoder
from anomalyd.daemon.intake.grid_and_lateness import alignments, counts_are_said, labels_are_said
from anomalyd.daemon.intake.label_collisions import LabelCollisions
from anomalyd.daemon.intake.metric_presence import MetricPresence
from anomalyd.daemon.kafka.connection.connection import connect
from anomalyd.daemon.learning.wanted_samples import WantedSamples, wanted_by
from anomalyd.daemon.scoring.score import vectors
from anomalyd.daemon.stages import Record, Sample
from anomalyd.detectors.detector import Progress, Series, TrainingSet, silent
from anomalyd.detectors.registry import detector_class
from anomalyd.errors import BrokerError, TrainingError

_POLL_MS = 500
_Read = tuple[list[Record], list[tuple[str, int]]]
"""Records, and the (topic, partition) that go on behind them."""

_IDLE_S = 129_600.0

_NEWEST = 20
"""Records at the end of a partition that are looked at where Kafka's times say that all are too old."""

_SILENCE_S = 15.0
"""A partition that sends nothing for this long before its known end is given up, and that is an error."""


def read_history(
    config: Config,
    detectors: Sequence[DetectorConfig],
    *,
    consumer_factory: Callable[..., Any] = KafkaConsumer,
    clock: Callable[[], float] = time.time,
    progress: Progress = silent,
    on_kinds: Callable[[Trained], None] = lambda trained: None,
) -> dict[str, TrainingSet]:
    """Read the topics' history, and give each detector (by name) what it is to be trained on.

    No more samples are held than a quarter more than `max_samples` of all detectors, however much the topics
    hold. It is read once; and once more where metrics turn out to be counters that are not called so, or none
    that are. `on_kinds` is told which metrics count.

    Raises:
        BrokerError: Kafka cannot be reached, or stops sending.
        TrainingError: nothing that a detector watches was found.

    """
    now = clock()
    since = now - max(d.training.history_s for d in detectors)
    certain = counts_are_said(config.inputs)
    survey = CounterKinds(certain, surveys=True)

    def samples(kinds: CounterKinds) -> list[Sample]:
        decoder = Decoder(config.inputs, clock=clock)
        collisions = LabelCollisions(labels_are_said(config.inputs))
        clocks = ProducerClocks(
            alignments(config.inputs), {i.topic: i.clock_tolerance_s for i in config.inputs}
        )
        aligner = Aligner(alignments(config.inputs), 0.0, kinds, collisions)
        found = WantedSamples(detectors, now)
        for records, unread in _records(config, since, decoder, consumer_factory, progress):
            decoded, _ = decoder.decode(records)
            found.add(aligner.add(clocks.corrected(decoded), 0.0, unread))
        found.add(aligner.flush(float("inf")))
        return found.kept()

    found = samples(survey)
    kinds, anew = survey.settled()
    trained = Trained(clock(), kinds)
    if anew:
        # Some turned out to count, or not to, only on the way: from the beginning with what is known now.
        found = samples(CounterKinds(certain, trained, frozen=True))
    on_kinds(trained)
    found = _lasting(found, {i.topic: i.limits.metrics for i in config.inputs})
    return {d.name: training_set(found, d, now=clock()) for d in detectors}


def _lasting(samples: list[Sample], limits: Mapping[str, int]) -> list[Sample]:
    """Leave out the metrics of which ever new series came, from the beginning."""
    churn, presence = Churn(limits), MetricPresence()
    for index, sample in enumerate(samples):
        samples[index] = churn.without(sample, presence.known(sample.entity))
        presence.look([samples[index]])
    return [
        msgspec.structs.replace(
            sample, values={n: v for n, v in (sample.values or {}).items() if bare(n) not in gone}
        )
        if sample.values is not None and (gone := churn.churning(sample.entity))
        else sample
        for sample in samples
    ]


def training_set(samples: Iterable[Sample], detector: DetectorConfig, *, now: float) -> TrainingSet:
    """Make what one detector is to be trained on: the newest samples of the entities it watches.

    Raises:
        TrainingError: there are none.

    """
    kind = detector_class(detector.kind).sample_kind
    wanted = wanted_by(detector, samples, now=now)
    if not wanted:
        raise TrainingError(
            f"detector {detector.name}: no {kind} of an entity like {', '.join(detector.entities)} in the "
            f"last {detector.training.history_s:.0f} s; check inputs, entities and training.history_s"
        )
    by_entity: dict[str, list[Sample]] = {}
    for sample in wanted:
        by_entity.setdefault(sample.entity, []).append(sample)
    if kind == "map":
        return TrainingSet({entity: _maps(some) for entity, some in by_entity.items()})
    features = _features(wanted)
    return TrainingSet(
        {entity: _series(some, vectors(features, some)) for entity, some in by_entity.items()}, features
    )


def _features(samples: Sequence[Sample]) -> tuple[str, ...]:
    """Name the metrics, in the order they are first met: scoring is quickest in the senders' order."""
    return tuple(dict.fromkeys(name for sample in samples for name in sample.values or ()))


def _maps(samples: list[Sample]) -> Series:
    """Keep the maps of the shape that the entity sends most."""
    shapes = Counter(s.map.shape for s in samples if s.map is not None)
    usual = shapes.most_common(1)[0][0]
    kept = [s for s in samples if s.map is not None and s.map.shape == usual]
    return _series(kept, np.stack([s.map for s in kept if s.map is not None]))


def _series(samples: list[Sample], values: np.ndarray[Any, np.dtype[np.float32]]) -> Series:
    """Keep one sample of each time: the first that came."""
    times = np.array([s.time for s in samples])
    _, first = np.unique(times, return_index=True)
    return Series(times[first], values[first])


def _records(
    config: Config,
    since: float,
    decoder: Decoder,
    consumer_factory: Callable[..., Any],
    progress: Progress,
) -> Iterator[_Read]:
    """Read every input from a time on, up to where it ends now; outside any consumer group."""
    consumer = connect(
        consumer_factory,
        config.kafka,
        enable_auto_commit=False,
        isolation_level="read_committed",
        auto_offset_reset="earliest",
        max_poll_records=config.kafka.max_poll_records,
        metrics_enabled=False,
    )
    try:
        places = [
            TopicPartition(i.topic, partition)
            for i in config.inputs
            for partition in sorted(consumer.partitions_for_topic(i.topic) or ())
        ]
        if not places:
            wanted = ", ".join(i.topic for i in config.inputs)
            raise BrokerError(
                f"Kafka has none of the topics {wanted} yet; check inputs, or start what sends to them"
            )
        consumer.assign(places)
        ends = consumer.end_offsets(places)
        starts = consumer.offsets_for_times(dict.fromkeys(places, int(since * 1000)))
        # A topic may be idle; nothing for days speaks of a producer without a clock.
        lately = consumer.offsets_for_times(dict.fromkeys(places, int((since - _IDLE_S) * 1000)))
        for place in places:
            start = starts.get(place)
            if (
                start is None
                and lately.get(place) is None
                and ends[place]
                and _is_young(consumer, place, ends[place], decoder, since)
            ):
                # Kafka's own times are wrong (a producer without a clock): only those of the events count.
                consumer.seek(place, 0)
            else:
                consumer.seek(place, ends[place] if start is None else start.offset)
        yield from _until(consumer, ends, progress)
    finally:
        consumer.close()


def _is_young(consumer: Any, place: Any, end: int, decoder: Decoder, since: float) -> bool:
    """Say whether the newest records of a partition tell of times after `since`, whatever Kafka's are."""
    consumer.seek(place, max(0, end - _NEWEST))
    silent_s = 0.0
    while consumer.position(place) < end and silent_s < _SILENCE_S:
        raws = consumer.poll(timeout_ms=_POLL_MS).get(place, ())
        silent_s = 0.0 if raws else silent_s + _POLL_MS / 1000
        found, _ = decoder.decode([_record(place, raw) for raw in raws])
        if any(sample.time >= since for sample in found):
            return True
    return False


def _record(place: Any, raw: Any) -> Record:
    return Record(
        *(place.topic, place.partition, raw.offset, raw.timestamp / 1000, raw.key, raw.value),
        tuple(raw.headers or ()),
    )


def _until(consumer: Any, ends: dict[Any, int], progress: Progress) -> Iterator[_Read]:
    """Give what lies before the ends."""
    begins = {place: consumer.position(place) for place in ends}
    total = sum(max(0, end - begins[place]) for place, end in ends.items())
    silent_s = 0.0
    while left := {p: end for p, end in ends.items() if consumer.position(p) < end}:
        progress("reading history", total - sum(e - consumer.position(p) for p, e in left.items()), total)
        polled = consumer.poll(timeout_ms=_POLL_MS)
        silent_s = 0.0 if polled else silent_s + _POLL_MS / 1000
        if silent_s > _SILENCE_S:
            raise BrokerError(
                f"Kafka sends nothing more of {', '.join(f'{p.topic}/{p.partition}' for p in left)}"
            )
        records = [
            _record(place, r) for place, raws in polled.items() for r in raws if r.offset < ends[place]
        ]
        yield records, [tuple(p) for p, end in left.items() if consumer.position(p) < end]
    progress("reading history", total, total)
