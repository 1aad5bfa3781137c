"""Commotion: how much more goes on than usual, counted in the entity's own spread, and whether it lasts.

Turbulence, slow and quick, and how far the metrics are from where they were in the last hours: the sum of
their logs. It is counted from the median of the entity's last seven days, in units of what lies between
median and upper quartile, because a tail measured on machines where every tenth row belongs to an event is
made of events. An alarm that commotion began lasts while the last hour stays restless, or while the metrics
are displaced or leap more than they do: what is busy for hours bursts every few minutes, and between bursts
it looks usual.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from anomalyd.detectors.vectors.ensemble.views import CHANNELS, QUICK

COLUMNS = 4
"""What is measured of commotion: itself, restlessness (quick turbulence), displacement, unrest; all logs."""

_LEAST_SPREAD = 0.02
"""Logs: what hardly ever changes is not infinitely strange when it does."""

_RESTLESS, _OFTEN, _HOUR_S = 2.2, 0.37, 3600.0
_BURST, _LATELY_S = 2.3, 1200.0
_DISPLACED, _UNREST = 10.0, 3.7
"""Restless: above two spreads in a third of the rows of an hour, with a burst in its last third. Chosen
together with the heights of the alarm; docs/validation.md."""

_KEEPING = [
    [channel[:2] for channel in CHANNELS].index(each)
    for each in (("turbulence", QUICK), ("displacement", 0.1), ("unrest", 0.1))
]

Floats = NDArray[np.float64]


def commotion_of(logs: Tensor, weights: Tensor) -> Floats:
    """Give commotion, restlessness, displacement and unrest (n, 4) of the logs of channels (n, C).

    `weights` (C,): of each channel in commotion.
    """
    columns = torch.cat([(logs @ weights)[:, None], logs[:, _KEEPING]], dim=1)
    return columns.numpy().astype(np.float64)


def spreads(values: Floats, bulk: Floats) -> Floats:
    """Count values (n, 4) from the median in spreads; `bulk` (4, 2): median and upper quartile of each."""
    width = np.maximum(bulk[:, 1] - bulk[:, 0], _LEAST_SPREAD)
    counted: Floats = (values - bulk[:, 0]) / width
    return counted


def lasting(counted: Floats, before: NDArray[Any], interval_s: float) -> tuple[NDArray[np.bool_], Floats]:
    """Say at which rows what goes on lasts (n,), of what was counted (n, 4); and what to remember.

    `before`: the restlessness of the rows before, as it was remembered.
    """
    hour = max(4, round(_HOUR_S / interval_s))
    lately = max(2, round(_LATELY_S / interval_s))
    joined = np.concatenate([np.full(hour, -np.inf), before.astype(np.float64), counted[:, 1]])
    n = len(counted)
    restless = _count(joined > _RESTLESS, hour)[-n:] >= _OFTEN * hour
    burst = _count(joined > _BURST, lately)[-n:] > 0
    far = (counted[:, 2] > _DISPLACED) | (counted[:, 3] > _UNREST)
    return (restless & burst) | far, joined[1 - hour :]


def _count(flags: NDArray[np.bool_], width: int) -> NDArray[np.int64]:
    """Count in each window of so many flags, the last of them at its end."""
    total = np.concatenate([[0], np.cumsum(flags)])
    counted: NDArray[np.int64] = total[width:] - total[:-width]
    return counted
