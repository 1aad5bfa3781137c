"""Guided backpropagation: only what raises the score goes back, and only through units that were active.

Springenberg, Dosovitskiy, Brox and Riedmiller, "Striving for simplicity: the all convolutional net", ICLR
2015 workshop; for networks of ReLU as captum's `GuidedBackprop`. The gradient is taken times how far the
input is from its baseline, so that what is normal has no part. The method is known to depend little on the
weights (Adebayo et al., "Sanity checks for saliency maps", NeurIPS 2018): read it beside others.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from anomalyd.detectors.detector import Encoded, Explainable
from anomalyd.interpret.analytical.backward_rules import times_departure
from anomalyd.interpret.attribution import Attribution
from anomalyd.interpret.budget import Budget

METHOD = "guided-backpropagation"


def guided_backpropagation(
    detector: Explainable, encoded: Encoded, present: NDArray[np.bool_], budget: Budget
) -> Attribution:
    """Attribute the score of one sample to its metrics (F,) or cells (R, C): one pass back."""
    return times_departure(METHOD, guided, detector, encoded, present, budget)


def guided(back: Tensor, x: Tensor, y: Tensor, derivative: Tensor) -> Tensor:
    """Let through what raises the score, where the unit was active."""
    return back.clamp(min=0) * derivative * (x > 0)
