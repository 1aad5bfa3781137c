"""The views of rows, smoothed in time, and what is usual of an entity, measured on its training rows."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from anomalyd.detectors.vectors.ensemble import sustained_activity, tail_probability
from anomalyd.detectors.vectors.ensemble.ewma import ewma
from anomalyd.detectors.vectors.ensemble.feature_extraction import Followed
from anomalyd.detectors.vectors.ensemble.hysteresis import bulk_of
from anomalyd.detectors.vectors.ensemble.predictive import Predictor
from anomalyd.detectors.vectors.ensemble.spikes import LEAST_LEAP
from anomalyd.detectors.vectors.ensemble.views import (
    CHANNELS,
    OF_VIEW,
    SMOOTHING,
    Around,
    Usual,
    logs,
    views,
)
from anomalyd.detectors.vectors.standstill import limits

_LEAST_DISPLACEMENT, _LEAST_BLAME = 0.3, 0.45
"""Usual widths that a metric may always be displaced by, or move by, before it says anything."""

_USUAL_S = 7 * 86_400.0
"""How far each metric usually goes is measured on the newest week of training, for entities drift; how rare
what all of them do is, on all of it."""


def around_of(followed: Followed) -> Around:
    """Give what rows are compared with as tensors; what has nothing around it is compared with 0."""
    around = followed.around
    return Around(*(torch.from_numpy(np.nan_to_num(getattr(around, name))) for name in Around.__slots__))


def views_of(network: Predictor, followed: Followed, usual: Usual) -> NDArray[np.float64]:
    """Give the views (n, V) of rows."""
    with torch.inference_mode():
        surprise = network.surprise(torch.from_numpy(followed.known), torch.from_numpy(followed.came))
        seen = views(
            torch.from_numpy(followed.rows),
            around_of(followed),
            torch.from_numpy(followed.observed),
            surprise,
            usual,
        )
    return seen.numpy().astype(np.float64)


def levels_of(seen: NDArray[np.float64], before: NDArray[Any] | None) -> Tensor:
    """Smooth views (n, V) in time: the channels (n, C)."""
    each = seen[:, OF_VIEW]
    begin = each[0] if before is None else np.where(np.isnan(before), each[0], before)
    smoothed = [ewma(each[:, c], weight, begin[c]) for c, weight in enumerate(SMOOTHING)]
    return torch.from_numpy(np.stack(smoothed, axis=1).astype(np.float32))


def measure_usual(
    network: Predictor,
    followed: Followed,
    clip: Tensor,
    times: NDArray[np.float64],
    settled: slice,
    shares: Tensor,
) -> Usual:
    """Measure what is usual of one entity on training rows at `times` (T,), of which some have settled."""
    around = followed.around
    newest = slice(max(int(np.searchsorted(times, times[-1] - _USUAL_S)), settled.start), None)
    nearer = np.minimum(np.abs(followed.rows - around.day), np.abs(followed.rows - around.profile))
    # A metric that was always missing has nothing around it: it is nowhere displaced.
    displaced = np.quantile(np.nan_to_num(np.minimum(nearer, clip.numpy()))[newest], 0.99, axis=0)
    blamed = np.quantile(np.nan_to_num(np.abs(followed.rows - around.mean10))[settled], 0.96, axis=0)
    leapt = np.quantile(np.nan_to_num(np.abs(followed.rows - around.last))[newest], 0.99, axis=0)
    with torch.inference_mode():
        surprise = network.surprise(torch.from_numpy(followed.known), torch.from_numpy(followed.came))
        least = np.quantile(surprise[newest].numpy(), 0.05, axis=0)
    usual = Usual(
        clip=clip,
        displacement=torch.from_numpy(np.maximum(displaced, _LEAST_DISPLACEMENT).astype(np.float32)),
        surprise=torch.from_numpy(least.astype(np.float32)),
        blame=torch.from_numpy(np.maximum(blamed, _LEAST_BLAME).astype(np.float32)),
        shown=torch.zeros(0, len(CHANNELS), dtype=torch.float16),
        trained_to=torch.tensor([times[-1]], dtype=torch.float64),
        leap=torch.from_numpy(np.maximum(leapt, LEAST_LEAP).astype(np.float32)),
        bulk=torch.zeros(1 + sustained_activity.COLUMNS, 2),
        still=torch.from_numpy(limits(np.where(followed.observed > 0, followed.rows, np.nan))),
        interval=torch.tensor([float(np.median(np.diff(times)))], dtype=torch.float64),
    )
    seen = views_of(network, followed, usual)
    logged = logs(levels_of(seen, None))[settled]
    shown = tail_probability.samples_of(times[settled], logged.numpy())
    means = tail_probability.Rarity.measure(shown).nats(logged) @ shares[:, 0]
    bulk = bulk_of(np.column_stack([means.numpy(), sustained_activity.commotion_of(logged, shares[:, 2])]))
    return replace(usual, shown=torch.from_numpy(shown), bulk=torch.from_numpy(bulk))
