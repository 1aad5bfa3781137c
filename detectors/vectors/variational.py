"""A variational autoencoder of metric vectors: the code is a distribution, close to a standard normal one.

D. P. Kingma and M. Welling, "Auto-Encoding Variational Bayes", arXiv:1312.6114; for anomalies J. An and
S. Cho, "Variational Autoencoder based Anomaly Detection using Reconstruction Probability", SNU 2015. Here the
probability is that of the row given the mean of its code: the same row always has the same score.
"""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional

from anomalyd.detectors.vectors.autoencoder import VectorAutoencoder
from anomalyd.detectors.vectors.network import WindowNetwork

_BETA = 0.02
"""Weight of the divergence beside a Huber loss that is a mean over metrics: at 1 all of the code collapses
onto the prior and says nothing, at 0 it is a plain autoencoder."""

_WIDEST = 4.0  # logarithm of the code's variance, either way: keeps its exponential finite


class VariationalNetwork(WindowNetwork):
    """Windows (N, W, F) -> mean and variance of a code (N, C) -> the last row (N, F)."""

    def __init__(self, metrics: int, window: int, hidden: int, code: int) -> None:
        super().__init__(metrics, window, hidden, code)
        self.values = nn.Linear(window * metrics, hidden)
        self.absent = nn.Linear(window * metrics, hidden, bias=False)
        self.mean = nn.Linear(hidden, code)
        self.log_variance = nn.Linear(hidden, code)
        self.widen = nn.Linear(code, hidden)
        self.rebuild = nn.Linear(hidden, metrics)

    def _encode(self, windows: Tensor, missing: Tensor) -> Tensor:
        hidden = self.values(windows.flatten(1))
        if bool(missing.any()):
            hidden = hidden + self.absent(missing.flatten(1).to(windows.dtype))
        return functional.gelu(hidden)

    def _decode(self, code: Tensor) -> Tensor:
        rebuilt: Tensor = self.rebuild(functional.gelu(self.widen(code)))
        return rebuilt

    def forward(self, windows: Tensor, missing: Tensor) -> Tensor:
        """Rebuild the last row (N, F) from the mean of the code."""
        return self._decode(self.mean(self._encode(windows, missing)))

    def learn(self, windows: Tensor, missing: Tensor, chance: torch.Generator) -> tuple[Tensor, Tensor]:
        """Rebuild from a code that is drawn; added is its divergence from a standard normal one."""
        hidden = self._encode(windows, missing)
        mean, spread = self.mean(hidden), self.log_variance(hidden).clamp(-_WIDEST, _WIDEST)
        drawn = mean + (spread / 2).exp() * torch.randn(mean.shape, generator=chance)
        divergence = 0.5 * (mean.square() + spread.exp() - spread - 1).sum(1).mean()
        return self._decode(drawn), _BETA / self._sizes["metrics"] * divergence


class VectorVariational(VectorAutoencoder):
    """As `VectorAutoencoder`, with a variational network."""

    kind: ClassVar[str] = "vector-variational"
    network_class: ClassVar[type[WindowNetwork]] = VariationalNetwork
