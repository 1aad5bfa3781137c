"""Integrated gradients: the score's slope, summed on the straight way from normal to observed.

Sundararajan, Taly and Yan, "Axiomatic attribution for deep networks", ICML 2017; captum's
`IntegratedGradients`. The attributions add up to score(observed) - score(baseline): completeness.
"""

from __future__ import annotations

import numpy as np
from captum.attr import IntegratedGradients
from numpy.typing import NDArray
from torch import Tensor

from anomalyd.detectors.detector import Encoded, Explainable
from anomalyd.interpret.attribution import Attribution, folded
from anomalyd.interpret.budget import Budget

METHOD = "integrated-gradients"

_STEPS = (8, 16, 32, 64, 128, 256)  # points on the way: each try doubles the one before
_PER_EVALUATION = 16  # points in one forward and backward: bounds the memory
_TOLERANCE = 0.01  # what completeness may miss, as a share of the score's change; nobody reads more digits


def integrated_gradients(
    detector: Explainable, encoded: Encoded, present: NDArray[np.bool_], budget: Budget
) -> Attribution:
    """Attribute the score of one sample to its inputs, summed over the inputs of each metric or cell.

    `present` (F,) or (R, C): which metrics or cells were observed; the others get NaN, and what the past of
    a metric that is missing now may have added is left out. The integral is taken with 8 points, then with
    twice as many, until completeness holds within 1 % or 256 points are reached (a score with kinks may need
    them). It ends early where the next try would not fit into the budget.
    """
    method = IntegratedGradients(detector.forward)
    complete = False
    for steps, following in zip(_STEPS, (*_STEPS[1:], None), strict=True):
        before = budget.used()
        per_input, missed = _integrate(method, encoded, steps)
        took = budget.used() - before
        # The change of the score and what was missed of it, from one call: delta = sum - change.
        change = float(per_input.sum()) - missed
        complete = following is None or abs(missed) <= _TOLERANCE * abs(change)
        if complete or took * 2 > budget.left():
            break
    return folded(METHOD, per_input, encoded.feature, present, budget, complete=complete)


def integrate(detector: Explainable, encoded: Encoded, steps: int) -> Tensor:
    """Give the attribution of each input (1, *shape), with so many points on the way."""
    return _integrate(IntegratedGradients(detector.forward), encoded, steps)[0]


def _integrate(method: IntegratedGradients, encoded: Encoded, steps: int) -> tuple[Tensor, float]:
    """Give the attribution of each input (1, *shape), and what their sum has beyond the score's change."""
    per_input, delta = method.attribute(
        encoded.inputs,
        baselines=encoded.baseline,
        additional_forward_args=encoded.context or None,
        n_steps=steps,
        internal_batch_size=_PER_EVALUATION,
        return_convergence_delta=True,
    )
    return per_input.detach(), float(delta.sum())
