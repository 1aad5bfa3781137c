"""A batch of maps whose luminosity is known: the tensors that the network and the scan work on."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from anomalyd.detectors.maps.batch import MapBatch
from anomalyd.detectors.maps.simulate.luminosity import Cells


@dataclass(frozen=True, slots=True)
class LitMaps:
    """Maps (N, R, C) and what their references let expect at their luminosity.

    `counts`; `expected`: luminosity times profile; `weight`: 1 where a cell counts, else 0 (missing, dead
    before, an isolated dead wire). Of each map (N,): `error`, how wrong its profile may be (relative);
    `dispersion`, the variance of a count over Poisson's from the profile's own counts; `drift`, how far the
    profile moves as a whole (relative).
    """

    counts: Tensor
    expected: Tensor
    weight: Tensor
    error: Tensor
    dispersion: Tensor
    drift: Tensor

    def context(self) -> tuple[Tensor, ...]:
        """Give everything but the counts."""
        return self.expected, self.weight, self.error, self.dispersion, self.drift


def light_up(batch: MapBatch, drift: NDArray[np.float64] | float = 0.0) -> tuple[LitMaps, Cells]:
    """Estimate the luminosity of a batch and lay out the tensors; gives also which cells count.

    `drift` (N,) is how far each profile was measured to move as a whole.
    """
    light = batch.luminosity()
    weight = batch.weight(light)
    return LitMaps(
        counts=torch.from_numpy(batch.counts),
        expected=torch.from_numpy((light[:, None, None] * batch.profile).astype(np.float32)),
        weight=torch.from_numpy(weight.astype(np.float32)),
        error=_tensor(np.sqrt(1 / batch.exposure + batch.doubt() ** 2)),
        dispersion=_tensor(1 + light / batch.exposure),
        drift=_tensor(np.broadcast_to(drift, light.shape)),
    ), weight


def _tensor(values: NDArray[np.float64]) -> Tensor:
    return torch.from_numpy(values.astype(np.float32))
