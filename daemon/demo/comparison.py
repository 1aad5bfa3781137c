"""Injected against found: which fault was seen, and which incident has no fault behind it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from anomalyd.reports.report import Incident


@dataclass(frozen=True, slots=True)
class Injected:
    """Something done on purpose: to which entity, what, and from when to when (event time, seconds)."""

    entity: str
    what: str
    first: float
    last: float


@dataclass(frozen=True, slots=True)
class Comparison:
    """What was injected and found by which report, what was missed, and the reports that nothing explains."""

    found: tuple[tuple[Injected, Incident], ...]
    missed: tuple[Injected, ...]
    false_alarms: tuple[Incident, ...]


def judge(injected: Sequence[Injected], incidents: Sequence[Incident], tolerance_s: float) -> Comparison:
    """Match incidents to what was injected: the same entity, and times that touch within a tolerance.

    The tolerance is for what the machine still does when a load has ended, and for the last map of a fault.
    """
    found: list[tuple[Injected, Incident]] = []
    missed: list[Injected] = []
    explained: set[str] = set()
    for each in injected:
        matching = [
            incident
            for incident in sorted(incidents, key=lambda i: i.onset)
            if incident.entity == each.entity
            and incident.onset <= each.last + tolerance_s
            and incident.last >= each.first - tolerance_s
        ]
        explained |= {incident.id for incident in matching}
        # The worst of them is the one that tells it best.
        if matching:
            found.append((each, max(matching, key=lambda incident: incident.peak)))
        else:
            missed.append(each)
    false_alarms = tuple(incident for incident in incidents if incident.id not in explained)
    return Comparison(tuple(found), tuple(missed), false_alarms)
