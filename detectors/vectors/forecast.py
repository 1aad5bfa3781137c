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


@dataclass(frozen=True, slots=True)
class ForecastParameters(Parameters):
    """As of `VectorAutoencoder`; `hidden` is the number of channels, and `window` holds a longer past."""

    window: int = number(32, 2, 256, tune=(8, 64), log=True)
    hidden: int = number(32, 4, 512, tune=(16, 128), log=True)


class _Block(nn.Conv1d):
    """Places (N, L, C) -> every second of them (N, (L - 1) / 2, C), with what the two before each add to it.

    Channels last, and as a product of matrices: on a processor twice as fast as the convolution it is.
    """

    def __init__(self, channels: int) -> None:
        super().__init__(channels, channels, 3, stride=2)

    def forward(self, places: Tensor) -> Tensor:
        here = places[:, 2::2]
        taken = torch.cat([places[:, :-2:2], places[:, 1:-1:2], here], dim=2)
        change = functional.linear(taken, self.weight.transpose(1, 2).flatten(1), self.bias)
        return here + functional.gelu(change)


class TemporalNetwork(WindowNetwork):
    """The rows (N, W - 1, F) before the last -> the last row (N, F).

    A convolution a block, each past twice as far as the one before; as many blocks as cover the window.
    The code has no place in it: `code` is kept for the sizes that all networks of windows have.
    """

    def __init__(self, metrics: int, window: int, hidden: int, code: int) -> None:
        super().__init__(metrics, window, hidden, code)
        self.enter = nn.Conv1d(2 * metrics, hidden, 1)
        blocks = max(1, (window - 1).bit_length() - 1)
        self.blocks = nn.ModuleList(_Block(hidden) for _ in range(blocks))
        self.leave = nn.Linear(hidden, metrics)

    def forward(self, windows: Tensor, missing: Tensor) -> Tensor:
        """Forecast the last row (N, F) of windows (N, W, F); what it holds is not looked at."""
        enter = self.enter.weight[:, :, 0]
        metrics = windows.shape[2]
        hidden = functional.linear(windows[:, :-1], enter[:, :metrics], self.enter.bias)
        if bool(missing.any()):  # nothing is missing most of the time, and this is half of the work
            absent = missing.expand(windows.shape)[:, :-1].to(windows.dtype)
            hidden = hidden + functional.linear(absent, enter[:, metrics:])
        # Only what the last row's forecast looks at: every second place of the block before, so that a stride
        # stands for a dilation. Places before the window are 0 in all blocks.
        before = 2 ** (len(self.blocks) + 1) - 1 - hidden.shape[1]
        hidden = functional.pad(hidden, (0, 0, before, 0)) if before else hidden
        for block in self.blocks:
            before = max(0, (before - 1) // 2)
            hidden = block(hidden)
            hidden = functional.pad(hidden[:, before:], (0, 0, before, 0)) if before else hidden
        forecast: Tensor = self.leave(hidden[:, -1])
        # It says how the row before changes: a level that nothing explains goes on.
        return windows[:, -2] + forecast


class VectorForecast(VectorAutoencoder):
    """As `VectorAutoencoder`, with a network that does not see the row it is to tell."""

    kind: ClassVar[str] = "vector-forecast"
    parameters_class: ClassVar[type[Parameters]] = ForecastParameters
    network_class: ClassVar[type[WindowNetwork]] = TemporalNetwork
