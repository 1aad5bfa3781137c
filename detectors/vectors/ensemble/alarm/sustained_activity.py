"""Commotion: how much more goes on than usual, counted in the entity's own spread, and whether it lasts.

Turbulence, slow and quick, and how far the metrics are from where they were in the last hours: the sum of
their logs. It is counted from the median of the entity's last seven days, in units of what lies between
median and upper quartile, because a tail measured on machines where every tenth row belongs to an event is
made of events. An alarm that commotion began lasts while the last hour stays restless, or while the metrics
are displaced or leap more than they do: what is busy for hours bursts every few minutes, and between bursts
it looks usual.
"""

from __future__ import annotations

from dataclasses import dataclass

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

_IS_RESTLESS, _IS_BURST = np.uint8(1), np.uint8(2)

Floats = NDArray[np.float64]


def commotion_of(logs: Tensor, weights: Tensor) -> Floats:
    """Give commotion, restlessness, displacement and unrest (..., 4) of the logs of channels (..., C).

    `weights` (C,): of each channel in commotion.
    """
    columns = torch.cat([(logs @ weights)[..., None], logs[..., _KEEPING]], dim=-1)
    return columns.numpy().astype(np.float64)


def spreads(values: Floats, bulk: Floats) -> Floats:
    """Count values (..., 4) from the median in spreads; `bulk` (..., 4, 2): median and upper quartile."""
    width = np.maximum(bulk[..., 1] - bulk[..., 0], _LEAST_SPREAD)
    counted: Floats = (values - bulk[..., 0]) / width
    return counted


@dataclass(frozen=True, slots=True)
class Spans:
    """How many rows an hour has (E,), and the twenty minutes in which a burst is of late (E,)."""

    hour: NDArray[np.int64]
    lately: NDArray[np.int64]

    @classmethod
    def of(cls, intervals_s: Floats) -> Spans:
        """Count them for entities whose rows come every so many seconds (E,)."""
        # Half to even, as `round`.
        hour, lately = (np.rint(span / intervals_s).astype(np.int64) for span in (_HOUR_S, _LATELY_S))
        return cls(np.maximum(hour, 4), np.maximum(lately, 2))

    def at(self, which: NDArray[np.int64] | slice) -> Spans:
        """Give those of some entities."""
        return Spans(self.hour[which], self.lately[which])


def lasting(
    counted: Floats, before: NDArray[np.uint8], spans: Spans
) -> tuple[NDArray[np.bool_], NDArray[np.uint8]]:
    """Say at which rows what goes on lasts (E, n), of what was counted (E, n, 4); and flags to remember.

    `before` (E, H): flags of the rows before, H being an hour at least; after them (E, H + n) come those of
    these rows.
    """
    restlessness = counted[..., 1]
    flags = _IS_RESTLESS * (restlessness > _RESTLESS) + _IS_BURST * (restlessness > _BURST)
    joined = np.concatenate([before, flags.astype(np.uint8)], axis=1)
    n = counted.shape[1]
    restless = _count(joined & _IS_RESTLESS, n, spans.hour) >= _OFTEN * spans.hour[:, None]
    burst = _count(joined & _IS_BURST, n, spans.lately) > 0
    far = (counted[..., 2] > _DISPLACED) | (counted[..., 3] > _UNREST)
    return (restless & burst) | far, joined


def _count(flags: NDArray[np.uint8], n: int, widths: NDArray[np.int64]) -> NDArray[np.int64]:
    """Count the flags (E, m) in the windows of so many rows (E,) that end at each of the last n: (E, n)."""
    total = np.cumsum(flags != 0, axis=1, dtype=np.int64)
    ends = np.arange(flags.shape[1] - n, flags.shape[1])
    begins = ends - widths[:, None]
    before: NDArray[np.int64] = np.take_along_axis(total, np.maximum(begins, 0), axis=1)
    found: NDArray[np.int64] = total[:, ends] - np.where(begins < 0, 0, before)
    return found
