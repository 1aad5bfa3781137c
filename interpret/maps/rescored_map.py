"""Any detector of maps as a function of the counts of the last one, by asking it for its score again.

So occlusion works where there is no gradient: for the likelihood scan and the classical tests.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from anomalyd.detectors.detector import Detector, Encoded, SeriesWindow


class RescoredMap:
    """The last map of a window under a detector; has the calls of `Explainable`, but no gradient."""

    def __init__(self, detector: Detector, window: SeriesWindow) -> None:
        self._detector = detector
        self._window = window
        self._missing = ~np.isfinite(window.values[-1])

    def encode(self, window: SeriesWindow) -> Encoded:
        """Give the counts (1, R, C), and as the baseline what the detector expects."""
        (scored,) = self._detector.score([window])
        expected = np.where(np.isfinite(scored.expectation[-1]), scored.expectation[-1], window.values[-1])
        counts, usual = (
            torch.from_numpy(np.nan_to_num(each).astype(np.float32))[None]
            for each in (window.values[-1], np.rint(expected))
        )
        cells = np.arange(self._missing.size).reshape(self._missing.shape)
        return Encoded(counts, usual, (), torch.from_numpy(np.where(self._missing, -1, cells)))

    def forward(self, inputs: Tensor, *context: Tensor) -> Tensor:
        """Give the raw score (N,) of counts (N, R, C); 0 where the detector cannot tell."""
        window = self._window
        variants = []
        for counts in inputs.detach().numpy():
            values = window.values.copy()
            values[-1] = np.where(self._missing, np.nan, counts)
            variants.append(replace(window, values=values))
        raw = [scored.raw[-1] for scored in self._detector.score(variants)]
        return torch.from_numpy(np.nan_to_num(np.array(raw, dtype=np.float32)))
