"""What raised the score, per metric or per cell: the result that every method returns."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:  # pictures are drawn without torch
    from torch import Tensor

    from anomalyd.interpret.budget import Budget


@dataclass(frozen=True, slots=True)
class Attribution:
    """What raised the score.

    `values` (F,) or (R, C): how much of the raw score each metric or cell is answerable for (positive:
    raised it; NaN: missing or masked). `complete` is False where the time budget ended the method early,
    `seconds` is what it took. `trust` is a plain word for how far to trust it ("good", "fair", "weak"), ""
    where nobody asked.
    """

    method: str
    values: NDArray[np.float32]
    seconds: float
    complete: bool = True
    trust: str = ""


def folded(
    method: str,
    per_input: Tensor,
    feature: Tensor,
    present: NDArray[np.bool_],
    budget: Budget,
    *,
    complete: bool = True,
) -> Attribution:
    """Sum attributions of inputs (1, *shape) by the metric or cell they belong to; NaN if not `present`."""
    values = np.where(present.ravel(), fold(per_input, feature, present.size), np.nan)
    return Attribution(method, values.reshape(present.shape).astype(np.float32), budget.used(), complete)


def fold(per_input: Tensor, feature: Tensor, size: int) -> NDArray[np.float64]:
    """Sum the attributions of inputs (1, *shape) by the metric or cell they belong to: (size,)."""
    places = feature.flatten().numpy()
    known = places >= 0
    weights = per_input.detach().flatten().double().numpy()[known]
    return np.bincount(places[known], weights=weights, minlength=size).astype(np.float64)
