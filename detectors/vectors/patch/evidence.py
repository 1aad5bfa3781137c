"""From rows to evidence: views smoothed in time, counted in the entity's own spreads, and what is new.

One number is made of all: the mean of five views in spreads, and how new patches and rows are in nats, as
heavily as the memory is worth.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from anomalyd.detectors.vectors.patch import bulk, nats, patches
from anomalyd.detectors.vectors.patch.novelty import SMOOTHING, STRIDE, Memory
from anomalyd.detectors.vectors.patch.state import COLUMNS, Clock, Stacked
from anomalyd.detectors.vectors.patch.surroundings import Surroundings
from anomalyd.detectors.vectors.patch.views import SMOOTHED, VIEWS, look

TURBULENCE, _QUICK, _DISPLACEMENT, _PROFILE, _UNREST, _MOTION = range(6)
RESTLESS, JUMP, PATCHES, ROWS_NEW = 6, 7, 8, 9
"""Columns: the logs of smoothed views, those of turbulence together, jumps, and two kinds of nats."""

IN_SUM = [TURBULENCE, _DISPLACEMENT, _PROFILE, _UNREST, _MOTION]
_SPREAD = 0.4
_LEAST_WORTH = 0.2
_NEUTRAL = 1.0
"""Nats of a usual row, on average."""

_NEW = 6
"""Place of smoothed patch nats among the means; after it that of smoothed row distances."""


ALL = torch.ones(7)
"""Weights with which nothing is left out."""


@dataclass(frozen=True, slots=True)
class Own:
    """What is known of N entities from training: `reach` (N, 3, F), see `views.look`; their memory; `ceiling`
    (N,): the highest evidence in training; `usual` (N, 2): the median nats of patches and rows; `still` (N,
    F): repetitions above which a metric is stuck;
    `interval` (N,): seconds from row to row."""

    reach: Tensor
    memory: Memory
    ceiling: Tensor
    usual: Tensor
    still: Tensor
    interval: Tensor


def around_of(around: Surroundings) -> Tensor:
    """Give what rows are compared with as one tensor (N, 6, F), N = B n."""
    parts = (around.mean5, around.mean10, around.median15, around.last, around.day, around.profile)
    metrics = around.day.shape[-1]
    return torch.stack([torch.from_numpy(np.ascontiguousarray(p)).reshape(-1, metrics) for p in parts], dim=1)


def columns_of(
    states: Stacked,
    rows: NDArray[np.float32],
    observed: NDArray[np.bool_],
    around: Surroundings,
    reach: Tensor,
    memory: Memory,
    places: NDArray[np.int64],
) -> NDArray[np.float32]:
    """Give the columns (B, n, 10) of rows (B, n, F); the means and the count of fresh rows move on.

    `reach` (B, 3, F); `places` (B,): of the entities in `memory`.
    """
    entities, count, metrics = rows.shape
    flat = torch.from_numpy(np.ascontiguousarray(rows)).reshape(-1, metrics)
    seen = torch.from_numpy(np.ascontiguousarray(observed)).reshape(-1, metrics).float()
    with torch.inference_mode():
        views, jump = look(flat, seen, around_of(around), reach.repeat_interleave(count, dim=0))
    each = views.numpy().reshape(entities, count, len(VIEWS)).astype(np.float64)
    columns = np.empty((entities, count, COLUMNS), dtype=np.float32)
    columns[:, :, JUMP] = jump.numpy().reshape(entities, count)
    levels = _smooth(states, each)
    columns[:, :, :6] = np.log(levels + 1e-3)
    columns[:, :, RESTLESS] = columns[:, :, TURBULENCE] + 0.5 * columns[:, :, _QUICK]
    _fill_new(columns, states, rows, observed, around, memory, places)
    return columns


def _smooth(states: Stacked, views: NDArray[np.float64]) -> NDArray[np.float64]:
    """Smooth views (B, n, 5) in time, row after row: (B, n, 6)."""
    each = views[:, :, [view for view, _ in SMOOTHED]]
    weights = np.array([weight for _, weight in SMOOTHED])
    level = states.means[:, :6]
    level = np.where(np.isnan(level), each[:, 0], level)
    levels = np.empty_like(each)
    for t in range(each.shape[1]):
        level = level + weights * (each[:, t] - level)
        levels[:, t] = level
    states.means[:, :6] = level
    return levels


def _fill_new(
    columns: NDArray[np.float32],
    states: Stacked,
    rows: NDArray[np.float32],
    observed: NDArray[np.bool_],
    around: Surroundings,
    memory: Memory,
    places: NDArray[np.int64],
) -> None:
    """Fill the columns of what is new: on every fourth row, once a patch is all of rows since the last
    gap."""
    count = rows.shape[1]
    fresh = states.clock[:, Clock.FRESH, None] + np.arange(1, count + 1)
    states.clock[:, Clock.FRESH] = fresh[:, -1]
    looked = (fresh % STRIDE == 0) & (fresh >= patches.ROWS)
    means = states.means[:, _NEW:]
    smoothed = means[:, None].repeat(count, axis=1)
    if looked.any():
        b, t = np.nonzero(looked)
        found = _new(memory.of(places[b]), rows, observed, around, b, t)
        for entity, row, new in zip(b.tolist(), t.tolist(), found, strict=True):
            before = means[entity]
            means[entity] = np.where(np.isnan(before), new, before + SMOOTHING * (new - before))
            smoothed[entity, row:] = means[entity]
    known = ~np.isnan(smoothed[:, :, 0])
    columns[:, :, PATCHES:] = np.where(known[:, :, None], smoothed, _NEUTRAL)
    if memory.rows.shape[1] and known.any():
        b, t = np.nonzero(known)
        at = torch.from_numpy(places[b])
        level = torch.from_numpy(smoothed[b, t, 1].astype(np.float32))
        rare = nats.nats(torch.log(level + 0.05), memory.row_steps[at], memory.row_tail[at])
        columns[b, t, ROWS_NEW] = rare.numpy()
    elif not memory.rows.shape[1]:
        columns[:, :, ROWS_NEW] = _NEUTRAL


def _new(
    memory: Memory,
    rows: NDArray[np.float32],
    observed: NDArray[np.bool_],
    around: Surroundings,
    b: NDArray[np.int64],
    t: NDArray[np.int64],
) -> NDArray[np.float64]:
    """Give the nats of patches, and how far rows are from those of training (K, 2)."""
    windows = np.lib.stride_tricks.sliding_window_view(around.joined, patches.ROWS, axis=1)
    with torch.inference_mode():
        codes = patches.encode(torch.from_numpy(np.ascontiguousarray(windows[b, t])))
        new = memory.patch_nats(codes, torch.from_numpy(observed[b, t]).float())
        far = memory.row_distance(torch.from_numpy(rows[b, t]))
    return torch.stack([new, far], dim=1).numpy().astype(np.float64)


def evidence_of(
    counted: Tensor, columns: Tensor, lately: Tensor, usual: Tensor, worth: Tensor, weights: Tensor
) -> Tensor:
    """Give the evidence (...) of columns (..., 10), and of the same `counted` in spreads.

    `lately` (..., 2): medians of the nats of the last days, `usual` (..., 2): of training; by what has become
    more of it, less is new. `worth` (...): of the memory. `weights` (7,): 1, or 0 for what is left out, of
    the five views, of patches and of rows.
    """
    views = _SPREAD * (counted[..., IN_SUM] @ weights[:5]) / weights[:5].sum().clamp(min=1e-6)
    new = columns[..., PATCHES:] - (lately - usual).clamp(min=0.0) - _NEUTRAL
    of_patches, of_rows = weights[5] * worth.clamp(min=_LEAST_WORTH), weights[6] * worth
    return (views + of_patches * new[..., 0] + of_rows * new[..., 1]) / (1.0 + 0.5 * (of_patches + of_rows))


def jump_nats(columns: NDArray[np.float32], held: NDArray[np.float32]) -> NDArray[np.float64]:
    """Give how rare jumps are (B, n), by the bulk (B, n, 10, 4) of the days before."""
    of_jumps = held[:, :, JUMP]
    tail = np.maximum(of_jumps[..., 3], bulk.LEAST_SPREAD[JUMP])
    found: NDArray[np.float64] = (3.5 + (columns[:, :, JUMP] - of_jumps[..., 2]) / tail).astype(np.float64)
    return found
