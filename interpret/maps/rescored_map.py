"""Any detector of maps as a function of the counts of the last one, by asking it for its score again.

So occlusion works where there is no gradient: for the likelihood scan and the classical tests.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from anomalyd.detectors.detector import Detector, Encoded, SeriesWindow
from anomalyd.detectors.maps.regions import highlighted

_APART_S = 1e-3
"""Seconds between two variants of a map: next to nothing of what a detector remembers."""

_ROUNDS = 3
"""Times that the detector is asked what it expects."""


class RescoredMap:
    """The last map of a window under a detector; has the calls of `Explainable`, but no gradient."""

    def __init__(self, detector: Detector, window: SeriesWindow) -> None:
        self._detector = detector
        self._window = window
        self._missing = ~np.isfinite(window.values[-1])

    def encode(self, window: SeriesWindow) -> Encoded:
        """Give the counts (1, R, C), and as the baseline what the detector expects without what it blames.

        What it expects is made from the map itself, too: a dead superlayer lowers it everywhere. So what is
        blamed is put to the expected, and the detector asked again.
        """
        values = window.values.copy()
        blamed = np.zeros_like(self._missing)
        for _ in range(_ROUNDS):
            (scored,) = self._detector.score([replace(window, values=values)])
            usual = scored.expectation[-1]
            expected = np.rint(np.where(np.isfinite(usual), usual, window.values[-1]))
            blamed |= highlighted(scored.contribution[-1]) & ~self._missing
            values[-1] = np.where(blamed, expected, window.values[-1])
        counts, usual_counts = (
            torch.from_numpy(np.nan_to_num(each).astype(np.float32))[None]
            for each in (window.values[-1], expected)
        )
        cells = np.arange(self._missing.size).reshape(self._missing.shape)
        return Encoded(counts, usual_counts, (), torch.from_numpy(np.where(self._missing, -1, cells)))

    def forward(self, inputs: Tensor, *context: Tensor) -> Tensor:
        """Give the raw score (N,) of counts (N, R, C); 0 where the detector cannot tell."""
        window = self._window
        variants = []
        for k, counts in enumerate(inputs.detach().numpy()):
            values = window.values.copy()
            values[-1] = np.where(self._missing, np.nan, counts)
            # At a moment of its own: maps of one time are taken for sisters, and judged beside each other.
            variants.append(replace(window, times=window.times + k * _APART_S, values=values))
        raw = [scored.raw[-1] for scored in self._detector.score(variants)]
        return torch.from_numpy(np.nan_to_num(np.array(raw, dtype=np.float32)))
