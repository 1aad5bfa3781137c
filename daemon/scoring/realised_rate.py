"""How often a detector really alarms: counted over the last day of event time."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from anomalyd.detectors.calibration import ALERT

_SLOT_S = 900.0
_SLOTS = 96
"""A day in quarters of an hour: the memory is bounded, and at most 15 minutes of the day are left out."""


@dataclass(frozen=True, slots=True)
class Figures:
    """What a detector did in the last day of event time, or since the start if that is shorter.

    `rate`: share of the samples with a score above 1, None before the first. `alarms`: incidents opened.
    `entities`: how many were scored.
    """

    rate: float | None
    alarms: int
    entities: int


class RealisedRate:
    """Counts of one detector by event time; the newest event time is where the last day ends."""

    def __init__(self) -> None:
        self._samples: Counter[int] = Counter()
        self._alerts: Counter[int] = Counter()
        self._alarms: Counter[int] = Counter()
        self._entities: defaultdict[str, int] = defaultdict(int)  # the newest slot of each
        self._newest = 0

    def scored(self, entity: str, times: NDArray[np.float64], scores: NDArray[np.float64]) -> None:
        """Count samples (n,) of an entity; a score of NaN told nothing and does not count."""
        if len(times) == 1:  # of many entities a row each
            self._scored_one(entity, float(times[0]), float(scores[0]))
            return
        judged = ~np.isnan(scores)
        if not judged.any():
            return
        slots = (times // _SLOT_S).astype(np.int64)
        newest = int(slots.max())
        # Nearly every window lies within one slot.
        for slot in [newest] if slots.min() == newest else np.unique(slots).tolist():
            here = judged & (slots == slot)
            self._samples[slot] += int(np.count_nonzero(here))
            self._alerts[slot] += int(np.count_nonzero(here & (scores > ALERT)))
        self._entities[entity] = max(self._entities[entity], newest)
        self._move_on(newest)

    def _scored_one(self, entity: str, time: float, score: float) -> None:
        if math.isnan(score):
            return
        slot = int(time // _SLOT_S)
        self._samples[slot] += 1
        self._alerts[slot] += score > ALERT
        self._entities[entity] = max(self._entities[entity], slot)
        self._move_on(slot)

    def opened(self, onset: float) -> None:
        """Count an incident; `onset` is its event time."""
        self._alarms[int(onset // _SLOT_S)] += 1

    def figures(self) -> Figures:
        """Give what was counted."""
        since = self._newest - _SLOTS
        samples, alerts, alarms = (
            sum(n for slot, n in counts.items() if slot > since)
            for counts in (self._samples, self._alerts, self._alarms)
        )
        return Figures(alerts / samples if samples else None, alarms, len(self._entities))

    def _move_on(self, newest: int) -> None:
        if newest <= self._newest:
            return
        self._newest = newest
        since = newest - _SLOTS
        for counts in (self._samples, self._alerts, self._alarms):
            for slot in [slot for slot in counts if slot <= since]:
                del counts[slot]
        for entity in [entity for entity, slot in self._entities.items() if slot <= since]:
            del self._entities[entity]
