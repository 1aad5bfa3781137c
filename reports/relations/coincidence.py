"""Which incidents elsewhere started at the same time, the least likely by chance first.

Each entity's incidents are taken for a Poisson process of its own rate: an entity that alarms every few
minutes proves nothing by alarming now, one that has alarmed twice in a year does.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from anomalyd.reports.relations.incident_row import IncidentRow

RESOLUTION_S = 10.0
"""Two onsets nearer than this are no nearer: samples come once a second to once in half a minute."""

_LEAST_SPAN_S = 3600.0
_UNSEEN = 0.5  # Jeffreys' prior of a Poisson rate: one that was never seen is not impossible


@dataclass(frozen=True, slots=True)
class Coincidence:
    """An incident elsewhere that started at about the same time.

    `gap`: its onset less the other's, in seconds. `chance`: probability that its entity has an onset at least
    as near by chance. `any_chance`: that any entity has one.
    """

    row: IncidentRow
    gap: float
    chance: float
    any_chance: float


def coincidences(
    entity: str,
    onset: float,
    near: Iterable[IncidentRow],
    counts: Mapping[str, int],
    total: int,
    span_s: float,
) -> list[Coincidence]:
    """Rank incidents `near` an `onset` (event time, seconds) by how unlikely that is, one an entity.

    `counts`: incidents of each entity near it in the `span_s` seconds that the store looks back, `total`: of
    all entities; those of the near ones themselves are among them. Of `entity` itself none is given.
    """
    span_s = max(span_s, _LEAST_SPAN_S)
    nearest: dict[str, IncidentRow] = {}
    for row in near:
        known = nearest.get(row.entity)
        if row.entity != entity and (known is None or abs(row.onset - onset) < abs(known.onset - onset)):
            nearest[row.entity] = row
    found = []
    for row in nearest.values():
        gap = row.onset - onset
        window = 2 * max(abs(gap), RESOLUTION_S)
        others = max(counts.get(row.entity, 1) - 1, 0) + _UNSEEN
        found.append(
            Coincidence(
                row,
                gap,
                chance=-math.expm1(-others / span_s * window),
                any_chance=-math.expm1(-max(total, 1) / span_s * window),
            )
        )
    return sorted(found, key=lambda c: (c.chance, abs(c.gap), c.row.id))


def odds(probability: float) -> str:
    """Say a probability as people do: `one in 4,100`."""
    if probability >= 0.4:
        return "likely by chance"
    if probability < 1e-9:
        return "less than one in a billion"
    digits = 10 ** max(0, math.floor(math.log10(1 / probability)) - 1)
    return f"one in {round(1 / probability / digits) * digits:,}"
