"""How rare a value is among all that its entity showed before, in nats: -ln of the share that lay above it.

A view that is restless on one machine is thereby worth less there than on another, without labels and without
weights of its own. If views were independent, the sum of their nats would be Fisher's statistic of combined
probabilities (R. A. Fisher, "Statistical Methods for Research Workers", 4th ed., 1932, section 21.1). Inside
the data the share is counted, as for a conformal p-value (V. Vovk, A. Gammerman, G. Shafer, "Algorithmic
Learning in a Random World", 2005); beyond their 97 % quantile it falls exponentially (peaks over threshold:
J. Pickands, "Statistical inference using extreme order statistics", Ann. Stat. 3, 1975, with shape 0, for
the values are logarithms already).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from anomalyd.detectors.vectors.ensemble.memory import STEPS, Batch
from anomalyd.detectors.vectors.ensemble.rounding import PARTS, rounded
from anomalyd.detectors.vectors.ensemble.time_bins import runs_of

EACH_S = 1800.0
"""Of every half hour one value is kept: they change slowly, and more would say the same."""

KEPT = 60 * 48
"""Sixty days of them."""

_BEYOND = 0.03
_LEAST_TAIL = 0.05
"""The tail falls by e within a twentieth of a log at least: a view that never moved is not infinitely
sure."""

_LEAST_KEPT = 500
"""Values of training that are kept where it was shorter than that many half hours."""

_DAY_S = 86_400.0

Samples = NDArray[np.float16]


@dataclass(frozen=True, slots=True)
class Rarity:
    """`steps` (..., C, 33): values of C channels that lie evenly in nats, from none to 3.5; `tail` (..., C):
    what a value rises by beyond them for one nat more."""

    steps: Tensor
    tail: Tensor

    @classmethod
    def measure(cls, samples: NDArray[Any]) -> Rarity:
        """Measure samples (P, C) of what was usual, none of them NaN."""
        ordered = np.sort(samples.astype(np.float32), axis=0)
        at = (1.0 - np.exp(-np.linspace(0.0, -math.log(_BEYOND), STEPS))) * (len(ordered) - 1)
        below = ordered[at.astype(int)]
        steps = below + (at % 1.0)[:, None] * (ordered[np.ceil(at).astype(int)] - below)
        over = ordered - steps[-1]
        above = over > 0
        tail = np.where(above, over, 0.0).sum(axis=0) / np.maximum(above.sum(axis=0), 1)
        return cls(
            torch.from_numpy(np.ascontiguousarray(steps.T, dtype=np.float32)),
            torch.from_numpy(np.maximum(tail, _LEAST_TAIL).astype(np.float32)),
        )

    def nats(self, values: Tensor) -> Tensor:
        """Give how rare values (..., N, C) are, (..., N, C); differentiable."""
        steps = self.steps
        turned = values.transpose(-1, -2).contiguous()
        place = torch.searchsorted(steps, turned.detach()).clamp(1, STEPS - 1)
        below, above = steps.gather(-1, place - 1), steps.gather(-1, place)
        share = ((turned - below) / (above - below).clamp(min=1e-6)).clamp(0.0, 1.0)
        each = -math.log(_BEYOND) / (STEPS - 1)
        beyond = (turned - steps[..., -1:]).clamp(min=0.0) / self.tail[..., None]
        nats: Tensor = ((place - 1 + share) * each + beyond).transpose(-1, -2)
        return nats


def samples_of(times: NDArray[np.float64], values: NDArray[Any]) -> Samples:
    """Give the values (P, C) of training rows (T, C) at times (T,) that are kept, the newest ones."""
    first = np.flatnonzero(np.diff(times // EACH_S, prepend=-1))
    if len(first) < _LEAST_KEPT:
        first = np.arange(0, len(times), max(1, len(times) // _LEAST_KEPT))
    return values[first][-KEPT:].astype(np.float16)


def day_of(time: float) -> float:
    """Give the number of the day of an event time."""
    return time // _DAY_S


@dataclass(frozen=True, slots=True)
class Trained:
    """What training showed of E entities: `samples` (P, C) of each, kept up to event times `until` (E,)."""

    samples: Sequence[Samples]
    until: NDArray[np.float64]


def follow(times: NDArray[np.float64], values: Tensor, trained: Trained, memory: Batch) -> Tensor:
    """Give the nats (E, n, C) of values (E, n, C) at times (E, n), by what came before each day.

    What `memory` begins with holds until the first midnight after training; later rows join the samples,
    unless an operator called what the entity does broken. `memory` moves on.
    """
    days = np.maximum(times // _DAY_S, memory.rarity_day[:, None])
    halves = times // EACH_S
    fresh = np.diff(halves, axis=1, prepend=memory.half_hour[:, None]) > 0
    fresh &= (times > trained.until[:, None]) & ~memory.broken[:, None]
    new_day = days[:, -1] > memory.rarity_day
    # Measured a day before, and remembered: it takes a millisecond, and a window may be a single row.
    now = Rarity(_tensor(memory.steps), _tensor(memory.tail))
    nats = now.nats(values)
    for b in np.flatnonzero(new_day | fresh.any(axis=1)).tolist():
        for run in runs_of(days[b]) if new_day[b] else (slice(None),):
            part = values[b, run]
            if days[b, run][0] > memory.rarity_day[b]:
                memory.rarity_day[b] = days[b, run][0]
                if len(memory.shown[b]):
                    measured = Rarity.measure(np.concatenate([trained.samples[b], memory.shown[b]])[-KEPT:])
                    memory.steps[b], memory.tail[b] = measured.steps.numpy(), measured.tail.numpy()
            if new_day[b]:
                nats[b, run] = Rarity(_tensor(memory.steps[b]), _tensor(memory.tail[b])).nats(part)
            kept = rounded(part.numpy()[fresh[b, run]], PARTS)
            memory.shown[b] = np.concatenate([memory.shown[b], kept])[-KEPT:]
    memory.half_hour[:] = np.maximum(memory.half_hour, halves[:, -1])
    return nats


def _tensor(array: NDArray[np.float32]) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(array))
