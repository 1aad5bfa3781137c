"""Across entities: which incidents began together, who began, and who followed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

from anomalyd.reports.queries import Queries
from anomalyd.reports.relations.incident_row import IncidentRow
from anomalyd.reports.report import Incident

WITHIN_S = 900.0
"""Seconds between two onsets within which one incident may have followed the other."""

_MOST = 500  # the nearest


@dataclass(frozen=True, slots=True)
class Related:
    """Another incident near an onset: `delay_s` after it (before: negative); `shared` says what both have.

    `shared`: names of common groups as "group NAME", and "input TOPIC" for a common topic; empty: only the
    time.
    """

    report: str
    entity: str
    delay_s: float
    peak: float
    shared: tuple[str, ...]


def related_incidents(
    queries: Queries,
    incident: Incident,
    groups: Mapping[str, Sequence[str]] | None = None,
    within_s: float = WITHIN_S,
) -> list[Related]:
    """Rank the incidents of other entities around an onset: who began first, and who followed.

    `groups` are shell patterns of entities by name (a rack, a wheel). Those that share an input or a group
    come before those that share the time alone; of each the earliest onset first, then the higher peak.
    """
    found = []
    for other in queries.overview.near(incident.onset, within_s, _MOST):
        if other.entity != incident.entity:
            shared = _shared(incident, other, groups or {})
            found.append(Related(other.id, other.entity, other.onset - incident.onset, other.peak, shared))
    return sorted(found, key=lambda r: (not r.shared, r.delay_s, -r.peak, r.entity))


def told(related: Sequence[Related]) -> str:
    """Say it in a sentence; "" where nothing began with it, or only the time is shared."""
    near = [each for each in related if each.shared]
    if not near:
        return ""
    before = [each for each in near if each.delay_s < 0]
    after = [each for each in near if each.delay_s >= 0]
    first = (
        f"{before[0].entity} began {-before[0].delay_s:.0f} s earlier ({', '.join(before[0].shared)})"
        if before
        else "it began first"
    )
    if not after:
        return first
    followed = ", ".join(f"{each.entity} {each.delay_s:+.0f} s" for each in after[:5])
    more = f" and {len(after) - 5} more" if len(after) > 5 else ""
    return f"{first}; followed by {followed}{more}"


def _shared(a: Incident, b: IncidentRow, groups: Mapping[str, Sequence[str]]) -> tuple[str, ...]:
    both = [
        f"group {name}"
        for name, patterns in groups.items()
        if all(any(fnmatchcase(name_of, pattern) for pattern in patterns) for name_of in (a.entity, b.entity))
    ]
    topic = a.source.split("/")[0]
    if topic and topic == b.source.split("/")[0]:
        both.append(f"input {topic}")
    return tuple(both)
