"""How rare a value is among those of training, in nats: -ln of the share of them that lay above it.

Inside the data the share is counted, as for a conformal p-value (Vovk, Gammerman, Shafer, "Algorithmic
Learning in a Random World", 2005); beyond their 97 % quantile it falls exponentially (peaks over threshold:
Pickands, Ann. Stat. 3, 1975, shape 0). Beyond four nats the height grows as its logarithm: a tail of some
dozen values cannot tell a thousandth from a millionth.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

_BEYOND = 0.03
STEPS = 33
_SURE = 4.0


def measure(
    samples: NDArray[np.floating], least_tail: NDArray[np.float32] | float
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Measure samples (P, ...): values (..., 33) that lie evenly in nats, and the tail (...) beyond them.

    `least_tail`: what one nat more asks for at least, for what hardly ever moved is not infinitely sure.
    """
    ordered = np.sort(samples.astype(np.float32), axis=0)
    at = (1.0 - np.exp(-np.linspace(0.0, -math.log(_BEYOND), STEPS))) * (len(ordered) - 1)
    steps = ordered[at.astype(int)]
    over = ordered - steps[-1]
    tail = np.maximum(over, 0.0).sum(axis=0) / np.maximum((over > 0).sum(axis=0), 1)
    return np.moveaxis(steps, 0, -1), np.maximum(tail, least_tail).astype(np.float32)


def nats(values: Tensor, steps: Tensor, tail: Tensor) -> Tensor:
    """Give how rare values (...) are by steps (..., 33) and tails (...); differentiable beyond the steps."""
    place = (values.detach()[..., None] > steps).sum(-1).clamp(max=STEPS - 1).to(values.dtype)
    inside = place * (-math.log(_BEYOND) / (STEPS - 1))
    rare = inside + (values - steps[..., -1]).clamp(min=0.0) / tail
    return torch.where(rare > _SURE, _SURE * (1.0 + torch.log(rare.clamp(min=_SURE) / _SURE)), rare)
