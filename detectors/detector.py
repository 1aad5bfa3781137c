"""What every detector keeps: the shapes that go in and come out, and the calls in between."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import accumulate
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Protocol, Self, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from anomalyd.detectors.maps.geometry import Geometry
from anomalyd.total import Total
from anomalyd.verdict import Verdict

if TYPE_CHECKING:  # torch takes two seconds to import, which a command that scores nothing must not pay
    from torch import Tensor
    from torch.nn import Module

SampleKind = Literal["vector", "map"]

Floats = NDArray[np.float32] | NDArray[np.float64]

State = Mapping[str, NDArray[Any]]
"""What a detector remembers of one entity between two calls: named arrays, so that it can be stored."""


@dataclass(frozen=True, slots=True)
class Series:
    """The history of one entity, in event-time order: what a detector is fitted on.

    `times` (T,) seconds since the epoch; `values` (T, F) for metric vectors, (T, R, C) for maps, where NaN
    is a missing metric, a masked cell, or a place behind the end of a ragged row.
    """

    times: NDArray[np.float64]
    values: NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class TrainingSet:
    """What a detector is fitted on: the series of each entity.

    `features` names the metrics (F,) of a vector; it is empty for maps. Maps of different entities may differ
    in shape; `geometries` says what their cells are, beside those that anomalyd knows by name.
    """

    series: Mapping[str, Series]
    features: tuple[str, ...] = ()
    geometries: tuple[Geometry, ...] = ()


# Not frozen: one is made of each row, and a frozen one takes five times as long. Nothing writes to it.
@dataclass(slots=True)
class SeriesWindow:
    """Consecutive samples of one entity, in event-time order, and what was remembered of it before them.

    `times` (n,) seconds since the epoch; `values` (n, F) or (n, R, C) with NaN as in `Series`; `exposure`
    (n,): luminosity or number of events behind each map, NaN where it was not told, None where it never was.
    """

    entity: str
    times: NDArray[np.float64]
    values: NDArray[np.float32]
    state: State = field(default_factory=dict)
    exposure: NDArray[np.float64] | None = None


AlertOn = Literal["autoencoder", "either", "both"]
"""Whose score above 1 is an alert of a pair: the autoencoder's, that of either, or of both together."""

NEW_NORMAL = "new-normal"
"""The word for an adaptation by which what an entity does now is taken for normal."""


@dataclass(frozen=True, slots=True)
class Adaptation:
    """A change of what a detector holds for normal of one entity.

    `time`: event time of the row at which it happened; `what`: a short stable word, as "new-normal";
    `text`: a sentence that says what was assumed; `before`: the entity's state before it, for `undo`.
    """

    time: float
    what: str
    text: str
    before: State


def cut(window: SeriesWindow, begin: int, end: int) -> SeriesWindow:
    """Give the samples from `begin` to `end` of a window, with what was remembered before the whole."""
    exposure = None if window.exposure is None else window.exposure[begin:end]
    return replace(window, times=window.times[begin:end], values=window.values[begin:end], exposure=exposure)


def split(rows: NDArray[Any], counts: Sequence[int]) -> list[NDArray[Any]]:
    """Give the rows (n, ...) of each window, views of those of all windows (N, ...) behind each other."""
    if len(counts) == len(rows) and all(count == 1 for count in counts):
        # A row of each of a thousand entities: numpy walks along them in half of the time.
        return list(rows[:, None])
    ends = accumulate(counts)
    return [rows[end - count : end] for end, count in zip(ends, counts, strict=True)]


# Not frozen: one is made of each row, and a frozen one takes five times as long. Nothing writes to it.
@dataclass(slots=True)
class RawScores:
    """What a detector says of a window, before calibration. `...` is F or R, C, as in the window.

    `raw` (n,): the higher, the stranger; NaN where it cannot tell (a warm-up, nothing but missing values).
    `error` (n, ...): observed less expected in units of the usual scatter, signed; NaN where missing.
    `expectation` (n, ...): what the detector expected, in the units of the values.
    `contribution` (n, ...): who to blame, >= 0, larger is more to blame; NaN where missing.
    `state`: what is remembered after the last sample. `adaptations`: what was changed on the way that an
    operator may want to know of and undo, in event-time order. `signed` (n, ...): the contribution, below 0
    where less was observed than expected; None: as the sign of each error says. `learning`: whether the
    detector still learns what is usual of the entity, and alarms only beyond what its like ever showed.
    `totals`: of maps whose counts as a whole raised the score, by index; `otherwise` is a raw score.
    """

    raw: NDArray[np.float64]
    error: NDArray[np.float32]
    expectation: NDArray[np.float32]
    contribution: NDArray[np.float32]
    state: State
    adaptations: tuple[Adaptation, ...] = ()
    signed: NDArray[np.float32] | None = None
    learning: bool = False
    totals: tuple[tuple[int, Total], ...] = ()


class Progress(Protocol):
    """Told how a long step goes: `what` is done, `step` of `total`, with figures worth showing."""

    def __call__(self, what: str, step: int, total: int, figures: Mapping[str, float] | None = None) -> None:
        """Show it."""


def silent(what: str, step: int, total: int, figures: Mapping[str, float] | None = None) -> None:
    """Show nothing: the progress of those who do not watch."""


class Detector(ABC):
    """A detector: fitted once, then scoring windows causally (a score uses nothing later than its sample).

    Scores do not depend on how a stream is cut into windows: one window of ten samples gives what ten
    windows of one give, each started from the state that the one before returned.
    """

    kind: ClassVar[str]
    sample_kind: ClassVar[SampleKind]
    log_odds: ClassVar[bool] = False
    """Whether raw scores are the logarithm of the odds that a sample is broken."""
    adaptive: ClassVar[bool] = False
    """Whether its idea of normal follows the entity: an operator can settle a case and undo a change."""
    parts: ClassVar[Mapping[str, float]] = {}
    """Parameters that leave a part of it out, with the value that does: what an ablation tries in turn."""
    parameters_class: ClassVar[type[Any] | None] = None
    """The dataclass of its parameters, made of `parameters.number`s; None: it says nothing of them."""

    @classmethod
    @abstractmethod
    def fit(
        cls,
        training: TrainingSet,
        parameters: Mapping[str, Any],
        *,
        seed: int = 0,
        progress: Progress = silent,
    ) -> Self:
        """Fit on unlabelled data (it may hold some anomalies). The same data and seed give the same model.

        Raises:
            TrainingError: too little data, or a parameter that is unknown or impossible (named in the text).

        """

    @abstractmethod
    def score(self, windows: Sequence[SeriesWindow]) -> list[RawScores]:
        """Score windows of different entities in one batch, one `RawScores` for each, in order.

        Raises:
            ModelMismatch: values of a shape this detector was not fitted for.

        """

    def apply_feedback(self, state: State, word: Verdict, since: float, now: float) -> State:
        """Take an operator's word of what an entity does from event time `since` to `now`: the new state.

        One that is not adaptive leaves it as it is.
        """
        return state

    def undo(self, state: State, before: State) -> State:
        """Put back what was held for normal before an adaptation; the rows seen since stay remembered."""
        return state

    @abstractmethod
    def tensors(self) -> dict[str, Tensor]:
        """Everything learnt, for safetensors."""

    @abstractmethod
    def config(self) -> dict[str, Any]:
        """Everything else that is needed to build it again, for JSON."""

    @classmethod
    @abstractmethod
    def restore(cls, tensors: Mapping[str, Tensor], config: Mapping[str, Any]) -> Self:
        """Build it again from what `tensors` and `config` gave.

        Raises:
            ModelDamaged: they do not fit together.

        """


@runtime_checkable
class Graded(Protocol):
    """A detector whose raw scores follow each entity's own stream: their heights mean the same for all.

    It is fitted on all of the training data, for no held-out scores are needed to find its threshold.
    """

    def heights(self) -> tuple[float, float]:
        """Give the raw scores of a usual sample, and of the threshold."""

    def at(self, rate: float) -> Self:
        """Give the same detector with the threshold for a false-alarm rate.

        `rate` is the share of normal samples at which an alarm begins; those that follow while it goes on
        are not counted.
        """


@runtime_checkable
class Primed(Protocol):
    """A detector that goes on where training ended: what it remembered there is a part of the model."""

    def prime(self, states: Mapping[str, State]) -> Self:
        """Give the same detector that begins an entity's stream from what training left of it."""


@runtime_checkable
class Completed(Protocol):
    """A detector that compares samples with those of the training, of which it can leave some out.

    It may know all of the training: what calibrates it are the scores of samples that were left out.
    """

    def completed(self, training: TrainingSet) -> Self:
        """Give the same detector with all of the training to compare with."""

    def left_out(self) -> Mapping[str, NDArray[np.float64]]:
        """Give raw scores (n,) of elements' training samples, each by others; none where it is no use."""


@dataclass(frozen=True, slots=True)
class Encoded:
    """One sample as a differentiable detector's network sees it (a batch of one).

    `inputs` (1, *shape): what may be blacked out and differentiated; `baseline` (1, *shape): the same place
    when all is normal; `context`: further tensors (1, ...) that `forward` needs and nobody attributes to;
    `feature` (*shape) int64: which metric (index into F) or cell (row * C + column) each input belongs to,
    -1 for none.
    """

    inputs: Tensor
    baseline: Tensor
    context: tuple[Tensor, ...]
    feature: Tensor


@runtime_checkable
class Explainable(Protocol):
    """A detector whose raw score is a differentiable function of its inputs: what `interpret` works on."""

    def encode(self, window: SeriesWindow) -> Encoded:
        """Encode the last sample of a window, with what the state and the samples before it say."""

    def forward(self, inputs: Tensor, *context: Tensor) -> Tensor:
        """Give the raw score (N,) of inputs (N, *shape); `forward(e.inputs, *e.context)` is the sample's."""


@runtime_checkable
class EncodesInputs(Protocol):
    """An `Explainable` detector that gives inputs for less than all that goes with them."""

    def encode_inputs(self, window: SeriesWindow) -> Tensor:
        """Give the `inputs` of `encode`."""


@runtime_checkable
class Layered(Protocol):
    """An `Explainable` detector with a network whose hidden units can be looked at."""

    def hidden_layers(self) -> Mapping[str, Module]:
        """Name the layers that `forward` runs and whose outputs are hidden units, the first ones first."""
