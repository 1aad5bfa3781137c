"""Seven views of a row, each one number, and what is made of them: where views agree, and commotion.

Each view is smoothed in time. Where they agree, what counts is how rare the log of each is on this entity
(`tail_probability`), so that no unit, and no view's own scale, decides; the mean is taken twice: of slow
views, which see what lasts, and of quick ones, which see when it is over. For commotion
(`sustained_activity`) logs are added.
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

LEAP = 5.0
"""From one row to the next it counts for so many times as much at most."""

POWER = 1.25
"""Between a sum, which many small moves fill, and a maximum: 1.25 ranked labelled servers best."""

_TOP = 3

QUICK = 0.3

CHANNELS = (
    # view, weight of the newest row in its mean over time; shares in the slow and in the quick mean; weight
    # in commotion
    ("turbulence", 0.03, 0.5, 0.0, 1.0),
    ("turbulence", QUICK, 0.0, 0.5, 0.5),
    ("surprise", QUICK, 0.3, 0.3, 0.0),
    ("displacement", 0.1, 0.3, 0.0, 0.0),
    ("displacement", QUICK, 0.0, 0.3, 0.0),
    ("profile", QUICK, 1.0, 1.0, 0.0),
    ("unrest", 0.1, 0.3, 0.0, 0.0),
    ("unrest", QUICK, 0.0, 0.3, 0.0),
    ("motion", QUICK, 0.3, 0.3, 0.0),
    ("level", QUICK, 0.0, 0.0, 0.25),
)
"""Chosen on three folders of labelled servers together; what each brings, and what the choice gives on
servers that were left out, stands in docs/validation.md."""

VIEWS = ("turbulence", "displacement", "profile", "surprise", "unrest", "motion", "level")

OF_VIEW = [VIEWS.index(view) for view, *_ in CHANNELS]
SMOOTHING = [weight for _, weight, *_ in CHANNELS]


@dataclass(frozen=True, slots=True)
class Usual:
    """What is usual of an entity, from training.

    `clip` (F,): most that a metric counts for; `displacement` (F,): its 99 % quantile; `surprise` (F,): 5 %
    quantile; `blame` (F,): 96 % quantile of what a metric moves from its last 10 rows; `leap` (F,): 99 %
    quantile of what it leaps from the row before; `flip` (F,): how far the two values of a switch lie apart,
    0 of what is none; `shown` (P, C): values of the channels, and `trained_to`
    (1,) the event time up to which they are; `bulk` (5, 2): median and upper quartile of the slow mean and
    of what is measured of commotion; `still` (F,): repetitions above which a metric is stuck;
    `interval` (1,): seconds from row to row.
    """

    clip: Tensor
    displacement: Tensor
    surprise: Tensor
    blame: Tensor
    shown: Tensor
    trained_to: Tensor
    leap: Tensor
    flip: Tensor
    bulk: Tensor
    still: Tensor
    interval: Tensor


@dataclass(frozen=True, slots=True)
class Around:
    """What rows are compared with, (..., F) each: means and medians of the rows before, the row before."""

    mean5: Tensor
    median15: Tensor
    hours6: Tensor
    day: Tensor
    profile: Tensor
    mean10: Tensor
    last: Tensor


def shares_of(weights: Mapping[str, float]) -> Tensor:
    """Give the shares (C, 3) of the channels in the slow and the quick mean and in commotion.

    The weight of a view is 1 as chosen, 0 for none; each mean's shares add up to 1.
    """
    shares = torch.tensor([[share * weights[view] for share in given] for view, _, *given in CHANNELS])
    return torch.cat([shares[:, :2] / shares[:, :2].sum(dim=0).clamp(min=1e-6), shares[:, 2:]], dim=1)


def views(rows: Tensor, around: Around, observed: Tensor, surprise: Tensor, usual: Usual) -> Tensor:
    """Give the views (..., 7) of rows (..., F).

    `observed` (..., F): 1, or 0 where missing; `surprise` (..., F): of the network; `usual`: of their entity,
    or stacked so that it goes with them.
    """

    def away(other: Tensor) -> Tensor:
        return torch.minimum((rows - other).abs() * observed, usual.clip)

    def top(values: Tensor) -> Tensor:
        return torch.topk(values, min(_TOP, rows.shape[-1]), dim=-1, sorted=False).values.mean(dim=-1)

    turbulence = torch.minimum(away(around.mean5), away(around.median15)).clamp(min=1e-9) ** POWER
    past = away(around.profile)
    displaced = torch.minimum(away(around.day), past) / usual.displacement
    surprised = (surprise - usual.surprise).clamp(min=0.0) * observed
    moved = (rows - around.mean10).abs() * observed / usual.blame
    leap = LEAP * usual.clip
    leapt = torch.maximum(torch.minimum(rows, leap), -leap) - torch.maximum(
        torch.minimum(around.last, leap), -leap
    )
    whole = rows.shape[-1] / observed.sum(dim=-1).clamp(min=1.0)
    return torch.stack(
        [
            turbulence.sum(dim=-1) * whole,
            top(displaced),
            top(past / usual.displacement),
            surprised.sum(dim=-1) * whole,
            (leapt.abs() * observed).sum(dim=-1),
            torch.log1p(top(moved)),
            away(around.hours6).sum(dim=-1) * whole,
        ],
        dim=-1,
    )


def logs(levels: Tensor) -> Tensor:
    """Give the log of smoothed views."""
    return torch.log(levels + 1e-3)


def as_tensors(usual: Usual) -> dict[str, Tensor]:
    """Give them by name, for safetensors."""
    return {name: getattr(usual, name) for name in Usual.__slots__}


def from_tensors(tensors: dict[str, Any]) -> Usual:
    """Make one of what `as_tensors` gave."""
    return Usual(**{name: tensors[name] for name in Usual.__slots__})
