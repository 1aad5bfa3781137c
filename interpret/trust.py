"""How far an explanation can be trusted: put back what it blames, in its order, and watch the score fall.

Deletion as in Petsiuk, Das and Saenko, "RISE", BMVC 2018, cut short after the first parts: the further the
score falls when what is blamed first is put back to the expected, the better the explanation. The whole
curves and other measures are in `fidelity`.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from anomalyd.detectors.detector import Encoded, Explainable
from anomalyd.interpret.rescoring import Rescoring

Order = NDArray[np.int64] | Sequence[int]

GOOD = "good"
"""The word for an explanation that says what raised the score."""

_GOOD, _FAIR = 0.7, 0.3
"""Part of the fall that the first three explain from which an explanation is good, or fair."""

_FIRST = 3

_LIT = 0.25


def order_of(values: NDArray[np.float32]) -> NDArray[np.int64]:
    """Give the metrics that an attribution (F,) holds present, those most to blame first."""
    order = np.argsort(-np.nan_to_num(values, nan=-np.inf), kind="stable")
    found: NDArray[np.int64] = order[np.isfinite(values[order])]
    return found


def trust_of(rescoring: Rescoring, values: NDArray[np.float32]) -> str:
    """Give a plain word for an attribution (F,): "good", "fair" or "weak"; "" where no score fell."""
    order = [metric for metric in order_of(values) if values[metric] > 0]
    course = _course(rescoring, [order[: k + 1] for k in range(min(_FIRST, len(order)))])
    if not len(course):
        return "" if order else _word(0.0)
    return _word(1.0 - float(course.min()))


def trust_of_map(detector: Explainable, encoded: Encoded, values: NDArray[np.float32]) -> str:
    """Give the same word for an attribution of a map (R, C), by the cells blamed a quarter of the most."""
    put_back = torch.where(blamed_inputs(encoded, values), encoded.baseline, encoded.inputs)
    variants = [encoded.inputs, put_back, encoded.baseline]
    several = tuple(each.expand(3, *each.shape[1:]) for each in encoded.context)
    with torch.no_grad():
        observed, without, usual = detector.forward(torch.cat(variants), *several).tolist()
    if not observed > usual:
        return ""
    return _word((observed - without) / (observed - usual))


def blamed_inputs(encoded: Encoded, values: NDArray[np.float32]) -> Tensor:
    """Say which inputs belong to cells (R, C) that are blamed at least a quarter of the most."""
    blame = np.nan_to_num(values.astype(np.float64))
    lit = (blame >= _LIT * blame.max(initial=0.0)) & (blame > 0)
    return torch.from_numpy(lit.ravel())[encoded.feature.clamp(min=0)] & (encoded.feature >= 0)


def _word(explained: float) -> str:
    return GOOD if explained >= _GOOD else "fair" if explained >= _FAIR else "weak"


def _course(rescoring: Rescoring, put_back: Sequence[Order]) -> NDArray[np.float64]:
    """Give the scores with these metrics put back, 1 as observed and 0 as expected; empty if none fell."""
    observed, usual = rescoring.ends()
    if observed <= usual:
        return np.empty(0)
    course: NDArray[np.float64] = (rescoring.scores_without(put_back) - usual) / (observed - usual)
    return course
