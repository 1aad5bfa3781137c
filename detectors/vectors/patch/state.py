"""What is remembered of each entity, stacked: everything is an array over the entities of a batch.

Small arrays are stacked; the week of each entity (`slots`, `ring`) stays an array of its own and is replaced,
never changed, when something is added: most rows add nothing to it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray

from anomalyd.detectors.detector import State
from anomalyd.detectors.vectors.patch.patches import ROWS
from anomalyd.errors import ModelMismatch

SLOTS = 7 * 96
"""Quarter hours of a week."""

RING = 1008
"""Rows kept of a week: one in ten minutes."""

MEANS = 8
COLUMNS = 10
QUANTILES = 4


class Clock(IntEnum):
    """Places in `clock`; times are event times, NaN where there is none."""

    NEWEST = 0
    SLOT = 1
    MEASURED = 2
    SAMPLED = 3
    KEPT = 4
    FRESH = 5
    SINCE = 6
    BROKEN = 7
    QUIET = 8
    ON = 9
    RESTLESS = 10
    LEARNING = 11
    KNOWN_STUCK = 12


@dataclass(slots=True)
class Stacked:
    """The states of B entities of F metrics.

    `clock` (B, 13): see `Clock`. `recent` (B, 29, F): rows before, gaps filled. `sums` (B, 2, F): sum and
    count of the quarter hour that goes on; `usual` (B, 2, F): medians of the last day and of this time of the
    last days; `offset` (B, F): how far the normal of now lies from that of training; `centre`, `width`, `cap`
    (B, F): the scale; `seen` (B, 3, F): count, mean and squared deviations of metrics whose scale is not
    known yet; `beyond` (B, F): how far the row before lay beyond what a metric counts for at most; `moved`
    (B, F): blame of the row before; `runs` (B, F): how often each metric repeated itself;
    `means` (B, 8): what is smoothed in time; `bulk` (B, 10, 4): quantiles of the ring. `slots`: B times (672,
    F) float16; `ring`: B times (1008, 10) float16.
    """

    clock: NDArray[np.float64]
    recent: NDArray[np.float32]
    sums: NDArray[np.float64]
    usual: NDArray[np.float32]
    offset: NDArray[np.float32]
    centre: NDArray[np.float32]
    width: NDArray[np.float32]
    cap: NDArray[np.float32]
    seen: NDArray[np.float64]
    beyond: NDArray[np.float32]
    moved: NDArray[np.float32]
    runs: NDArray[np.float32]
    means: NDArray[np.float64]
    bulk: NDArray[np.float32]
    slots: list[NDArray[np.float16]]
    ring: list[NDArray[np.float16]]


SMALL = tuple(name for name in Stacked.__slots__ if name not in ("slots", "ring"))
NAMES = (*SMALL, "slots", "ring")


def blank(metrics: int) -> dict[str, NDArray[Any]]:
    """Give the state of an entity of which nothing was seen."""
    clock = np.full(len(Clock), np.nan)
    clock[[Clock.SLOT, Clock.MEASURED, Clock.SAMPLED]] = -1.0
    clock[[Clock.KEPT, Clock.FRESH, Clock.BROKEN, Clock.ON, Clock.RESTLESS, Clock.KNOWN_STUCK]] = 0.0
    nothing = np.zeros(metrics, dtype=np.float32)
    return {
        "clock": clock,
        "recent": np.zeros((ROWS - 1, metrics), dtype=np.float32),
        "sums": np.zeros((2, metrics)),
        "usual": np.zeros((2, metrics), dtype=np.float32),
        "offset": nothing,
        "centre": nothing,
        "width": nothing + 1,
        "cap": nothing,
        "seen": np.zeros((3, metrics)),
        "beyond": nothing,
        "moved": nothing,
        "runs": nothing,
        "means": np.full(MEANS, np.nan),
        "bulk": np.zeros((COLUMNS, QUANTILES), dtype=np.float32),
        "slots": np.full((SLOTS, metrics), np.nan, dtype=np.float16),
        "ring": np.full((RING, COLUMNS), np.nan, dtype=np.float16),
    }


def stack(entities: Sequence[str], states: Sequence[State], metrics: int) -> Stacked:
    """Stack states.

    Raises:
        ModelMismatch: one is of another model.

    """
    for entity, state in zip(entities, states, strict=True):
        if state.keys() != set(NAMES) or np.shape(state["offset"]) != (metrics,):
            raise ModelMismatch(
                f"entity {entity!r}: its remembered state is of another model; start it without"
            )
    small = {name: np.array([state[name] for state in states]) for name in SMALL}
    return Stacked(
        **small, slots=[np.asarray(s["slots"]) for s in states], ring=[np.asarray(s["ring"]) for s in states]
    )


def unstack(stacked: Stacked) -> list[dict[str, NDArray[Any]]]:
    """Give the state of each entity, as copies: none keeps the batch alive."""
    return [unstack_one(stacked, b) for b in range(len(stacked.clock))]


def unstack_one(stacked: Stacked, b: int) -> dict[str, NDArray[Any]]:
    """Give the state of one entity."""
    state = {name: getattr(stacked, name)[b].copy() for name in SMALL}
    return {**state, "slots": stacked.slots[b], "ring": stacked.ring[b]}
