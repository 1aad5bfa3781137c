"""One step of a batch: rows (B, n, F) of B entities through every stage, their states moving on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from anomalyd.detectors.detector import State
from anomalyd.detectors.vectors.patch import alarm, bulk, evidence
from anomalyd.detectors.vectors.patch.evidence import Own
from anomalyd.detectors.vectors.patch.state import Clock, Stacked, blank
from anomalyd.detectors.vectors.patch.surroundings import look_around
from anomalyd.detectors.vectors.patch.training_rows import LARGEST, filled, own_from
from anomalyd.detectors.vectors.standstill import repeats

_FEWEST, _FEW_MOST, _DAY_S = 30, 1440, 86_400.0
"""Rows from which the scale of a metric is measured that training never saw: those of a day."""

_STUCK_BLAME = np.float32(10.0)


@dataclass(frozen=True, slots=True)
class Model:
    """What training says of E entities, and last of their population: `own`, `ring` (E + 1, 1008, 10),
    `daily` (E + 1, 96, F), and scales (E + 1, F). `intervals` (E + 1,): seconds from row to row."""

    own: Own
    ring: NDArray[np.float16]
    daily: NDArray[np.float32]
    centre: NDArray[np.float32]
    width: NDArray[np.float32]
    cap: NDArray[np.float32]
    intervals: NDArray[np.float64]
    given: Mapping[str, Tensor] = field(default_factory=dict)

    @property
    def metrics(self) -> int:
        """The number of metrics, F."""
        return int(self.centre.shape[1])

    @classmethod
    def of(cls, tensors: Mapping[str, Tensor]) -> Model:
        """Make one of tensors by name."""
        own = own_from(tensors)
        kept = {name: each for name, each in tensors.items() if not name.startswith("primed.")}
        return cls(
            own,
            tensors["ring"].numpy(),
            tensors["daily"].numpy(),
            tensors["scale.centre"].numpy(),
            tensors["scale.width"].numpy(),
            tensors["scale.cap"].numpy(),
            own.interval.numpy(),
            kept,
        )

    def tensors(self) -> Mapping[str, Tensor]:
        """Give the tensors it was made of."""
        return self.given

    def first_state(self, place: int | None) -> State:
        """Give the state of an entity of which nothing was seen; None: one that training did not know."""
        at = len(self.centre) - 1 if place is None else place
        ring = self.ring[at]
        state: dict[str, NDArray[Any]] = {
            **blank(self.metrics),
            "centre": self.centre[at],
            "width": self.width[at],
            "cap": self.cap[at],
            "ring": ring,
            "bulk": bulk.quantiles(ring),
        }
        known = np.count_nonzero(~np.isnan(ring[:, 0]))
        state["clock"][Clock.KEPT] = known
        return state


@dataclass(frozen=True, slots=True)
class Rule:
    """What evidence is made of, and where alarms begin: `weights` (7,), see `evidence.evidence_of`; the
    heights of each entity of the model; after how many seconds an alarm is accepted; the raw score of the
    threshold."""

    weights: Tensor
    heights: alarm.Heights
    accept_s: float
    threshold: float


@dataclass(frozen=True, slots=True)
class Advanced:
    """What is said of rows, (B, n) and (B, n, F), or of one entity's (n,) and (n, F); `accepted` (B,): the
    first row at which an alarm is accepted, or -1."""

    raw: NDArray[np.float64]
    error: NDArray[np.float32]
    expectation: NDArray[np.float32]
    contribution: NDArray[np.float32]
    accepted: NDArray[np.int64]

    def of(self, b: int) -> Advanced:
        """Give one entity's, as copies."""
        return Advanced(
            self.raw[b].copy(),
            self.error[b].copy(),
            self.expectation[b].copy(),
            self.contribution[b].copy(),
            self.accepted[b : b + 1],
        )


def advance(
    states: Stacked,
    model: Model,
    places: NDArray[np.int64],
    times: NDArray[np.float64],
    values: NDArray[np.float32],
    rule: Rule,
) -> Advanced:
    """Score rows (B, n, F) of the entities at `places` (B,) at times (B, n)."""
    at = torch.from_numpy(places)
    own, reach = model.own, model.own.reach[at]
    known = states.cap > 0
    rows, observed = scale_rows(states, values, model.intervals[places])
    last = states.recent[:, -1].copy()
    around = look_around(states, times, rows, observed)
    if (fresh := (states.cap > 0) & ~known).any():
        # A metric that counts from now on has been where it is.
        now = np.nan_to_num((values[:, -1] - states.centre) / states.width - states.offset)
        states.recent = np.where(fresh[:, None], now[:, None], states.recent).astype(np.float32)
    columns = evidence.columns_of(states, rows, observed, around, reach, own.memory, places)
    seen: NDArray[np.bool_] = np.any(observed, axis=2)
    held = bulk.follow(states, times, columns, seen)
    stuck = _stuck(states, rows, last, own.still[at].numpy())
    found = _shown(own, at, columns, held, rule.weights, np.asarray(stuck.any(axis=2)), seen)
    opens = replace(rule.heights, opens=_opening(states, own, places, rule.heights))
    over, accepted = alarm.follow(states, times, found, opens, rule.accept_s)
    contribution = _blame(states, rows, observed, around.mean10, reach[:, 1].numpy())
    contribution[stuck] = np.maximum(contribution[stuck], _STUCK_BLAME)
    states.clock[:, Clock.NEWEST] = times[:, -1]
    missing = ~observed
    error = rows - around.median15
    error[missing], contribution[missing] = np.nan, np.nan
    expectation = (around.median15 + states.offset[:, None]) * states.width[:, None] + states.centre[:, None]
    return Advanced(np.where(seen, over + rule.threshold, np.nan), error, expectation, contribution, accepted)


def scale_rows(
    states: Stacked, values: NDArray[np.float32], intervals: NDArray[np.float64]
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Give rows (B, n, F) in usual widths, gaps filled, and what was observed."""
    cap = np.where(states.cap > 0, np.minimum(states.cap, LARGEST), np.nan)[:, None]
    with np.errstate(over="ignore"):
        rows = (values - states.centre[:, None]) / states.width[:, None] - states.offset[:, None]
    whole = filled(rows.astype(np.float32), states.recent[:, -1])
    rows = np.clip(rows, -cap, cap).astype(np.float32)
    states.beyond = whole[:, -1] - filled(rows, states.recent[:, -1])[:, -1]
    if not (states.cap > 0).all():
        _learn_scales(states, values, _few(intervals))
    return filled(rows, states.recent[:, -1]), ~np.isnan(rows)


def scales_learnt(state: State, values: NDArray[np.float32], interval_s: float) -> set[int]:
    """Say before which of the rows (n, F) the scale of a metric is learnt that training never saw."""
    unknown = np.asarray(state["cap"]) <= 0
    if not unknown.any():
        return set()
    few = _few(np.array([interval_s]))
    known = np.asarray(state["seen"])[0, unknown] + np.cumsum(np.isfinite(values[:, unknown]), axis=0)
    at = np.argmax(known >= few, axis=0)[np.any(known >= few, axis=0)] + 1
    return {int(row) for row in at if row < len(values)}


def _few(intervals: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.clip(np.ceil(_DAY_S / intervals), _FEWEST, _FEW_MOST)


def _learn_scales(states: Stacked, values: NDArray[np.float32], few: NDArray[np.float64]) -> None:
    """Measure the scale of metrics that training never saw on their first day: from then on they count."""
    for b, f in zip(*np.nonzero(states.cap <= 0), strict=True):
        column = values[b, :, f].astype(np.float64)
        for value in column[np.isfinite(column)].tolist():
            count, mean, squared = states.seen[b, :, f]
            count += 1.0
            step = value - mean
            mean += step / count
            states.seen[b, :, f] = count, mean, squared + step * (value - mean)
            if count >= few[b]:
                spread = np.sqrt(states.seen[b, 2, f] / count)
                states.centre[b, f] = mean
                states.width[b, f] = max(spread, 0.01 * abs(mean), 1e-30)
                states.cap[b, f] = LARGEST
                break


def _shown(
    own: Own,
    at: Tensor,
    columns: NDArray[np.float32],
    held: NDArray[np.float32],
    weights: Tensor,
    stuck: NDArray[np.bool_],
    seen: NDArray[np.bool_],
) -> alarm.Shown:
    """Give what rows show, of their columns (B, n, 10) and the bulk (B, n, 10, 4)."""
    counted = bulk.spreads(columns, held)
    found = evidence.evidence_of(
        torch.from_numpy(counted),
        torch.from_numpy(columns),
        torch.from_numpy(np.ascontiguousarray(held[:, :, evidence.PATCHES :, 0])),
        own.usual[at][:, None],
        own.memory.worth[at][:, None],
        weights,
    )
    restless = counted[:, :, evidence.RESTLESS].astype(np.float64)
    return alarm.Shown(
        found.numpy().astype(np.float64), restless, evidence.jump_nats(columns, held), stuck, seen
    )


def _opening(
    states: Stacked, own: Own, places: NDArray[np.int64], heights: alarm.Heights
) -> NDArray[np.float64]:
    """Give the height at which alarms begin (B,): of a learner, beyond what any of its like ever showed."""
    learning = ~np.isnan(states.clock[:, Clock.LEARNING])
    ceiling = own.ceiling[torch.from_numpy(places)].numpy()
    return np.where(learning, np.maximum(heights.opens[places], ceiling), heights.opens[places])


def _stuck(
    states: Stacked, rows: NDArray[np.float32], last: NDArray[np.float32], still: NDArray[np.float32]
) -> NDArray[np.bool_]:
    """Say which metrics stand still though they always moved (B, n, F)."""
    found = np.zeros(rows.shape, dtype=bool)
    if np.isfinite(still).any():
        for b in range(len(rows)):
            runs = repeats(rows[b], last[b], states.runs[b].astype(np.int64))
            states.runs[b] = runs[-1]
            found[b] = runs > still[b]
    return found


def _blame(
    states: Stacked,
    rows: NDArray[np.float32],
    observed: NDArray[np.bool_],
    mean10: NDArray[np.float32],
    moves: NDArray[np.float32],
) -> NDArray[np.float32]:
    """Give who is to blame (B, n, F): who moves on rather than who leapt once."""
    moved = np.abs(rows - mean10) * observed / moves[:, None]
    before = np.concatenate([states.moved[:, None], moved[:, :-1]], axis=1)
    states.moved = moved[:, -1]
    found: NDArray[np.float32] = (moved + before) / np.float32(2)
    return found
