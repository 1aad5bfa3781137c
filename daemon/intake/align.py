"""Parts of an entity -> one vector, and samples in event-time order: holds back what may still be joined.

An input without grid and lateness goes straight through. Otherwise the samples of an entity wait in slots of
its event time, on the grid if there is one, until its watermark, the highest event time seen less the
lateness, has passed the end of the slot; then they are joined to one. Within the lateness the vectors do not
depend on the order of arrival.

While partitions are read that lag behind, an hour of one may come before the first record of the next. So the
watermark goes no further than the event time that every partition with more to give has been read to, and no
slot goes before it has settled.

Crash safety: what waits is nowhere but here. So the offsets that are stored go no further than `held_from`,
and a restart reads again what was held. Some of what is read again was released before; `state`, stored in
the same transaction as the offsets, says up to when that is, entity by entity, and it is dropped as late. It
holds the newest readings of the counters, too. Whoever starts from stored offsets again, after a rebalance or
a conflict too, calls `restore` first.
"""

from __future__ import annotations

import heapq
from collections import Counter, OrderedDict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import msgspec

from anomalyd.daemon import remembered
from anomalyd.daemon.intake.counter_kinds import STATE_NAME as KINDS
from anomalyd.daemon.intake.counter_kinds import CounterKinds, KindChange, Trained
from anomalyd.daemon.intake.grid_and_lateness import Alignment
from anomalyd.daemon.intake.join import Joiner
from anomalyd.daemon.intake.label_collisions import STATE_NAME as LABELS
from anomalyd.daemon.intake.label_collisions import Collision, LabelCollisions
from anomalyd.daemon.intake.rates import Rates, Readings
from anomalyd.daemon.remembered import Remembered
from anomalyd.daemon.stages import Sample

STATE_NAME = "align"

PATIENCE_S = 30.0
"""A partition that lags behind and gives nothing for so long is waited for no more: as long as it may take
Kafka to elect its leader anew."""

SETTLE_S = 1.0
"""Wall-clock seconds without a new part after which a slot may go. A producer that was cut off sends minutes
of event time at once, and what it puts into another partition comes a few polls later."""

_NEVER = float("-inf")

_Place = tuple[str, int]


_Slot = tuple[float, float, bool]
"""End, begin, and whether it holds maps: vectors and maps of one time are two things."""


@dataclass(slots=True)
class _Parts:
    """What came for a slot, and when the last of it did, by the clock."""

    samples: list[Sample] = field(default_factory=list)
    arrived: float = 0.0


@dataclass(slots=True)
class _Waiting:
    """What waits of one entity."""

    topics: set[str] = field(default_factory=set)
    grid: float = 0.0
    lateness: float = 0.0
    newest: float = _NEVER
    arrived: float = 0.0
    slots: dict[_Slot, _Parts] = field(default_factory=dict)
    order: list[_Slot] = field(default_factory=list)  # the keys of `slots`, a heap


class _Aligned(Remembered, frozen=True):
    """What is stored of an entity.

    `released`: event time (s) of the end of its newest slot that was handed on. `counters`: metric -> event
    time (s) and value of its newest reading.
    """

    released: float
    counters: Readings


class Aligner:
    """Joins and orders, and makes rates of counters.

    An entity that several topics tell of waits for the longest of their latenesses. If their grids differ,
    each gives vectors of its own, in the order of their ends.

    Arguments:
        alignments: topic -> its grid and lateness.
        settle_s: for how long a slot waits for a further part, by the clock, but never longer than its
            lateness; 0 where it is known what is still to come.
        kinds: which metrics count; None: those that the samples say.
        collisions: tells series of one name apart.

    """

    def __init__(
        self,
        alignments: Mapping[str, Alignment],
        settle_s: float = 0.0,
        kinds: CounterKinds | None = None,
        collisions: LabelCollisions | None = None,
    ) -> None:
        self._settle_s = settle_s
        self._alignments = {topic: each for topic, each in alignments.items() if each.waits}
        self._kinds = kinds or CounterKinds(alignments)
        self._collisions = collisions or LabelCollisions()
        self._start()

    def _start(self) -> None:
        self._waiting: dict[str, _Waiting] = {}
        self._blocked: set[str] = set()  # entities whose slots wait for a partition, or settle
        self._released: dict[str, float] = {}  # end of an entity's newest slot that has been handed on
        self._rates = Rates()
        self._joiner = Joiner(self._rates, self._kinds, self._collisions)
        self._changed: set[str] = set()
        # Offsets come in rising order, so the first key of each is the lowest; the number is of samples.
        self._held: dict[_Place, OrderedDict[int, int]] = {}
        self._reached: dict[_Place, float] = {}  # the newest event time read
        self._silent_s: dict[_Place, float] = {}  # of the partitions that lag behind
        self._turned = _NEVER  # by the clock, when it was added last
        self._late: list[Sample] = []
        self._joined: Counter[str] = Counter()  # parts beyond the first of a vector, by topic
        self._in_flight: Counter[str] = Counter()

    def add(self, samples: Iterable[Sample], now: float, behind: Collection[_Place] = ()) -> list[Sample]:
        """Take samples in the order of arrival at clock `now`; give those that wait no longer.

        An entity's samples are given in event-time order. `behind`: the (topic, partition) of which Kafka
        may have more to give right now.
        """
        if not self._alignments:
            return [sample if _is_whole(sample) else self._through(sample) for sample in samples]
        out: list[Sample] = []
        touched: dict[str, _Waiting] = {}
        reached: dict[_Place, float] = {}
        for sample in samples:
            alignment = self._alignments.get(sample.topic)
            if alignment is None:
                out.append(sample if _is_whole(sample) else self._through(sample))
                continue
            place, time = (sample.topic, sample.partition), sample.time
            if time > reached.get(place, _NEVER):
                reached[place] = time
            begin, end = alignment.slot(time) if sample.map is None else Alignment().slot(time)
            if end <= self._released.get(sample.entity, _NEVER):
                self._late.append(sample)
            else:
                slot = (end, begin, sample.map is not None)
                touched[sample.entity] = self._hold(sample, alignment, slot, now)
        floors = self._floors(reached, behind, now)
        if self._blocked:
            touched = {entity: self._waiting[entity] for entity in self._blocked} | touched
        for entity, waiting in touched.items():
            floor = min(
                (floors[topic] for topic in waiting.topics if topic in floors), default=waiting.newest
            )
            watermark = min(floor, waiting.newest) - waiting.lateness
            self._release(entity, waiting, watermark, now - min(self._settle_s, waiting.lateness), out)
            more = waiting.order and waiting.order[0][0] <= waiting.newest - waiting.lateness
            (self._blocked.add if more else self._blocked.discard)(entity)
        return out

    def flush(self, now: float) -> list[Sample]:
        """Give what waits of entities that have been silent, by the clock of `add`, for lateness and grid.

        During an outage of Kafka every entity is silent. But not while a partition of their topics is waited
        for: their next parts may just not have been read.
        """
        out: list[Sample] = []
        unread = {topic for topic, _ in self._waited_for()}
        for entity, waiting in list(self._waiting.items()):
            silent_s = now - waiting.arrived
            if silent_s > waiting.lateness + waiting.grid and waiting.topics.isdisjoint(unread):
                self._release(entity, waiting, float("inf"), now, out)
        return out

    def take_late(self) -> list[Sample]:
        """Give, once, the samples that came after their time had been released: they are dropped.

        After a restart what is read again is among them.
        """
        late, self._late = self._late, []
        return late

    def take_joined(self) -> Counter[str]:
        """Give, once, how many samples of each topic were joined to another that came before them."""
        joined, self._joined = self._joined, Counter()
        return joined

    def trained(self, trained: Trained) -> None:
        """Take what newly trained models hold for counters."""
        self._kinds.trained(trained)

    def take_notices(self) -> tuple[Sequence[Collision], Sequence[KindChange]]:
        """Give, once, which series shared a name, and which metrics turned out to count, or not to."""
        return self._collisions.take(), self._kinds.take()

    def held_from(self) -> Mapping[_Place, int]:
        """Give (topic, partition) -> the lowest offset that still waits here: store no offset beyond it."""
        return {place: next(iter(offsets)) for place, offsets in self._held.items() if offsets}

    def state(self) -> dict[str, bytes]:
        """Give entity -> what to store of it, for the entities that changed since the last call."""
        changed, self._changed = self._changed, set()
        return {
            entity: remembered.encode(
                _Aligned(released=self._released.get(entity, _NEVER), counters=self._rates.newest(entity))
            )
            for entity in changed
        }

    def further_states(self) -> dict[str, dict[str, bytes]]:
        """Give what to store of what counts and of labels that part series: name -> entity -> what."""
        return {KINDS: self._kinds.state(), LABELS: self._collisions.state()}

    def restore(
        self, states: Mapping[str, bytes], further: Mapping[str, Mapping[str, bytes]] | None = None
    ) -> None:
        """Start from what was stored; forget everything that waits, for it will be read again.

        Raises:
            StoreError: what was stored is damaged.

        """
        self._start()
        further = further or {}
        self._kinds.restore(further.get(KINDS, {}))
        self._collisions.restore(further.get(LABELS, {}))
        for entity, blob in states.items():
            aligned = remembered.decode(blob, _Aligned, f"what was remembered of the vectors of {entity}")
            self._released[entity] = aligned.released
            self._rates.restore(entity, aligned.counters)

    @property
    def holds_back(self) -> bool:
        """Whether any input waits for what is late."""
        return bool(self._alignments)

    @property
    def in_flight(self) -> Mapping[str, int]:
        """How many samples of each topic wait."""
        return self._in_flight

    def _through(self, sample: Sample) -> Sample:
        """Make rates of the counters of a sample that does not wait."""
        self._changed.add(sample.entity)
        partial = sample.partial
        return msgspec.structs.replace(self._joiner.join([sample], sample.time), partial=partial)

    def _hold(self, sample: Sample, alignment: Alignment, slot: _Slot, now: float) -> _Waiting:
        waiting = self._waiting.get(sample.entity)
        if waiting is None:
            waiting = self._waiting[sample.entity] = _Waiting()
        if sample.topic not in waiting.topics:
            waiting.topics.add(sample.topic)
            waiting.grid = max(waiting.grid, alignment.grid_s)
            waiting.lateness = max(waiting.lateness, alignment.lateness_s)
        if sample.time > waiting.newest:
            waiting.newest = sample.time
        waiting.arrived = now
        parts = waiting.slots.get(slot)
        if parts is None:
            parts = waiting.slots[slot] = _Parts()
            heapq.heappush(waiting.order, slot)
        parts.samples.append(sample)
        parts.arrived = now
        offsets = self._held.setdefault((sample.topic, sample.partition), OrderedDict())
        offsets[sample.offset] = offsets.get(sample.offset, 0) + 1
        self._in_flight[sample.topic] += 1
        return waiting

    def _floors(
        self, reached: Mapping[_Place, float], behind: Collection[_Place], now: float
    ) -> dict[str, float]:
        """Give topic -> the event time that all its partitions have been read to which have more to give."""
        for place, time in reached.items():
            self._reached[place] = max(time, self._reached.get(place, _NEVER))
        self._count_silence(reached, behind, now)
        floors: dict[str, float] = {}
        for place in self._waited_for():
            topic, time = place[0], self._reached.get(place, _NEVER)
            floors[topic] = min(time, floors.get(topic, time))
        return floors

    def _count_silence(self, gave: Collection[_Place], behind: Collection[_Place], now: float) -> None:
        """Count for how long the partitions that lag behind gave nothing though they were asked.

        While others that lag behind give, we are catching up, and their turn is still to come: however slowly
        that goes, it is no silence.
        """
        took = max(0.0, now - self._turned) if self._turned != _NEVER else 0.0
        if any(place in self._silent_s for place in gave):
            took = 0.0
        self._turned = now
        self._silent_s = {
            place: 0.0 if place in gave else self._silent_s.get(place, -took) + took
            for place in behind
            if place[0] in self._alignments
        }

    def _waited_for(self) -> list[_Place]:
        return [place for place, silent_s in self._silent_s.items() if silent_s <= PATIENCE_S]

    def _release(
        self, entity: str, waiting: _Waiting, watermark: float, settled: float, out: list[Sample]
    ) -> None:
        """Give the slots that end by the watermark and had their last part by `settled`, in their order."""
        order, slots = waiting.order, waiting.slots
        while order and order[0][0] <= watermark and slots[order[0]].arrived <= settled:
            slot = heapq.heappop(order)
            end, begin, _ = slot
            parts = slots.pop(slot).samples
            out.append(self._joiner.join(parts, begin))
            self._joined[out[-1].topic] -= 1
            for part in parts:
                self._joined[part.topic] += 1
                self._in_flight[part.topic] -= 1
                offsets = self._held[part.topic, part.partition]
                offsets[part.offset] -= 1
                if not offsets[part.offset]:
                    del offsets[part.offset]
            self._released[entity] = end
            self._changed.add(entity)
        # The highest event time is forgotten with the last sample; `released` keeps the order from here on.
        if not order:
            del self._waiting[entity]
            self._blocked.discard(entity)


def _is_whole(sample: Sample) -> bool:
    """Say whether a sample needs no look at its counters and labels: it comes as its producer means it."""
    return sample.counters is None and not sample.aside
