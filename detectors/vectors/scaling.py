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

from anomalyd.detectors.detector import RawScores, SeriesWindow, State, TrainingSet, split
from anomalyd.detectors.vectors.gaps import median
from anomalyd.detectors.vectors.scale import Array, Scale, measure
from anomalyd.errors import ModelDamaged, ModelMismatch, TrainingError

LARGEST_DEVIATION = 1e4
"""Deviations are clipped here: ten thousand usual widths are as strange as it gets."""

_OTHERWISE = 4.0
"""An entity that moves so many times as much as others, or as little, has another scale."""

LEAST_ROWS = 10
"""Rows of an entity from which a scale is measured in training; with fewer it counts as unknown."""

_NAMES = ("centre", "width", "cap")
"""Of a scale, as they are remembered of an entity that training did not know."""

_NOTHING: State = {}


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
    states: tuple[State, ...]

    def observed(self) -> Array:
        """Give the deviations (N, F) of the new rows."""
        return self.deviations[self.rows]

    def results(
        self,
        raw: NDArray[np.float64],
        error: Array,
        expectation: Array,
        contribution: Array,
        states: Sequence[State] | None = None,
    ) -> list[RawScores]:
        """Cut what was found of the new rows, (N,) and (N, F), into the raw scores of each window.

        `states`: what is remembered after each, if it is more than its scale.
        """
        found = (split(each, self.counts) for each in (raw, error, expectation, contribution))
        return list(map(RawScores, *found, states or self.states))


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

    def join(
        self, windows: Sequence[SeriesWindow], history: int, remembered: Sequence[State] | None = None
    ) -> Joined:
        """Scale a batch and put `history` remembered rows before each window.

        `remembered`: of each window, instead of its state.

        Raises:
            ModelMismatch: rows (or a state) of another number of metrics.

        """
        F = self.metrics
        values = self._values_of(windows)
        before = [window.state for window in windows] if remembered is None else remembered
        places = [self._entities.get(window.entity, -1) for window in windows]
        # Most entities were measured in training: their scales are taken all at once.
        stacked = _pick(self._scales, np.array(places, dtype=np.int64))
        counts = tuple(map(len, values))
        ready = np.ones(sum(counts), dtype=bool)
        states: list[State] = [_NOTHING] * len(windows)
        unknown = [w for w, place in enumerate(places) if place < 0]
        settled = [w for w in unknown if "centre" in before[w]]
        warming = [w for w in unknown if "centre" not in before[w]] if len(settled) < len(unknown) else []
        if settled:
            names = [windows[w].entity for w in settled]
            for name in _NAMES:
                each = [before[w][name] for w in settled]
                getattr(stacked, name)[settled] = stacked_states(names, each, (F,))
            for w in settled:
                own = before[w]
                states[w] = own if len(own) == len(_NAMES) else {name: own[name] for name in _NAMES}
        past = [np.empty((0, F), dtype=np.float32)] * len(windows)
        names_of_past = dict.fromkeys(range(len(windows)), "recent") if history else {}
        for w, name in (names_of_past | dict.fromkeys(warming, "warmup")).items():
            past[w] = stacked_states([windows[w].entity], [before[w].get(name, past[w])], (-1, F))[0]
        if warming:
            self._warm_up(warming, past, values, stacked, ready, states)
        if history:
            self._keep(history, past, values, states)
            nothing = np.full((history, F), np.nan, dtype=np.float32)
            pairs = zip(past, values, strict=True)
            blocks = [each for p, v in pairs for each in (np.concatenate([nothing, p])[-history:], v)]
        else:
            blocks = values
        return _joined(blocks, history, counts, stacked, ready, states)

    def _values_of(self, windows: Sequence[SeriesWindow]) -> list[Array]:
        found = [np.asarray(window.values, dtype=np.float32) for window in windows]
        wanted = (self.metrics,)
        if any(values.shape[1:] != wanted for values in found):
            window = next(w for w, values in zip(windows, found, strict=True) if values.shape[1:] != wanted)
            raise ModelMismatch(
                f"entity {window.entity!r}: samples of {window.values.shape[1:]} values, the model was "
                f"trained on {self.metrics} metrics; train it again for them"
            )
        return found

    def _keep(
        self, history: int, past: Sequence[Array], values: Sequence[Array], states: list[State]
    ) -> None:
        """Put the last rows into the states, but for those that keep their whole warm-up."""
        for w, (earlier, rows) in enumerate(zip(past, values, strict=True)):
            if "warmup" not in states[w]:
                states[w] = {"recent": np.concatenate([earlier, rows])[-history:].copy(), **states[w]}

    def _warm_up(
        self,
        warming: Sequence[int],
        past: Sequence[Array],
        values: Sequence[Array],
        stacked: Scale,
        ready: NDArray[np.bool_],
        states: list[State],
    ) -> None:
        """Scale unknown entities in or at the end of their warm-up: what they learn there goes into `stacked`
        and `states`, which rows come after it into `ready`."""
        ends = np.cumsum([len(each) for each in values])
        learnt = list[int]()
        first = list[Array]()
        for w in warming:
            rows = np.concatenate([past[w], values[w]])
            begin = int(ends[w]) - len(values[w])
            ready[begin : ends[w]] = np.arange(len(past[w]), len(rows)) >= self._warmup
            if len(rows) < self._warmup:
                stacked.centre[w], stacked.width[w] = self._typical.centre, self._typical.width
                stacked.cap[w] = self._typical.cap
                states[w] = {"warmup": rows}
            else:
                learnt.append(w)
                first.append(rows[: self._warmup])
        if not learnt:
            return
        # All at once: many hosts that come together end their warm-up with one row.
        known = np.stack(first)
        own = measure(known, self._floor, self._typical, self._trusted)
        if self._moves is not None:
            own = self._like_others(known, own.centre, self._moves)
        for name in _NAMES:
            getattr(stacked, name)[learnt] = getattr(own, name)
        for e, w in enumerate(learnt):
            states[w] = {name: getattr(own, name)[e].copy() for name in _NAMES}

    def _like_others(self, rows: Array, centre: Array, moves: Array) -> Scale:
        """Give the typical scale at these centres (E, F) for entities of which rows (E, n, F) are known."""
        own = _moves(rows)
        known = (own > 0) & (moves > 0)
        ratio = np.divide(own, moves, out=np.ones_like(own), where=known)
        # Twelve rows do not tell twice as much from as much.
        factor = np.where((ratio > _OTHERWISE) | (ratio < 1.0 / _OTHERWISE), ratio, 1.0)
        width = (self._typical.width * factor).astype(np.float32)
        return Scale(centre, width, np.broadcast_to(self._typical.cap, width.shape))

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
            scales = Scale(*(tensors[f"scaling.{name}"].numpy() for name in _NAMES))
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


def stacked_states(entities: Sequence[str], each: Sequence[Array], shape: tuple[int, ...]) -> Array:
    """Stack what is remembered of entities, (E, *shape); -1 for a size that may be any.

    Raises:
        ModelMismatch: an array of another shape, of another model.

    """
    for other in {array.shape for array in each} - {shape}:
        if len(other) != len(shape) or any(w not in (-1, n) for w, n in zip(shape, other, strict=True)):
            entity = next(e for e, array in zip(entities, each, strict=True) if array.shape == other)
            raise ModelMismatch(
                f"entity {entity!r}: its remembered state is of another model; start it without"
            )
    found: Array = np.concatenate(each, axis=None).reshape(len(each), *each[0].shape)
    return found


def _joined(
    blocks: Sequence[Array],
    history: int,
    counts: tuple[int, ...],
    scale: Scale,
    ready: NDArray[np.bool_],
    states: Sequence[State],
) -> Joined:
    """Scale rows, the remembered ones of each window before its new ones."""
    stretch_of = np.repeat(np.arange(len(counts)), counts)
    of_all = np.repeat(np.arange(len(counts)), np.asarray(counts, dtype=np.int64) + history)
    with np.errstate(over="ignore"):  # what overflows is infinite, and clipped with the rest
        deviations = (np.concatenate(blocks) - scale.centre[of_all]) / scale.width[of_all]
    np.clip(deviations, -LARGEST_DEVIATION, LARGEST_DEVIATION, out=deviations)
    if not (known := scale.cap > 0).all():
        # What the entity never sent counts as missing still: a network that never saw it there would find
        # all else of the row strange.
        deviations[~known[of_all]] = np.nan
    rows = np.arange(len(stretch_of)) + history * (stretch_of + 1)
    return Joined(deviations, rows, stretch_of, counts, scale, ready, tuple(states))


def _moves(rows: Array) -> Array:
    """Give how far each metric moves from row to row, in the middle (..., F), of rows (..., T, F)."""
    apart = np.abs(np.diff(rows, axis=-2))
    found: Array = np.nan_to_num(median(np.ascontiguousarray(np.moveaxis(apart, -2, -1))))
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
