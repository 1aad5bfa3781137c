"""Control charts of each metric against training: where its level stands, and how much it moves about it.

Exponentially weighted charts of the mean (Roberts, "Control chart tests based on geometric moving averages",
Technometrics 1, 1959) and of the variance (MacGregor and Harris, "The exponentially weighted moving
variance", J. Quality Technology 25, 1993), each counted in the widths that it had in training: a valve that
sticks moves too little, an oscillation too much. The centre line goes with a metric as fast as it drifted in
training and no faster: a pump warms up for an hour, but a new level is never taken for normal.

They count rows, not hours, and are the reference of trainings of a few hundred rows.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

_LEVEL, _SPREAD = 0.2, 0.1
"""Weights of the newest row in the level and in the variance."""

_FOLLOWS, _FASTER, _QUARTERS = 0.02, 2.0, 4
"""The centre line closes a fiftieth of the distance in a row, at most twice as fast as training drifted: as
the medians of its quarters lie apart."""

_FAR = 6.0
"""Widths that a row counts for at most in the variance: else a burst is told of long after its end."""

_LEAST_LEVEL = float(np.sqrt(_LEVEL / (2.0 - _LEVEL)))
"""The width of the level of white noise of unit variance."""

_LOG_FLOOR, _LEAST_WIDTH = 0.03, 0.2
_MOST = 10.0
"""Widths that a metric counts for at most."""

_SETTLING = 20
_RARE = 0.97

_LEAST_WORST, _BEYOND = 6.0, 1.1
"""One metric alone is out of control where its level stands so many widths away, or a tenth further than any
did in training. On calm captures of real hosts (149 and 68 metrics, a hundred rows of training) levels stood
5.5 widths away in training and 4.5 after it, under loads 6.5 to 23."""

ALARM = 0.8
"""Where charts alarm: the energy at e^.8 times its limit, or the level of one metric at its own. Chosen for
the energy on made plants."""

_PER_WORST, _WORST_FLOOR = 2.0, 0.2
"""The level of one metric counts twice in the log, so that below its limit the energy ranks."""

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class ControlChart:
    """The charts of N entities of F metrics, in usual widths of these.

    `drift` (N, F): what the centre line moves by in a row at most; `level` (N, F): width of the level;
    `spread` (N, F, 3): usual variance, the median of its log, and the width of that; `limit` (N,): the log
    of the energy above which three of a hundred training rows lay; `worst` (N,): the widths at which the
    level of one metric alarms alone.
    """

    drift: Tensor
    level: Tensor
    spread: Tensor
    limit: Tensor
    worst: Tensor


def blank(entities: int, metrics: int) -> Floats:
    """Give what is remembered (E, 4, F) before the first row: centre line, level, mean, and by how much the
    variance differs from the usual one."""
    return np.zeros((entities, 4, metrics))


def measure(rows: NDArray[np.float32]) -> ControlChart:
    """Measure the charts (N = 1) of training rows (T, F) without gaps."""
    each = rows.astype(np.float64)[None]
    quarters = np.array_split(each[0], min(_QUARTERS, each.shape[1]))
    apart = np.ptp([np.median(part, axis=0) for part in quarters], axis=0)
    drift = _FASTER * apart / (each.shape[1] * (1.0 - 1.0 / _QUARTERS))
    level, spread = _follow(each, np.zeros(each.shape, dtype=bool), drift[None], blank(1, each.shape[2]))
    settled = slice(min(_SETTLING, each.shape[1] // 4), None)
    width = np.maximum(np.sqrt(np.mean(level[0, settled] ** 2, axis=0)), _LEAST_LEVEL)
    logged = np.log(np.maximum(spread[0, settled], 0.0) + _LOG_FLOOR)
    centre = np.median(logged, axis=0)
    around = np.sqrt(np.mean((logged - centre) ** 2, axis=0)) + _LEAST_WIDTH
    usual = np.stack([np.exp(centre) - _LOG_FLOOR, centre, around], axis=-1)
    drifts, levels, spreads = (torch.from_numpy(a.astype(np.float32))[None] for a in (drift, width, usual))
    chart = ControlChart(drifts, levels, spreads, limit=torch.zeros(1), worst=torch.zeros(1))
    away = _away(chart, np.array([0]), level)
    shown = _energy(chart, np.array([0]), away, spread, np.ones(each.shape, dtype=bool))
    limit = float(np.quantile(shown[0, settled], _RARE))
    worst = max(_LEAST_WORST, _BEYOND * float(away[0, settled].max(initial=0.0)))
    return replace(chart, limit=torch.tensor([limit]), worst=torch.tensor([worst]))


def follow(
    chart: ControlChart,
    places: NDArray[np.int64],
    rows: NDArray[np.float32],
    missing: NDArray[np.bool_],
    before: Floats,
) -> tuple[Floats, Floats]:
    """Give how far rows (E, n, F) are out of control, as logs over the limit (E, n): all metrics together,
    and the one whose level stands furthest away.

    `places` (E,) of the entities; `missing` (E, n, F): what says nothing; `before` (E, 4, F) moves on.
    """
    drift = chart.drift.numpy()[places].astype(np.float64)
    usual = chart.spread.numpy()[places, :, 0].astype(np.float64)
    level, spread = _follow(rows.astype(np.float64), missing, drift, before, usual)
    limit, worst = (each.numpy()[places].astype(np.float64)[:, None] for each in (chart.limit, chart.worst))
    away = _away(chart, places, level)
    together = _energy(chart, places, away, spread, ~missing) - limit
    furthest = (away * ~missing).max(axis=2, initial=0.0)
    alone: Floats = ALARM + _PER_WORST * np.log((furthest + _WORST_FLOOR) / worst)
    return together, alone


def _follow(
    rows: Floats, missing: NDArray[np.bool_], drift: Floats, before: Floats, usual: Floats | float = 0.0
) -> tuple[Floats, Floats]:
    """Give the level and the variance of rows, (E, n, F) both."""
    levels, spreads = np.empty_like(rows), np.empty_like(rows)
    centre, level, mean, spread = (before[:, i].copy() for i in range(4))
    for t in range(rows.shape[1]):
        known = ~missing[:, t]
        away = np.where(known, rows[:, t] - centre, 0.0)
        level += np.where(known, _LEVEL * (away - level), 0.0)
        mean += np.where(known, _SPREAD * (away - mean), 0.0)
        moved = np.minimum(np.abs(away - mean), _FAR) ** 2
        spread += np.where(known, _SPREAD * (moved - usual - spread), 0.0)
        centre += np.clip(_FOLLOWS * away, -drift, drift)
        levels[:, t], spreads[:, t] = level, spread + usual
    for i, each in enumerate((centre, level, mean, spread)):
        before[:, i] = each
    return levels, spreads


def _away(chart: ControlChart, places: NDArray[np.int64], level: Floats) -> Floats:
    """Give how far levels (E, n, F) stand from the centre line, in the widths of the level."""
    away: Floats = np.abs(level / chart.level.numpy()[places, None])
    return away


def _energy(
    chart: ControlChart,
    places: NDArray[np.int64],
    away: Floats,
    spread: Floats,
    observed: NDArray[np.bool_],
) -> Floats:
    """Give the log of the mean square of what all charts show, (E, n)."""
    _, centre, width = (chart.spread.numpy()[places, None, :, i] for i in range(3))
    displaced = np.minimum(away, _MOST) ** 2
    logged = np.log(np.maximum(spread, 0.0) + _LOG_FLOOR)
    unusual = np.minimum(np.abs(logged - centre) / width, _MOST) ** 2
    count = np.maximum(observed.sum(axis=2), 1)
    energy: Floats = np.log(((displaced + unusual) * observed).sum(axis=2) / count + 0.05)
    return energy
