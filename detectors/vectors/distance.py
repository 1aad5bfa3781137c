"""Distance from the training median in robust sigmas: the classical baseline of the vector autoencoders.

It learns nothing by itself. Told that what an entity does now is normal, by an operator or by the detector
that it stands beside, it counts from the level of the last rows, and in their spread where that is wider.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, ClassVar, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from anomalyd.detectors.detector import (
    Detector,
    Encoded,
    Progress,
    RawScores,
    SampleKind,
    SeriesWindow,
    State,
    TrainingSet,
    silent,
)
from anomalyd.detectors.parameters import number, read_parameters
from anomalyd.detectors.vectors.energy import energy
from anomalyd.detectors.vectors.scaling import Scaling, stacked_states
from anomalyd.errors import ModelDamaged
from anomalyd.verdict import Verdict


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


_KEEPS = 0.98
"""Of what was seen a row before: the level of now is that of some fifty rows."""

_TOLD = ("level", "spread")
"""What was told to be normal, (F,) each in robust sigmas of training; absent before a word."""


class MedianDistance(Detector):
    """How far each metric is from its own median, in its own robust sigmas."""

    kind: ClassVar[str] = "median-distance"
    sample_kind: ClassVar[SampleKind] = "vector"
    adaptive: ClassVar[bool] = True
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
        deviations = batch.observed()
        deviations[~batch.ready] = np.nan
        level, spread = (each[batch.window] for each in _told(windows, deviations.shape[1]))
        error = (deviations - level) / spread
        missing = np.isnan(error)
        cap = np.minimum(batch.scale.cap, self._parameters.clip)[batch.window]
        squared = np.where(missing, np.float32(0), np.minimum(np.abs(error), cap) ** 2)
        raw = energy(torch.from_numpy(squared), torch.from_numpy(~missing), self._parameters.top)
        contribution = np.where(missing, np.float32(np.nan), squared)
        expectation = batch.scale.centre[batch.window] + level * batch.scale.width[batch.window]
        lately = _lately(windows, deviations, batch.counts)
        states: list[State] = [
            {**scale, "lately": own} for scale, own in zip(batch.states, lately, strict=True)
        ]
        for s, window in enumerate(windows):
            if "level" in window.state:
                states[s] = {**states[s], **_only(window.state, _TOLD)}
        return batch.results(raw.double().numpy(), error, expectation, contribution, states)

    def apply_feedback(self, state: State, word: Verdict, since: float, now: float) -> State:
        """Take an operator's word; as `Detector.apply_feedback`: what is normal is that of the last rows."""
        if word is Verdict.BROKEN or "lately" not in state:
            return state
        weight, mean, square = np.asarray(state["lately"], dtype=np.float64)
        known = weight > 0
        level = np.divide(mean, weight, out=np.zeros_like(mean), where=known)
        spread = np.sqrt(
            np.maximum(np.divide(square, weight, out=np.ones_like(mean), where=known) - level**2, 1.0)
        )
        return {**state, "level": level.astype(np.float32), "spread": spread.astype(np.float32)}

    def undo(self, state: State, before: State) -> State:
        """Put back what was normal before; as `Detector.undo`."""
        kept = {name: array for name, array in state.items() if name not in _TOLD}
        return {**kept, **_only(before, _TOLD)}

    def encode(self, window: SeriesWindow) -> Encoded:
        """Encode the last sample of a window: inputs (1, F) in sigmas, 0 where missing; the baseline is 0.

        Context: what is missing and the most that each metric counts for, (1, F) both.
        """
        batch = self._scaling.join([window], 0)
        level, spread = _told([window], batch.deviations.shape[1])
        error = (batch.observed()[-1:] - level) / spread
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


def _only(state: State, names: Sequence[str]) -> dict[str, NDArray[Any]]:
    return {name: np.asarray(state[name]) for name in names if name in state}


def _told(windows: Sequence[SeriesWindow], metrics: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Give the level and the spread (S, F) that count as normal of each window."""
    nothing, one = np.zeros(metrics, dtype=np.float32), np.ones(metrics, dtype=np.float32)
    return _held(windows, "level", nothing), _held(windows, "spread", one)


def _held(windows: Sequence[SeriesWindow], name: str, otherwise: NDArray[np.float32]) -> NDArray[np.float32]:
    """Give what is remembered under a name of each window, stacked (S, ...), or else what stands for it."""
    if not any(name in window.state for window in windows):
        return np.broadcast_to(otherwise, (len(windows), *otherwise.shape))
    each = [window.state.get(name, otherwise) for window in windows]
    return stacked_states([window.entity for window in windows], each, otherwise.shape)


def _lately(
    windows: Sequence[SeriesWindow], deviations: NDArray[np.float32], counts: Sequence[int]
) -> list[NDArray[np.float32]]:
    """Give weight, sum and sum of squares (3, F) of the last deviations of each window, older ones fading."""
    metrics = deviations.shape[1]
    nothing = np.zeros((3, metrics), dtype=np.float32)
    before = _held(windows, "lately", nothing).astype(np.float64)
    ends = np.cumsum(counts)
    age = np.repeat(ends, counts) - 1 - np.arange(len(deviations))
    fades = (_KEEPS**age)[:, None]
    seen = np.nan_to_num(deviations.astype(np.float64))
    each = np.stack([fades * ~np.isnan(deviations), fades * seen, fades * seen**2], axis=1)
    after = before * (_KEEPS ** np.asarray(counts, dtype=np.float64))[:, None, None]
    filled = [s for s, count in enumerate(counts) if count]
    if len(filled) == len(deviations):  # a row of each
        after[filled] += each
    elif filled:
        after[filled] += np.add.reduceat(each, [int(ends[s] - counts[s]) for s in filled], axis=0)
    return list(after.astype(np.float32))
