"""Metrics that live for minutes (one for each process, pod or connection): kept out of vectors and of memory.

Where 30 series of one metric of an entity came and went, each within 60 of its vectors, the metric churns:
none of its series says anything about normal, and each would be remembered for long. From then on they are
left out, which is said and counted. And no vector grows beyond `limits.metrics`, of however many parts it is
joined: what was known before goes first.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

import msgspec

from anomalyd.daemon.intake.damaged import damaged
from anomalyd.daemon.stages import Sample

STATE_NAME = "churn"

FIRST = 10
"""Vectors in which an entity makes itself known: what comes in them is not new."""

LIFE = 60
"""Vectors that a series must outlive."""

SHORT_LIVES = 30
"""Series of a metric that did not, until it churns."""

_GONE = 3  # vectors without it after which a series is gone


@dataclass(frozen=True, slots=True)
class Churning:
    """A metric whose series come and go; or, where `metric` is empty, a vector of too many."""

    topic: str
    entity: str
    metric: str
    series: int


class _Kept(msgspec.Struct, array_like=True):
    """Vectors so far, young series (born, seen last), how many of each metric lived shortly, which churn."""

    vectors: int = 0
    young: dict[str, list[int]] = {}
    short: dict[str, int] = {}
    churning: list[str] = []


class Churn:
    """Looks at the vectors of all entities, each before it is scored.

    Arguments:
        limits: topic -> how many metrics a vector may have.

    """

    def __init__(self, limits: Mapping[str, int]) -> None:
        self._limits = limits
        self._entities: dict[str, _Kept] = {}
        self._changed: set[str] = set()
        self._found: list[Churning] = []
        self._too_many: set[str] = set()

    def without(self, sample: Sample, known: Collection[str]) -> Sample:
        """Give a vector without what churns, within its limit; `known` are its entity's metrics so far."""
        if sample.values is None:
            return sample
        kept = self._entities.get(sample.entity)
        if kept is None:
            kept = self._entities[sample.entity] = _Kept()
        kept.vectors += 1
        if kept.vectors <= FIRST:
            self._changed.add(sample.entity)
        elif kept.young or kept.churning or sample.values.keys() - known:
            sample = self._look(kept, sample, known)
        return self._limited(sample, known)

    def churning(self, entity: str) -> Collection[str]:
        """Name the metrics (without labels) of an entity that churn."""
        kept = self._entities.get(entity)
        return () if kept is None else kept.churning

    def take(self) -> list[Churning]:
        """Give, once, what was found."""
        found, self._found = self._found, []
        return found

    def state(self) -> dict[str, bytes]:
        """Give entity -> what to store of it, for the entities that changed since the last call."""
        changed, self._changed = self._changed, set()
        return {entity: msgspec.msgpack.encode(self._entities[entity]) for entity in changed}

    def restore(self, states: Mapping[str, bytes]) -> None:
        """Start from what was stored, and forget everything else.

        Raises:
            StoreError: what was stored is damaged.

        """
        self._entities.clear()
        self._changed.clear()
        self._found.clear()
        for entity, blob in states.items():
            with damaged(f"the metrics that come and go of {entity}"):
                self._entities[entity] = msgspec.msgpack.decode(blob, type=_Kept)

    def _look(self, kept: _Kept, sample: Sample, known: Collection[str]) -> Sample:
        values, number = sample.values or {}, kept.vectors
        for name in values:
            if name in kept.young:
                kept.young[name][1] = number
            elif name not in known and "{" in name and bare(name) not in kept.churning:
                kept.young[name] = [number, number]
                self._changed.add(sample.entity)
        for name, (born, last) in list(kept.young.items()):
            self._changed.add(sample.entity)
            if last - born > LIFE:
                del kept.young[name]
            elif number - last >= _GONE:
                kept.young.pop(name, None)  # gone already where its metric has just turned out to churn
                self._ended(kept, sample, bare(name))
        if not kept.churning:
            return sample
        lasting = {name: value for name, value in values.items() if bare(name) not in kept.churning}
        return sample if len(lasting) == len(values) else msgspec.structs.replace(sample, values=lasting)

    def _ended(self, kept: _Kept, sample: Sample, metric: str) -> None:
        kept.short[metric] = kept.short.get(metric, 0) + 1
        if kept.short[metric] < SHORT_LIVES or metric in kept.churning:
            return
        kept.churning.append(metric)
        series = kept.short.pop(metric)
        kept.young = {name: lived for name, lived in kept.young.items() if bare(name) != metric}
        self._found.append(Churning(sample.topic, sample.entity, metric, series))

    def _limited(self, sample: Sample, known: Collection[str]) -> Sample:
        values = sample.values or {}
        most = self._limits.get(sample.topic, len(values))
        if len(values) <= most:
            return sample
        if sample.entity not in self._too_many:
            self._too_many.add(sample.entity)
            self._found.append(Churning(sample.topic, sample.entity, "", len(values)))
        first = sorted(values, key=lambda name: (name not in known, name))[:most]
        return msgspec.structs.replace(sample, values={name: values[name] for name in sorted(first)})


def bare(name: str) -> str:
    """Give a metric's name without its labels."""
    return name.partition("{")[0]
