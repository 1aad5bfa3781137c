"""How an entity begins: new to the model, new to the stream, or back after a gap."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from anomalyd.detectors.vectors.patch import surroundings
from anomalyd.detectors.vectors.patch.advance import Model, scale_rows
from anomalyd.detectors.vectors.patch.state import SLOTS, Clock, Stacked, stack, unstack_one

_LEARNS_S = 86_400.0
_SETTLED = 30
"""Rows after which a learner's level is measured once more: its first row may have been a burst."""


def begin(
    states: Stacked,
    model: Model,
    places: NDArray[np.int64],
    times: NDArray[np.float64],
    values: NDArray[np.float32],
    after_gap: Sequence[bool],
) -> None:
    """Prepare the states of entities whose rows (B, n, F) begin after a gap, or begin at all.

    What came before a gap says nothing of the next minutes: a row is compared with this time of the days
    before, and its first neighbours are itself.
    """
    for b in np.flatnonzero(after_gap).tolist():
        first = values[b : b + 1, :1]
        unknown = places[b] == len(model.centre) - 1
        clock = states.clock[b]
        if np.isnan(clock[Clock.NEWEST]):
            _lay_out_day(states, model, b, int(places[b]), float(times[b, 0]))
        one = _only(states, b)
        rows, observed = scale_rows(one, first, model.intervals[places[b : b + 1]])
        states.seen[b] = one.seen[0] * 0 if np.isnan(clock[Clock.NEWEST]) else states.seen[b]
        if unknown and np.isnan(clock[Clock.NEWEST]):
            clock[Clock.LEARNING] = times[b, 0]
            states.offset[b] = np.where(observed[0, 0], rows[0, 0] - states.usual[b, 1], 0.0)
            rows = np.where(observed, states.usual[b, 1], 0.0)
        states.recent[b] = np.where(observed[0, 0], rows[0, 0], states.recent[b, -1])
        _neutral(states, b)


def _only(states: Stacked, b: int) -> Stacked:
    return stack([""], [unstack_one(states, b)], states.offset.shape[1])


def _neutral(states: Stacked, b: int) -> None:
    """Let the means begin where they usually are."""
    usual = states.bulk[b, :, 0]
    states.means[b, :6] = np.maximum(np.exp(usual[:6]) - 1e-3, 0.0)
    states.means[b, 6:] = np.nan
    states.moved[b], states.runs[b] = 0.0, 0.0
    clock = states.clock[b]
    clock[[Clock.FRESH, Clock.ON, Clock.RESTLESS]] = 0.0
    if not clock[Clock.BROKEN]:
        clock[Clock.SINCE] = np.nan


def _lay_out_day(states: Stacked, model: Model, b: int, place: int, time: float) -> None:
    """Lay the daily course that training showed out over the week before an entity's first row."""
    slot = int(time // surroundings.SLOT_S)
    before = np.arange(slot - SLOTS, slot)
    slots = np.empty_like(states.slots[b])
    slots[before % SLOTS] = model.daily[place][before % 96]
    states.slots[b] = slots
    states.clock[b, Clock.SLOT] = slot
    states.usual[b] = surroundings.medians(states, np.array([b]))[0]


def settle_learner(states: Stacked, newest: NDArray[np.float64]) -> None:
    """Measure the level of learners once more at their thirtieth row; after a day they are none."""
    since = states.clock[:, Clock.LEARNING]
    for b in np.flatnonzero(~np.isnan(since)).tolist():
        if states.clock[b, Clock.FRESH] == _SETTLED and newest[b] - since[b] < _LEARNS_S:
            surroundings.move(states, b, float(since[b]))
        if newest[b] - since[b] >= _LEARNS_S:
            states.clock[b, Clock.LEARNING] = np.nan
