"""Which cells of a map are to blame for its score: the regions that disagree, one after another."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from anomalyd.detectors.maps.scan import Boxes, Scan, Suspect

_STRIKING = 12.0  # nats from which a map is searched for further regions: normal maps stay below
_MOST_REGIONS = 3


def blame(
    scan: Scan, residual: Tensor, expected: Tensor, error: Tensor, dispersion: Tensor, drift: Tensor
) -> tuple[NDArray[np.float64], NDArray[np.float32]]:
    """Score maps (N,) and say who is to blame in each (N, R, C), >= 0.

    Cells of the worst window get the window's pull and their own `error` on top; the others at most half of
    the pull, so that half of the maximum separates them. In striking maps up to two more windows that pull
    as far on their own are looked for with the first one taken out.
    """
    raw, suspect = scan.examine(residual, expected, dispersion, drift)
    own = error.abs().numpy()
    strength = np.abs(suspect.pull)
    blamed = 0.5 * np.minimum(own, strength[:, None, None])
    counted = expected.numpy() > 0
    left = np.arange(len(raw))
    evidence = raw
    for round_ in range(_MOST_REGIONS):
        cells = _inside(suspect.boxes, blamed.shape[1:]) & counted[left]
        pull = np.abs(suspect.pull)[:, None, None]
        blamed[left] = np.where(cells, pull + own[left], blamed[left])
        striking = evidence > _STRIKING
        if round_ + 1 == _MOST_REGIONS or not striking.any():
            break
        residual, expected = residual[striking].clone(), expected[striking].clone()
        for k, box in enumerate(suspect.boxes[striking]):
            residual[k, box[0] : box[1], box[2] : box[3]] = 0
            expected[k, box[0] : box[1], box[2] : box[3]] = 0
        left, dispersion, drift = left[striking], dispersion[striking], drift[striking]
        evidence, suspect = scan.examine(residual, expected, dispersion, drift)
        again = evidence > _STRIKING
        residual, expected, dispersion, drift = (
            residual[again],
            expected[again],
            dispersion[again],
            drift[again],
        )
        left, evidence = left[again], evidence[again]
        suspect = Suspect(suspect.boxes[again], suspect.pull[again])
    return raw, blamed


def _inside(boxes: Boxes, shape: tuple[int, ...]) -> NDArray[np.bool_]:
    """Say which cells (N, R, C) lie in boxes (N, 4)."""
    top, bottom, left, right = (edge[:, None] for edge in boxes.T)
    row, column = (np.arange(size) for size in shape)
    rows, columns = (row >= top) & (row < bottom), (column >= left) & (column < right)
    inside: NDArray[np.bool_] = rows[:, :, None] & columns[:, None, :]
    return inside
