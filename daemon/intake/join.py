"""What came of one entity for one time, or one slot of the grid -> one sample."""

from __future__ import annotations

from collections.abc import Sequence
from operator import attrgetter

import msgspec

from anomalyd.daemon.intake.counter_kinds import CounterKinds, Kind
from anomalyd.daemon.intake.label_collisions import LabelCollisions
from anomalyd.daemon.intake.rates import Rates, Reading
from anomalyd.daemon.stages import Sample

_order = attrgetter("time", "topic", "partition", "offset")


class Joiner:
    """Joins parts to vectors; what it must remember for that is in its three members."""

    def __init__(self, rates: Rates, kinds: CounterKinds, collisions: LabelCollisions) -> None:
        self.rates = rates
        self.kinds = kinds
        self.collisions = collisions

    def join(self, parts: Sequence[Sample], time: float) -> Sample:
        """Make one sample, at event time `time`, of parts that came in any order.

        Of a metric (or a map) that several parts tell, the latest by event time counts, and of one time that
        which lies last in Kafka, in the order of (topic, partition, offset); a number outdoes a missing
        value. Counters become rates over all their readings. The sample's own place is that of the first
        part.
        """
        parts = sorted(parts, key=_order) if len(parts) > 1 else parts
        first = parts[0]
        if len(parts) == 1 and not first.partial and first.counters is None and first.time == time:
            return first
        run = next((p.run for p in parts if p.run is not None), None)
        lumisection = next((p.lumisection for p in parts if p.lumisection is not None), None)
        if first.map is not None:
            return msgspec.structs.replace(first, map=parts[-1].map, run=run, lumisection=lumisection)
        values = self._values(self.collisions.named(parts))
        if len(parts) > 1:
            # Whatever came first, the names have one order: quickest to score, and the same to train on.
            values = dict(sorted(values.items()))
        return msgspec.structs.replace(
            first,
            time=time,
            values=values,
            run=run,
            lumisection=lumisection,
            partial=False,
            counters=None,
            aside=None,
        )

    def _values(self, parts: Sequence[Sample]) -> dict[str, float | None]:
        values: dict[str, float | None] = {}
        readings: dict[str, list[Reading]] = {}
        bits: dict[str, int] = {}
        unsure: dict[str, str] = {}  # metric -> the topic that does not say what counts
        for part in parts:
            counters = part.counters or {}
            certain = part.topic in self.kinds.certain
            for name, value in (part.values or {}).items():
                if name in counters:
                    bits[name] = counters[name]
                elif certain:
                    if value is not None or name not in values:
                        values[name] = value
                    continue
                if not certain:
                    unsure[name] = part.topic
                told = readings.setdefault(name, [])
                if value is not None:
                    told.append((part.time, value))
        entity = parts[0].entity
        for name, topic in unsure.items():
            told = readings[name]
            kind = self.kinds.kind(topic, entity, name, name in bits, [value for _, value in told])
            if kind is not Kind.COUNTER:
                values[name] = told[-1][1] if told and kind is not None else None
        # Some senders do not say at once what is a counter: then it is none.
        self.rates.forget(entity, values)
        for name, told in readings.items():
            if name not in values:
                values[name] = self.rates.rate(entity, name, bits.get(name, 0), told)
        return values
