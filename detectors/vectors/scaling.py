"""Metrics of any unit -> deviations from the usual in usual widths, entity by entity.

Every entity has its own scaling; one that was never seen in training learns it from its first rows, kept in
its state. This file also joins the remembered rows of every entity to its new ones, so that a detector sees
one array for the whole batch.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from anomalyd.detectors.detector import RawScores, SeriesWindow, State, TrainingSet
from anomalyd.errors import ModelDamaged, ModelMismatch, TrainingError

LARGEST_DEVIATION = 1e4
"""Deviations are clipped here: ten thousand usual widths are as strange as it gets."""

_OTHERWISE = 4.0
"""An entity that moves so many times as much as others, or as little, has another scale."""

LEAST_ROWS = 10
"""Rows of an entity from which a scale is measured in training; with fewer it counts as unknown."""

Array = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Scale:
    """What is usual of the metrics of one entity: `centre`, `width` and `cap`, each (F,) or stacked (E, F).

    `cap` is how many usual widths a deviation may count for at most: infinite for a metric that moves, small
    for one that hardly ever moved, because its width says nothing. That such a metric moves is as rare as its
    moves were in n rows, so it counts as a Gaussian deviation of that rarity, sqrt(2 ln(n / moves)), twice,
    because the other metrics dilute it. 0 for one that was never seen: nobody can say how strange it is.
    """

    centre: Array
    width: Array
    cap: Array


def measure(
    values: NDArray[np.floating], floor: float, fallback: Scale | None = None, trusted: float = 0.995
) -> Scale:
    """Measure what is usual in rows (T, F), NaN where missing; a metric without any row takes the fallback.

    Centre: median. Width: root mean square of the deviations from it, each at most their `trusted` quantile.
    It sees the bursts that a median absolute deviation ignores, and at 99.5 % half a percent of anomalies,
    however large, cannot stretch it far. `floor`: the least width, as a share of the centre's size.
    """
    metrics = values.shape[1]
    centre, width, cap = np.zeros(metrics), np.ones(metrics), np.full(metrics, np.inf)
    for f in range(metrics):
        column = values[:, f].astype(np.float64)
        column = column[np.isfinite(column)]
        n = len(column)
        if n == 0:
            cap[f] = 0.0
            if fallback is not None:
                centre[f], width[f], cap[f] = fallback.centre[f], fallback.width[f], fallback.cap[f]
            continue
        middle = np.median(column)
        deviation = np.abs(column - middle)
        spread = np.sqrt(np.mean(np.minimum(deviation, np.quantile(deviation, trusted)) ** 2))
        # Around 0 there is no size: the largest deviation stands in for it, or a unit where there is none.
        smallest = max(floor * (abs(middle) or min(1.0, deviation.max() or 1.0)), 1e-30)
        if spread < smallest:
            moves = int(np.count_nonzero(deviation > 3.0 * smallest))
            cap[f] = 2.0 * np.sqrt(2.0 * np.log((n + 1.0) / (moves + 1.0)))
        centre[f], width[f] = middle, max(spread, smallest)
    return Scale(centre.astype(np.float32), width.astype(np.float32), cap.astype(np.float32))


@dataclass(frozen=True, slots=True)
class Joined:
    """The windows of a batch as one array, every new row behind the rows remembered before it.

    `deviations` (M, F): usual widths from the usual, NaN where missing; of each window first exactly
    `history` remembered rows (NaN where there were none), then its n new ones. `rows` (N,) are the places of
    the new rows in it, `window` (N,) which window each is of, `counts` (S,) how many each has. `scale` is
    that of each window, stacked (S, F). `ready` (N,) is False in an unknown entity's warm-up. `states` are
    what is remembered after each window.
    """

    deviations: Array
    rows: NDArray[np.int64]
    window: NDArray[np.int64]
    counts: tuple[int, ...]
    scale: Scale
    ready: NDArray[np.bool_]
    states: tuple[dict[str, Array], ...]

    def observed(self) -> Array:
        """Give the deviations (N, F) of the new rows."""
        return self.deviations[self.rows]

    def results(
        self, raw: NDArray[np.float64], error: Array, expectation: Array, contribution: Array
    ) -> list[RawScores]:
        """Cut what was found of the new rows, (N,) and (N, F), into the raw scores of each window."""
        ends = np.cumsum(self.counts)
        return [
            RawScores(raw[part], error[part], expectation[part], contribution[part], state)
            for part, state in (
                (slice(end - count, end), state)
                for end, count, state in zip(ends, self.counts, self.states, strict=True)
            )
        ]


class Scaling:
    """The scale of every entity of the training set, and of those that come later."""

    def __init__(
        self,
        entities: Sequence[str],
        scales: Scale,
        warmup: int,
        floor: float,
        trusted: float = 0.995,
        moves: Array | None = None,
    ) -> None:
        self._entities = {entity: e for e, entity in enumerate(entities)}
        self._scales = scales
        self._warmup = warmup
        self._floor = floor
        self._trusted = trusted
        self._moves = moves
        # What an unknown entity falls back on for a metric that was missing in all of its warm-up.
        self._typical = Scale(*(np.median(a, axis=0) for a in (scales.centre, scales.width, scales.cap)))
        if moves is not None:
            width = np.sqrt(np.mean(np.square(scales.width, dtype=np.float64), axis=0)).astype(np.float32)
            self._typical = Scale(self._typical.centre, width, scales.cap.max(axis=0))

    @property
    def metrics(self) -> int:
        """The number of metrics, F."""
        return int(self._scales.centre.shape[1])

    @property
    def scales(self) -> Scale:
        """The scales of all entities measured in training, stacked (E, F)."""
        return self._scales

    @property
    def typical(self) -> Scale:
        """The scale (F,) of all entities together."""
        return self._typical

    def of(self, entity: str) -> Scale:
        """Give the scale (F,) of an entity measured in training."""
        return _pick(self._scales, self._entities[entity])

    def knows(self, entity: str) -> bool:
        """Say whether the entity was measured in training."""
        return entity in self._entities

    @classmethod
    def fit(
        cls,
        training: TrainingSet,
        warmup: int,
        floor: float,
        trusted: float = 0.995,
        pooled: bool = False,
    ) -> Scaling:
        """Measure every entity that has at least `LEAST_ROWS` rows; the others count as unknown.

        `pooled`: those take the typical scale of all at the level of their first rows, wider or narrower
        where they move otherwise from row to row, instead of a scale that so few rows cannot show.

        Raises:
            TrainingError: no entity has, or the values are not (T, F) with F the number of features.

        """
        wanted = len(training.features)
        for entity, series in training.series.items():
            if series.values.ndim != 2 or series.values.shape[1] != wanted or not wanted:
                raise TrainingError(
                    f"entity {entity!r}: samples of shape {series.values.shape[1:]} do not fit the {wanted} "
                    "metrics of the training set; every sample needs one value for each metric"
                )
        usable = [e for e, s in training.series.items() if len(s.times) >= LEAST_ROWS]
        if not usable:
            longest = max((len(s.times) for s in training.series.values()), default=0)
            raise TrainingError(
                f"the longest series has {longest} samples to fit on, at least {LEAST_ROWS} are needed; "
                "wait for more data"
            )
        measured = [measure(training.series[e].values, floor, trusted=trusted) for e in usable]
        moves = None
        if pooled:
            moves = np.median(np.stack([_moves(training.series[e].values) for e in usable]), axis=0)
        return cls(usable, _stack(measured), warmup, floor, trusted, moves)

    def join(self, windows: Sequence[SeriesWindow], history: int) -> Joined:
        """Scale a batch and put `history` remembered rows before each window.

        Raises:
            ModelMismatch: rows (or a state) of another number of metrics.

        """
        F = self.metrics
        blocks: list[Array] = []
        states: list[dict[str, Array]] = []
        places = [self._entities.get(window.entity) for window in windows]
        # Most entities were measured in training: their scales are taken all at once.
        stacked = _pick(self._scales, np.array([place or 0 for place in places], dtype=np.int64))
        counts = tuple(len(s.times) for s in windows)
        ready = np.ones(sum(counts), dtype=bool)
        end = 0
        for w, (window, place) in enumerate(zip(windows, places, strict=True)):
            values = np.asarray(window.values, dtype=np.float32)
            begin, end = end, end + len(values)
            if values.ndim != 2 or values.shape[1] != F:
                raise ModelMismatch(
                    f"entity {window.entity!r}: samples of {values.shape[1:]} values, the model was "
                    f"trained on {F} metrics; train it again for them"
                )
            if window.state and any(array.shape[-1] != F for array in window.state.values()):
                raise ModelMismatch(
                    f"entity {window.entity!r}: its remembered state is of another model; start it without"
                )
            if place is not None and not history:
                blocks.append(values)
                states.append({})
                continue
            scale, past, ready[begin:end], state = self._remember(
                window.entity, values, window.state, history
            )
            if place is None:
                stacked.centre[w], stacked.width[w], stacked.cap[w] = scale.centre, scale.width, scale.cap
            before = np.full((history, F), np.nan, dtype=np.float32)
            if history and len(past):
                before[-min(len(past), history) :] = past[-history:]
            blocks += [before, values] if history else [values]
            states.append(state)
        stretch_of = np.repeat(np.arange(len(counts)), counts)
        of_all = np.repeat(np.arange(len(counts)), np.asarray(counts, dtype=np.int64) + history)
        with np.errstate(over="ignore"):  # what overflows is infinite, and clipped with the rest
            deviations = (np.concatenate(blocks) - stacked.centre[of_all]) / stacked.width[of_all]
        np.clip(deviations, -LARGEST_DEVIATION, LARGEST_DEVIATION, out=deviations)
        if not (known := stacked.cap > 0).all():
            # What the entity never sent counts as missing still: a network that never saw it there would
            # find all else of the row strange.
            deviations[~known[of_all]] = np.nan
        rows = np.arange(len(stretch_of)) + history * (stretch_of + 1)
        return Joined(deviations, rows, stretch_of, counts, stacked, ready, tuple(states))

    def _remember(
        self, entity: str, values: Array, state: State, history: int
    ) -> tuple[Scale, Array, NDArray[np.bool_], dict[str, Array]]:
        """Give an entity's scale, the raw rows before these, which of these are ready, and its new state."""
        F, n = self.metrics, len(values)
        nothing = np.empty((0, F), dtype=np.float32)
        if entity in self._entities or "centre" in state:
            past = np.asarray(state.get("recent", nothing))
            recent = np.concatenate([past, values])[-history:].copy() if history else nothing
            after = {"recent": recent} if history else {}
            if entity in self._entities:
                return _pick(self._scales, self._entities[entity]), past, np.ones(n, dtype=bool), after
            own = Scale(*(np.asarray(state[name]) for name in ("centre", "width", "cap")))
            return own, past, np.ones(n, dtype=bool), {**after, **_arrays(own)}
        past = np.asarray(state.get("warmup", nothing))
        rows = np.concatenate([past, values])
        is_ready = np.arange(len(past), len(rows)) >= self._warmup
        if len(rows) < self._warmup:
            return self._typical, past, is_ready, {"warmup": rows}
        own = measure(rows[: self._warmup], self._floor, self._typical, self._trusted)
        if self._moves is not None:
            own = self._like_others(rows[: self._warmup], own.centre, self._moves)
        after = {"recent": rows[-history:].copy()} if history else {}
        return own, past, is_ready, {**after, **_arrays(own)}

    def _like_others(self, rows: Array, centre: Array, moves: Array) -> Scale:
        """Give the typical scale at this centre (F,) for an entity of which these rows (n, F) are known."""
        own = _moves(rows)
        known = (own > 0) & (moves > 0)
        ratio = np.divide(own, moves, out=np.ones_like(own), where=known)
        # Twelve rows do not tell twice as much from as much.
        factor = np.where((ratio > _OTHERWISE) | (ratio < 1.0 / _OTHERWISE), ratio, 1.0)
        width = (self._typical.width * factor).astype(np.float32)
        return Scale(centre, width, self._typical.cap)

    def tensors(self) -> dict[str, Tensor]:
        """Everything measured, for safetensors."""
        arrays = _arrays(self._scales) | ({} if self._moves is None else {"moves": self._moves})
        return {f"scaling.{name}": torch.from_numpy(array) for name, array in arrays.items()}

    def config(self) -> dict[str, object]:
        """Everything else, for JSON."""
        return {
            "entities": list(self._entities),
            "warmup": self._warmup,
            "floor": self._floor,
            "trusted": self._trusted,
        }

    @classmethod
    def restore(cls, tensors: Mapping[str, Tensor], config: Mapping[str, object]) -> Scaling:
        """Build it again.

        Raises:
            ModelDamaged: tensors and configuration do not fit together.

        """
        try:
            scales = Scale(*(tensors[f"scaling.{name}"].numpy() for name in ("centre", "width", "cap")))
            moves = tensors["scaling.moves"].numpy() if "scaling.moves" in tensors else None
            entities, warmup, floor = config["entities"], config["warmup"], config["floor"]
            trusted = config.get("trusted", 0.995)
        except KeyError as error:
            raise ModelDamaged(f"the scaling has no {error}; train the model again") from error
        if not isinstance(entities, list) or not isinstance(warmup, int) or not isinstance(floor, float):
            raise ModelDamaged("the scaling's configuration is not what it should be; train the model again")
        shapes = {array.shape for array in _arrays(scales).values()}
        if len(shapes) != 1 or scales.centre.shape[:1] != (len(entities),):
            raise ModelDamaged("the scaling's arrays do not fit its entities; train the model again")
        if not isinstance(trusted, float):
            raise ModelDamaged("the scaling's configuration is not what it should be; train the model again")
        return cls(entities, scales, warmup, floor, trusted, moves)


def _moves(rows: Array) -> Array:
    """Give how far each metric moves from row to row, in the middle (F,)."""
    apart = np.abs(np.diff(rows, axis=0))
    known = ~np.isnan(apart).all(axis=0)
    found = np.zeros(rows.shape[1], dtype=np.float32)
    found[known] = np.nanmedian(apart[:, known], axis=0)
    return found


def _stack(scales: Sequence[Scale]) -> Scale:
    return Scale(
        np.stack([s.centre for s in scales]),
        np.stack([s.width for s in scales]),
        np.stack([s.cap for s in scales]),
    )


def _pick(scales: Scale, e: int | NDArray[np.int64]) -> Scale:
    return Scale(scales.centre[e], scales.width[e], scales.cap[e])


def _arrays(scale: Scale) -> dict[str, Array]:
    return {"centre": scale.centre, "width": scale.width, "cap": scale.cap}
