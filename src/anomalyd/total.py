"""The counts of a whole map beside what was expected of them: detectors find it, reports say it."""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Total:
    """What raised the score of a map as a whole: its counts `seen`, and `expected` (NaN: nobody can say).

    `against`: what lets expect them, in words ("7 sister elements of the same time"); `otherwise`: the score
    were the total as expected, NaN where the map has no counts that could tell; `leads`: whether nothing else
    that was found in the map is as likely.
    """

    seen: float
    expected: float
    against: str
    otherwise: float = math.nan
    leads: bool = True

    @property
    def lines(self) -> tuple[str, ...]:
        """Say it as a cause of a report."""
        if not math.isfinite(self.expected):
            return ("the whole element counts nothing: it is dead, or not read out",)
        by = f"{self.expected:.0f} expected by {self.against}"
        if self.seen <= 0:
            return (f"the whole element counts nothing, {by}: it is dead, or not read out",)
        return (f"the total of the map: {self.seen:.0f} counts, {by} ({self._share})",)

    @property
    def _share(self) -> str:
        share = self.seen / self.expected
        return f"{share:.1f} times as many" if share >= 1.95 else f"{100 * share:.0f} %"
