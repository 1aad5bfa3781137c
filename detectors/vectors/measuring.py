"""What is usual of an entity, measured on its training rows; and the views of rows, smoothed in time."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from anomalyd.detectors.vectors.alarm import bulk_of
from anomalyd.detectors.vectors.channels import (
    CHANNELS,
    OF_VIEW,
    SMOOTHING,
    Usual,
    as_tensors,
    from_tensors,
    logs,
    principal_axes,
    total,
    views,
)
from anomalyd.detectors.vectors.ewma import ewma
from anomalyd.detectors.vectors.following import Followed, jolts
from anomalyd.detectors.vectors.predictive import Predictor
from anomalyd.detectors.vectors.standstill import limits


def _seen(network: Predictor, followed: Followed, usual: Usual) -> Tensor:
    around = followed.around
    stacked = np.stack([around.mean5, around.median15, around.day, around.profile], axis=1)
    with torch.inference_mode():
        surprise = network.surprise(torch.from_numpy(followed.known), torch.from_numpy(followed.came))
        seen, _ = views(
            torch.from_numpy(followed.rows),
            torch.from_numpy(np.nan_to_num(stacked)),
            torch.from_numpy(followed.observed),
            surprise,
            usual,
        )
    return seen.clone()


def levels_of(network: Predictor, followed: Followed, usual: Usual, before: NDArray[Any] | None) -> Tensor:
    """Give the views (n, C) smoothed in time."""
    seen = _seen(network, followed, usual)[:, OF_VIEW].double().numpy()
    begin = seen[0] if before is None else np.where(np.isnan(before), seen[0], before)
    smoothed = [ewma(seen[:, c], weight, begin[c]) for c, weight in enumerate(SMOOTHING)]
    return torch.from_numpy(np.stack(smoothed, axis=1).astype(np.float32))


def measure_usual(
    network: Predictor, followed: Followed, clip: Tensor, settled: slice, shares: Tensor
) -> Usual:
    """Measure what is usual of one entity on its training rows."""
    rows, around = torch.from_numpy(followed.rows), followed.around
    middle, axes = principal_axes(torch.maximum(torch.minimum(rows, clip), -clip))
    nearer = np.minimum(np.abs(followed.rows - around.day), np.abs(followed.rows - around.profile))
    # A metric that was always missing has nothing around it: it is nowhere displaced.
    displaced = np.quantile(np.nan_to_num(np.minimum(nearer, clip.numpy()))[settled], 0.99, axis=0)
    blamed = np.quantile(np.nan_to_num(np.abs(followed.rows - around.mean10))[settled], 0.95, axis=0)
    with torch.inference_mode():
        surprise = network.surprise(torch.from_numpy(followed.known), torch.from_numpy(followed.came))
        least = np.quantile(surprise[settled].numpy(), 0.05, axis=0)
    usual = Usual(
        clip=clip,
        displacement=torch.from_numpy(np.maximum(displaced, 0.3).astype(np.float32)),
        middle=middle,
        axes=axes.contiguous(),
        surprise=torch.from_numpy(least.astype(np.float32)),
        blame=torch.from_numpy(np.maximum(blamed, 0.5).astype(np.float32)),
        log_centre=torch.zeros(len(CHANNELS)),
        log_spread=torch.ones(len(CHANNELS)),
        bulk=torch.tensor([0.0, 1.0]),
        jolt=torch.ones(1),
        still=torch.from_numpy(limits(np.where(followed.observed > 0, followed.rows, np.nan))),
    )
    levels = levels_of(network, followed, usual, None)
    logged = logs(levels)[settled].numpy()
    centre = np.median(logged, axis=0)
    # A tenth more keeps a view that hardly ever moves from deciding alone.
    spread = np.quantile(logged, 0.99, axis=0) - centre + 0.1
    values = as_tensors(usual) | {
        "log_centre": torch.from_numpy(centre.astype(np.float32)),
        "log_spread": torch.from_numpy(spread.astype(np.float32)),
        "jolt": torch.from_numpy(
            np.quantile(jolts(followed, {}, usual)[settled], [0.9985]).astype(np.float32)
        ),
    }
    summed = total(levels, from_tensors(values), shares)[settled].numpy()
    bulk = torch.from_numpy(bulk_of(summed).astype(np.float32))
    return from_tensors(values | {"bulk": bulk})
