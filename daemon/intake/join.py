"""What came of one entity for one time, or one slot of the grid -> one sample."""

from __future__ import annotations

from collections.abc import Sequence
from operator import attrgetter

import msgspec

from anomalyd.daemon.intake.rates import Rates, Reading
from anomalyd.daemon.stages import Sample

_order = attrgetter("time", "topic", "partition", "offset")


def join(parts: Sequence[Sample], time: float, rates: Rates) -> Sample:
    """Make one sample, at event time `time`, of parts that came in any order.

    Of a metric (or a map) that several parts tell, the latest by event time counts, and of one time that
    which lies last in Kafka, in the order of (topic, partition, offset); a number outdoes a missing value.
    Counters become rates over all their readings. The sample's own place is that of the first part.
    """
    parts = sorted(parts, key=_order) if len(parts) > 1 else parts
    first = parts[0]
    if len(parts) == 1 and not first.partial and first.counters is None and first.time == time:
        return first
    run = next((p.run for p in parts if p.run is not None), None)
    lumisection = next((p.lumisection for p in parts if p.lumisection is not None), None)
    if first.map is not None:
        return msgspec.structs.replace(first, map=parts[-1].map, run=run, lumisection=lumisection)
    values = _values(parts, rates)
    if len(parts) > 1:
        # Whatever came first, the names have one order, which is quickest to score and the same to train on.
        values = dict(sorted(values.items()))
    return msgspec.structs.replace(
        first, time=time, values=values, run=run, lumisection=lumisection, partial=False, counters=None
    )


def _values(parts: Sequence[Sample], rates: Rates) -> dict[str, float | None]:
    values: dict[str, float | None] = {}
    readings: dict[str, list[Reading]] = {}
    bits: dict[str, int] = {}
    for part in parts:
        counters = part.counters or {}
        for name, value in (part.values or {}).items():
            if name in counters:
                bits[name] = counters[name]
                told = readings.setdefault(name, [])
                if value is not None:
                    told.append((part.time, value))
            elif value is not None or name not in values:
                values[name] = value
    entity = parts[0].entity
    # Some senders do not say at once what is a counter: then it is none.
    rates.forget(entity, values)
    for name, told in readings.items():
        if name not in values:
            values[name] = rates.rate(entity, name, bits[name], told)
    return values
