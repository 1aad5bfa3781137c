"""What a hidden unit looks for, in the space of the inputs.

Its response is a score like any other, so every method explains it: occlusion (Zeiler and Fergus, ECCV 2014)
and gradients (integrated, of a neuron: Dhamdhere, Sundararajan and Yan, "How important is a neuron?", ICLR
2019). And an input that excites it most is climbed to (Erhan, Bengio, Courville and Vincent, "Visualizing
higher-layer features of a deep network", 2009), not far from what is normal.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from anomalyd.detectors.detector import Encoded, Explainable, Layered
from anomalyd.interpret.attribution import fold
from anomalyd.interpret.neurons.activations import UsualActivity, by_unit, recording

_CLIMBED = 60
_PRICE = 0.05
"""What a departure of one width in every input costs, in spreads of the unit."""


class HiddenUnit:
    """One unit's response as a score of the inputs, with the calls of `Explainable`."""

    def __init__(self, detector: Layered, usual: UsualActivity, layer: str, unit: int, side: int) -> None:
        assert isinstance(detector, Explainable)
        self._detector = detector
        self._layers = {layer: detector.hidden_layers()[layer]}
        self._usual, self._layer, self._unit, self._side = usual, layer, unit, side
        self.encode = detector.encode

    def forward(self, inputs: Tensor, *context: Tensor) -> Tensor:
        """Give the response (N,) to inputs (N, *shape), where it is largest, in spreads."""
        several = tuple(each.expand(len(inputs), *each.shape[1:]) for each in context)
        with recording(self._layers) as held:
            self._detector.forward(inputs, *several)
        output = by_unit(held[self._layer], len(inputs), inputs.shape[-1])
        away = self._usual.unusual(self._layer, output)[:, self._unit]
        return (self._side * away).amax(dim=1)


def exciting_input(unit: HiddenUnit, encoded: Encoded, size: int) -> NDArray[np.float64]:
    """Climb from what is normal to an input that excites a unit; give its departure, folded to (size,)."""
    start = encoded.baseline.detach()
    counts = bool((start >= 0).all()) and float(start.max()) > 1
    width = start.clamp(min=1.0).sqrt() if counts else torch.ones_like(start)
    away = torch.full_like(start, 0.01).requires_grad_()
    optimiser = torch.optim.Adam([away], lr=0.1)
    for _ in range(_CLIMBED):
        inputs = start + away * width
        response = unit.forward(inputs.clamp(min=0.0) if counts else inputs, *encoded.context)
        loss = (_PRICE * away.square().sum() / max(away.shape[-1], 1) - response).sum()
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
    return fold(away.detach(), encoded.feature, size)
