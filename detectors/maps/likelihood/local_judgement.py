"""What maps say of themselves, and which of their places they blame."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from anomalyd.detectors.maps.neighbours.evidence import LocalEvidence
from anomalyd.detectors.maps.places.places import Counts

_LIKELY = 6.0
"""Classes that are this many nats less likely than the likeliest are not blamed."""

_CERTAIN = 20.0  # log odds from which local evidence blames a place beside a likelier one
_SUSPECT = 1.0  # log odds from which local evidence spreads its blame over several places


@dataclass(slots=True)
class LocalJudgement:
    """What the maps of a chunk say of themselves: log odds (n,) of each class and of all, and how to
    blame.
    """

    evidence: LocalEvidence
    first: int
    odds: NDArray[np.float64]
    score: NDArray[np.float64]

    def blame(self, k: int) -> Counts:
        """Spread the blame (R, C) of map k over the places of its likely classes, below 0 where lost."""
        i = self.first + k
        odds = self.odds[k]
        top = float(odds.max())
        floor = top - (_LIKELY if top > _SUSPECT else 1e-9)
        found: Counts | None = None
        for c, nats in zip(self.evidence.classes, odds.tolist(), strict=True):
            if nats < floor:
                continue
            part = c.cells(i) * np.float32(np.exp(nats - self.score[k]) * (-1 if c.lost[i] else 1))
            found = part if found is None else found + part
        assert found is not None
        return self._with_others(k, found)

    def _with_others(self, k: int, blame: Counts) -> Counts:
        """Blame what else is beyond doubt and lies elsewhere: a map may be broken in several places.

        Only losses: beside one of them what is whole looks hot. What shares a cell with a likelier place may
        be no more than that.
        """
        i = self.first + k
        for number in np.argsort(-self.odds[k], kind="stable").tolist():
            if self.odds[k, number] < _CERTAIN:
                break
            c = self.evidence.classes[number]
            if not c.lost[i]:
                continue
            cells = c.cells(i)
            if not blame[cells].any():
                blame = np.where(cells, np.float32(-1), blame)
        return blame
