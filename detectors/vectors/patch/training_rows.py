"""What is measured of an entity on its training rows: its reach, its memory, its first ring."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from anomalyd.detectors.detector import Series
from anomalyd.detectors.vectors.patch import bulk, evidence
from anomalyd.detectors.vectors.patch.evidence import Own
from anomalyd.detectors.vectors.patch.novelty import Memory, remember
from anomalyd.detectors.vectors.patch.state import SLOTS, Clock, Stacked, blank, stack
from anomalyd.detectors.vectors.patch.surroundings import Surroundings, look_around
from anomalyd.detectors.vectors.scaling import Scale
from anomalyd.detectors.vectors.standstill import limits

LARGEST = 10.0
"""Usual widths that one metric counts for at most: beyond it is broken, and says no more by being more so."""

_MOST_ROWS = 100_000
_CHUNK = 4096
_LEAST_REACH = np.array([[0.3], [0.45], [0.3]], dtype=np.float32)
"""Usual widths that a metric may always be displaced by, move by, leap by."""

_UNKNOWN_REACH = 3.0
_REACHED = (0.99, 0.96, 0.99)
_WEEK_S = 7 * 86_400.0
_CEILING = 0.999


@dataclass(frozen=True, slots=True)
class Measured:
    """What training says of one entity: `own` (N = 1), `ring` (1008, 10), `daily` (96, F): the medians of the
    quarter hours of a day, `slots` (672, F) of the last week and the `newest` of them."""

    own: Own
    ring: NDArray[np.float16]
    daily: NDArray[np.float32]
    slots: NDArray[np.float16]
    newest: float


def scaled(values: NDArray[np.float32], scale: Scale) -> NDArray[np.float32]:
    """Give rows (T, F) in usual widths, NaN where missing or where the metric is not known."""
    cap = np.minimum(scale.cap, LARGEST)
    with np.errstate(over="ignore"):
        rows = np.clip((values - scale.centre) / scale.width, -cap, cap)
    return np.where(scale.cap > 0, rows, np.nan).astype(np.float32)


def filled(rows: NDArray[np.float32], before: NDArray[np.float32]) -> NDArray[np.float32]:
    """Fill gaps in rows (..., T, F) with the value before; `before` (..., F) stands before the first."""
    if not np.isnan(rows).any():
        return rows
    joined = np.concatenate([before[..., None, :], rows], axis=-2)
    place = np.where(np.isnan(joined), 0, np.arange(joined.shape[-2])[:, None])
    return np.take_along_axis(joined, np.maximum.accumulate(place, axis=-2), axis=-2)[..., 1:, :]


def measure(series: Series, scale: Scale, seed: int) -> Measured:
    """Measure an entity on its training series in a scale."""
    times, values = series.times[-_MOST_ROWS:], series.values[-_MOST_ROWS:]
    rows = scaled(values, scale)
    observed = ~np.isnan(rows)
    rows = filled(rows, np.zeros(rows.shape[1], dtype=np.float32))
    interval = float(np.median(np.diff(times))) if len(times) > 1 else 60.0
    memory = remember(rows, observed, seed)
    states = stack(["training"], [blank(rows.shape[1])], rows.shape[1])
    around = _around(states, times, rows, observed)
    reach = _reach(rows, observed, around, times)
    begun = stack(["training"], [blank(rows.shape[1])], rows.shape[1])
    begun.recent[:] = rows[0]
    columns = evidence.columns_of(
        begun, rows[None], observed[None], around, reach, memory, np.zeros(1, dtype=np.int64)
    )[0]
    settled = columns[min(100, len(columns) // 4) :]
    ring = bulk.first_ring(settled, interval)
    held = bulk.quantiles(ring)
    shown = evidence.evidence_of(
        torch.from_numpy(bulk.spreads(settled, held)),
        torch.from_numpy(settled),
        torch.zeros(2),
        torch.zeros(2),
        memory.worth,
        evidence.ALL,
    )
    slots = states.slots[0]
    own = Own(
        reach,
        memory,
        shown.quantile(_CEILING)[None],
        torch.from_numpy(held[None, evidence.PATCHES :, 0].copy()),
        torch.from_numpy(limits(np.where(observed, rows, np.nan)))[None],
        torch.tensor([interval], dtype=torch.float64),
    )
    newest = float(states.clock[0, Clock.SLOT])
    return Measured(own, ring, _daily(slots, newest), slots, newest)


def _around(
    states: Stacked, times: NDArray[np.float64], rows: NDArray[np.float32], observed: NDArray[np.bool_]
) -> Surroundings:
    states.recent[:] = rows[0]
    parts = [
        look_around(
            states, times[None, p : p + _CHUNK], rows[None, p : p + _CHUNK], observed[None, p : p + _CHUNK]
        )
        for p in range(0, len(rows), _CHUNK)
    ]
    joined = [parts[0].joined, *(part.joined[:, -(part.day.shape[1]) :] for part in parts[1:])]
    each = {
        name: np.concatenate([getattr(part, name) for part in parts], axis=1)
        for name in Surroundings.__slots__
        if name != "joined"
    }
    return Surroundings(**each, joined=np.concatenate(joined, axis=1))


def _reach(
    rows: NDArray[np.float32],
    observed: NDArray[np.bool_],
    around: Surroundings,
    times: NDArray[np.float64],
) -> Tensor:
    """Give what each metric is displaced by, moves and leaps at most in nearly all training rows (1, 3,
    F)."""
    newest = slice(int(np.searchsorted(times, times[-1] - _WEEK_S)), None)
    nearer = np.minimum(np.abs(rows - around.day[0]), np.abs(rows - around.profile[0]))[newest]
    moves, leaps = np.abs(rows - around.mean10[0]), np.abs(rows - around.last[0])[newest]
    found = np.stack(
        [
            np.quantile(each * seen, reached, axis=0)
            for each, seen, reached in zip(
                (nearer, moves, leaps), (observed[newest], observed, observed[newest]), _REACHED, strict=True
            )
        ]
    )
    found = np.where(observed.any(axis=0), found, _UNKNOWN_REACH)
    return torch.from_numpy(np.maximum(found.astype(np.float32), _LEAST_REACH))[None]


def _daily(slots: NDArray[np.float16], newest: float) -> NDArray[np.float32]:
    """Give the medians of a week's quarter hours by their time of day (96, F), NaN where never seen."""
    numbers = np.arange(int(newest) - SLOTS, int(newest))
    ordered = slots[numbers % SLOTS].astype(np.float32)
    found = np.full((96, slots.shape[1]), np.nan, dtype=np.float32)
    for time in range(96):
        of_time = ordered[numbers % 96 == time]
        known = ~np.isnan(of_time).all(axis=0)
        found[time, known] = np.nanmedian(of_time[:, known], axis=0)
    return found


def pool(measured: Sequence[Measured]) -> Measured:
    """Make the population of what was measured of entities in one scale: mixed rings and memories, the median
    course of a day, and the highest that any of them showed."""
    draw = np.random.default_rng(0)
    owns = [each.own for each in measured]
    kept = np.concatenate([each.ring[~np.isnan(each.ring[:, 0])] for each in measured])
    ring = np.full_like(measured[0].ring, np.nan)
    chosen = np.sort(draw.choice(len(kept), min(len(ring), len(kept)), replace=False))
    ring[: len(chosen)] = kept[chosen]
    codes = torch.cat([own.memory.codes for own in owns], dim=2)[0]
    picked = torch.from_numpy(draw.choice(codes.shape[1], owns[0].memory.codes.shape[2], replace=False))
    memory = Memory(
        codes[:, picked][None],
        torch.cat([own.memory.steps for own in owns]).amax(0, keepdim=True),
        torch.cat([own.memory.tail for own in owns]).amax(0, keepdim=True),
        owns[0].memory.rows[:, :0],
        owns[0].memory.row_steps,
        owns[0].memory.row_tail,
        torch.zeros(1),
    )
    with np.errstate(all="ignore"):
        days = np.stack([each.daily for each in measured])
        known = ~np.isnan(days).all(axis=0)
        daily = np.full(days.shape[1:], np.nan, dtype=np.float32)
        daily[known] = np.nanmedian(days[:, known], axis=0)
    own = Own(
        torch.cat([own.reach for own in owns]).amax(0, keepdim=True),
        memory,
        torch.cat([own.ceiling for own in owns]).amax(0, keepdim=True),
        torch.from_numpy(bulk.quantiles(ring)[None, evidence.PATCHES :, 0].copy()),
        torch.cat([own.still for own in owns]).amax(0, keepdim=True),
        torch.cat([own.interval for own in owns]).median(0, keepdim=True).values,
    )
    return Measured(own, ring, daily, measured[0].slots, measured[0].newest)


def pooled_scale(scales: Scale) -> Scale:
    """Give one scale for entities (E, F): widths hold the entities' own and how far their centres lie
    apart."""
    known = scales.cap > 0
    some = known.any(axis=0)
    count = np.maximum(known.sum(axis=0), 1)

    def mean(values: NDArray[Any]) -> NDArray[np.float64]:
        found: NDArray[np.float64] = np.where(known, values, 0.0).sum(axis=0, dtype=np.float64) / count
        return found

    centre = mean(scales.centre)
    spread = mean((scales.centre - centre) ** 2)
    width = np.sqrt(mean(scales.width.astype(np.float64) ** 2) + spread)
    cap = np.where(some, np.where(known, scales.cap, 0.0).max(axis=0), 0.0)
    return Scale(
        centre.astype(np.float32), np.where(some, width, 1.0).astype(np.float32), cap.astype(np.float32)
    )


def stacked(measured: Sequence[Measured]) -> dict[str, Tensor]:
    """Stack what was measured of entities, for a model: tensors by name, entities first."""
    most = max(each.own.memory.rows.shape[1] for each in measured)

    def rows(each: Measured) -> Tensor:
        own = each.own.memory.rows
        return torch.cat([own, own.new_full((1, most - own.shape[1], own.shape[2]), torch.inf)], dim=1)

    found = {
        f"own.{n}": torch.cat([getattr(m.own, n) for m in measured]) for n in Own.__slots__ if n != "memory"
    }
    for name in Memory.__slots__:
        each = [rows(m) if name == "rows" else getattr(m.own.memory, name) for m in measured]
        found[f"memory.{name}"] = torch.cat(each)
    found["ring"] = torch.from_numpy(np.stack([m.ring for m in measured]))
    found["daily"] = torch.from_numpy(np.stack([m.daily for m in measured]))
    return found


def own_from(tensors: Mapping[str, Tensor]) -> Own:
    """Give what `stacked` stacked."""
    memory = Memory(*(tensors[f"memory.{name}"] for name in Memory.__slots__))
    return Own(memory=memory, **{n: tensors[f"own.{n}"] for n in Own.__slots__ if n != "memory"})
