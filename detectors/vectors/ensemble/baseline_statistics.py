"""The views of rows, smoothed in time, and what is usual of an entity, measured on its training rows."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from anomalyd.detectors.vectors.by_entity import EntityArrays
from anomalyd.detectors.vectors.ensemble import tail_probability
from anomalyd.detectors.vectors.ensemble.alarm import sustained_activity
from anomalyd.detectors.vectors.ensemble.alarm.spikes import LEAST_LEAP, flips_of
from anomalyd.detectors.vectors.ensemble.alarm.views_alarm import bulk_of
from anomalyd.detectors.vectors.ensemble.ewma import ewma
from anomalyd.detectors.vectors.ensemble.feature_extraction import Followed
from anomalyd.detectors.vectors.ensemble.predictive import Predictor
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
    return Around(*(_filled(getattr(followed.around, name)) for name in Around.__slots__))


def _filled(values: NDArray[np.float32]) -> Tensor:
    missing = np.isnan(values)
    # Nothing writes to it: the quarter hours of a row are those of its neighbours.
    return torch.from_numpy(np.where(missing, np.float32(0), values) if missing.any() else values.copy())


def views_of(network: Predictor, followed: Followed, usual: Usual) -> NDArray[np.float64]:
    """Give the views (E, n, V) of rows; `usual` is stacked, (E, 1, F)."""
    with torch.inference_mode():
        surprise = surprise_of(network, followed)
        around, observed = around_of(followed), torch.from_numpy(followed.observed)
        seen = views(torch.from_numpy(followed.rows), around, observed, surprise, usual)
    return seen.numpy().astype(np.float64)


def surprise_of(network: Predictor, followed: Followed) -> Tensor:
    """Give how surprising rows are to the network (E, n, F)."""
    known, came = torch.from_numpy(followed.known), torch.from_numpy(followed.came)
    return network.surprise(known.flatten(0, 1), came.flatten(0, 1)).view(came.shape)


def levels_of(seen: NDArray[np.float64], before: NDArray[np.float32]) -> Tensor:
    """Smooth views (E, n, V) in time: the channels (E, n, C); `before` (E, C), NaN where nothing was."""
    along = np.swapaxes(seen[..., OF_VIEW], 0, 1)
    begin = np.where(np.isnan(before), along[0], before)
    smoothed = np.empty(along.shape, dtype=np.float32)
    for weight in set(SMOOTHING):
        same = [c for c, each in enumerate(SMOOTHING) if each == weight]
        smoothed[..., same] = ewma(along[..., same], weight, begin[..., same])
    return torch.from_numpy(np.ascontiguousarray(np.swapaxes(smoothed, 0, 1)))


def measure_usual(
    network: Predictor,
    followed: Followed,
    clip: Tensor,
    times: NDArray[np.float64],
    settled: slice,
    shares: Tensor,
) -> Usual:
    """Measure what is usual of one entity on training rows (1, T, F) at `times` (T,): some have settled."""
    rows, observed = followed.rows[0], followed.observed[0]
    around = {name: getattr(followed.around, name)[0] for name in Around.__slots__}
    newest = slice(max(int(np.searchsorted(times, times[-1] - _USUAL_S)), settled.start), None)
    nearer = np.minimum(np.abs(rows - around["day"]), np.abs(rows - around["profile"]))
    # A metric that was always missing has nothing around it: it is nowhere displaced.
    displaced = np.quantile(np.nan_to_num(np.minimum(nearer, clip.numpy()))[newest], 0.99, axis=0)
    blamed = np.quantile(np.nan_to_num(np.abs(rows - around["mean10"]))[settled], 0.96, axis=0)
    leapt = np.quantile(np.nan_to_num(np.abs(rows - around["last"]))[newest], 0.99, axis=0)
    with torch.inference_mode():
        least = np.quantile(surprise_of(network, followed)[0, newest].numpy(), 0.05, axis=0)
    usual = Usual(
        clip=clip,
        displacement=torch.from_numpy(np.maximum(displaced, _LEAST_DISPLACEMENT).astype(np.float32)),
        surprise=torch.from_numpy(least.astype(np.float32)),
        blame=torch.from_numpy(np.maximum(blamed, _LEAST_BLAME).astype(np.float32)),
        shown=torch.zeros(0, len(CHANNELS), dtype=torch.float16),
        trained_to=torch.tensor([times[-1]], dtype=torch.float64),
        leap=torch.from_numpy(np.maximum(leapt, LEAST_LEAP).astype(np.float32)),
        flip=torch.from_numpy(flips_of(np.where(observed > 0, rows, np.nan))),
        bulk=torch.zeros(1 + sustained_activity.COLUMNS, 2),
        still=torch.from_numpy(limits(np.where(observed > 0, rows, np.nan))),
        interval=torch.tensor([float(np.median(np.diff(times)))], dtype=torch.float64),
    )
    logged = shown_of(network, followed, usual)[settled]
    shown = tail_probability.samples_of(times[settled], logged.numpy())
    means = tail_probability.Rarity.measure(shown).nats(logged) @ shares[:, 0]
    bulk = bulk_of(np.column_stack([means.numpy(), sustained_activity.commotion_of(logged, shares[:, 2])]))
    return replace(usual, shown=torch.from_numpy(shown), bulk=torch.from_numpy(bulk))


def shown_of(network: Predictor, followed: Followed, usual: Usual) -> Tensor:
    """Give the logs of the smoothed views (T, C) of the training rows (1, T, F) of one entity."""
    seen = views_of(network, followed, stacked(EntityArrays.of([]), usual))
    return logs(levels_of(seen, np.full((1, len(CHANNELS)), np.nan, dtype=np.float32))[0])


def stacked(before: EntityArrays, last: Usual) -> Usual:
    """Stack what is usual of E entities, (E, 1, F), for rows (E, n, F); without what was shown.

    `before` holds that of all but the last, by name.
    """

    def joined(name: str) -> Tensor:
        return torch.from_numpy(before.stacked_with(name, getattr(last, name).numpy()))[:, None]

    names = [name for name in Usual.__slots__ if name != "shown"]
    return Usual(shown=torch.empty(0), **{name: joined(name) for name in names})


def pick(usual: Usual, places: Tensor) -> Usual:
    """Give what is usual of the entities at `places` (E,)."""
    names = [name for name in Usual.__slots__ if name != "shown"]
    return Usual(shown=usual.shown, **{name: getattr(usual, name)[places] for name in names})
