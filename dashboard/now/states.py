"""The state of every entity and of every group of them: what a shifter sees from three metres away."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from fnmatch import fnmatchcase

from anomalyd.dashboard.wording import SILENT_S
from anomalyd.reports.relations.incident_row import RANK, IncidentRow
from anomalyd.reports.storage.repositories.overview import LatestSample
from anomalyd.systems import system_of


class Condition(StrEnum):
    """What an entity is like; the members are in rising order of how much it needs somebody."""

    NORMAL = "normal"
    MAINTENANCE = "maintenance"
    """Somebody works on it: it does not alarm."""
    LEARNING = "learning"
    """Training did not know it, and it is in its first day: it alarms beyond what its like ever showed."""
    UNSCORED = "not scored"
    """It sends, and no detector has scored it: none is trained for it, or it is still learning."""
    UNFIT = "model does not fit"
    """What it sends cannot be judged by the model at work."""
    SILENT = "no data"
    """It has sent for a while and sends no more, while others of its kind do."""
    WARNING = "warning"
    ERROR = "error"
    CRITICAL = "critical"


ORDER = {condition: rank for rank, condition in enumerate(Condition)}


@dataclass(frozen=True, slots=True)
class EntityState:
    """One entity: its condition, its worst open incident if it has one, and what is said of it."""

    entity: str
    condition: Condition
    incident: IncidentRow | None
    text: str


@dataclass(frozen=True, slots=True)
class GroupState:
    """A detector system or a group of hosts, with its entities by name."""

    name: str
    sample_kind: str
    entities: tuple[EntityState, ...]

    @property
    def condition(self) -> Condition:
        """The worst of its entities' conditions."""
        return max((e.condition for e in self.entities), key=ORDER.__getitem__)

    def counts(self) -> dict[Condition, int]:
        """Count its entities by condition, the worst first; those with none are left out."""
        counts: dict[Condition, int] = {}
        for state in self.entities:
            counts[state.condition] = counts.get(state.condition, 0) + 1
        return {c: counts[c] for c in sorted(counts, key=lambda c: -ORDER[c])}


@dataclass(frozen=True, slots=True)
class Known:
    """What the store says of the entities.

    `latest`: entity -> its latest sample; `scored`: those that a detector has
    scored; `alarming`: those with open incidents, and the worst of each; `silenced`: those in maintenance;
    `learning`: those in their first day; `unfit`: those that the model at work does not fit, and why.
    """

    latest: Mapping[str, LatestSample]
    scored: frozenset[str]
    alarming: Mapping[str, IncidentRow]
    silenced: frozenset[str]
    learning: frozenset[str] = frozenset()
    unfit: Mapping[str, str] = field(default_factory=dict)


_MISSED = 5
"""Samples in a row that may be missing."""

_CALORIMETER = frozenset({"EB", "EE"})
"""Barrel and end caps, which are one detector."""

_GONE_S = 30 * 86_400.0
"""An entity that has sent nothing for a month is no longer part of the experiment."""


def worst_of(rows: Sequence[IncidentRow]) -> dict[str, IncidentRow]:
    """Give entity -> its worst incident: by severity, then by score."""
    found: dict[str, IncidentRow] = {}
    for row in rows:
        known = found.get(row.entity)
        if known is None or (RANK[row.severity], row.peak) > (RANK[known.severity], known.peak):
            found[row.entity] = row
    return found


def group_states(known: Known, groups: Mapping[str, Sequence[str]]) -> list[GroupState]:
    """Give the state of every group, those first that need somebody.

    `groups`: name -> shell patterns, of the configuration; an entity in none of them belongs to its detector
    system, or to what its name begins with.
    """
    newest = max((sent.last for sent in known.latest.values()), default=0.0)
    members: dict[str, list[EntityState]] = {}
    kinds: dict[str, str] = {}
    for entity in sorted({*known.latest, *known.alarming}, key=_natural):
        sent = known.latest.get(entity, LatestSample("", newest, 0.0))
        if newest - sent.last > _GONE_S and entity not in known.alarming:
            continue
        name = group_of(entity, groups)
        members.setdefault(name, []).append(_state(entity, newest - sent.last, sent.interval, known))
        kinds.setdefault(name, sent.sample_kind)
    found = [GroupState(name, kinds[name], tuple(states)) for name, states in members.items()]
    return sorted(found, key=lambda g: (-ORDER[g.condition], g.name))


def group_of(entity: str, groups: Mapping[str, Sequence[str]]) -> str:
    """Name the group of an entity."""
    for name, patterns in groups.items():
        if any(fnmatchcase(entity, pattern) for pattern in patterns):
            return name
    if system_of(entity) in _CALORIMETER:
        return "ECAL"
    return system_of(entity) if "/" in entity else re.sub(r"[-_.]?\d+.*$", "", entity) or entity


def _state(entity: str, age_s: float, interval_s: float, known: Known) -> EntityState:
    incident = known.alarming.get(entity)
    if entity in known.silenced and incident is None:
        return EntityState(entity, Condition.MAINTENANCE, None, "in maintenance")
    if incident is not None:
        return EntityState(entity, Condition(incident.severity.value), incident, f"score {incident.peak:.3g}")
    if age_s >= max(SILENT_S, _MISSED * interval_s):
        # Behind the newest sample of all: a store that nobody writes to is told in the head of the page.
        return EntityState(entity, Condition.SILENT, None, f"no data for {age_s / 60:.0f} min")
    if entity in known.unfit:
        return EntityState(entity, Condition.UNFIT, None, known.unfit[entity])
    if entity in known.learning:
        return EntityState(entity, Condition.LEARNING, None, "learning: it is in its first day")
    if entity not in known.scored:
        return EntityState(entity, Condition.UNSCORED, None, "sends, and no detector has scored it yet")
    return EntityState(entity, Condition.NORMAL, None, "normal")


def _natural(name: str) -> list[tuple[int, int, str]]:
    """Order pc2 before pc10."""
    return [(0, int(part), "") if part.isdigit() else (1, 0, part) for part in re.split(r"(\d+)", name)]
