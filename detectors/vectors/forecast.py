"""A forecaster of metric vectors: what the next row should be by the rows before it alone.

A temporal convolutional network, causal and dilated, after S. Bai, J. Z. Kolter and V. Koltun, "An Empirical
Evaluation of Generic Convolutional and Recurrent Networks for Sequence Modeling", arXiv:1803.01271.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional

from anomalyd.detectors.parameters import number
from anomalyd.detectors.vectors.autoencoder import Parameters, VectorAutoencoder
from anomalyd.detectors.vectors.network import WindowNetwork

_KERNEL = 3


@dataclass(frozen=True, slots=True)
class ForecastParameters(Parameters):
    """As of `VectorAutoencoder`; `hidden` is the number of channels, and `window` holds a longer past."""

    window: int = number(32, 2, 256, tune=(8, 64), log=True)
    hidden: int = number(32, 4, 512, tune=(16, 128), log=True)


class TemporalNetwork(WindowNetwork):
    """The rows (N, W - 1, F) before the last -> the last row (N, F).

    Two convolutions a block, each past twice as far as the one before; as many blocks as cover the window.
    The code has no place in it: `code` is kept for the sizes that all networks of windows have.
    """

    def __init__(self, metrics: int, window: int, hidden: int, code: int) -> None:
        super().__init__(metrics, window, hidden, code)
        self.enter = nn.Conv1d(2 * metrics, hidden, 1)
        dilations: list[int] = []
        while sum(dilations) * (_KERNEL - 1) < window - 2 or not dilations:
            dilations.append(2 ** len(dilations))
        self._dilations = tuple(dilations)
        self.blocks = nn.ModuleList(nn.Conv1d(hidden, hidden, _KERNEL, dilation=d) for d in dilations)
        self.leave = nn.Linear(hidden, metrics)

    def forward(self, windows: Tensor, missing: Tensor) -> Tensor:
        """Forecast the last row (N, F) of windows (N, W, F); what it holds is not looked at."""
        absent = missing.expand(windows.shape)[:, :-1].to(windows.dtype)
        past = torch.cat([windows[:, :-1], absent], dim=2).transpose(1, 2)
        hidden = self.enter(past)
        for dilation, block in zip(self._dilations, self.blocks, strict=True):
            padded = functional.pad(hidden, ((_KERNEL - 1) * dilation, 0))
            hidden = hidden + functional.gelu(block(padded))
        forecast: Tensor = self.leave(hidden[:, :, -1])
        # It says how the row before changes: a level that nothing explains goes on.
        return windows[:, -2] + forecast


class VectorForecast(VectorAutoencoder):
    """As `VectorAutoencoder`, with a network that does not see the row it is to tell."""

    kind: ClassVar[str] = "vector-forecast"
    parameters_class: ClassVar[type[Parameters]] = ForecastParameters
    network_class: ClassVar[type[WindowNetwork]] = TemporalNetwork
