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
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from anomalyd.detectors.vectors.ensemble.time_bins import runs_of

EACH_S = 1800.0
"""Of every half hour one value is kept: they change slowly, and more would say the same."""

KEPT = 60 * 48
"""Sixty days of them."""

_BEYOND = 0.03
_STEPS = 33
_LEAST_TAIL = 0.05
"""The tail falls by e within a twentieth of a log at least: a view that never moved is not infinitely
sure."""

_LEAST_KEPT = 500
"""Values of training that are kept where it was shorter than that many half hours."""

_DAY_S = 86_400.0

Samples = NDArray[np.float16]


@dataclass(frozen=True, slots=True)
class Rarity:
    """`steps` (33, C): values of C channels that lie evenly in nats, from none to 3.5; `tail` (C,): what a
    value rises by beyond them for one nat more."""

    steps: Tensor
    tail: Tensor

    @classmethod
    def measure(cls, samples: NDArray[Any]) -> Rarity:
        """Measure samples (P, C) of what was usual, none of them NaN."""
        ordered = np.sort(samples.astype(np.float32), axis=0)
        at = (1.0 - np.exp(-np.linspace(0.0, -math.log(_BEYOND), _STEPS))) * (len(ordered) - 1)
        below = ordered[at.astype(int)]
        steps = below + (at % 1.0)[:, None] * (ordered[np.ceil(at).astype(int)] - below)
        over = ordered - steps[-1]
        above = over > 0
        tail = np.where(above, over, 0.0).sum(axis=0) / np.maximum(above.sum(axis=0), 1)
        return cls(
            torch.from_numpy(steps.astype(np.float32)),
            torch.from_numpy(np.maximum(tail, _LEAST_TAIL).astype(np.float32)),
        )

    def nats(self, values: Tensor) -> Tensor:
        """Give how rare values (N, C) are, (N, C); differentiable."""
        steps = self.steps.T.contiguous()
        turned = values.T.contiguous()
        place = torch.searchsorted(steps, turned.detach()).clamp(1, _STEPS - 1)
        below, above = steps.gather(1, place - 1), steps.gather(1, place)
        share = ((turned - below) / (above - below).clamp(min=1e-6)).clamp(0.0, 1.0)
        each = -math.log(_BEYOND) / (_STEPS - 1)
        beyond = (turned - steps[:, -1:]).clamp(min=0.0) / self.tail[:, None]
        nats: Tensor = ((place - 1 + share) * each + beyond).T
        return nats


def samples_of(times: NDArray[np.float64], values: NDArray[Any]) -> Samples:
    """Give the values (P, C) of training rows (T, C) at times (T,) that are kept, the newest ones."""
    first = np.flatnonzero(np.diff(times // EACH_S, prepend=-1))
    if len(first) < _LEAST_KEPT:
        first = np.arange(0, len(times), max(1, len(times) // _LEAST_KEPT))
    return values[first][-KEPT:].astype(np.float16)


def follow(
    times: NDArray[np.float64],
    values: Tensor,
    training: Samples,
    trained_to: float,
    begin: Rarity,
    state: Mapping[str, NDArray[Any]],
    *,
    learn: bool,
) -> tuple[Tensor, dict[str, NDArray[Any]]]:
    """Give the nats (n, C) of values (n, C) at times (n,), by what came before each day, and the state after.

    `begin` holds until the first midnight after `trained_to`, `training` (P, C) are the samples behind it;
    later rows join them, unless they are not to `learn` from.
    """
    kept = np.asarray(state.get("shown", np.empty((0, values.shape[1]), np.float16)))
    now = (
        Rarity(*(torch.from_numpy(np.asarray(state[n])) for n in ("steps", "tail")))
        if "steps" in state
        else begin
    )
    half, day = (float(x) for x in np.asarray(state.get("shown_at", (-1.0, trained_to // _DAY_S))))
    days = np.maximum(times // _DAY_S, day)
    halves = times // EACH_S
    fresh = (times > trained_to) & (np.diff(halves, prepend=half) > 0) & learn
    found = []
    for run in runs_of(days):
        if days[run.start] > day:
            day = float(days[run.start])
            if len(kept):
                now = Rarity.measure(np.concatenate([training, kept])[-KEPT:])
        part = values[run]
        found.append(now.nats(part))
        kept = np.concatenate([kept, part[torch.from_numpy(fresh[run])].numpy().astype(np.float16)])
        kept = kept[-KEPT:]
    if len(times):
        half = max(half, float(halves[-1]))
    # What was measured is remembered, too: it takes a millisecond, and a window may be a single row.
    after: dict[str, NDArray[Any]] = {
        "shown": kept,
        "shown_at": np.array([half, day]),
        "steps": now.steps.numpy(),
        "tail": now.tail.numpy(),
    }
    return torch.cat(found) if found else values[:0], after
