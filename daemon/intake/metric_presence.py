"""Which metrics each entity sends: those that appear, and those that vanish while it goes on sending.

A metric has vanished when it was missing for ten of its own usual intervals. Intervals are counted in the
entity's vectors, not in seconds, so that a silent host is not a host whose every metric has vanished. What an
entity sends at first is not called new.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Annotated

import msgspec

from anomalyd.daemon import remembered
from anomalyd.daemon.remembered import Remembered
from anomalyd.daemon.stages import Sample

STATE_NAME = "presence"

FIRST = 10
"""Vectors in which an entity makes itself known: rates need two readings, and slow metrics come later."""

_INTERVALS = 10
_ONCE = 1000
"""A metric that came once has no usual interval. After so many vectors it has vanished, too, so that names
that are never used twice do not add up."""

_WEIGHT = (
    1 / 8
)  # of the newest interval in the usual one: it follows a change of rate within some ten intervals

_KEEP_EVERY = 64
"""Vectors after which an entity is stored again without news: so far back a restart counts on at most."""


@dataclass(frozen=True, slots=True)
class Change:
    """Metrics of an entity that appeared or vanished, and the topic of the vector that told it."""

    entity: str
    topic: str
    appeared: tuple[str, ...]
    vanished: tuple[str, ...]


class _Metric(msgspec.Struct, array_like=True, gc=False):
    """The number of the vector that held it last, and its usual interval in vectors; 0: came only once."""

    last: int
    usual: Annotated[float, msgspec.Meta(ge=0)] = 0.0

    def seen(self, number: int) -> None:
        interval = number - self.last
        self.usual += (interval - self.usual) * (_WEIGHT if self.usual else 1.0)
        self.last = number

    def vanishes_at(self) -> float:
        return self.last + (_INTERVALS * max(self.usual, 1.0) if self.usual else _ONCE)


class _Kept(Remembered, frozen=True):
    """What is stored of an entity: how many vectors it sent so far, and its metrics."""

    vectors: int
    metrics: dict[str, _Metric]


@dataclass(slots=True)
class _Entity:
    count: int = 0
    metrics: dict[str, _Metric] = field(default_factory=dict)
    # The metrics of the newest vector if it held a number for each, in how many in a row they were by now,
    # and the vector before which none of the others vanishes: most vectors are like the one before.
    steady: frozenset[str] = frozenset()
    run: int = 0
    due: float = 0.0

    def same(self, values: Mapping[str, float | None]) -> bool:
        """Count a vector if it holds what the one before held, and nothing else is due."""
        if values.keys() != self.steady or self.count + 1 >= self.due:
            return False
        try:
            sum(values.values())  # type: ignore[arg-type]  # the quickest way to see that no value is None
        except TypeError:
            return False
        self.count += 1
        self.run += 1
        return True

    def look(self, values: Mapping[str, float | None]) -> tuple[list[str], list[str]]:
        """Count any vector: the metrics that appeared with it, and those that vanished."""
        self.apply_pending()
        self.count += 1
        present = [name for name, value in values.items() if value is not None]
        appeared = []
        for name in present:
            metric = self.metrics.get(name)
            if metric is None:
                self.metrics[name] = _Metric(self.count)
                appeared.append(name)
            else:
                metric.seen(self.count)
        vanished = [name for name, metric in self.metrics.items() if self.count >= metric.vanishes_at()]
        for name in vanished:
            del self.metrics[name]
        self.steady = frozenset(present if len(present) == len(values) else ())
        self.due = min(
            (m.vanishes_at() for n, m in self.metrics.items() if n not in self.steady), default=float("inf")
        )
        return (appeared if self.count > FIRST else []), vanished

    def forget(self, bare: frozenset[str]) -> None:
        """Drop metrics by their names without labels."""
        self.apply_pending()
        self.metrics = {n: m for n, m in self.metrics.items() if n.partition("{")[0] not in bare}
        self.steady = frozenset()

    def apply_pending(self) -> None:
        """Bring the metrics up to date with the run of like vectors."""
        if self.run:
            for name in self.steady:
                metric = self.metrics[name]
                # As if each had been seen by itself: every interval of the run was one vector.
                metric.usual = 1 + ((metric.usual or 1.0) - 1) * (1 - _WEIGHT) ** self.run
                metric.last = self.count
            self.run = 0


class MetricPresence:
    """Looks at the vectors of all entities."""

    def __init__(self) -> None:
        self._entities: dict[str, _Entity] = {}
        self._changed: set[str] = set()

    def look(self, samples: Iterable[Sample]) -> list[Change]:
        """Take vectors in the order they are scored; tell, once, what appeared and what vanished."""
        found: list[Change] = []
        for sample in samples:
            if sample.values is None:
                continue
            entity = self._entities.get(sample.entity)
            if entity is None:
                entity = self._entities[sample.entity] = _Entity()
            if not entity.same(sample.values):
                appeared, vanished = entity.look(sample.values)
                if appeared or vanished:
                    self._changed.add(sample.entity)
                    found.append(Change(sample.entity, sample.topic, tuple(appeared), tuple(vanished)))
            if entity.count % _KEEP_EVERY == FIRST:
                self._changed.add(sample.entity)
        return found

    def forget(self, entity: str, metrics: Collection[str]) -> None:
        """Remember nothing of metrics (named without their labels) of an entity."""
        if entity in self._entities:
            self._entities[entity].forget(frozenset(metrics))
            self._changed.add(entity)

    def known(self, entity: str) -> Collection[str]:
        """Give the metrics that an entity sends."""
        return self._entities[entity].metrics.keys() if entity in self._entities else ()

    def state(self) -> dict[str, bytes]:
        """Give entity -> what to store of it, for the entities that changed since the last call."""
        changed, self._changed = self._changed, set()
        out = {}
        for name in changed:
            entity = self._entities[name]
            entity.apply_pending()
            out[name] = remembered.encode(_Kept(vectors=entity.count, metrics=entity.metrics))
        return out

    def restore(self, states: Mapping[str, bytes]) -> None:
        """Start from what was stored, and forget everything else.

        Raises:
            StoreError: what was stored is damaged.

        """
        self._entities.clear()
        self._changed.clear()
        for name, blob in states.items():
            kept = remembered.decode(blob, _Kept, f"what was remembered of the metrics of {name}")
            self._entities[name] = _Entity(kept.vectors, kept.metrics)
