"""A robust principal-component analysis that follows the stream: the classical test of all metrics together.

The residual of a row beside the plane that usual rows lie in (Q statistic: J. E. Jackson and G. S. Mudholkar,
"Control Procedures for Residuals Associated With Principal Component Analysis", Technometrics 21 (1979) 341),
with mean and covariance that forget exponentially, and rows that alert kept out of both.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, ClassVar, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from anomalyd.detectors.detector import (
    Adaptation,
    Detector,
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
from anomalyd.detectors.vectors.scaling import Scaling
from anomalyd.errors import ModelDamaged
from anomalyd.verdict import Verdict

_BLOCK = 60
"""Rows after which mean and plane are taken anew: an eigenvalue problem a row would cost the most."""

_OUTLIER = 4.0  # raw score, in units of the usual residual, from which a row teaches nothing

_PREFIX = "pca."

Array = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Parameters:
    """What may be set.

    `explained`: share of the variance that the plane holds; `memory`: rows after which a row counts 1/e;
    `accept`: rows of one long alarm after which what they show is the new normal; `clip`, `top`, `warmup`,
    `floor`: as of `MedianDistance`.
    """

    explained: float = number(0.9, 0.1, 0.999, tune=(0.7, 0.98))
    memory: int = number(10_000, 100, 10_000_000, tune=(1000, 50_000), log=True)
    accept: int = number(1_080, 10, 1_000_000)
    clip: float = number(30.0, 1.0, 1e4, tune=(5.0, 200.0), log=True)
    top: int = number(3, 1, 1000, tune=(1, 10))
    warmup: int = number(30, 10, 100_000)
    floor: float = number(0.01, 0.0, 1.0)


@dataclass(slots=True)
class _Followed:
    """What is usual of one entity: `mean` (F,), `covariance` (F, F), `plane` (F, K).

    `held` (m, F), `raw` (m,): rows of the block begun, and their scores. `alarmed`: for how many rows it has
    been in alarm; below 0: an operator said that this will never be normal.
    """

    mean: Array
    covariance: Array
    plane: Array
    held: Array
    raw: NDArray[np.float64]
    alarmed: int

    def state(self) -> dict[str, NDArray[Any]]:
        return {
            "pca.mean": self.mean,
            "pca.covariance": self.covariance,
            "pca.plane": self.plane,
            "pca.held": self.held,
            "pca.raw": self.raw,
            "pca.alarmed": np.array([self.alarmed]),
        }


class AdaptivePca(Detector):
    """The residual of a row beside the plane of the usual ones, which follows the entity."""

    kind: ClassVar[str] = "adaptive-pca"
    sample_kind: ClassVar[SampleKind] = "vector"
    parameters_class = Parameters

    def __init__(
        self, parameters: Parameters, scaling: Scaling, mean: Tensor, covariance: Tensor, scatter: Tensor
    ) -> None:
        self._parameters = parameters
        self._scaling = scaling
        self._mean = mean
        self._covariance = covariance
        self._scatter = scatter

    @classmethod
    def fit(
        cls,
        training: TrainingSet,
        parameters: Mapping[str, Any],
        *,
        seed: int = 0,
        progress: Progress = silent,
    ) -> Self:
        """Measure scales, mean and covariance of all entities together; as `Detector.fit`."""
        checked = read_parameters(cls.kind, Parameters, parameters)
        scaling = Scaling.fit(training, checked.warmup, checked.floor)
        rows = np.concatenate(
            [
                _squashed(scaling.join([SeriesWindow(e, s.times, s.values)], 0).deviations)
                for e, s in training.series.items()
                if scaling.knows(e)
            ]
        )
        # Twice: the second time without the rows that the first finds strange.
        keep = np.ones(len(rows), dtype=np.bool_)
        for _ in range(2):
            mean = rows[keep].mean(0)
            covariance = np.cov(rows[keep], rowvar=False).reshape(len(mean), len(mean))
            residual = _residual(rows - mean, _plane(covariance, checked.explained))
            scatter = np.maximum(1.4826 * np.median(np.abs(residual[keep]), axis=0), 0.05)
            score = np.sqrt(np.mean((residual / scatter) ** 2, axis=1))
            keep = score <= np.quantile(score, 0.98)
        progress(cls.kind, 1, 1)
        parts = (torch.from_numpy(np.asarray(a, dtype=np.float32)) for a in (mean, covariance, scatter))
        return cls(checked, scaling, *parts)

    def score(self, windows: Sequence[SeriesWindow]) -> list[RawScores]:
        """Score rows against the plane of the blocks before theirs; as `Detector.score`."""
        if not windows:
            return []
        plain = [replace(s, state=_without(s.state)) for s in windows]
        batch = self._scaling.join(plain, 0)
        seen = batch.observed()
        seen[~batch.ready] = np.nan
        missing = np.isnan(seen)
        rows = _squashed(seen)
        residual = np.zeros_like(rows)
        usual = np.zeros_like(rows)
        raw = np.full(len(rows), np.nan)
        ends = np.cumsum(batch.counts)
        states, adaptations = [], []
        for window, count, end in zip(windows, batch.counts, ends, strict=True):
            part = slice(end - count, end)
            followed = self._followed(window.state)
            news = self._follow(
                followed, rows[part], missing[part], residual[part], usual[part], raw[part], window
            )
            states.append(followed.state())
            adaptations.append(news)
        error = np.where(missing, np.nan, residual / self._scatter.numpy()).astype(np.float32)
        expectation = np.sinh(np.clip(usual, -20, 20)) * batch.scale.width[batch.window]
        expectation = (expectation + batch.scale.centre[batch.window]).astype(np.float32)
        found = batch.results(raw, error, expectation, np.abs(error))
        return [
            replace(scores, state={**scores.state, **state}, adaptations=news)
            for scores, state, news in zip(found, states, adaptations, strict=True)
        ]

    def _followed(self, state: State) -> _Followed:
        if "pca.mean" in state:
            return _Followed(
                state["pca.mean"],
                state["pca.covariance"],
                state["pca.plane"],
                state["pca.held"],
                state["pca.raw"],
                int(state["pca.alarmed"][0]),
            )
        nothing = np.zeros((0, self._scaling.metrics), dtype=np.float32)
        covariance = self._covariance.numpy()
        plane = _plane(covariance, self._parameters.explained)
        return _Followed(self._mean.numpy(), covariance, plane, nothing, np.zeros(0), 0)

    def _follow(
        self,
        followed: _Followed,
        rows: Array,
        missing: NDArray[np.bool_],
        residual: Array,
        usual: Array,
        raw: NDArray[np.float64],
        window: SeriesWindow,
    ) -> tuple[Adaptation, ...]:
        """Score one entity's rows block by block, into the arrays given; learn at the end of each block."""
        scatter, cap = self._scatter.numpy(), np.float32(self._parameters.clip)
        news: list[Adaptation] = []
        at = 0
        while at < len(rows):
            n = min(_BLOCK - len(followed.held), len(rows) - at)
            part = slice(at, at + n)
            shift = np.where(missing[part], 0, rows[part] - followed.mean)
            residual[part] = _residual(shift, followed.plane)
            usual[part] = rows[part] - residual[part]
            squared = np.where(missing[part], 0, np.minimum(np.abs(residual[part]) / scatter, cap) ** 2)
            seen = torch.from_numpy(~missing[part])
            raw[part] = energy(torch.from_numpy(squared), seen, self._parameters.top).double().numpy()
            followed.held = np.concatenate([followed.held, shift + followed.mean]).astype(np.float32)
            followed.raw = np.concatenate([followed.raw, raw[part]])
            at += n
            if len(followed.held) == _BLOCK:
                before = {**window.state, **followed.state()}
                if self._learn(followed):
                    text = f"What it showed for {self._parameters.accept} rows is taken for normal now."
                    time = float(window.times[at - 1])
                    news.append(Adaptation(time, "new-normal", text, before))
        return tuple(news)

    def _learn(self, followed: _Followed) -> bool:
        """Move mean and covariance towards a full block; says whether a long alarm became the new normal."""
        held, trusted = followed.held, followed.raw < _OUTLIER
        strange = float((followed.raw >= _OUTLIER).mean())
        if strange < 0.5:
            followed.alarmed = 0  # it is over, also where an operator said that it is a fault
        elif followed.alarmed >= 0:
            followed.alarmed += _BLOCK
        accepted = followed.alarmed >= self._parameters.accept
        if accepted:
            followed.mean, followed.alarmed = held.mean(0), 0
        elif trusted.any():
            rate = np.float32(1 - np.exp(-int(trusted.sum()) / self._parameters.memory))
            off = held[trusted] - followed.mean
            followed.mean = followed.mean + rate * off.mean(0)
            moved = (1 - rate) * followed.covariance + rate * (off.T @ off) / len(off)
            followed.covariance = moved.astype(np.float32)
            followed.plane = _plane(followed.covariance, self._parameters.explained)
        followed.held, followed.raw = held[:0], followed.raw[:0]
        return accepted

    def apply_feedback(self, state: State, word: Verdict, since: float, now: float) -> State:
        """Take a word. Normal: the rows of the block begun are the new mean. Broken: until it is over."""
        if "pca.mean" not in state:
            return state
        followed = self._followed(state)
        if word is Verdict.BROKEN:
            followed.alarmed = -1
        else:
            followed.alarmed = 0
            if len(followed.held):
                followed.mean = followed.held.mean(0)
        return {**state, **followed.state()}

    def undo(self, state: State, before: State) -> State:
        """Put mean and covariance back; the rows of the block begun stay."""
        kept = {name: before[name] for name in ("pca.mean", "pca.covariance", "pca.plane") if name in before}
        return {**state, **kept}

    def tensors(self) -> dict[str, Tensor]:
        """Give scales, mean, covariance and scatter, for safetensors."""
        own = {"mean": self._mean, "covariance": self._covariance, "scatter": self._scatter}
        return {**self._scaling.tensors(), **own}

    def config(self) -> dict[str, Any]:
        """Give parameters and entities, for JSON."""
        return {"parameters": asdict(self._parameters), "scaling": self._scaling.config()}

    @classmethod
    def restore(cls, tensors: Mapping[str, Tensor], config: Mapping[str, Any]) -> Self:
        """Build it again; as `Detector.restore`."""
        try:
            parameters = Parameters(**config["parameters"])
            scaling = Scaling.restore(tensors, config["scaling"])
            own = tensors["mean"], tensors["covariance"], tensors["scatter"]
        except (KeyError, TypeError) as error:
            raise ModelDamaged(f"{cls.kind}: its configuration lacks {error}; train it again") from error
        wanted = scaling.metrics
        if [tuple(t.shape) for t in own] != [(wanted,), (wanted, wanted), (wanted,)]:
            raise ModelDamaged(f"{cls.kind}: its plane is not of {wanted} metrics; train it again")
        return cls(parameters, scaling, *own)


def _squashed(deviations: Array) -> Array:
    """Squash deviations, 0 where missing: one wild row must not turn the plane."""
    squashed: Array = np.arcsinh(np.nan_to_num(deviations))
    return squashed


def _plane(covariance: NDArray[np.floating], explained: float) -> Array:
    """Give the directions (F, K) that hold a share of the variance, at most half of them."""
    values, vectors = np.linalg.eigh(covariance)
    share = np.cumsum(values[::-1]) / max(float(values.sum()), 1e-12)
    kept = min(int(np.searchsorted(share, explained)) + 1, max(1, len(values) // 2))
    plane: Array = vectors[:, ::-1][:, :kept].astype(np.float32)
    return plane


def _residual(shift: NDArray[np.floating], plane: Array) -> NDArray[Any]:
    """Give what of shifts (N, F) from the mean lies beside the plane."""
    return shift - (shift @ plane) @ plane.T


def _without(state: State) -> State:
    return {name: array for name, array in state.items() if not name.startswith(_PREFIX)}
