"""The map autoencoder with a code that is a distribution, close to a standard normal one.

D. P. Kingma and M. Welling, "Auto-Encoding Variational Bayes", arXiv:1312.6114. A map is corrected by the
mean of its code: the same map always has the same score.
"""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor, nn

from anomalyd.detectors.maps.autoencoder.autoencoder import MapAutoencoder
from anomalyd.detectors.maps.autoencoder.network import MapNetwork

_BETA = 1e-5
"""Weight of the divergence beside a likelihood's loss that is counted a hit; it was not tuned."""

_WIDEST = 4.0  # logarithm of the code's variance, either way: keeps its exponential finite


class VariationalMapNetwork(MapNetwork):
    """As `MapNetwork`, with mean and variance of the code."""

    def __init__(self, channels: int) -> None:
        super().__init__(channels)
        self.log_variance = nn.Conv2d(2 * channels, channels, 1)

    def learn(
        self, counts: Tensor, expected: Tensor, weight: Tensor, error: Tensor, chance: torch.Generator
    ) -> tuple[Tensor, Tensor]:
        """Correct by a code that is drawn; added is its divergence from a standard normal one."""
        hidden = self.encode[:-1](self.features(counts, expected, weight, error))
        mean, spread = self.encode[-1](hidden), self.log_variance(hidden).clamp(-_WIDEST, _WIDEST)
        drawn = mean + (spread / 2).exp() * torch.randn(mean.shape, generator=chance)
        divergence = 0.5 * (mean.square() + spread.exp() - spread - 1).sum((1, 2, 3)).mean()
        return self.corrected(drawn, counts.shape[1:]), _BETA * divergence


class MapVariational(MapAutoencoder):
    """As `MapAutoencoder`, with a variational network."""

    kind: ClassVar[str] = "map-variational"
    network_class: ClassVar[type[MapNetwork]] = VariationalMapNetwork
