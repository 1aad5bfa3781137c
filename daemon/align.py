"""Parts of an entity -> one vector, and samples in event-time order: holds back what may still be joined.

An input with `lateness_s` 0 goes straight through. Where it is more, the samples of an entity wait until its
watermark, the highest event time seen less the lateness, has passed theirs; what came for the same time is
joined then. Within the lateness the vectors do not depend on the order of arrival.

Crash safety: what waits is nowhere but here. So the offsets that are stored go no further than `held_from`,
and a restart reads again what was held. Some of what is read again was released before; `state`, stored in
the same transaction as the offsets, says up to when that is, entity by entity, and it is dropped as late.
Whoever starts from stored offsets again, after a rebalance or a conflict too, calls `restore` first.
"""

from __future__ import annotations

import heapq
import struct
from collections import OrderedDict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from operator import attrgetter

import msgspec

from anomalyd.daemon.stages import Sample

STATE_NAME = "@align"  # no detector can have this name: the store keeps both side by side

_SECONDS = struct.Struct("<d")
_place = attrgetter("topic", "partition", "offset")


@dataclass(slots=True)
class _Waiting:
    """What waits of one entity. Vectors and maps of one time are two things: the key says which."""

    lateness: float
    newest: float
    arrived: float
    parts: dict[tuple[float, bool], list[Sample]] = field(default_factory=dict)
    order: list[tuple[float, bool]] = field(default_factory=list)  # the keys of `parts`, a heap


class Aligner:
    """Joins and orders; `late` counts the samples that came after their time had been released.

    An entity that several topics tell of waits for the longest of their latenesses.
    """

    def __init__(self, lateness_s: Mapping[str, float]) -> None:
        self._lateness = {topic: seconds for topic, seconds in lateness_s.items() if seconds > 0}
        self.late = 0
        self._start({})

    def _start(self, released: dict[str, float]) -> None:
        self._waiting: dict[str, _Waiting] = {}
        self._released = released  # event time up to which an entity's samples have been handed on
        self._changed: set[str] = set()
        # Offsets come in rising order, so the first key of each is the lowest; the number is of samples.
        self._held: dict[tuple[str, int], OrderedDict[int, int]] = {}

    def add(self, samples: Iterable[Sample], now: float) -> list[Sample]:
        """Take samples in the order of arrival at clock `now`; give those that wait no longer.

        An entity's samples are given in event-time order.
        """
        if not self._lateness:
            return list(samples)
        out: list[Sample] = []
        touched: dict[str, _Waiting] = {}
        for sample in samples:
            lateness = self._lateness.get(sample.topic)
            if lateness is None:
                out.append(sample)
            elif sample.time <= self._released.get(sample.entity, float("-inf")):
                self.late += 1
            else:
                touched[sample.entity] = self._hold(sample, lateness, now)
        for entity, waiting in touched.items():
            # Strictly below the watermark: a sample exactly `lateness` behind may still come.
            self._release(entity, waiting, waiting.newest - waiting.lateness, out)
        return out

    def flush(self, now: float) -> list[Sample]:
        """Give what waits of entities that have been silent, by the clock of `add`, for their lateness.

        Call it when there is nothing to read: during an outage of Kafka every entity is silent.
        """
        out: list[Sample] = []
        for entity, waiting in list(self._waiting.items()):
            if now - waiting.arrived > waiting.lateness:
                self._release(entity, waiting, float("inf"), out)
        return out

    def held_from(self) -> Mapping[tuple[str, int], int]:
        """Give (topic, partition) -> the lowest offset that still waits here: store no offset beyond it."""
        return {place: next(iter(offsets)) for place, offsets in self._held.items() if offsets}

    def state(self) -> dict[str, bytes]:
        """Give entity -> what to store of it, for the entities that changed since the last call."""
        changed, self._changed = self._changed, set()
        return {entity: _SECONDS.pack(self._released[entity]) for entity in changed}

    def restore(self, states: Mapping[str, bytes]) -> None:
        """Start from what was stored; forget everything that waits, for it will be read again."""
        self._start({entity: _SECONDS.unpack(blob)[0] for entity, blob in states.items()})

    @property
    def holds_back(self) -> bool:
        """Whether any input waits for what is late."""
        return bool(self._lateness)

    @property
    def held(self) -> int:
        """How many samples wait."""
        return sum(sum(offsets.values()) for offsets in self._held.values())

    def _hold(self, sample: Sample, lateness: float, now: float) -> _Waiting:
        waiting = self._waiting.get(sample.entity)
        if waiting is None:
            waiting = self._waiting[sample.entity] = _Waiting(lateness, sample.time, now)
        waiting.lateness = max(waiting.lateness, lateness)
        waiting.newest = max(waiting.newest, sample.time)
        waiting.arrived = now
        key = (sample.time, sample.map is not None)
        if key not in waiting.parts:
            waiting.parts[key] = []
            heapq.heappush(waiting.order, key)
        waiting.parts[key].append(sample)
        offsets = self._held.setdefault((sample.topic, sample.partition), OrderedDict())
        offsets[sample.offset] = offsets.get(sample.offset, 0) + 1
        return waiting

    def _release(self, entity: str, waiting: _Waiting, before: float, out: list[Sample]) -> None:
        while waiting.order and waiting.order[0][0] < before:
            key = heapq.heappop(waiting.order)
            parts = waiting.parts.pop(key)
            out.append(_join(parts))
            for part in parts:
                offsets = self._held[part.topic, part.partition]
                offsets[part.offset] -= 1
                if not offsets[part.offset]:
                    del offsets[part.offset]
            self._released[entity] = key[0]
            self._changed.add(entity)
        # The highest event time is forgotten with the last sample; `released` keeps the order from here on.
        if not waiting.order:
            del self._waiting[entity]


def _join(parts: list[Sample]) -> Sample:
    """Make one sample of all that came for one entity and time.

    Where two say different things of a metric, or send two maps, the one that lies last in Kafka counts, in
    the order of (topic, partition, offset), so that the order of arrival does not matter. A number outdoes
    a missing value. The sample's own place is that of the first part.
    """
    parts.sort(key=_place)
    first = parts[0]
    if len(parts) == 1 and not first.partial:
        return first
    run = next((p.run for p in parts if p.run is not None), None)
    lumisection = next((p.lumisection for p in parts if p.lumisection is not None), None)
    if first.map is not None:
        return msgspec.structs.replace(first, map=parts[-1].map, run=run, lumisection=lumisection)
    values: dict[str, float | None] = {}
    for part in parts:
        for name, value in (part.values or {}).items():
            if value is not None or name not in values:
                values[name] = value
    return msgspec.structs.replace(first, values=values, run=run, lumisection=lumisection, partial=False)
