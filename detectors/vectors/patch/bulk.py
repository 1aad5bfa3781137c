"""The bulk of what an entity showed in the last seven days: what is usual, in units of its own spread.

One row in ten minutes is kept. Median and upper quartile, unlike a tail, do not know whether a tenth of the
rows belongs to events; so a view counts in spreads from the median to the upper quartile.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from anomalyd.detectors.vectors.patch.state import COLUMNS, QUANTILES, RING, Clock, Stacked

_EACH_S = 600.0
_EVERY_S = 3 * 3600.0
"""How often it is measured: a week changes little in three hours."""

_LEAST = 36
_SHORT = 200
_BEYOND = 0.97
LEAST_SPREAD = np.array([0.02, 0.02, 0.02, 0.02, 0.02, 0.02, 0.035, 0.1, 0.1, 0.1], dtype=np.float32)
"""Of each column; logs, but for nats in the last two: what hardly ever changes is not infinitely strange."""

_LARGE = 15.0

Floats = NDArray[np.float32]


def quantiles(ring: NDArray[np.floating]) -> Floats:
    """Give median, upper quartile, 97 % quantile and the mean excess above it of columns: (10, 4)."""
    values = ring[~np.isnan(ring[:, 0])].astype(np.float32)
    found = np.zeros((COLUMNS, QUANTILES), dtype=np.float32)
    if len(values):
        found[:, :3] = np.quantile(values, (0.5, 0.75, _BEYOND), axis=0).T
        over = values - found[:, 2]
        found[:, 3] = np.maximum(over, 0.0).sum(axis=0) / np.maximum((over > 0).sum(axis=0), 1)
    return found


def first_ring(columns: Floats, interval_s: float) -> NDArray[np.float16]:
    """Give the ring (1008, 10) that training columns (T, 10) leave: the newest week. Of a short training, all
    of it, in so few rows that two days of the stream weigh more."""
    step = max(1, round(_EACH_S / interval_s))
    kept = columns[::-1][::step][:RING][::-1]
    if len(kept) < _SHORT:
        kept = columns[np.linspace(0, len(columns) - 1, min(len(columns), _SHORT)).astype(int)]
    ring = np.full((RING, COLUMNS), np.nan, dtype=np.float16)
    ring[: len(kept)] = kept
    return ring


def follow(states: Stacked, times: NDArray[np.float64], columns: Floats, seen: NDArray[np.bool_]) -> Floats:
    """Give the bulk (B, n, 10, 4) that holds at each row; the rows (B, n, 10) join the ring, unless they are
    broken or not `seen` (B, n)."""
    marks = np.maximum.accumulate(
        np.maximum(times // _EVERY_S, states.clock[:, Clock.MEASURED, None]), axis=1
    )
    due = np.diff(marks, axis=1, prepend=states.clock[:, Clock.MEASURED, None]) > 0
    bulk = np.empty((*columns.shape[:2], COLUMNS, QUANTILES), dtype=np.float32)
    bounds = [0, *np.flatnonzero(due.any(axis=0)).tolist(), columns.shape[1]]
    for start, end in pairwise(bounds):
        if start == end:
            continue
        for b in np.flatnonzero(due[:, start]).tolist():
            if np.count_nonzero(~np.isnan(states.ring[b][:, 0])) >= _LEAST:
                states.bulk[b] = quantiles(states.ring[b])
            states.clock[b, Clock.MEASURED] = marks[b, start]
        bulk[:, start:end] = states.bulk[:, None]
        _sample(states, times[:, start:end], columns[:, start:end], seen[:, start:end])
    return bulk


def _sample(states: Stacked, times: NDArray[np.float64], columns: Floats, seen: NDArray[np.bool_]) -> None:
    slots = times // _EACH_S
    usable = seen & (states.clock[:, Clock.BROKEN] == 0)[:, None]
    slots = np.where(usable, slots, -1.0)
    reached = np.maximum.accumulate(np.maximum(slots, states.clock[:, Clock.SAMPLED, None]), axis=1)
    fresh = np.diff(reached, axis=1, prepend=states.clock[:, Clock.SAMPLED, None]) > 0
    for b in np.flatnonzero(fresh.any(axis=1)).tolist():
        rows = columns[b, fresh[b]]
        ring, kept = states.ring[b].copy(), int(states.clock[b, Clock.KEPT])
        ring[(kept + np.arange(len(rows)))[-RING:] % RING] = rows[-RING:]
        states.ring[b] = ring
        states.clock[b, Clock.KEPT] = kept + len(rows)
        states.clock[b, Clock.SAMPLED] = reached[b, -1]


def accept(states: Stacked, b: int, since: float, now: float) -> None:
    """Take what an entity did since `since` for usual: of the days before so few rows are kept that it makes
    a third, so that its upper quartile is usual, too."""
    fresh = int((now - since) // _EACH_S)
    kept, ring = int(states.clock[b, Clock.KEPT]), states.ring[b].copy()
    ordered = ring[(kept + np.arange(RING)) % RING]
    ordered[: max(0, RING - max(3 * fresh, _LEAST))] = np.nan
    states.ring[b] = ordered
    states.clock[b, Clock.KEPT] = RING
    before = states.bulk[b].copy()
    states.bulk[b] = quantiles(ordered)
    # No spread becomes smaller by it.
    spread = np.maximum(states.bulk[b, :, 1] - states.bulk[b, :, 0], before[:, 1] - before[:, 0])
    states.bulk[b, :, 1] = states.bulk[b, :, 0] + spread


def spreads(columns: Floats, bulk: Floats) -> Floats:
    """Count columns (..., 10) from their medians in spreads; beyond fifteen as the logarithm."""
    wide = np.maximum(bulk[..., 1] - bulk[..., 0], LEAST_SPREAD)
    counted = (columns - bulk[..., 0]) / wide
    large = _LARGE * (1.0 + np.log(np.maximum(counted, _LARGE) / _LARGE))
    found: Floats = np.where(counted > _LARGE, large, np.maximum(counted, -3.0)).astype(np.float32)
    return found
