"""Series that share a name: told by what their names leave out, and parted by it.

Labels that only say where a host stands (`job`, `region`, ...) are left out of names; `Sample.aside` holds
them. Where two series differ in nothing else, their readings would become one metric. They are seen by this:
readings of one metric at the same time with different labels aside, or such that come in turns (A, B, A).
From then on the labels that differ belong to their names. Where the configuration names the labels itself
(`metric_labels`), the names stay as it says, and only the collision is told.

What is decided depends on an entity's readings in their order alone, and is remembered.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import msgspec

from anomalyd.daemon.intake.damaged import damaged
from anomalyd.daemon.stages import Sample

STATE_NAME = "labels"

TURNS_S = 3600.0
"""Labels that come back after longer than this are no second series: the host has moved, and moved back."""

Aside = tuple[str, ...]
"""Labels that stand in no name, as `label=value`, in alphabetical order."""

_LABEL = re.compile(r'(?:"(?:[^"\\]|\\.)*"|[^,"])+')


@dataclass(frozen=True, slots=True)
class Collision:
    """Two series of one name: what differs, and whether their names were parted by it."""

    topic: str
    entity: str
    metric: str
    labels: tuple[str, str]
    parted: bool


class _Turn(msgspec.Struct, array_like=True):
    """The labels aside of a metric's newest reading, those before them, and when they changed."""

    now: Aside
    before: Aside
    changed: float


class _Known(msgspec.Struct, array_like=True):
    """Of one entity: what its metrics' labels aside usually are, those with others, and who was parted."""

    usual: Aside
    turns: dict[str, _Turn] = {}
    parted: dict[str, list[str]] = {}
    """Metric -> the labels that belong to its name since."""


class LabelCollisions:
    """Looks at the parts of each vector, and gives their metrics names that they share with no other series.

    Arguments:
        fixed: topics whose configuration says which labels belong to a name.

    """

    def __init__(self, fixed: Collection[str] = ()) -> None:
        self._fixed = frozenset(fixed)
        self._known: dict[str, _Known] = {}
        self._changed: set[str] = set()
        self._found: list[Collision] = []

    def named(self, parts: Sequence[Sample]) -> Sequence[Sample]:
        """Give the parts of one vector, in the order of their times, with the names they are to have."""
        entity = parts[0].entity
        known = self._known.get(entity)
        if known is None:
            aside = next((a for part in parts for a in (part.aside or {}).values()), None)
            if aside is None:
                return parts
            known = self._known[entity] = _Known(aside)
            self._changed.add(entity)
        if not known.turns and not known.parted and all(_usual(part, known.usual) for part in parts):
            return parts
        self._look(entity, known, parts)
        return [self._renamed(known, part) for part in parts] if known.parted else parts

    def take(self) -> list[Collision]:
        """Give, once, what was found."""
        found, self._found = self._found, []
        return found

    def state(self) -> dict[str, bytes]:
        """Give entity -> what to store of it, for the entities that changed since the last call."""
        changed, self._changed = self._changed, set()
        return {entity: msgspec.msgpack.encode(self._known[entity]) for entity in changed}

    def restore(self, states: Mapping[str, bytes]) -> None:
        """Start from what was stored, and forget everything else.

        Raises:
            StoreError: what was stored is damaged.

        """
        self._known.clear()
        self._changed.clear()
        self._found.clear()
        for entity, blob in states.items():
            with damaged(f"the labels of {entity}"):
                self._known[entity] = msgspec.msgpack.decode(blob, type=_Known)

    def _look(self, entity: str, known: _Known, parts: Sequence[Sample]) -> None:
        at: dict[tuple[str, float], Aside] = {}
        collided: set[str] = set()
        for part in parts:
            for name in part.values or ():
                aside = _aside(part, name)
                same_time = at.setdefault((name, part.time), aside)
                turn = known.turns.get(name)
                newest = known.usual if turn is None else turn.now
                if aside == newest == same_time:
                    continue
                back = turn is not None and turn.before == aside and part.time - turn.changed <= TURNS_S
                if (same_time != aside or back) and name not in collided:
                    collided.add(name)
                    self._collide(known, part, name, newest if same_time == aside else same_time)
                if aside != newest:
                    known.turns[name] = _Turn(aside, newest, part.time)
                    self._changed.add(entity)

    def _collide(self, known: _Known, part: Sample, name: str, other: Aside) -> None:
        aside = _aside(part, name)
        differ = sorted({_key(label) for label in set(aside) ^ set(other)})
        parts_names = part.topic not in self._fixed
        if parts_names:
            parted = known.parted.get(name, [])
            if set(differ) <= set(parted):
                return
            known.parted[name] = sorted({*parted, *differ})
            self._changed.add(part.entity)
        one, two = sorted(
            ",".join(label for label in some if _key(label) in differ) for some in (other, aside)
        )
        self._found.append(Collision(part.topic, part.entity, name, (one, two), parts_names))

    def _renamed(self, known: _Known, part: Sample) -> Sample:
        values, counters = part.values or {}, part.counters
        names = {name: self._own(known, part, name) for name in values if name in known.parted}
        if not names:
            return part
        return msgspec.structs.replace(
            part,
            values={names.get(name, name): value for name, value in values.items()},
            counters=counters and {names.get(name, name): bits for name, bits in counters.items()},
        )

    @staticmethod
    def _own(known: _Known, part: Sample, name: str) -> str:
        labels = known.parted[name]
        return _with(name, [label for label in _aside(part, name) if _key(label) in labels])


def _aside(part: Sample, name: str) -> Aside:
    return part.aside.get(name, ()) if part.aside else ()


def _usual(part: Sample, usual: Aside) -> bool:
    """Say whether all metrics of a part have the usual labels aside."""
    if not part.aside:
        return not usual
    asides = part.aside.values()
    return len(asides) == len(part.values or ()) and all(aside == usual for aside in asides)


def _key(label: str) -> str:
    return label.partition("=")[0]


def _with(name: str, labels: Sequence[str]) -> str:
    """Put labels into a metric's name."""
    bare, brace, rest = name.partition("{")
    if brace and not rest.endswith("}"):  # a long name, cut within its labels
        bare, rest = name, ""
    told = sorted([*_LABEL.findall(rest[:-1]), *labels])
    return f"{bare}{{{','.join(told)}}}" if told else bare
