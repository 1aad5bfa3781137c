"""Five views of a row, each one number, and the sum of their log scores: where views agree is an alarm.

Each view is smoothed in time, and its log is put in units of its own training: 0 at the median, about 1 at
the 99 % quantile. The logs are added, so that no single view decides alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

LARGEST = 10.0
"""Usual widths that one metric counts for at most: beyond it a metric is broken, and says no more by being
more so."""

POWER = 1.25
"""Between a sum, which many small moves fill, and a maximum: 1.25 ranked labelled servers best."""

_TOP = 3

CHANNELS = (
    # view, weight of the newest row in its mean over time, share in the sum
    ("turbulence", 0.05, 1.0),
    ("turbulence", 0.02, 0.25),
    ("surprise", 0.05, 0.5),
    ("displacement", 0.1, 0.5),
    ("profile", 0.3, 0.5),
    ("residual", 0.3, 0.5),
)
"""Chosen on three folders of labelled servers together; what each brings stands in docs/validation.md."""

VIEWS = ("turbulence", "displacement", "profile", "residual", "surprise")

OF_VIEW = [VIEWS.index(view) for view, _, _ in CHANNELS]
SMOOTHING = [weight for _, weight, _ in CHANNELS]


@dataclass(frozen=True, slots=True)
class Usual:
    """What is usual of an entity, from training.

    `clip` (F,): most that a metric counts for; `displacement` (F,): its 99 % quantile; `middle` (F,) and
    `axes` (F, k): the plane most rows lie near (principal components, a linear autoencoder); `surprise` (F,):
    5 % quantile; `blame` (F,): 95 % quantile of what a metric moves from its last 10 rows; `log_centre`,
    `log_spread` (C,): of each channel; `bulk` (2,): median and 90 % quantile of the sum; `jolt` (1,): what
    all metrics together rarely move from one row to the next; `still` (F,): repetitions above which a metric
    is stuck.
    """

    clip: Tensor
    displacement: Tensor
    middle: Tensor
    axes: Tensor
    surprise: Tensor
    blame: Tensor
    log_centre: Tensor
    log_spread: Tensor
    bulk: Tensor
    jolt: Tensor
    still: Tensor


def shares_of(weights: Mapping[str, float]) -> Tensor:
    """Give the share (C,) of each channel in the sum, its view's weight being 1 as chosen and 0 for none."""
    return torch.tensor([share * weights[view] for view, _, share in CHANNELS])


def views(
    rows: Tensor, around: Tensor, observed: Tensor, surprise: Tensor, usual: Usual
) -> tuple[Tensor, Tensor]:
    """Give the views (N, 5) of rows (N, F), and each metric's turbulence (N, F).

    `around` (N, 4, F): mean of 5, median of 15, median of the day, profile; `observed` (N, F): 1, or 0 where
    missing; `surprise` (N, F): of the network.
    """
    away = (rows[:, None] - around).abs() * observed[:, None]
    away = torch.minimum(away, usual.clip)
    turbulence = torch.minimum(away[:, 0], away[:, 1]).clamp(min=1e-9) ** POWER
    displaced = torch.minimum(away[:, 2], away[:, 3])
    top = torch.topk(displaced / usual.displacement, min(_TOP, rows.shape[1]), dim=1, sorted=False).values
    centred = (torch.maximum(torch.minimum(rows, usual.clip), -usual.clip) - usual.middle) * observed
    residual = centred - (centred @ usual.axes) @ usual.axes.T
    surprised = (surprise - usual.surprise).clamp(min=0.0) * observed
    whole = rows.shape[1] / observed.sum(dim=1).clamp(min=1.0)
    return torch.stack(
        [
            turbulence.sum(dim=1) * whole,
            top.mean(dim=1),
            away[:, 3].sum(dim=1) * whole,
            (residual.square().sum(dim=1) * whole + 1e-12).sqrt(),
            surprised.sum(dim=1) * whole,
        ],
        dim=1,
    ), turbulence


def logs(levels: Tensor) -> Tensor:
    """Give the log of smoothed views."""
    return torch.log(levels + 1e-6)


def total(levels: Tensor, usual: Usual, shares: Tensor) -> Tensor:
    """Give the sum (N,) of the log scores of smoothed views (N, C), each with its share (C,)."""
    summed: Tensor = ((logs(levels) - usual.log_centre) / usual.log_spread) @ shares.to(levels.dtype)
    return summed


def principal_axes(rows: Tensor, share: float = 0.9, contaminated: float = 0.03) -> tuple[Tensor, Tensor]:
    """Fit the plane near most rows (T, F): middle (F,) and axes (F, k) that hold `share` of the variance.

    Fitted twice, the second time without the `contaminated` share that lies farthest from the first plane.
    """

    def fit(some: Tensor, middle: Tensor) -> Tensor:
        apart = some - middle
        variances, axes = torch.linalg.eigh(apart.T @ apart / len(some))
        held = torch.cumsum(variances.flip(0).clamp(min=0), 0) / variances.clamp(min=0).sum().clamp(min=1e-12)
        count = min(int((held < share).sum()) + 2, rows.shape[1])
        found: Tensor = axes.flip(1)[:, :count]
        return found

    middle = rows.median(dim=0).values
    axes = fit(rows, middle)
    apart = rows - middle
    far = (apart - (apart @ axes) @ axes.T).square().sum(dim=1)
    kept = rows[far <= torch.quantile(far[:: max(1, len(far) // 100_000)], 1.0 - contaminated)]
    middle = kept.mean(dim=0)
    return middle, fit(kept, middle)


def as_tensors(usual: Usual) -> dict[str, Tensor]:
    """Give them by name, for safetensors."""
    return {name: getattr(usual, name) for name in Usual.__slots__}


def from_tensors(tensors: dict[str, Any]) -> Usual:
    """Make one of what `as_tensors` gave."""
    return Usual(**{name: tensors[name] for name in Usual.__slots__})
