"""The detector of metric vectors: five plain views of a row beside a memory of normal patches and rows.

    values -> usual widths -> surroundings -> views and what is new -> evidence -> alarm

Every stage works on arrays over the entities of a batch: one row of a thousand hosts, or a thousand rows of
one, go the same way. What is usual follows the entity; what an operator calls broken does not go into it. An
entity without training begins from the population of those in the model, says that it is learning, and may
alarm in its first day only beyond what any of them ever showed.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from itertools import pairwise
from typing import Any, ClassVar, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from anomalyd.detectors.detector import (
    Adaptation,
    Detector,
    Encoded,
    Progress,
    RawScores,
    SampleKind,
    SeriesWindow,
    State,
    TrainingSet,
    silent,
)
from anomalyd.detectors.parameters import read_parameters
from anomalyd.detectors.vectors.patch import alarm, bulk, explaining, patches, surroundings, training_rows
from anomalyd.detectors.vectors.patch.advance import Advanced, Model, Rule, advance, scales_learnt
from anomalyd.detectors.vectors.patch.alarm import RATE
from anomalyd.detectors.vectors.patch.beginning import begin, settle_learner
from anomalyd.detectors.vectors.patch.patch_parameters import WEIGHTED, Parameters
from anomalyd.detectors.vectors.patch.pieces import Piece, cut, joined
from anomalyd.detectors.vectors.patch.state import NAMES, Clock, Stacked, stack, unstack
from anomalyd.detectors.vectors.patch.views import VIEWS
from anomalyd.detectors.vectors.scaling import Scaling
from anomalyd.errors import ModelDamaged, ModelMismatch, TrainingError
from anomalyd.verdict import Verdict

_POPULATION = 20
"""So many entities make the population: more of a kind say the same."""

_USUAL = 0.0
_GAP_ROWS, _GAP_S = 10, 900.0
"""A silence of ten rows, and a quarter of an hour, is a gap: what came before it says nothing of the next
minutes."""


class VectorPatch(Detector):
    """Causal, adaptive, explainable; one network for all entities, what is usual is each entity's own."""

    kind: ClassVar[str] = "vector-patch"
    sample_kind: ClassVar[SampleKind] = "vector"
    parameters_class = Parameters
    parts: ClassVar[Mapping[str, float]] = {
        **dict.fromkeys(WEIGHTED, 0.0),
        "restless": 0,
        "jumps": 0,
    }

    def __init__(
        self,
        parameters: Parameters,
        entities: Sequence[str],
        model: Model,
        primed: Mapping[str, State] | None = None,
        rate: float = RATE,
    ) -> None:
        self._parameters = parameters
        self._places = {entity: e for e, entity in enumerate(entities)}
        self._model = model
        self._primed = dict(primed or {})
        self._rate = rate
        self._rule = _rule(parameters, rate, model.intervals)

    @classmethod
    def fit(
        cls,
        training: TrainingSet,
        parameters: Mapping[str, Any],
        *,
        seed: int = 0,
        progress: Progress = silent,
    ) -> Self:
        """Measure each entity on its series, and the population on those of all.

        Raises:
            TrainingError: no entity has 10 samples, or a parameter is unknown or impossible.

        """
        checked = read_parameters(cls.kind, Parameters, parameters)
        if not any(getattr(checked, view) for view in VIEWS):
            raise TrainingError(f"{cls.kind}: all of {', '.join(VIEWS)} are 0; leave one of them at 1")
        scaling = Scaling.fit(training, 10, checked.floor, trusted=1.0)
        known = [entity for entity in training.series if scaling.knows(entity)]
        pooled = training_rows.pooled_scale(scaling.scales)
        measured: list[training_rows.Measured] = []
        alike: list[training_rows.Measured] = []
        for step, entity in enumerate(known, 1):
            series, own = training.series[entity], scaling.of(entity)
            measured.append(training_rows.measure(series, own, seed))
            if len(alike) < _POPULATION:
                alike.append(measured[-1] if len(known) == 1 else training_rows.measure(series, pooled, seed))
            progress(cls.kind, step, len(known))
        tensors = training_rows.stacked([*measured, training_rows.pool(alike)])
        for name, values in asdict(scaling.scales).items():
            tensors[f"scale.{name}"] = torch.from_numpy(np.concatenate([values, getattr(pooled, name)[None]]))
        return cls(checked, known, Model.of(tensors))

    def prime(self, states: Mapping[str, State]) -> Self:
        """Give the same detector, which begins an entity's first window after training from these states."""
        return type(self)(self._parameters, list(self._places), self._model, states, self._rate)

    def at(self, rate: float) -> Self:
        """Give the same detector with the threshold for a rate; as `Graded.at`."""
        return type(self)(self._parameters, list(self._places), self._model, self._primed, rate)

    def heights(self) -> tuple[float, float]:
        """Give the raw scores of a usual row and of the threshold; as `Graded.heights`."""
        return _USUAL, self._parameters.height

    def learning(self, state: State) -> bool:
        """Say whether an entity without training is still in its first day."""
        return "clock" in state and not bool(np.isnan(np.asarray(state["clock"])[Clock.LEARNING]))

    def score(self, windows: Sequence[SeriesWindow]) -> list[RawScores]:
        """Score windows piece by piece, pieces of one length together; as `Detector.score`."""
        metrics = self._model.metrics
        for window in windows:
            if np.ndim(window.values) != 2 or window.values.shape[1] != metrics:
                raise ModelMismatch(
                    f"entity {window.entity!r}: samples of {window.values.shape[1:]} values, the model was "
                    f"trained on {metrics} metrics; train it again for them"
                )
        states: list[State] = [self._begin(window) for window in windows]
        queues = [deque(self._pieces(w, window, states[w])) for w, window in enumerate(windows)]
        found: list[list[Advanced]] = [[] for _ in windows]
        adaptations: list[list[Adaptation]] = [[] for _ in windows]
        while True:
            groups: dict[int, list[Piece]] = {}
            for queue in queues:
                if queue:
                    piece = queue.popleft()
                    groups.setdefault(len(piece.times), []).append(piece)
            if not groups:
                break
            for group in groups.values():
                self._score_group(windows, group, states, queues, found, adaptations)
        return [
            joined(found[w], states[w], adaptations[w], len(window.times), metrics)
            for w, window in enumerate(windows)
        ]

    def _score_group(
        self,
        windows: Sequence[SeriesWindow],
        group: Sequence[Piece],
        states: list[State],
        queues: Sequence[deque[Piece]],
        found: Sequence[list[Advanced]],
        adaptations: Sequence[list[Adaptation]],
    ) -> None:
        """Score pieces of one length together; where an alarm is accepted within one, it is cut there."""
        entities = [windows[piece.window].entity for piece in group]
        before = [states[piece.window] for piece in group]
        stacked = stack(entities, before, self._model.metrics)
        places = np.array([self._places.get(e, len(self._places)) for e in entities], dtype=np.int64)
        times = np.stack([piece.times for piece in group])
        values = np.stack([piece.values for piece in group])
        begin(stacked, self._model, places, times, values, [piece.after_gap for piece in group])
        done = advance(stacked, self._model, places, times, values, self._rule)
        settle_learner(stacked, times[:, -1])
        after = unstack(stacked)
        for b, piece in enumerate(group):
            row, w = int(done.accepted[b]), piece.window
            if row < 0:
                states[w] = after[b]
                found[w].append(done.of(b))
            elif row < len(piece.times) - 1:
                # Scored again up to there: what follows is compared with what was accepted.
                queues[w].extendleft([cut(piece, row + 1, None), cut(piece, 0, row + 1)])
            else:
                found[w].append(done.of(b))
                time = float(piece.times[-1])
                adaptations[w].append(self._accepted(time, after[b]))
                states[w] = self._take_for_normal(entities[b], after[b], time)

    def _pieces(self, w: int, window: SeriesWindow, state: State) -> list[Piece]:
        """Cut a window at gaps, and where a learner has seen thirty rows."""
        if not len(window.times):
            return []
        clock = np.asarray(state["clock"])
        place = self._places.get(window.entity, len(self._places))
        gap = max(_GAP_ROWS * float(self._model.intervals[place]), _GAP_S)
        apart = np.diff(window.times, prepend=clock[Clock.NEWEST])
        gaps = np.isnan(apart) | (apart > gap)
        cuts = {0, len(window.times), *np.flatnonzero(gaps).tolist()}
        if place == len(self._places):
            ahead = 30 - int(clock[Clock.FRESH])
            if 0 < ahead < len(window.times):
                cuts.add(ahead)
        cuts |= scales_learnt(state, window.values, float(self._model.intervals[place]))
        bounds = sorted(cuts)
        return [
            Piece(w, start, window.times[start:end], window.values[start:end], bool(gaps[start]))
            for start, end in pairwise(bounds)
        ]

    def _begin(self, window: SeriesWindow) -> State:
        """Give what is remembered, or, after training and before anything else, what training left."""
        if window.state:
            if window.state.keys() != set(NAMES):
                raise ModelMismatch(
                    f"entity {window.entity!r}: its remembered state is of another model; start it without"
                )
            return window.state
        primed = self._primed.get(window.entity)
        if primed is not None and len(window.times):
            newest = float(np.asarray(primed["clock"])[Clock.NEWEST])
            if np.isnan(newest) or window.times[0] > newest:
                return primed
        return self._model.first_state(self._places.get(window.entity))

    def _accepted(self, time: float, before: State) -> Adaptation:
        days = self._parameters.accept_days
        return Adaptation(
            time,
            "new-normal",
            f"an alarm lasted for {days:g} days; what the metrics do now is assumed to be the new normal",
            before,
        )

    def _take_for_normal(self, entity: str, state: State, now: float) -> State:
        def change(states: Stacked) -> None:
            since = float(states.clock[0, Clock.SINCE])
            since = now if np.isnan(since) else since
            surroundings.move(states, 0, since)
            bulk.accept(states, 0, since, now)
            _end_alarm(states)

        return _changed(entity, state, self._model.metrics, change)

    def apply_feedback(self, state: State, word: Verdict, since: float, now: float) -> State:
        """Take an operator's word; as `Adaptive.apply_feedback`.

        Normal: the days compared with move to where the metrics are now. Broken: what was learnt since
        `since` is forgotten, nothing is learnt and the alarm stays until it would have ended by itself.
        """
        if state.keys() != set(NAMES):
            return state

        def broken(states: Stacked) -> None:
            surroundings.forget(states, 0, since)
            states.clock[0, [Clock.SINCE, Clock.BROKEN, Clock.QUIET]] = since, 1.0, np.nan

        def normal(states: Stacked) -> None:
            surroundings.move(states, 0, since)
            bulk.accept(states, 0, since, now)
            _end_alarm(states)

        return _changed("", state, self._model.metrics, normal if word is Verdict.NORMAL else broken)

    def undo(self, state: State, before: State) -> State:
        """Put back what was compared with before an adaptation, and learn nothing until all is as usual."""
        if state.keys() != set(NAMES) or before.keys() != set(NAMES):
            return state

        def back(states: Stacked) -> None:
            step = states.offset[0] - np.asarray(before["offset"])
            states.recent[0] += step
            states.offset[0] = before["offset"]
            for name in ("slots", "ring"):
                getattr(states, name)[0] = np.asarray(before[name])
            states.bulk[0] = before["bulk"]
            clock = np.asarray(before["clock"])
            states.clock[0, Clock.KEPT] = clock[Clock.KEPT]
            since = float(clock[Clock.SINCE])
            surroundings.forget(states, 0, float(clock[Clock.SLOT]) * surroundings.SLOT_S)
            states.clock[0, [Clock.SINCE, Clock.BROKEN, Clock.QUIET]] = since, 1.0, np.nan

        return _changed("", state, self._model.metrics, back)

    def encode(self, window: SeriesWindow) -> Encoded:
        """Encode the last sample of a window: inputs (1, F) in usual widths; the baseline is the median of
        the 15 rows before it."""
        state = window.state
        if len(window.times) > 1:
            earlier = SeriesWindow(window.entity, window.times[:-1], window.values[:-1], state)
            state = self.score([earlier])[0].state
        last = SeriesWindow(window.entity, window.times[-1:], window.values[-1:], state)
        raw = float(self.score([last])[0].raw[-1])
        state = self._begin(last)
        place = self._places.get(window.entity, len(self._places))
        stacked = stack([window.entity], [state], self._model.metrics)
        (piece,) = self._pieces(0, last, state)
        at = np.array([place])
        begin(stacked, self._model, at, piece.times[None], piece.values[None], [piece.after_gap])
        return explaining.encode(
            stacked, self._model, at, piece.times[None], piece.values[None], raw, self._rule
        )

    def forward(self, inputs: Tensor, *context: Tensor) -> Tensor:
        """Give the raw score (N,) of inputs (N, F), as far as it does not depend on whether an alarm is
        on."""
        return explaining.score(inputs, context)

    def hidden_layers(self) -> Mapping[str, nn.Module]:
        """Name the layers of the patch encoder, the last of which is the code; as `Layered.hidden_layers`."""
        encoder = patches.shipped().encoder
        return {f"encoder.{k}": layer for k, layer in enumerate(encoder) if isinstance(layer, nn.Linear)}

    def tensors(self) -> dict[str, Tensor]:
        """Give the model and what training left, for safetensors."""
        found = dict(self._model.tensors())
        for name in NAMES if self._primed else ():
            arrays = [np.asarray(state[name]) for state in self._primed.values()]
            found[f"primed.{name}"] = torch.from_numpy(np.stack(arrays))
        return found

    def config(self) -> dict[str, Any]:
        """Give parameters and entities, for JSON."""
        return {
            "parameters": asdict(self._parameters),
            "entities": list(self._places),
            "primed": list(self._primed),
            "rate": self._rate,
        }

    @classmethod
    def restore(cls, tensors: Mapping[str, Tensor], config: Mapping[str, Any]) -> Self:
        """Build it again; as `Detector.restore`."""
        try:
            parameters = Parameters(**config["parameters"])
            primed: dict[str, State] = {
                entity: {name: tensors[f"primed.{name}"][e].numpy() for name in NAMES}
                for e, entity in enumerate(config["primed"])
            }
            return cls(parameters, config["entities"], Model.of(tensors), primed, config["rate"])
        except (KeyError, TypeError, IndexError) as error:
            raise ModelDamaged(f"{cls.kind}: its configuration lacks {error}; train it again") from error


def _rule(parameters: Parameters, rate: float, intervals: NDArray[np.float64]) -> Rule:
    heights = alarm.heights_at(parameters.height, rate, intervals)
    if not parameters.restless:
        heights = replace(heights, restless=np.inf)
    if not parameters.jumps:
        heights = replace(heights, jump=np.inf)
    weights = torch.tensor([float(getattr(parameters, name)) for name in WEIGHTED])
    return Rule(weights, heights, parameters.accept_days * 86_400.0, parameters.height)


def _end_alarm(states: Stacked) -> None:
    states.clock[0, [Clock.SINCE, Clock.QUIET]] = np.nan
    states.clock[0, [Clock.ON, Clock.RESTLESS, Clock.BROKEN]] = 0.0
    states.clock[0, Clock.KNOWN_STUCK] = 1.0
    # The views' means begin again: what they hold is of the time before.
    states.means[0] = np.nan


def _changed(entity: str, state: State, metrics: int, change: Any) -> State:
    states = stack([entity], [state], metrics)
    change(states)
    return unstack(states)[0]
