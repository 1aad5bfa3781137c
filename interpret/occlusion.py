"""Occlusion: black out a metric, or a window of cells, and see how far the score falls.

Zeiler and Fergus, "Visualizing and understanding convolutional networks", ECCV 2014; captum's
`FeatureAblation`. What is blacked out takes its value when all is normal (`Encoded.baseline`): a metric over
the whole window of its recent past, a map in windows from whole rows down to single cells.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from captum.attr import FeatureAblation
from numpy.typing import NDArray
from torch import Tensor

from anomalyd.detectors.detector import Encoded, Explainable
from anomalyd.interpret.attribution import Attribution
from anomalyd.interpret.budget import Budget

METHOD = "occlusion"

_PER_EVALUATION = 16  # inputs in one forward: beyond some 16 a small network on one core gains nothing
_PER_CALL = 64  # windows between two looks at the clock: some milliseconds of work

# Rows x columns, coarse to fine, so that a budget that ends early leaves a blurred picture of the whole map
# and not a sharp one of its corner. None: the whole row.
_WINDOWS: tuple[tuple[int, int | None], ...] = ((1, None), (4, 16), (1, 16), (4, 4), (1, 4), (1, 1))

Cells = NDArray[np.int64]
"""What is blacked out together: indices into the flattened (F,) or (R, C)."""


def occlusion(
    detector: Explainable, encoded: Encoded, present: NDArray[np.bool_], budget: Budget
) -> Attribution:
    """Attribute the score of one sample by blacking out its parts.

    `present` (F,) or (R, C): which metrics or cells were observed. A metric gets the fall of the score
    without it. A cell gets the mean, over the windows it lies in, of its share of the fall: as large as its
    part in the window's departure from normal, since blacking out what is normal changes nothing.
    NaN: not observed, or not reached within the budget (at least one chunk of windows is always done).
    """
    fall = np.zeros(present.size)
    tried = np.zeros(present.size)
    complete = True
    departure = _departure(encoded, present)
    for windows in _chunks(_scales(present), departure):
        if tried.any() and budget.left() <= 0:
            complete = False
            break
        for cells, score in zip(windows, _falls(detector, encoded, windows, present.size), strict=True):
            whole = departure[cells].sum()
            if whole > 0:
                fall[cells] += score * departure[cells] / whole
            tried[cells] += 1
    values = np.full(present.size, np.nan, dtype=np.float32)
    np.divide(fall, tried, out=values, where=tried > 0, casting="same_kind")
    return Attribution(METHOD, values.reshape(present.shape), budget.used(), complete)


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


def _chunks(scales: list[list[Cells]], departure: NDArray[np.float64]) -> Iterator[list[Cells]]:
    """Cut each scale into calls, the windows that depart most from normal first."""
    for windows in scales:
        ordered = sorted(windows, key=lambda cells: -float(departure[cells].mean()))
        for start in range(0, len(ordered), _PER_CALL):
            yield ordered[start : start + _PER_CALL]


def _departure(encoded: Encoded, present: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Sum |inputs - baseline| over the inputs of each metric or cell, flattened."""
    feature = encoded.feature.flatten().numpy()
    away = (encoded.inputs - encoded.baseline).abs().flatten().detach().numpy()
    sums = np.bincount(feature[feature >= 0], weights=away[feature >= 0], minlength=present.size)
    return sums.astype(np.float64)


def _scales(present: NDArray[np.bool_]) -> list[list[Cells]]:
    """List the windows of each scale, without what was not observed and without empty ones."""
    if present.ndim == 1:
        return [[np.array([f]) for f in np.flatnonzero(present)]]
    scales = []
    taken: set[tuple[int, int]] = set()
    for height, width in _WINDOWS:
        size = (min(height, present.shape[0]), min(width or present.shape[1], present.shape[1]))
        if size not in taken:  # a small map makes some sizes the same
            taken.add(size)
            scales.append(list(_windows(present, *size)))
    return scales


def _windows(present: NDArray[np.bool_], height: int, width: int) -> Iterator[Cells]:
    """Slide a window over a map by half its size, so that an edge of a fault never hides between two."""
    rows, columns = present.shape
    index = np.arange(present.size).reshape(present.shape)
    for top in _starts(rows, height):
        for left in _starts(columns, width):
            place = (slice(top, top + height), slice(left, left + width))
            cells = index[place][present[place]]
            if len(cells):
                yield cells


def _starts(length: int, size: int) -> range:
    """Where windows of this size begin: the last one ends at or behind the end of the row."""
    step = max(1, size // 2)
    return range(0, max(1, length - size + step), step)
