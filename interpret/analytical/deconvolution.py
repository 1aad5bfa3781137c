"""Deconvolution: the way back through the layers as a network of its own, whatever was active on the way.

Zeiler and Fergus, "Visualizing and understanding convolutional networks", ECCV 2014; for networks of ReLU as
captum's `Deconvolution`. Taken times how far the input is from its baseline, as guided backpropagation, with
whose weakness: it depends little on the weights.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from anomalyd.detectors.detector import Encoded, Explainable
from anomalyd.interpret.analytical.backward_rules import times_departure
from anomalyd.interpret.attribution import Attribution
from anomalyd.interpret.budget import Budget

METHOD = "deconvolution"


def deconvolution(
    detector: Explainable, encoded: Encoded, present: NDArray[np.bool_], budget: Budget
) -> Attribution:
    """Attribute the score of one sample to its metrics (F,) or cells (R, C): one pass back."""
    return times_departure(METHOD, deconvolved, detector, encoded, present, budget)


def deconvolved(back: Tensor, x: Tensor, y: Tensor, derivative: Tensor) -> Tensor:
    """Let through what raises the score."""
    return back.clamp(min=0)
