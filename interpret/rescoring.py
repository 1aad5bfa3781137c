"""A detector as a function of what an entity sent: the score of the last row, with some rows put otherwise.

It asks the detector itself, with the state that it had before the rows. So it holds for every detector, also
for what no gradient shows: a metric that stands still, a mean that follows.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from anomalyd.detectors.detector import Detector, SeriesWindow

Rows = NDArray[np.float32]
Metrics = Iterable[int] | NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Rescoring:
    """The rows of a window (n, F), the last being the sample, and what was `expected` instead (n, F)."""

    detector: Detector
    window: SeriesWindow
    expected: Rows
    _known: dict[frozenset[int], float] = field(default_factory=dict, compare=False, repr=False)

    @property
    def metrics(self) -> int:
        """The number of metrics, F."""
        return int(self.window.values.shape[1])

    def scores(self, variants: Sequence[Rows]) -> NDArray[np.float64]:
        """Give the raw score (V,) of the last row of each variant (n, F) of the window, in one batch."""
        window = self.window
        found = self.detector.score(
            [SeriesWindow(window.entity, window.times, rows, window.state) for rows in variants]
        )
        return np.array([scored.raw[-1] for scored in found])

    def scores_without(self, parts: Sequence[Metrics]) -> NDArray[np.float64]:
        """Give the raw score (P,) where the metrics of each part did what was expected; 0: it cannot tell.

        Each set of metrics is scored once, however often it is asked for: all that are new in one batch.
        """
        return np.nan_to_num(self._scored_without(parts))

    def observed(self) -> float:
        """Give the raw score as observed, NaN where the detector cannot tell."""
        return float(self._scored_without([()])[0])

    def _scored_without(self, parts: Sequence[Metrics]) -> NDArray[np.float64]:
        wanted = [frozenset(int(metric) for metric in part) for part in parts]
        new = list(dict.fromkeys(part for part in wanted if part not in self._known))
        if new:
            scored = self.scores([self.with_expected(sorted(part)) for part in new])
            self._known.update(zip(new, scored.tolist(), strict=True))
        return np.array([self._known[part] for part in wanted])

    def ends(self) -> tuple[float, float]:
        """Give the raw score as observed, and where every metric did what was expected."""
        observed, usual = self.scores_without([(), range(self.metrics)])
        return float(observed), float(usual)

    def with_expected(self, metrics: Sequence[int] | NDArray[np.int64]) -> Rows:
        """Give the rows in which these metrics did what was expected of them; what is missing stays so."""
        rows = self.window.values.copy()
        columns = np.asarray(metrics, dtype=np.int64)
        rows[:, columns] = np.where(np.isnan(rows[:, columns]), np.nan, self.expected[:, columns])
        return rows
