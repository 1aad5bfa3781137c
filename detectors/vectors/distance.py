"""Distance from the training median in robust sigmas: the classical baseline of the vector autoencoder."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, ClassVar, Self

import numpy as np
import torch
from torch import Tensor

from anomalyd.detectors.detector import (
    Detector,
    Encoded,
    Progress,
    RawScores,
    SampleKind,
    SeriesWindow,
    TrainingSet,
    silent,
)
from anomalyd.detectors.parameters import number, read_parameters
from anomalyd.detectors.vectors.energy import energy
from anomalyd.detectors.vectors.scaling import Scaling
from anomalyd.errors import ModelDamaged


@dataclass(frozen=True, slots=True)
class Parameters:
    """What may be set.

    `clip`: how many sigmas one metric counts for at most; `top`: how many of the worst metrics count apart;
    `warmup`: rows from which an unknown entity learns its scale; `floor`: how little a metric is asked to
    move, as a share of its size (lower it for voltages that never leave their fourth digit).
    """

    clip: float = number(30.0, 1.0, 1e4, tune=(5.0, 200.0), log=True)
    top: int = number(3, 1, 1000, tune=(1, 10))
    warmup: int = number(30, 10, 100_000)
    floor: float = number(0.01, 0.0, 1.0, tune=(0.001, 0.1), log=True)


class MedianDistance(Detector):
    """How far each metric is from its own median, in its own robust sigmas; it remembers nothing."""

    kind: ClassVar[str] = "median-distance"
    sample_kind: ClassVar[SampleKind] = "vector"
    parameters_class = Parameters

    def __init__(self, parameters: Parameters, scaling: Scaling) -> None:
        self._parameters = parameters
        self._scaling = scaling

    @classmethod
    def fit(
        cls,
        training: TrainingSet,
        parameters: Mapping[str, Any],
        *,
        seed: int = 0,
        progress: Progress = silent,
    ) -> Self:
        """Measure the medians and widths of every entity; as `Detector.fit`."""
        checked = read_parameters(cls.kind, Parameters, parameters)
        scaling = Scaling.fit(training, checked.warmup, checked.floor)
        progress(cls.kind, 1, 1)
        return cls(checked, scaling)

    def score(self, windows: Sequence[SeriesWindow]) -> list[RawScores]:
        """Score rows by themselves; as `Detector.score`."""
        if not windows:
            return []
        batch = self._scaling.join(windows, 0)
        error = batch.observed()
        error[~batch.ready] = np.nan
        missing = np.isnan(error)
        cap = np.minimum(batch.scale.cap, self._parameters.clip)[batch.window]
        squared = np.where(missing, np.float32(0), np.minimum(np.abs(error), cap) ** 2)
        raw = energy(torch.from_numpy(squared), torch.from_numpy(~missing), self._parameters.top)
        contribution = np.where(missing, np.float32(np.nan), squared)
        expectation = batch.scale.centre[batch.window]
        return batch.results(raw.double().numpy(), error, expectation, contribution)

    def encode(self, window: SeriesWindow) -> Encoded:
        """Encode the last sample of a window: inputs (1, F) in sigmas, 0 where missing; the baseline is 0.

        Context: what is missing and the most that each metric counts for, (1, F) both.
        """
        batch = self._scaling.join([window], 0)
        error = batch.observed()[-1:]
        error[~batch.ready[-1:]] = np.nan
        missing = torch.from_numpy(np.isnan(error))
        cap = np.minimum(batch.scale.cap, self._parameters.clip)[batch.window][-1:]
        inputs = torch.from_numpy(np.nan_to_num(error))
        feature = torch.where(missing[0], -1, torch.arange(error.shape[1]))
        return Encoded(inputs, torch.zeros_like(inputs), (missing, torch.from_numpy(cap)), feature)

    def forward(self, inputs: Tensor, *context: Tensor) -> Tensor:
        """Give the raw score (N,) of inputs (N, F); context of one row goes for all."""
        missing, cap = context
        absent = missing.expand(inputs.shape)
        squared = torch.minimum(inputs.abs(), cap).square().masked_fill(absent, 0.0)
        return energy(squared, ~absent, self._parameters.top)

    def tensors(self) -> dict[str, Tensor]:
        """Give the scales, for safetensors."""
        return self._scaling.tensors()

    def config(self) -> dict[str, Any]:
        """Give parameters and entities, for JSON."""
        return {"parameters": asdict(self._parameters), "scaling": self._scaling.config()}

    @classmethod
    def restore(cls, tensors: Mapping[str, Tensor], config: Mapping[str, Any]) -> Self:
        """Build it again; as `Detector.restore`."""
        try:
            parameters = Parameters(**config["parameters"])
            return cls(parameters, Scaling.restore(tensors, config["scaling"]))
        except (KeyError, TypeError) as error:
            raise ModelDamaged(f"{cls.kind}: its configuration lacks {error}; train it again") from error
