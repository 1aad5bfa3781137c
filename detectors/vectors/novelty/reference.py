"""What training says once and for all of an entity: a reference that does not follow it.

Its memory of normal patches and rows (`memory`), and the plane in which its rows lie: principal components
that hold nine tenths of their variance. How far rows are from that plane is counted in nats of training.
Beside them stand the control charts of each metric (`control_chart`), and of what its regression on the
others leaves over (`regression`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from anomalyd.detectors.vectors.by_entity import EntityArrays
from anomalyd.detectors.vectors.novelty import control_chart, memory, nats, regression
from anomalyd.detectors.vectors.novelty.control_chart import ControlChart
from anomalyd.detectors.vectors.novelty.memory import Memories, Memory
from anomalyd.detectors.vectors.novelty.regression import Regression

PLANE_SMOOTHING = 0.1
_VARIANCE = 0.9
_MOST_ROWS = 20_000
_LEAST_TAIL = 0.05
_LOG_FLOOR = 0.05

Rows = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Reference:
    """The reference of one entity of F metrics.

    `memory`: of patches and rows. `mean` (1, F), `basis` (1, F, K): the plane; `steps` (1, 33), `tail` (1,):
    how far training rows are from it, smoothed, as a log. `count` (1,): of training rows. `chart`: the
    control charts of its metrics; `regression`: of each metric on the others, `residual`: the control charts
    of what that leaves over.
    """

    memory: Memory
    chart: ControlChart
    regression: Regression
    residual: ControlChart
    mean: Tensor
    basis: Tensor
    steps: Tensor
    tail: Tensor
    count: Tensor


@dataclass(frozen=True, slots=True)
class References:
    """The references of N entities of F metrics: as `Reference`, with N for 1.

    `basis` has columns of 0 where a plane has fewer dimensions.
    """

    memory: Memories
    chart: ControlChart
    regression: Regression
    residual: ControlChart
    mean: Tensor
    basis: Tensor
    steps: Tensor
    tail: Tensor
    count: Tensor

    @property
    def worth(self) -> NDArray[np.float64]:
        """What the memories weigh (N,)."""
        return self.memory.worth.numpy().astype(np.float64)

    def distance(self, places: NDArray[np.int64], rows: Rows) -> NDArray[np.float64]:
        """Give how far rows (E, n, F) of the entities at `places` (E,) are from their planes (E, n)."""
        at = torch.from_numpy(places)
        away = torch.from_numpy(rows) - self.mean[at][:, None]
        basis = self.basis[at]
        rest = away - (away @ basis) @ basis.transpose(1, 2)
        return rest.square().sum(-1).sqrt().numpy().astype(np.float64)

    def plane_nats(self, places: NDArray[np.int64], level: NDArray[np.float64]) -> NDArray[np.float64]:
        """Give how rare smoothed distances (E, n) from the plane are (E, n)."""
        at = torch.from_numpy(places)
        logged = torch.from_numpy(np.log(level + _LOG_FLOOR)).float()
        return nats.nats(logged, self.steps[at][:, None], self.tail[at][:, None]).numpy().astype(np.float64)


def _smoothed(values: NDArray[np.float64]) -> NDArray[np.float64]:
    levels, level = [], float(values[0])
    for one in values.tolist():
        level += PLANE_SMOOTHING * (one - level)
        levels.append(level)
    return np.array(levels)


def measure(deviations: Rows, clip: Rows, seed: int) -> Reference:
    """Measure the reference of an entity on its training rows (T, F) in usual widths, NaN where
    missing; `clip` (F,): what a metric counts for at most."""
    observed = ~np.isnan(deviations)
    rows = filled(np.concatenate([np.zeros_like(deviations[:1]), np.clip(deviations, -clip, clip)]))[1:]
    known = memory.remember(rows, observed, seed)
    some = rows[:: -(-len(rows) // _MOST_ROWS)]
    mean = some.mean(axis=0)
    _, strength, directions = np.linalg.svd(some - mean, full_matrices=False)
    share = np.cumsum(strength**2) / max(float((strength**2).sum()), 1e-9)
    count = min(int(np.searchsorted(share, _VARIANCE)) + 1, len(directions))
    basis = np.ascontiguousarray(directions[:count].T.astype(np.float32))
    away = rows - mean
    apart = np.sqrt(np.square(away - (away @ basis) @ basis.T).sum(axis=1))
    steps, tail = nats.measure(np.log(_smoothed(apart) + _LOG_FLOOR), _LEAST_TAIL)
    fitted, left = regression.measure(rows)
    return Reference(
        known,
        control_chart.measure(rows),
        fitted,
        control_chart.measure(left),
        torch.from_numpy(mean.astype(np.float32))[None],
        torch.from_numpy(basis)[None],
        torch.from_numpy(steps)[None],
        torch.from_numpy(np.asarray(tail)).reshape(1),
        torch.tensor([float(len(rows))]),
    )


def filled(rows: Rows) -> Rows:
    """Fill what is missing in rows (..., T, F) with the value before; of the first row nothing is missing."""
    missing = np.isnan(rows)
    if not missing.any():
        return rows
    at = np.where(missing, 0, np.arange(rows.shape[-2])[:, None])
    found: Rows = np.take_along_axis(rows, np.maximum.accumulate(at, axis=-2), axis=-2)
    return found


def stacked(before: EntityArrays, last: Reference) -> References:
    """Stack the references of entities, of which `before` holds all but the last, by name."""

    def joined(name: str, own: Tensor) -> Tensor:
        return torch.from_numpy(before.stacked_with(name, own.numpy())[:, 0])

    def of_kind(kind: type[_Tensors], own: _Tensors, prefix: str) -> _Tensors:
        return kind(*(joined(prefix + name, getattr(own, name)) for name in kind.__slots__))

    return References(
        Memories.of(before, "memory.", last.memory),
        of_kind(ControlChart, last.chart, "chart."),
        of_kind(Regression, last.regression, "regression."),
        of_kind(ControlChart, last.residual, "residual."),
        joined("plane.mean", last.mean),
        _padded([*(before.get(e, "plane.basis") for e in range(before.count)), last.basis.numpy()]),
        *(joined(f"plane.{name}", getattr(last, name)) for name in _PLANE[2:]),
    )


def _padded(bases: Sequence[Rows]) -> Tensor:
    """Put bases (1, F, K) together, with columns of 0 where one has fewer than another."""
    padded = np.zeros((len(bases), bases[0].shape[1], max(one.shape[2] for one in bases)), dtype=np.float32)
    for to, basis in zip(padded, bases, strict=True):
        to[:, : basis.shape[2]] = basis[0]
    return torch.from_numpy(padded)


_Tensors = TypeVar("_Tensors", ControlChart, Regression)


_PLANE = ("mean", "basis", "steps", "tail", "count")


def as_tensors(reference: Reference) -> dict[str, Tensor]:
    """Give it by name, for safetensors."""
    return {
        **{f"memory.{name}": getattr(reference.memory, name) for name in Memory.__slots__},
        **{f"chart.{name}": getattr(reference.chart, name) for name in ControlChart.__slots__},
        **{f"regression.{name}": getattr(reference.regression, name) for name in Regression.__slots__},
        **{f"residual.{name}": getattr(reference.residual, name) for name in ControlChart.__slots__},
        **{f"plane.{name}": getattr(reference, name) for name in _PLANE},
    }


def from_tensors(tensors: Mapping[str, Tensor]) -> Reference:
    """Make one of what `as_tensors` gave; earlier versions gave no regression: all is left over."""
    chart = ControlChart(**{name: tensors[f"chart.{name}"] for name in ControlChart.__slots__})
    fitted, residual = regression.none(chart.drift.shape[1]), chart
    if "regression.width" in tensors:
        fitted = Regression(**{name: tensors[f"regression.{name}"] for name in Regression.__slots__})
        residual = ControlChart(**{name: tensors[f"residual.{name}"] for name in ControlChart.__slots__})
    return Reference(
        Memory(**{name: tensors[f"memory.{name}"] for name in Memory.__slots__}),
        chart,
        fitted,
        residual,
        **{name: tensors[f"plane.{name}"] for name in _PLANE},
    )


def of_entities(each: EntityArrays) -> EntityArrays:
    """Give those of entities as `as_tensors` names them; earlier versions lack some."""
    if not each.count or "regression.width" in each.values:
        return each
    found = (from_tensors({n: torch.from_numpy(a) for n, a in each.at(e).items()}) for e in range(each.count))
    return EntityArrays.of([as_tensors(one) for one in found])
