"""An autoencoder and its classical baseline, trained on the same data: the unit that the daemon loads.

The pair's score is the autoencoder's. The baseline is a witness: a report says whether it saw the same, and
it takes a new level for normal when the autoencoder does, or an operator. Only where the policy alerts on
either is the pair's score the higher of both.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from anomalyd.detectors.combined_state import CombinedState
from anomalyd.detectors.detector import (
    NEW_NORMAL,
    Adaptation,
    AlertOn,
    Graded,
    Progress,
    SampleKind,
    SeriesWindow,
    State,
    TrainingSet,
    cut,
    silent,
)
from anomalyd.detectors.false_alarm_target import DEFAULT, FalseAlarmTarget
from anomalyd.detectors.model import Model, Scores, joined
from anomalyd.detectors.registry import classical_baseline, detector_class
from anomalyd.detectors.training import train_model
from anomalyd.errors import ModelMismatch
from anomalyd.verdict import Verdict

_NOTHING: State = {}

MEMBERS = ("autoencoder", "classical")


# Not frozen: one is made of each row, and a frozen one takes five times as long. Nothing writes to it.
@dataclass(slots=True)
class PairScores:
    """What both models say of a window; `state` holds what both remember, under a prefix for each."""

    autoencoder: Scores
    classical: Scores
    state: State
    alert_on: AlertOn = "autoencoder"

    @property
    def score(self) -> NDArray[np.float64]:
        """The pair's score (n,), above 1 an alert: the autoencoder's, or the higher or the lower of both, as
        `alert_on` says; NaN where it cannot tell."""
        if self.alert_on == "either":
            return np.fmax(self.autoencoder.score, self.classical.score)
        if self.alert_on == "both":
            return np.minimum(self.autoencoder.score, self.classical.score)
        return self.autoencoder.score

    @property
    def learning(self) -> bool:
        """Whether the autoencoder still learns what is usual of the entity."""
        return self.autoencoder.learning

    def forgetting(self, state: State) -> PairScores:
        """Give the same scores as if nothing had been learnt: `state` is what is remembered."""
        own, baseline = (replace(scores, adaptations=()) for scores in (self.autoencoder, self.classical))
        return PairScores(own, baseline, state, self.alert_on)

    @property
    def adaptations(self) -> tuple[Adaptation, ...]:
        """What either model changed of what it holds for normal; `before` is a state of the pair."""
        found = [
            replace(adaptation, before=CombinedState(((f"{member}.", adaptation.before),)))
            for member, scores in zip(MEMBERS, (self.autoencoder, self.classical), strict=True)
            for adaptation in scores.adaptations
        ]
        return tuple(sorted(found, key=lambda adaptation: adaptation.time))


@dataclass(frozen=True, slots=True)
class DetectorPair:
    """Two models that look at the same samples side by side; `alert_on`: whose alerts count."""

    autoencoder: Model
    classical: Model
    alert_on: AlertOn = "autoencoder"

    @property
    def sample_kind(self) -> SampleKind:
        """What it looks at: metric vectors or maps."""
        return self.autoencoder.card.sample_kind

    @property
    def features(self) -> tuple[str, ...]:
        """The metrics of a vector (F,), in order; empty for maps."""
        return self.autoencoder.card.features

    @property
    def false_alarm_rate(self) -> float:
        """The wanted share of normal samples that score above 1."""
        own = self.autoencoder.calibration.false_alarm_rate
        return own + self.classical.calibration.false_alarm_rate if self.alert_on == "either" else own

    @property
    def alarms_per_day(self) -> float | None:
        """The wanted false alarms per entity and day; None if it was trained for a rate."""
        own, other = self.autoencoder.card.alarms_per_day, self.classical.card.alarms_per_day
        return own + other if self.alert_on == "either" and own is not None and other is not None else own

    def check(self, *, features: Sequence[str] = (), sample_kind: SampleKind = "vector") -> None:
        """See that samples of this kind, with these metrics in this order, fit both models.

        Raises:
            ModelMismatch: they do not; the text says how.

        """
        for model in (self.autoencoder, self.classical):
            model.check(features=features, sample_kind=sample_kind)

    def score(self, windows: Sequence[SeriesWindow]) -> list[PairScores]:
        """Score windows of different entities in one batch, one `PairScores` for each, in order.

        The state of a window is the `state` of the `PairScores` before it, or empty.

        Raises:
            ModelMismatch: values of a shape the models were not trained for.

        """
        autoencoder = self.autoencoder.score([_with_state_of(s, "autoencoder") for s in windows])
        classical = self._witness([_with_state_of(s, "classical") for s in windows], autoencoder)
        alert_on = self.alert_on
        return [
            PairScores(a, c, _of_pair(a.state, c.state), alert_on)
            for a, c in zip(autoencoder, classical, strict=True)
        ]

    def _witness(self, windows: Sequence[SeriesWindow], autoencoder: Sequence[Scores]) -> list[Scores]:
        """Score windows by the baseline, which takes a new level for normal where the autoencoder did."""
        accepted = [[a.time for a in s.adaptations if a.what == NEW_NORMAL] for s in autoencoder]
        if not self.classical.adaptive or not any(accepted):
            return self._baseline(windows)
        others = [window for window, times in zip(windows, accepted, strict=True) if not times]
        scored = iter(self._baseline(others))
        return [
            self._follow(window, times) if times else next(scored)
            for window, times in zip(windows, accepted, strict=True)
        ]

    def _baseline(self, windows: Sequence[SeriesWindow]) -> list[Scores]:
        """Score windows by the baseline; of an element that it does not fit it cannot tell."""
        try:
            return self.classical.score(windows)
        except ModelMismatch:
            if len(windows) > 1:
                return [scores for window in windows for scores in self._baseline([window])]
            return [_cannot_tell(window) for window in windows]

    def _follow(self, window: SeriesWindow, accepted: Sequence[float]) -> Scores:
        parts, state, begin = list[Scores](), window.state, 0
        for time in (*accepted, np.inf):
            end = int(np.searchsorted(window.times, time, side="right"))
            (scores,) = self.classical.score([replace(cut(window, begin, end), state=state)])
            parts.append(scores)
            state, begin = scores.state, end
            if end < len(window.times) or np.isfinite(time):
                state = self.classical.apply_feedback(state, Verdict.NORMAL, time, time)
        return joined(parts, state)

    @property
    def adaptive(self) -> bool:
        """Whether an operator's word changes what either model holds for normal."""
        return self.autoencoder.adaptive or self.classical.adaptive

    def apply_feedback(self, state: State, word: Verdict, since: float, now: float) -> State:
        """Take an operator's word of what an entity does from event time `since` to `now`: the new state."""
        return self._each(state, lambda model, own, _: model.apply_feedback(own, word, since, now))

    def undo(self, state: State, before: State) -> State:
        """Put back what was held for normal before an adaptation, in the model whose adaptation it was; the
        baseline goes with the autoencoder."""
        followed = bool(member_state(before, "autoencoder"))

        def put_back(model: Model, own: State, member: str) -> State:
            held = member_state(before, member)
            return model.undo(own, held) if held or (followed and own and member == "classical") else own

        return self._each(state, put_back)

    def _each(self, state: State, change: Callable[[Model, State, str], State]) -> State:
        models = zip(MEMBERS, (self.autoencoder, self.classical), strict=True)
        return _of_pair(*(change(model, member_state(state, member), member) for member, model in models))


def _cannot_tell(window: SeriesWindow) -> Scores:
    nothing, none = np.full(len(window.times), np.nan), np.full(window.values.shape, np.nan, dtype=np.float32)
    return Scores(nothing, nothing, none, none, none, window.state, signed=none)


def member_state(state: State, member: str) -> State:
    """Give one member's part ("autoencoder" or "classical") of a pair's state."""
    prefix = f"{member}."
    if isinstance(state, CombinedState):
        for of, own in state.parts:
            if of == prefix:
                return own
        return _NOTHING
    return {name.removeprefix(prefix): array for name, array in state.items() if name.startswith(prefix)}


def train_pair(
    training: TrainingSet,
    *,
    kind: str,
    parameters: Mapping[str, Any] | None = None,
    classical: str | None = None,
    classical_parameters: Mapping[str, Any] | None = None,
    false_alarms: FalseAlarmTarget = DEFAULT,
    alert_on: AlertOn = "autoencoder",
    seed: int = 0,
    code_version: str = "",
    created: float = 0.0,
    progress: Progress = silent,
) -> DetectorPair:
    """Train an autoencoder and its baseline (the default one of the kind unless `classical` is given).

    `false_alarms` is for the pair. Where it alerts on either, each gets its part of it (Bonferroni), which
    holds however much the two agree; where they do, there are fewer false alarms than asked for. The parts
    are halves; beside a `Graded` detector, which has classical views of its own, the peer gets a tenth.

    Raises:
        TrainingError: as `train_model`; also if `kind` is not an autoencoder's.

    """
    baseline = classical if classical is not None else classical_baseline(kind)
    own = 0.9 if issubclass(detector_class(kind), Graded) else 0.5
    parts = (own, 1.0 - own) if alert_on == "either" else (1.0, 1.0)

    def train(kind: str, parameters: Mapping[str, Any] | None, part: float) -> Model:
        return train_model(
            training,
            kind=kind,
            parameters=parameters or {},
            false_alarms=false_alarms.share(part),
            seed=seed,
            code_version=code_version,
            created=created,
            progress=progress,
        )

    return DetectorPair(
        train(kind, parameters, parts[0]), train(baseline, classical_parameters, parts[1]), alert_on
    )


def _with_state_of(window: SeriesWindow, member: str) -> SeriesWindow:
    own = member_state(window.state, member)
    return SeriesWindow(window.entity, window.times, window.values, own, window.exposure)


def _of_pair(autoencoder: State, classical: State) -> State:
    return CombinedState((("autoencoder.", autoencoder), ("classical.", classical)))
