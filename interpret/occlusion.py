"""Occlusion: black out a metric, or a window of cells, and see how far the score falls.

Zeiler and Fergus, "Visualizing and understanding convolutional networks", ECCV 2014; captum's
`FeatureAblation`. What is blacked out takes its value when all is normal (`Encoded.baseline`): a metric over
the whole window of its recent past, a map in hardware units, whole rows, and rectangles down to single cells.
"""

from __future__ import annotations

import numpy as np
import torch
from captum.attr import FeatureAblation
from numpy.typing import NDArray
from torch import Tensor

from anomalyd.detectors.detector import Encoded, Explainable
from anomalyd.interpret.attribution import Attribution, fold
from anomalyd.interpret.budget import Budget
from anomalyd.interpret.maps.windows import COARSE, FINE, Cells, Scale, scales_of

METHOD = "occlusion"

_PER_EVALUATION = 16  # inputs in one forward: beyond some 16 a small network on one core gains nothing
_PER_CALL = 64  # windows between two looks at the clock: some milliseconds of work

_OF_COARSE, _OF_FINE = 6, 8
"""Windows of one scale that are tried, those that depart most."""

_HELD = 0.1
"""Part of the largest fall from which a coarse window is looked at more finely."""


def occlusion(
    detector: Explainable,
    encoded: Encoded,
    present: NDArray[np.bool_],
    budget: Budget,
    units: Scale | None = None,
) -> Attribution:
    """Attribute the score of one sample by blacking out its parts.

    `present` (F,) or (R, C): which metrics or cells were observed; `units`: the hardware units of a map. A
    metric gets the fall of the score without it. A cell gets the mean over the scales, from units to single
    cells, of its share of the falls of the windows that it lies in: as large as its part in what a window
    departs together; 0 on a scale where no window that holds it departs enough to be tried. NaN: not
    observed, or a metric not reached within the budget. The first chunk of work is always done.
    """
    if present.ndim == 2:
        return _of_map(detector, encoded, present, budget, units)
    values = np.full(present.size, np.nan, dtype=np.float32)
    departure = fold((encoded.inputs - encoded.baseline).abs(), encoded.feature, present.size)
    order = sorted(np.flatnonzero(present), key=lambda f: -departure[f])
    complete = True
    for start in range(0, len(order), _PER_CALL):
        if start and budget.left() <= 0:
            complete = False
            break
        part = order[start : start + _PER_CALL]
        windows = [np.array([f]) for f in part]
        values[part] = _falls(detector, encoded, windows, present.size)
    return Attribution(METHOD, values, budget.used(), complete)


def _of_map(
    detector: Explainable,
    encoded: Encoded,
    present: NDArray[np.bool_],
    budget: Budget,
    units: Scale | None,
) -> Attribution:
    """Try coarse windows first, and finer ones inside those without which the score falls."""
    away = fold(encoded.inputs - encoded.baseline, encoded.feature, present.size)
    usual = fold(encoded.baseline, encoded.feature, present.size)
    departure = away / np.sqrt(np.maximum(np.abs(usual), 1.0))  # counts scatter by their square root
    values, held = np.zeros(present.size), np.zeros(present.size, dtype=np.bool_)
    coarse = [*([] if units is None else [units]), *scales_of(present, COARSE)]
    fine = scales_of(present, FINE)
    chosen = [scale.choose(departure, _OF_COARSE) for scale in coarse]
    falls = _each_fall(detector, encoded, chosen, present.size)
    highest = max((fall for of_scale in falls for fall in of_scale), default=0.0)
    for windows, of_scale in zip(chosen, falls, strict=True):
        values += _shared(windows, of_scale, away) / (len(coarse) + len(fine))
        for cells, fall in zip(windows, of_scale, strict=True):
            held[cells] |= fall >= _HELD * highest > 0
    complete = budget.left() > 0
    if complete and held.any():
        chosen = [scale.choose(departure, _OF_FINE, held) for scale in fine]
        falls = _each_fall(detector, encoded, chosen, present.size)
        for windows, of_scale in zip(chosen, falls, strict=True):
            values += _shared(windows, of_scale, away) / (len(coarse) + len(fine))
    found = np.where(present.ravel(), values, np.nan).reshape(present.shape)
    return Attribution(METHOD, found.astype(np.float32), budget.used(), complete)


def _each_fall(
    detector: Explainable, encoded: Encoded, scales: list[list[Cells]], size: int
) -> list[list[float]]:
    """Give the falls of the windows of each scale, all of them in one call."""
    together = [cells for windows in scales for cells in windows]
    falls = iter(_falls(detector, encoded, together, size).tolist() if together else [])
    return [[next(falls) for _ in windows] for windows in scales]


def _shared(windows: list[Cells], falls: list[float], away: NDArray[np.float64]) -> NDArray[np.float64]:
    """Share the fall of each window among its cells that depart as it does, and take means: (R * C,)."""
    shares, tried = np.zeros(len(away)), np.zeros(len(away))
    for cells, fall in zip(windows, falls, strict=True):
        along = np.maximum(away[cells] * np.sign(away[cells].sum()), 0.0)
        if along.sum() > 0:
            shares[cells] += fall * along / along.sum()
        tried[cells] += 1
    found: NDArray[np.float64] = shares / np.maximum(tried, 1)
    return found


def _falls(detector: Explainable, encoded: Encoded, windows: list[Cells], size: int) -> NDArray[np.float64]:
    """Give the fall of the score (G,) when each of the windows is blacked out alone."""
    # One column more than there are cells, always 0: the feature -1 (an input of no cell) points at it.
    member = torch.zeros(len(windows), size + 1, dtype=encoded.inputs.dtype)
    for row, cells in enumerate(windows):
        member[row, torch.from_numpy(cells)] = 1
    reach = member[:, encoded.feature.flatten()]

    def score_with(kept: Tensor, *context: Tensor) -> Tensor:
        """Score inputs where `kept` (N, G) is 0 for the windows that are blacked out."""
        hidden = ((1 - kept) @ reach > 0).reshape(-1, *encoded.inputs.shape[1:])
        return detector.forward(torch.where(hidden, encoded.baseline, encoded.inputs), *context)

    falls: Tensor = FeatureAblation(score_with).attribute(
        torch.ones(1, len(windows), dtype=encoded.inputs.dtype),
        additional_forward_args=encoded.context or None,
        perturbations_per_eval=_PER_EVALUATION,
    )
    return np.asarray(falls.detach().numpy()[0], dtype=np.float64)
