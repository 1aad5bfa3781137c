"""The score of one row of the ensemble as a function of its values: for gradients and occlusion."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from anomalyd.detectors.vectors.ensemble.baseline_statistics import around_of
from anomalyd.detectors.vectors.ensemble.feature_extraction import SQUASHED, Followed
from anomalyd.detectors.vectors.ensemble.predictive import Predictor
from anomalyd.detectors.vectors.ensemble.tail_probability import Rarity
from anomalyd.detectors.vectors.ensemble.views import (
    OF_VIEW,
    SMOOTHING,
    Around,
    Usual,
    logs,
    views,
)

_OF_VIEWS = ("clip", "displacement", "surprise", "blame")
"""What the views know of an entity."""


def context_of(
    followed: Followed,
    levels: NDArray[np.float32],
    heights: Sequence[float],
    rarity: Rarity,
    usual: Usual,
) -> tuple[Tensor, ...]:
    """Give all that the score of one row (1, 1, F) depends on but its values, each (1, ...).

    `levels` (C,): the channels a row before; `heights`: the row's raw score, and the slow mean behind it, for
    differences of the mean are added to the score; `rarity`: how rare values are.
    """
    around = around_of(followed)
    return (
        torch.stack([getattr(around, name)[0] for name in Around.__slots__], dim=1),
        torch.from_numpy(followed.observed[0]),
        torch.from_numpy(followed.known[0]),
        torch.from_numpy(levels)[None],
        torch.tensor([heights]),
        rarity.steps[None],
        rarity.tail[None],
        *(getattr(usual, name)[None] for name in _OF_VIEWS),
    )


def score_in(
    context: Sequence[Tensor], inputs: Tensor, network: Predictor, usual: Usual, shares: Tensor
) -> Tensor:
    """Give the raw score (N,) of inputs (N, F) in a context, which goes for all; `usual` may be anyone's."""
    around, observed, known, before, heights, steps, tail, *rest = context
    usual = replace(usual, **{name: each[0] for name, each in zip(_OF_VIEWS, rest, strict=True)})
    count = len(inputs)
    observed = observed[:1].expand(count, -1)
    past = Around(*around[:1].expand(count, -1, -1).unbind(dim=1))
    came = _signed_log(inputs - past.median15).clamp(-SQUASHED, SQUASHED) * observed
    surprise = network.surprise(known[:1].expand(count, -1), came)
    seen = views(inputs, past, observed, surprise, usual)
    weight = torch.tensor(SMOOTHING)
    levels = (1.0 - weight) * before[:1] + weight * seen[:, OF_VIEW]
    nats = Rarity(steps[0], tail[0]).nats(logs(levels))
    score: Tensor = heights[0, 0] + nats @ shares[:, 0] - heights[0, 1]
    return score


def _signed_log(values: Tensor) -> Tensor:
    return torch.sign(values) * torch.log1p(values.abs())
