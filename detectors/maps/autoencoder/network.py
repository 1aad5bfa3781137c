"""The convolutional autoencoder: from a map's deviations to what its profile should have been."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

_MOST = 0.5
"""Most that ln(rate) is corrected by: the network refines a profile, it does not replace it."""


class MapNetwork(nn.Module):
    """Encode deviations from the profile, decode a smooth correction of the profile.

    The code holds a quarter of the rows and of the columns, and there is no way around it: single cells and
    short runs do not pass, so that a fault is not rebuilt. Maps of any size go through the same weights.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.encode = nn.Sequential(
            nn.Conv2d(4, channels, 3, stride=2, padding=1),
            nn.ReLU(),
            nn.Conv2d(channels, 2 * channels, 3, stride=2, padding=1),
            nn.ReLU(),
            nn.Conv2d(2 * channels, channels, 1),
        )
        self.decode = nn.Sequential(
            nn.Conv2d(channels, 2 * channels, 3, padding=1),
            nn.ReLU(),
            nn.Upsample(scale_factor=2, mode="nearest"),
            nn.Conv2d(2 * channels, channels, 3, padding=1),
            nn.ReLU(),
        )
        self.correction = nn.Conv2d(channels, 1, 1)
        # Before training the correction is none: the start is the plain profile.
        nn.init.zeros_(self.correction.weight)
        assert self.correction.bias is not None
        nn.init.zeros_(self.correction.bias)

    def forward(self, counts: Tensor, expected: Tensor, weight: Tensor, error: Tensor) -> Tensor:
        """Give the logarithm (N, R, C) of the factor by which `expected` should be corrected.

        `counts` and `expected` (N, R, C); `weight` (N, R, C) is 0 where a cell does not count; `error` (N,)
        is the relative error of the profile: how much of a deviation may be the profile's.
        """
        code = self.encode(self.features(counts, expected, weight, error))
        return self.corrected(code, counts.shape[1:])

    def learn(
        self, counts: Tensor, expected: Tensor, weight: Tensor, error: Tensor, chance: torch.Generator
    ) -> tuple[Tensor, Tensor]:
        """Give the correction as in training, and what is added to the loss."""
        return self(counts, expected, weight, error), counts.new_zeros(())

    def features(self, counts: Tensor, expected: Tensor, weight: Tensor, error: Tensor) -> Tensor:
        """Give the network's inputs (N, 4, R', C'), filled up to whole cells of the code."""
        rows, columns = counts.shape[1:]
        pull = weight * (counts - expected) / expected.clamp(min=0.25).sqrt()
        features = torch.stack(
            [
                # Bounded, so that a hot cell does not drown its surroundings.
                torch.tanh(pull / 4),
                weight * torch.log1p(expected) / 4,
                weight,
                weight * (4 * error)[:, None, None],
            ],
            dim=1,
        )
        return F.pad(features, (0, -columns % 4, 0, -rows % 4))

    def corrected(self, code: Tensor, shape: tuple[int, ...]) -> Tensor:
        """Decode the correction (N, R, C) of maps of a shape."""
        rows, columns = shape
        smooth = self.correction(self.decode(code))
        full = F.interpolate(smooth, scale_factor=2, mode="bilinear", align_corners=False)
        return _MOST * torch.tanh(full[:, 0, :rows, :columns])
