"""The convolutional autoencoder: from a map's deviations to what its profile should have been."""

from __future__ import annotations

from itertools import product

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

    def forward(
        self, counts: Tensor, expected: Tensor, weight: Tensor, error: Tensor, *, folded: bool = False
    ) -> Tensor:
        """Give the logarithm (N, R, C) of the factor by which `expected` should be corrected.

        `counts` and `expected` (N, R, C); `weight` (N, R, C) is 0 where a cell does not count; `error` (N,)
        is the relative error of the profile: how much of a deviation may be the profile's. `folded`: the
        same without gradients, and without the outputs of the decoder's layers, in half the time.
        """
        code = self.encode(self.features(counts, expected, weight, error))
        return self.corrected(code, counts.shape[1:], folded=folded)

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

    def corrected(self, code: Tensor, shape: tuple[int, ...], *, folded: bool = False) -> Tensor:
        """Decode the correction (N, R, C) of maps of a shape; `folded` as in `forward`."""
        rows, columns = shape
        smooth = self._decoded(code) if folded else self.correction(self.decode(code))
        full = F.interpolate(smooth, scale_factor=2, mode="bilinear", align_corners=False)
        return _MOST * torch.tanh(full[:, 0, :rows, :columns])

    def _decoded(self, code: Tensor) -> Tensor:
        """Give what `decode` and `correction` do without the doubled map in between, in half the time.

        A convolution behind a doubling is four convolutions, one for each corner of a doubled cell.
        """
        first, second = (layer for layer in self.decode if isinstance(layer, nn.Conv2d))
        assert second.bias is not None
        weight, bias = _undoubled(second.weight), second.bias.repeat(4)
        corners = F.relu(F.conv2d(F.relu(first(code)), weight, bias, padding=1))
        corners = corners.reshape(len(code) * 4, second.out_channels, *code.shape[2:])
        return F.pixel_shuffle(self.correction(corners).reshape(len(code), 4, *code.shape[2:]), 2)


def _undoubled(weight: Tensor) -> Tensor:
    """Make weights (4 O, I, 3, 3) for cells out of those (O, I, 3, 3) for cells doubled both ways."""
    found = weight.new_zeros(2, 2, *weight.shape)
    for down, right, row, column in product((0, 1), (0, 1), range(3), range(3)):
        at = (down + row + 1) // 2, (right + column + 1) // 2
        found[down, right, :, :, *at] += weight[:, :, row, column]
    return found.flatten(0, 2)
