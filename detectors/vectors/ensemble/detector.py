"""The ensemble of metric vectors: a predictive autoencoder among six plain views of the same row.

The autoencoder says how surprising a row is after what all metrics did before it. Beside it stand turbulence
and motion (what the last minutes do not explain), unrest (what all metrics move together), displacement,
profile and level (what the last day, this time of the last days and the last hours do not explain). Of each
view it counts how rare it is on this entity (`tail_probability`); an alarm begins where they agree, where
there is sustained activity, or for a single row at a spike, and `views_alarm` says when it is over. What the
row is compared with follows the entity (`reference_windows`); what an operator calls broken does not go into
it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any, ClassVar, Self

import numpy as np
import torch
from torch import Tensor

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
    split,
)
from anomalyd.detectors.parameters import read_parameters
from anomalyd.detectors.vectors.by_entity import EntityArrays, below
from anomalyd.detectors.vectors.ensemble.advance import Learnt, look
from anomalyd.detectors.vectors.ensemble.alarm import target_rate, views_alarm
from anomalyd.detectors.vectors.ensemble.alarm.target_rate import RATE
from anomalyd.detectors.vectors.ensemble.baseline_statistics import measure_usual
from anomalyd.detectors.vectors.ensemble.beginning import population
from anomalyd.detectors.vectors.ensemble.beginning.population import Population
from anomalyd.detectors.vectors.ensemble.beginning.primed import Primed
from anomalyd.detectors.vectors.ensemble.ensemble_parameters import Parameters
from anomalyd.detectors.vectors.ensemble.explaining import context_of, score_in
from anomalyd.detectors.vectors.ensemble.feature_extraction import KNOWN, Followed, follow
from anomalyd.detectors.vectors.ensemble.fusion import final_alarm, recurring_alarms
from anomalyd.detectors.vectors.ensemble.memory import SCALE, Layout, Memory, scale_of
from anomalyd.detectors.vectors.ensemble.pieces import pieces_of, score
from anomalyd.detectors.vectors.ensemble.predictive import Predictor, fit_predictor
from anomalyd.detectors.vectors.ensemble.reference_windows import (
    SLOT_S,
    forget_since,
    move_back,
    move_to_present,
)
from anomalyd.detectors.vectors.ensemble.tail_probability import Rarity
from anomalyd.detectors.vectors.ensemble.views import (
    LARGEST,
    VIEWS,
    Usual,
    as_tensors,
    from_tensors,
    shares_of,
)
from anomalyd.detectors.vectors.novelty import reference
from anomalyd.detectors.vectors.novelty.reference import Reference
from anomalyd.detectors.vectors.scaling import Scaling
from anomalyd.errors import ModelDamaged, ModelMismatch, TrainingError
from anomalyd.verdict import Verdict

_SETTLING = 100
"""Rows at the beginning of a series that teach nothing: the means have not settled."""

_WARMUP = 12
"""Rows from which the level and the scale of an entity are measured that training did not know."""

_NOTHING: State = {}
_UNPRIMED = Primed.of({})

_USUAL = -1.0
"""The height of a usual row: about one below the end of the bulk."""


class VectorEnsemble(Detector):
    """One network for all entities; what is usual is each entity's own. Explainable, adaptive, primed.

    The minutes before a row are counted in rows, the hours and days in event time.
    """

    kind: ClassVar[str] = "vector-ensemble"
    sample_kind: ClassVar[SampleKind] = "vector"
    adaptive: ClassVar[bool] = True
    parameters_class = Parameters
    parts: ClassVar[Mapping[str, float]] = {
        **dict.fromkeys(VIEWS, 0.0),
        "hold": 0.0,
        "stir": 1000.0,
        "lasting": 0,
        "jolts": 0,
    }

    def __init__(
        self,
        parameters: Parameters,
        scaling: Scaling,
        network: Predictor,
        entities: Sequence[str],
        usual: EntityArrays,
        references: EntityArrays,
        together: Population,
        primed: Primed = _UNPRIMED,
        rate: float = RATE,
    ) -> None:
        self._parameters = parameters
        self._scaling = scaling
        self._network = network.eval().requires_grad_(False)
        self._entities = tuple(entities)
        self._usual = usual
        self._references = references
        self._population = together
        self._rate = rate
        self._learnt = Learnt.of(parameters, self._network, entities, usual, references, together, rate)
        self._primed = primed
        for entity in [*primed.places][:1]:  # to see that it fits: all are of one version
            self._remembered(entity, primed.at(entity))

    @classmethod
    def fit(
        cls,
        training: TrainingSet,
        parameters: Mapping[str, Any],
        *,
        seed: int = 0,
        progress: Progress = silent,
    ) -> Self:
        """Follow each series once; fit the network on all, and what is usual on each.

        Raises:
            TrainingError: no entity has 10 samples, or a parameter is unknown or impossible.

        """
        checked = read_parameters(cls.kind, Parameters, parameters)
        if not any(getattr(checked, view) for view in VIEWS):
            raise TrainingError(f"{cls.kind}: all of {', '.join(VIEWS)} are 0; leave one of them at 1")
        # Plain standard deviations: a metric that bursts now and then must not alarm with every burst.
        scaling = Scaling.fit(training, _WARMUP, checked.floor, trusted=1.0, pooled=True)
        metrics = len(training.features)
        network = Predictor(KNOWN * metrics, metrics, checked.hidden, checked.code)
        followed: dict[str, Followed] = {}
        references: list[Reference] = []
        clips: dict[str, Tensor] = {}
        for entity, series in training.series.items():
            if scaling.knows(entity):
                joined = scaling.join([SeriesWindow(entity, series.times, series.values)], 0)
                clips[entity] = torch.from_numpy(np.minimum(joined.scale.cap[0], np.float32(LARGEST)))
                references.append(reference.measure(joined.observed(), clips[entity].numpy(), seed))
                followed[entity] = follow(
                    series.times[None],
                    joined.observed()[None],
                    Layout(metrics, 1).blank(),
                    clips[entity].numpy()[None],
                )
        settled = {e: slice(min(_SETTLING, f.rows.shape[1] // 4), None) for e, f in followed.items()}
        known = np.concatenate([f.known[0, settled[e]] for e, f in followed.items()])
        came = np.concatenate([f.came[0, settled[e]] for e, f in followed.items()])
        fit_predictor(network, known, came, checked.steps, seed, lambda *a: progress(cls.kind, *a))
        network.eval().requires_grad_(False)
        shares = shares_of({view: getattr(checked, view) for view in VIEWS})
        usual = EntityArrays.of(
            [
                as_tensors(measure_usual(network, f, clips[e], training.series[e].times, settled[e], shares))
                for e, f in followed.items()
            ]
        )
        known_series = {entity: training.series[entity] for entity in followed}
        together = population.measure(network, known_series, scaling.typical, shares, seed)
        each = (tuple(followed), usual, EntityArrays.of([reference.as_tensors(one) for one in references]))
        first = cls(checked, scaling, network, *each, together)
        days = [first.score([day])[0].state for day in population.first_days(known_series)]
        return cls(checked, scaling, network, *each, population.ceiling_of(together, days))

    def prime(self, states: Mapping[str, State]) -> Self:
        """Give the same detector, which begins an entity's first window after training from these states."""
        some = {e: state for e, state in states.items() if self._remembered(e, state)[0] is not None}
        return self._with(Primed.of(some), self._rate)

    def score(self, windows: Sequence[SeriesWindow]) -> list[RawScores]:
        """Score windows, those of one length together; as `Detector.score`."""
        if not windows:
            return []
        begun = [self._begin(window) for window in windows]
        scaled = self._scaling.join(windows, 0, [scale for _, scale in begun])
        times = np.concatenate([window.times for window in windows])
        counts, memories = scaled.counts, [memory for memory, _ in begun]
        pieces = pieces_of(self._learnt, windows, memories, scaled.states, scaled.ready)
        known = [memory is not None or p.begin < p.end for memory, p in zip(memories, pieces, strict=True)]
        found = score(self._learnt, pieces, times, scaled.observed())
        scale = scaled.scale
        expectation = found.expectation * scale.width[scaled.window] + scale.centre[scaled.window]
        said = (split(each, counts) for each in (found.raw, found.error, expectation, found.contribution))
        return [
            RawScores(
                raw,
                error,
                expected,
                contribution,
                piece.memory if has else {SCALE + name: array for name, array in piece.scale.items()},
                tuple(self._accepted(float(times[row]), before) for row, before in piece.accepted)
                if piece.accepted
                else (),
                learning=not (has and math.isnan(piece.memory.learns_since)),
            )
            for raw, error, expected, contribution, piece, has in zip(*said, pieces, known, strict=True)
        ]

    def apply_feedback(self, state: State, word: Verdict, since: float, now: float) -> State:
        """Take an operator's word; as `Detector.apply_feedback`.

        Normal: the hours and days compared with move to where the metrics are now. Broken: what was learnt
        since `since` is forgotten, nothing is learnt and the alarm stays until it would have ended by itself.
        """
        memory, _ = self._remembered("", state)
        if memory is None:
            return state
        batch = self._learnt.layout.join([memory])
        if word is Verdict.BROKEN:
            forget_since(batch, 0, since)
            recurring_alarms.forget_since(batch, 0, since)
        else:
            move_to_present(batch, np.array([0]), np.array([since]))
            final_alarm.accept(batch, 0, now - since)
            # The views' means begin again: what they hold is of the time before the word.
            batch.levels[0] = np.nan
        views_alarm.apply_feedback(batch, 0, broken=word is Verdict.BROKEN, since=since)
        return self._learnt.layout.part(batch, [memory.scale])[0]

    def undo(self, state: State, before: State) -> State:
        """Put back what was compared with before an adaptation, and learn nothing until all is as usual."""
        (memory, _), (earlier, _) = self._remembered("", state), self._remembered("", before)
        if memory is None or earlier is None:
            return state
        batch, put_back = (self._learnt.layout.join([each]) for each in (memory, earlier))
        move_back(batch, put_back, 0)
        batch.week[0], batch.week_of[0], batch.bulk[0] = (
            put_back.week[0],
            put_back.week_of[0],
            put_back.bulk[0],
        )
        views_alarm.apply_feedback(batch, 0, broken=True, since=float(put_back.slot[0]) * SLOT_S)
        return self._learnt.layout.part(batch, [memory.scale])[0]

    def heights(self) -> tuple[float, float]:
        """Give the raw scores of a usual row and of the threshold; as `Graded.heights`."""
        return _USUAL, target_rate.open_at(self._parameters, self._rate)

    def at(self, rate: float) -> Self:
        """Give the same detector with the threshold for a rate; as `Graded.at`."""
        return self._with(self._primed, rate)

    def _with(self, primed: Primed, rate: float) -> Self:
        return type(self)(
            self._parameters,
            self._scaling,
            self._network,
            self._entities,
            self._usual,
            self._references,
            self._population,
            primed,
            rate,
        )

    def _accepted(self, time: float, before: State) -> Adaptation:
        days = self._parameters.accept_days
        return Adaptation(
            time,
            "new-normal",
            f"an alarm lasted for {days:g} days; what the metrics do now is assumed to be the new normal",
            before,
        )

    def _begin(self, window: SeriesWindow) -> tuple[Memory | None, State]:
        """Give what is remembered, or, after training and before anything else, what training left."""
        if window.state:
            return self._remembered(window.entity, window.state)
        if self._primed.is_due(window):
            return self._remembered(window.entity, self._primed.at(window.entity))
        return None, _NOTHING

    def _remembered(self, entity: str, state: State) -> tuple[Memory | None, State]:
        """Give what is remembered of an entity, None before its first row is scored, and of its scale."""
        if isinstance(state, Memory) and state.layout is self._learnt.layout:
            return state, state.scale
        if all(name.startswith(SCALE) for name in state):
            return None, scale_of(state)
        memory = self._learnt.layout.pack(entity, state)
        return memory, memory.scale

    def encode(self, window: SeriesWindow) -> Encoded:
        """Encode the last sample of a window: inputs (1, F), scaled; the baseline is its median before."""
        if len(window.times) > 1:
            earlier = SeriesWindow(window.entity, window.times[:-1], window.values[:-1], window.state)
            (before,) = self.score([earlier])
            window = SeriesWindow(window.entity, window.times[-1:], window.values[-1:], before.state)
        memory, scale = self._begin(window)
        place = self._learnt.place(window.entity)
        batch = self._learnt.layout.join([self._learnt.beginning(place) if memory is None else memory])
        rows = (
            self._scaling.join(
                [SeriesWindow(window.entity, window.times, window.values, scale)], 0
            ).observed()
            - batch.offset
        )
        levels = batch.levels[0].copy()
        seen = look(self._learnt, batch, np.array([place]), window.times[None], rows[None])
        levels = np.where(np.isnan(levels), batch.levels[0], levels)
        raw = float(self.score([window])[0].raw[-1])
        context = context_of(
            seen.followed,
            levels,
            (raw if math.isfinite(raw) else 0.0, float(seen.means[0, -1, 0])),
            Rarity(*(torch.from_numpy(each[0].copy()) for each in (batch.steps, batch.tail))),
            self._usual_at(place),
        )
        feature = torch.where(
            torch.from_numpy(seen.followed.observed[0, 0]) > 0, torch.arange(rows.shape[1]), -1
        )
        inputs, baseline = seen.followed.rows[0], seen.followed.around.median15[0]
        return Encoded(torch.from_numpy(inputs), torch.from_numpy(baseline), context, feature)

    def encode_inputs(self, window: SeriesWindow) -> Tensor:
        """Give the `inputs` of `encode`; of a single row they are known without scoring it."""
        if len(window.times) > 1:
            return self.encode(window).inputs
        memory, scale = self._begin(window)
        before = self._learnt.beginning(self._learnt.place(window.entity)) if memory is None else memory
        row = SeriesWindow(window.entity, window.times, window.values, scale)
        return torch.from_numpy(np.nan_to_num(self._scaling.join([row], 0).observed() - before["offset"]))

    def forward(self, inputs: Tensor, *context: Tensor) -> Tensor:
        """Give the raw score (N,) of inputs (N, F); context of one row goes for all."""
        return score_in(context, inputs, self._network, self._usual_at(0), self._learnt.shares)

    def _usual_at(self, place: int) -> Usual:
        if self._learnt.is_unknown(place):
            return self._population.usual
        return from_tensors({name: torch.from_numpy(each) for name, each in self._usual.at(place).items()})

    def tensors(self) -> dict[str, Tensor]:
        """Give scales, weights, what is usual, and what training left of each entity."""
        found = {f"network.{name}": tensor for name, tensor in self._network.state_dict().items()}
        found |= {f"population.{n}": t for n, t in population.as_tensors(self._population).items()}
        found |= self._usual.tensors("usual") | self._references.tensors("reference")
        return {**self._scaling.tensors(), **found, **self._primed.tensors()}

    def config(self) -> dict[str, Any]:
        """Give parameters and entities, for JSON."""
        return {
            "parameters": asdict(self._parameters),
            "rate": self._rate,
            "scaling": self._scaling.config(),
            "usual": list(self._entities),
            "primed": list(self._primed.places),
        }

    @classmethod
    def restore(cls, tensors: Mapping[str, Tensor], config: Mapping[str, Any]) -> Self:
        """Build it again; as `Detector.restore`."""
        try:
            parameters = Parameters(**config["parameters"])
            scaling = Scaling.restore(tensors, config["scaling"])
            network = Predictor(KNOWN * scaling.metrics, scaling.metrics, parameters.hidden, parameters.code)
            entities = config["usual"]
            usual = EntityArrays.restore(tensors, "usual", len(entities))
            references = reference.of_entities(EntityArrays.restore(tensors, "reference", len(entities)))
            together = population.from_tensors(below(tensors, "population."))
            primed = Primed.restore(tensors, config["primed"])
            network.load_state_dict(below(tensors, "network."))
            rate = float(config["rate"])
        except (KeyError, TypeError) as error:
            raise ModelDamaged(f"{cls.kind}: its configuration lacks {error}; train it again") from error
        except RuntimeError as error:
            raise ModelDamaged(f"{cls.kind}: weights and sizes differ ({error}); train it again") from error
        try:
            return cls(parameters, scaling, network, entities, usual, references, together, primed, rate)
        except ModelMismatch as error:
            raise ModelDamaged(
                f"{cls.kind}: what it remembers of its training is that of another version; train it again"
            ) from error
