"""The ensemble of metric vectors: a predictive autoencoder among six plain views of the same row.

The autoencoder says how surprising a row is after what all metrics did before it. Beside it stand turbulence
and motion (what the last minutes do not explain), unrest (what all metrics move together), displacement,
profile and level (what the last day, this time of the last days and the last hours do not explain). Of each
view it counts how rare it is on this entity (`tail_probability`); an alarm begins where they agree, where
there is sustained activity, or for a single row at a spike, and `hysteresis` says when it is over. What the
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
from numpy.typing import NDArray
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
)
from anomalyd.detectors.parameters import read_parameters
from anomalyd.detectors.vectors.ensemble import (
    hysteresis,
    spikes,
    sustained_activity,
    tail_probability,
    target_rate,
)
from anomalyd.detectors.vectors.ensemble.baseline_statistics import levels_of, measure_usual, views_of
from anomalyd.detectors.vectors.ensemble.ensemble_parameters import Parameters
from anomalyd.detectors.vectors.ensemble.explaining import context_of, score_in
from anomalyd.detectors.vectors.ensemble.feature_extraction import KNOWN, Followed, follow
from anomalyd.detectors.vectors.ensemble.predictive import Predictor, fit_predictor
from anomalyd.detectors.vectors.ensemble.reference_windows import (
    SLOT_S,
    forget_since,
    move_back,
    move_to_present,
    offset_of,
)
from anomalyd.detectors.vectors.ensemble.tail_probability import Rarity
from anomalyd.detectors.vectors.ensemble.target_rate import RATE
from anomalyd.detectors.vectors.ensemble.views import (
    CHANNELS,
    LARGEST,
    VIEWS,
    Usual,
    as_tensors,
    from_tensors,
    logs,
    shares_of,
)
from anomalyd.detectors.vectors.scaling import Scaling
from anomalyd.detectors.vectors.standstill import repeats
from anomalyd.errors import ModelDamaged, ModelMismatch, TrainingError
from anomalyd.verdict import Verdict

_SETTLING = 100
"""Rows at the beginning of a series that teach nothing: the means have not settled."""

_STATE_FROM_SCALING = "scale."

_USUAL = -1.0
"""The height of a usual row: about one below the end of the bulk."""


class VectorEnsemble(Detector):
    """One network for all entities; what is usual is each entity's own. Explainable, adaptive, primed.

    The minutes before a row are counted in rows, the hours and days in event time.
    """

    kind: ClassVar[str] = "vector-ensemble"
    sample_kind: ClassVar[SampleKind] = "vector"
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
        usual: Mapping[str, Usual],
        primed: Mapping[str, State] | None = None,
        rate: float = RATE,
    ) -> None:
        self._parameters = parameters
        self._scaling = scaling
        self._network = network.eval().requires_grad_(False)
        self._usual = dict(usual)
        self._primed = dict(primed or {})
        self._rate = rate
        self._shares = _shares(parameters)
        self._rarities = {entity: Rarity.measure(each.shown.numpy()) for entity, each in self._usual.items()}

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
        scaling = Scaling.fit(training, checked.warmup, checked.floor, trusted=1.0)
        metrics = len(training.features)
        network = Predictor(KNOWN * metrics, metrics, checked.hidden, checked.code)
        followed: dict[str, Followed] = {}
        clips: dict[str, Tensor] = {}
        for entity, series in training.series.items():
            if scaling.knows(entity):
                joined = scaling.join([SeriesWindow(entity, series.times, series.values)], 0)
                clips[entity] = torch.from_numpy(np.minimum(joined.scale.cap[0], np.float32(LARGEST)))
                followed[entity] = follow(series.times, joined.observed(), {}, clips[entity].numpy())
        settled = {e: slice(min(_SETTLING, len(f.rows) // 4), None) for e, f in followed.items()}
        known = np.concatenate([f.known[settled[e]] for e, f in followed.items()])
        came = np.concatenate([f.came[settled[e]] for e, f in followed.items()])
        fit_predictor(network, known, came, checked.steps, seed, lambda *a: progress(cls.kind, *a))
        network.eval().requires_grad_(False)
        shares = _shares(checked)
        usual = {
            e: measure_usual(network, f, clips[e], training.series[e].times, settled[e], shares)
            for e, f in followed.items()
        }
        return cls(checked, scaling, network, usual)

    def prime(self, states: Mapping[str, State]) -> Self:
        """Give the same detector, which begins an entity's first window after training from these states."""
        return type(self)(self._parameters, self._scaling, self._network, self._usual, states, self._rate)

    def score(self, windows: Sequence[SeriesWindow]) -> list[RawScores]:
        """Score window by window; as `Detector.score`."""
        return [self._score(window) for window in windows]

    def _score(self, window: SeriesWindow) -> RawScores:
        state = self._begin(window)
        scaled = self._scaling.join([_for_scaling(window, state)], 0)
        observed, ready, scale = scaled.observed(), scaled.ready, scaled.scale
        n, metrics = observed.shape
        usual = self._usual_of(window.entity)
        raw = np.full(n, np.nan)
        expectation = np.full((n, metrics), np.nan, dtype=np.float32)
        contribution, error = expectation.copy(), expectation.copy()
        adaptations: list[Adaptation] = []
        held = {k: v for k, v in state.items() if not k.startswith(_STATE_FROM_SCALING)}
        begin = int(np.argmax(ready)) if ready.any() else n
        if begin < n:
            part, offset = slice(begin, None), offset_of(held, metrics)
            followed = follow(window.times[part], observed[part] - offset, held, usual.clip.numpy())
            seen = views_of(self._network, followed, usual)
            levels = levels_of(seen, held.get("levels"))
            logged = logs(levels)
            means, shown = self._means(window.entity, window.times[part], logged, held)
            believed, lately = hysteresis.believed(means[:, 0], means[:, 1], held.get("lately"))
            leapt = spikes.leaps_of(followed, usual.clip.numpy(), usual.leap.numpy())
            leaps, leapt_after = spikes.follow(
                window.times[part], leapt, held, target_rate.jolts_at(self._rate)
            )
            before = held if "alarm" in held else hysteresis.start(usual.bulk.numpy())
            last = np.asarray(held.get("recent", np.full((1, metrics), np.nan, np.float32)))[-1]
            runs = repeats(
                observed[part] - offset, last, np.asarray(held.get("runs", np.zeros(metrics, int)))
            )
            stuck = np.asarray(runs > usual.still.numpy())
            shows = hysteresis.Shown(
                believed,
                sustained_activity.commotion_of(logged, self._shares[:, 2]),
                leaps if self._parameters.jolts else np.full(n - begin, -np.inf),
                np.any(stuck, axis=1),
            )
            interval = float(usual.interval)
            heights = target_rate.heights_at(self._parameters, self._rate, interval)
            over, accepted, after = hysteresis.follow(window.times[part], shows, before, heights, interval)
            raw[part] = over + target_rate.open_at(self._parameters, self._rate)
            error[part] = followed.rows - followed.around.median15
            expectation[part] = followed.around.median15 + offset
            moved = np.abs(followed.rows - followed.around.mean10) * followed.observed / usual.blame.numpy()
            # With the row before: who moves on is to blame rather than who leapt once.
            blamed = (moved + np.concatenate([held.get("moved", moved[:1]), moved[:-1]])) / np.float32(2)
            contribution[part] = np.where(stuck, np.maximum(blamed, np.float32(LARGEST)), blamed)
            adaptations += [self._accepted(float(window.times[begin + row]), held) for row in accepted]
            held = {
                **followed.state,
                **after,
                **shown,
                **leapt_after,
                "levels": levels[-1].numpy(),
                "lately": lately,
                "moved": moved[-1:].copy(),
                "offset": offset,
                "runs": runs[-1],
            }
        absent = np.isnan(observed)
        raw[absent.all(axis=1)] = np.nan
        contribution[absent], error[absent] = np.nan, np.nan
        after_scaling = {_STATE_FROM_SCALING + name: array for name, array in scaled.states[0].items()}
        return RawScores(
            raw,
            error,
            expectation * scale.width[0] + scale.centre[0],
            contribution,
            {**held, **after_scaling},
            tuple(adaptations),
        )

    def _means(
        self, entity: str, times: NDArray[np.float64], logged: Tensor, held: State
    ) -> tuple[NDArray[np.float64], dict[str, NDArray[Any]]]:
        """Give the slow and the quick mean (n, 2) of how rare logs of channels (n, C) are, and the state."""
        usual = self._usual_of(entity)
        nats, shown = tail_probability.follow(
            times,
            logged,
            usual.shown.numpy(),
            float(usual.trained_to),
            self._rarities.get(entity) or next(iter(self._rarities.values())),
            held,
            learn=not hysteresis.is_broken(held),
        )
        return (nats @ self._shares[:, :2]).numpy().astype(np.float64), shown

    def apply_feedback(self, state: State, word: Verdict, since: float, now: float) -> State:
        """Take an operator's word; as `Adaptive.apply_feedback`.

        Normal: the hours and days compared with move to where the metrics are now. Broken: what was learnt
        since `since` is forgotten, nothing is learnt and the alarm stays until it would have ended by itself.
        """
        if "alarm" not in state:
            return state
        if word is Verdict.BROKEN:
            return hysteresis.apply_feedback(forget_since(state, since), broken=True, since=since)
        moved = hysteresis.apply_feedback(move_to_present(state, since), broken=False, since=since)
        # The views' means begin again: what they hold is of the time before the word.
        nothing = np.full(len(CHANNELS), np.nan, dtype=np.float32)
        return {**moved, "levels": nothing, "lately": np.full_like(state["lately"], -np.inf)}

    def undo(self, state: State, before: State) -> State:
        """Put back what was compared with before an adaptation, and learn nothing until all is as usual."""
        if "alarm" not in state or "slots" not in before:
            return state
        since = float(np.asarray(before["slot"])[0]) * SLOT_S
        back = {**move_back(state, before), **{name: before[name] for name in ("week", "of", "bulk")}}
        return hysteresis.apply_feedback(back, broken=True, since=since)

    def heights(self) -> tuple[float, float]:
        """Give the raw scores of a usual row and of the threshold; as `Graded.heights`."""
        return _USUAL, target_rate.open_at(self._parameters, self._rate)

    def at(self, rate: float) -> Self:
        """Give the same detector with the threshold for a rate; as `Graded.at`."""
        return type(self)(self._parameters, self._scaling, self._network, self._usual, self._primed, rate)

    def _accepted(self, time: float, before: State) -> Adaptation:
        days = self._parameters.accept_days
        return Adaptation(
            time,
            "new-normal",
            f"an alarm lasted for {days:g} days; what the metrics do now is assumed to be the new normal",
            before,
        )

    def _begin(self, window: SeriesWindow) -> State:
        """Give what is remembered, or, after training and before anything else, what training left."""
        state = window.state
        if not state:
            primed = self._primed.get(window.entity, {})
            later = "slot" in primed and bool(np.all(window.times // SLOT_S >= np.asarray(primed["slot"])[0]))
            return primed if later else {}
        if "recent" in state and np.asarray(state["recent"]).shape[-1] != self._scaling.metrics:
            raise ModelMismatch(
                f"entity {window.entity!r}: its remembered state is of another model; start it without"
            )
        return state

    def _usual_of(self, entity: str) -> Usual:
        return self._usual.get(entity) or next(iter(self._usual.values()))

    def encode(self, window: SeriesWindow) -> Encoded:
        """Encode the last sample of a window: inputs (1, F), scaled; the baseline is its median before."""
        if len(window.times) > 1:
            earlier = SeriesWindow(window.entity, window.times[:-1], window.values[:-1], window.state)
            window = SeriesWindow(
                window.entity, window.times[-1:], window.values[-1:], self._score(earlier).state
            )
        state = self._begin(window)
        usual = self._usual_of(window.entity)
        rows = self._scaling.join([_for_scaling(window, state)], 0).observed()
        rows = rows - offset_of(state, rows.shape[1])
        followed = follow(window.times, rows, state, usual.clip.numpy())
        levels = levels_of(views_of(self._network, followed, usual), state.get("levels"))
        means, shown = self._means(window.entity, window.times, logs(levels), state)
        raw = self._score(window).raw
        before = state.get("levels", levels[0].numpy())
        before = np.where(np.isnan(before), levels[0].numpy(), before)
        height = float(raw[-1]) if math.isfinite(float(raw[-1])) else 0.0
        context = context_of(followed, before, (height, float(means[-1, 0])), shown, usual)
        feature = torch.where(torch.from_numpy(followed.observed[0]) > 0, torch.arange(rows.shape[1]), -1)
        inputs, baseline = torch.from_numpy(followed.rows), torch.from_numpy(followed.around.median15)
        return Encoded(inputs, baseline, context, feature)

    def forward(self, inputs: Tensor, *context: Tensor) -> Tensor:
        """Give the raw score (N,) of inputs (N, F); context of one row goes for all."""
        return score_in(context, inputs, self._network, next(iter(self._usual.values())), self._shares)

    def tensors(self) -> dict[str, Tensor]:
        """Give scales, weights, what is usual, and what training left of each entity."""
        found = {f"network.{name}": tensor for name, tensor in self._network.state_dict().items()}
        for e, usual in enumerate(self._usual.values()):
            found |= {f"usual.{e}.{name}": tensor for name, tensor in as_tensors(usual).items()}
        for e, state in enumerate(self._primed.values()):
            found |= {f"primed.{e}.{name}": torch.from_numpy(np.array(a)) for name, a in state.items()}
        return {**self._scaling.tensors(), **found}

    def config(self) -> dict[str, Any]:
        """Give parameters and entities, for JSON."""
        return {
            "parameters": asdict(self._parameters),
            "rate": self._rate,
            "scaling": self._scaling.config(),
            "usual": list(self._usual),
            "primed": list(self._primed),
        }

    @classmethod
    def restore(cls, tensors: Mapping[str, Tensor], config: Mapping[str, Any]) -> Self:
        """Build it again; as `Detector.restore`."""
        try:
            parameters = Parameters(**config["parameters"])
            scaling = Scaling.restore(tensors, config["scaling"])
            network = Predictor(KNOWN * scaling.metrics, scaling.metrics, parameters.hidden, parameters.code)
            usual = {
                entity: from_tensors(_below(tensors, f"usual.{e}."))
                for e, entity in enumerate(config["usual"])
            }
            primed: dict[str, State] = {
                entity: {name: tensor.numpy() for name, tensor in _below(tensors, f"primed.{e}.").items()}
                for e, entity in enumerate(config["primed"])
            }
            network.load_state_dict(_below(tensors, "network."))
            rate = float(config["rate"])
        except (KeyError, TypeError) as error:
            raise ModelDamaged(f"{cls.kind}: its configuration lacks {error}; train it again") from error
        except RuntimeError as error:
            raise ModelDamaged(f"{cls.kind}: weights and sizes differ ({error}); train it again") from error
        return cls(parameters, scaling, network, usual, primed, rate)


def _shares(parameters: Parameters) -> Tensor:
    return shares_of({view: getattr(parameters, view) for view in VIEWS})


def _below(tensors: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): t for name, t in tensors.items() if name.startswith(prefix)}


def _for_scaling(window: SeriesWindow, state: State) -> SeriesWindow:
    own = {
        name.removeprefix(_STATE_FROM_SCALING): np.asarray(array)
        for name, array in state.items()
        if name.startswith(_STATE_FROM_SCALING)
    }
    return SeriesWindow(window.entity, window.times, window.values, own)
