"""A detector as a function of what an entity sent: the score of the last row, with some rows put otherwise.

It asks the detector itself, with the state that it had before the rows. So it holds for every detector, also
for what no gradient shows: a metric that stands still, a mean that follows.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from anomalyd.detectors.detector import Detector, SeriesWindow

Rows = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Rescoring:
    """The rows of a window (n, F), the last being the sample, and what was `expected` instead (n, F)."""

    detector: Detector
    window: SeriesWindow
    expected: Rows

    def scores(self, variants: Sequence[Rows]) -> NDArray[np.float64]:
        """Give the raw score (V,) of the last row of each variant (n, F) of the window."""
        window = self.window
        found = self.detector.score(
            [SeriesWindow(window.entity, window.times, rows, window.state) for rows in variants]
        )
        return np.array([scored.raw[-1] for scored in found])

    def with_expected(self, metrics: Sequence[int] | NDArray[np.int64]) -> Rows:
        """Give the rows in which these metrics did what was expected of them; what is missing stays so."""
        rows = self.window.values.copy()
        columns = np.asarray(metrics, dtype=np.int64)
        rows[:, columns] = np.where(np.isnan(rows[:, columns]), np.nan, self.expected[:, columns])
        return rows
