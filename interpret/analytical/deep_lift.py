"""DeepLIFT, rescale rule: what each unit changed against its baseline, instead of its slope.

Shrikumar, Greenside and Kundaje, "Learning important features through propagating activation differences",
ICML 2017; for the modules that captum's `DeepLift` knows the same as it. The rule is used for every
element-wise function with a bend, squares and logarithms too, so a unit in saturation still has its part.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from anomalyd.detectors.detector import Encoded, Explainable
from anomalyd.interpret.analytical.backward_rules import CURVED, gradient_under
from anomalyd.interpret.attribution import Attribution, folded
from anomalyd.interpret.budget import Budget

METHOD = "deep-lift"

_SAME = 1e-6
"""Differences below this have no ratio; the derivative stands in."""


def deep_lift(
    detector: Explainable, encoded: Encoded, present: NDArray[np.bool_], budget: Budget
) -> Attribution:
    """Attribute the score of one sample (1, *shape) to its metrics (F,) or cells (R, C).

    Sample and baseline go through the network together, so that the rule sees both.
    """
    both = torch.cat([encoded.inputs, encoded.baseline])
    multiplier = gradient_under(rescaled, CURVED, detector.forward, both, encoded.context)[:1]
    values = multiplier * (encoded.inputs - encoded.baseline)
    return folded(METHOD, values, encoded.feature, present, budget)


def rescaled(back: Tensor, x: Tensor, y: Tensor, derivative: Tensor) -> Tensor:
    """Go back by what changed over what came in, of the two in the batch: the sample and its baseline.

    The batch is the first dimension, or the last one (sums over windows of a map); what has no such
    dimension does not depend on it.
    """
    batch = 0 if x.shape[0] == 2 else -1
    if x.shape[batch] != 2:
        return back * derivative
    came, changed = (part.select(batch, 0) - part.select(batch, 1) for part in (x, y))
    ratio = torch.where(came.abs() > _SAME, changed / came, derivative.select(batch, 0))
    return back * ratio.unsqueeze(batch)
