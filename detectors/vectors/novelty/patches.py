"""Patches: the last thirty values of one metric, squeezed into a code of eight numbers.

The encoder is channel-independent (as Nie et al., "A time series is worth 64 words", ICLR 2023): one network
serves any metric of any host. It is the first half of an autoencoder that was trained on patches of many
machines (`pretraining`) and comes with anomalyd; what is normal of a metric is a memory of codes of its own
training patches (as Gong et al., "Memorizing normality to detect anomaly", ICCV 2019).
"""

from __future__ import annotations

from functools import cache
from importlib import resources

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import load
from torch import Tensor, nn

ROWS = 30
"""Rows of a patch, its own the last."""

CODE = 8
_HIDDEN = 48
_TILE = 64
"""Patches are encoded in multiples of so many: what a patch gives must not depend on how many come along."""

_ROWS_AT_ONCE = 8

WEIGHTS = "patches.safetensors"


class PatchAutoencoder(nn.Module):
    """Patches (N, 30) of squashed values -> codes (N, 8) -> patches (N, 30)."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder = nn.Sequential(nn.Linear(ROWS, _HIDDEN), nn.SiLU(), nn.Linear(_HIDDEN, CODE))
        self.decoder = nn.Sequential(nn.Linear(CODE, _HIDDEN), nn.SiLU(), nn.Linear(_HIDDEN, ROWS))

    def forward(self, patches: Tensor) -> Tensor:
        """Rebuild."""
        rebuilt: Tensor = self.decoder(self.encoder(patches))
        return rebuilt


@cache
def shipped() -> PatchAutoencoder:
    """Give the autoencoder that comes with anomalyd, ready to encode."""
    with torch.inference_mode(False):  # whoever asks first: its weights go into gradients later
        network = PatchAutoencoder()
        network.load_state_dict(load((resources.files(__package__) / WEIGHTS).read_bytes()))
        return network.eval().requires_grad_(False)


def squash(values: Tensor) -> Tensor:
    """Give the signed log of deviations in usual widths."""
    return torch.sign(values) * torch.log1p(values.abs())


def encode(patches: Tensor) -> Tensor:
    """Encode patches (..., 30) in usual widths: (..., 8); differentiable."""
    flat = squash(patches.reshape(-1, ROWS))
    short = -len(flat) % _TILE
    padded = torch.cat([flat, flat.new_zeros(short, ROWS)]) if short else flat
    codes: Tensor = shipped().encoder(padded)[: len(flat)]
    return codes.reshape(*patches.shape[:-1], CODE)


def patches_of(rows: NDArray[np.float32], last: NDArray[np.int64]) -> NDArray[np.float32]:
    """Give the patches (..., K, F, 30) that end with rows `last` (K,) of rows (..., T, F)."""
    windows = np.lib.stride_tricks.sliding_window_view(rows, ROWS, axis=-2)
    return np.ascontiguousarray(windows[..., last - (ROWS - 1), :, :])


def distances(codes: Tensor, memory: Tensor) -> Tensor:
    """Give how far codes (K, F, 8) are from the nearest in a memory (1, F, M, 8): (K, F)."""
    known = memory[0]
    size = torch.einsum("fmd,fmd->fm", known, known)[:, None]
    parts = [
        torch.baddbmm(size, part.transpose(0, 1), known.transpose(1, 2), alpha=-2.0).amin(-1)
        for part in tiles(codes)
    ]
    away = torch.cat(parts, dim=1)[:, : len(codes)].T + codes.square().sum(-1)
    return away.clamp(min=1e-12).sqrt()


def tiles(rows: Tensor) -> list[Tensor]:
    """Give rows (K, ...) in parts of 8, the last filled with 0: matrix products round by how many rows there
    are, and a stream may be cut anywhere."""
    short = -len(rows) % _ROWS_AT_ONCE
    whole = torch.cat([rows, rows.new_zeros(short, *rows.shape[1:])]) if short else rows
    return [whole[begin : begin + _ROWS_AT_ONCE] for begin in range(0, len(whole), _ROWS_AT_ONCE)]
