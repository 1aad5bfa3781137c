"""What needs somebody most: what started together is one line, not one for each of fourteen hosts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from anomalyd.assistant.language.phrasing import duration, listed
from anomalyd.dashboard import wording
from anomalyd.reports.relations.incident_row import RANK, IncidentRow

_TOGETHER_S = 60.0
"""As in the list of incidents."""
_NAMED = 2


@dataclass(frozen=True, slots=True)
class Urgent:
    """Open incidents of one detector that started together, by onset, and the worst of them."""

    rows: tuple[IncidentRow, ...]
    worst: IncidentRow


def groups(rows: Sequence[IncidentRow]) -> list[Urgent]:
    """Group open incidents, the most urgent first: by severity, then the latest."""
    found: list[list[IncidentRow]] = []
    for row in sorted(rows, key=lambda r: (r.detector, r.onset)):
        first = found[-1][0] if found else None
        if first is not None and first.detector == row.detector and row.onset - first.onset <= _TOGETHER_S:
            found[-1].append(row)
        else:
            found.append([row])
    made = [Urgent(tuple(group), max(group, key=lambda r: (RANK[r.severity], r.peak))) for group in found]
    return sorted(made, key=lambda group: (-RANK[group.worst.severity], -group.rows[0].onset))


def words(group: Urgent, now: float) -> str:
    """Say who, for how long, and how bad it is; `now` in seconds since the epoch."""
    names = [group.worst.entity, *(row.entity for row in group.rows if row is not group.worst)]
    many = f"{len(names):,}: " if len(names) > 1 else ""
    since, score = duration(now - group.rows[0].onset), wording.score(group.worst.peak)
    return f"{many}{listed(names, limit=_NAMED)} · for {since} · score {score}"
