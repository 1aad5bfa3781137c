"""The score of one row as a function of its values: for gradients and occlusion."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from anomalyd.detectors.detector import Encoded
from anomalyd.detectors.vectors.patch import bulk, evidence, patches
from anomalyd.detectors.vectors.patch.advance import Model, Rule, scale_rows
from anomalyd.detectors.vectors.patch.novelty import SMOOTHING, Memory
from anomalyd.detectors.vectors.patch.state import Stacked
from anomalyd.detectors.vectors.patch.surroundings import look_around
from anomalyd.detectors.vectors.patch.views import SMOOTHED, logs, look

_MEMORY = Memory.__slots__
_BEFORE_MEMORY = 11


def encode(
    states: Stacked,
    model: Model,
    places: NDArray[np.int64],
    times: NDArray[np.float64],
    values: NDArray[np.float32],
    raw: float,
    rule: Rule,
) -> Encoded:
    """Encode one row (1, 1, F): what its score depends on besides its values is the context, each (1, ...).

    A shift is among it, so that the score is the row's own although an alarm was on, or a jump.
    """
    rows, observed = scale_rows(states, values, model.intervals[places])
    around = look_around(states, times, rows, observed)
    means = np.where(np.isnan(states.means), 0.0, states.means)
    memory = model.own.memory.of(places)
    context = [
        evidence.around_of(around),
        torch.from_numpy(observed[:, 0]).float(),
        torch.from_numpy(np.ascontiguousarray(around.joined[:, -patches.ROWS : -1])),
        model.own.reach[torch.from_numpy(places)],
        model.own.usual[torch.from_numpy(places)],
        rule.weights[None],
        torch.from_numpy(means).float(),
        torch.from_numpy(states.bulk),
        torch.zeros(1, 1),
        torch.tensor([[rule.threshold - float(rule.heights.opens[places[0]])]]),
        torch.from_numpy(np.isnan(states.means[:, -1:])),
        *(getattr(memory, name) for name in _MEMORY),
    ]
    inputs = torch.from_numpy(np.ascontiguousarray(rows[:, 0]))
    if np.isfinite(raw):
        with torch.inference_mode():
            context[8] = torch.tensor([[raw - float(score(inputs, context)[0])]])
    feature = torch.where(context[1][0] > 0, torch.arange(inputs.shape[1]), -1)
    baseline = torch.from_numpy(np.ascontiguousarray(around.median15[:, 0]))
    return Encoded(inputs, baseline, tuple(context), feature)


def score(inputs: Tensor, context: Sequence[Tensor]) -> Tensor:
    """Give the raw score (N,) of inputs (N, F) in a context, which goes for all."""
    count = len(inputs)
    around, observed, before, reach, usual, weights, means, held, shift, height, unknown = (
        each[:1].expand(count, *each.shape[1:]) for each in context[:_BEFORE_MEMORY]
    )
    memory = Memory(*(each[:1].expand(count, *each.shape[1:]) for each in context[_BEFORE_MEMORY:]))
    views, jump = look(inputs, observed, around, reach)
    newest = torch.tensor([weight for _, weight in SMOOTHED])
    levels = means[:, :6] + newest * (views[:, [view for view, _ in SMOOTHED]] - means[:, :6])
    logged = logs(levels)
    restless = logged[:, 0] + 0.5 * logged[:, 1]
    codes = patches.encode(torch.cat([before, inputs[:, None]], dim=1).transpose(1, 2))
    new = means[:, 6] + SMOOTHING * (memory.patch_nats(codes, observed) - means[:, 6])
    level = means[:, 7] + SMOOTHING * (memory.row_distance(inputs) - means[:, 7])
    far = torch.where(unknown[:, 0], torch.ones_like(level), memory.row_nats(level))
    columns = torch.cat([logged, torch.stack([restless, jump, new, far], dim=1)], dim=1)
    wide = torch.maximum(held[..., 1] - held[..., 0], torch.from_numpy(bulk.LEAST_SPREAD))
    counted = ((columns - held[..., 0]) / wide).clamp(min=-3.0)
    found = evidence.evidence_of(
        counted, columns, held[:, evidence.PATCHES :, 0], usual, memory.worth, weights[0]
    )
    return found + height[:, 0] + shift[:, 0]
