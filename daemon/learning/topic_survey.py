"""What a topic seems to hold, by a sample of its messages: its format, entities, interval and counters."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from anomalyd.daemon.config.config import InputConfig, Limits
from anomalyd.daemon.intake.counter_kinds import CounterKinds, Kind
from anomalyd.daemon.intake.formats.recognise import recognised
from anomalyd.daemon.intake.formats.registry import FORMATS, format_of
from anomalyd.daemon.stages import Record, Sample
from anomalyd.errors import DecodeError

_FIRST, _MORE, _RECORDS, _BYTES = 300, 8, 20_000, 100_000_000
"""Records that are looked at first, how many times as many next, and the most: of number and of size."""

_UNSEEN = 0.05

_TRIED = 30  # messages of which the format is found out: each is tried in all of them


@dataclass(frozen=True, slots=True)
class TopicSurvey:
    """What was found in a topic.

    `interval_s` is the usual time between two vectors or maps of an entity, None where too few were seen;
    `clock_s` how far the newest event time lies before (-) or after (+) the record's own, and `unread` how
    many of the `records` the format does not read. `counters` are metrics without their labels that count up.
    `unseen` is about the share of what is sent that is of entities which are not among these records: the
    share of what was seen that is of entities seen once (Good, "The population frequencies of species and the
    estimation of population parameters", Biometrika 40, 1953).
    """

    topic: str
    format: str
    records: int
    unread: int
    entities: tuple[str, ...]
    is_map: bool
    metrics: int
    interval_s: float | None
    counters: tuple[str, ...]
    clock_s: float
    unseen: float

    @property
    def counted_entities(self) -> str:
        """Say how many entities were seen, and whether there may be more."""
        count = "1 entity" if len(self.entities) == 1 else f"{len(self.entities)} entities"
        return f"at least {count}" if self.unseen > _UNSEEN and self.records >= _FIRST else count


def survey(topic: str, records: Sequence[Record]) -> TopicSurvey | None:
    """Look at the newest records of a topic; None where no format reads any of them."""
    votes = Counter(name for record in records[-_TRIED:] if (name := recognised(record)) is not None)
    if not votes:
        return None
    name = votes.most_common(1)[0][0]
    samples, unread = _samples(topic, name, records)
    if not samples:
        return None
    is_map = sum(sample.map is not None for sample in samples) * 2 > len(samples)
    kinds = CounterKinds([] if not FORMATS[name].says_counters else [topic], surveys=True)
    for sample in sorted(samples, key=lambda s: s.time):
        declared = sample.counters or {}
        for metric, value in (sample.values or {}).items():
            kinds.kind(topic, sample.entity, metric, metric in declared, [value])
    settled, _ = kinds.settled()
    stamps = {(record.partition, record.offset): record.timestamp for record in records}
    newest = max(samples, key=lambda s: s.time)
    return TopicSurvey(
        topic,
        name,
        len(records),
        unread,
        tuple(sorted({sample.entity for sample in samples})),
        is_map,
        len({metric for sample in samples for metric in sample.values or ()}),
        _interval(samples),
        tuple(sorted(m for m, kind in settled.get(topic, {}).items() if kind is Kind.COUNTER)),
        newest.time - stamps[newest.partition, newest.offset],
        _unseen(samples),
    )


def surveys(
    newest: Callable[[Iterable[str] | None, int], Mapping[str, Sequence[Record]]],
    topics: Iterable[str] | None = None,
) -> dict[str, tuple[Sequence[Record], TopicSurvey | None]]:
    """Look at topics, and at ever more of their records until hardly any entity is unseen.

    `newest` gives so many of the newest records of topics, all topics for None. Of large messages fewer are
    read.
    """
    found: dict[str, tuple[Sequence[Record], TopicSurvey | None]] = {}
    left, most = topics, _FIRST
    while True:
        records = newest(left, most)
        found |= {topic: (some, survey(topic, some)) for topic, some in records.items()}
        left = [topic for topic in records if _is_more_wanted(*found[topic], most)]
        most *= _MORE
        if not left:
            return found


def _is_more_wanted(records: Sequence[Record], seen: TopicSurvey | None, most: int) -> bool:
    size = sum(len(record.value or b"") for record in records) * _MORE
    return (
        seen is not None
        and seen.unseen > _UNSEEN
        and 2 * len(records) >= most  # of some partitions there may be fewer
        and most * _MORE <= _RECORDS
        and size <= _BYTES
    )


def _unseen(samples: Sequence[Sample]) -> float:
    # What is sent at one time is one sight of an entity, in however many messages it comes.
    sights = Counter(entity for entity, _ in {(sample.entity, sample.time) for sample in samples})
    return sum(count == 1 for count in sights.values()) / sights.total()


def _samples(topic: str, name: str, records: Sequence[Record]) -> tuple[list[Sample], int]:
    decoder = format_of(InputConfig(topic=topic, format=name, limits=Limits(past_s=1e11, future_s=1e11)))
    samples: list[Sample] = []
    unread = 0
    for record in records:
        try:
            found, _ = decoder.decode(record, record.timestamp) if record.value else ([], None)
        except DecodeError:
            unread += 1
        else:
            samples += found
    return samples, unread


def _interval(samples: Sequence[Sample]) -> float | None:
    """Give the median time between two readings of one metric, or two maps, of one entity."""
    times: dict[tuple[str, str], set[float]] = defaultdict(set)
    for sample in samples:
        for metric in sample.values or ("",):
            times[sample.entity, metric].add(sample.time)
    gaps = [gap for some in times.values() if len(some) > 1 for gap in np.diff(sorted(some)).tolist()]
    return float(np.median(gaps)) if gaps else None
