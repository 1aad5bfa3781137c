"""What is measured: a kind of detector with its settings, trained and streamed exactly as the daemon does."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from anomalyd.detectors.detector import Progress, SeriesWindow, State, TrainingSet, silent
from anomalyd.detectors.detector_pair import DetectorPair, PairScores, train_pair
from anomalyd.detectors.false_alarm_target import DEFAULT, FalseAlarmTarget
from anomalyd.detectors.model import Model, Scores
from anomalyd.detectors.registry import autoencoder_kinds, detector_class, recommended_kind
from anomalyd.detectors.training import train_model
from anomalyd.errors import TrainingError
from anomalyd.verdict import Verdict

OF_A_PAIR = ("autoencoder", "classical")
"""What a pair is measured as: each of its models; the first one's score is the pair's."""

Trained = DetectorPair | Model

Streamed = Mapping[str, tuple[NDArray[np.float64], NDArray[np.float32]]]
"""By detector: the score (U,), 0 where it cannot tell, and the contribution (U, F)."""

_CHUNK_ROWS = 512


@dataclass(frozen=True, slots=True)
class Competitor:
    """A kind of detector and its settings: an autoencoder beside its baseline, or any other kind alone.

    `false_alarms` are those wanted of each. `alone`: an autoencoder, too, without its peer.
    """

    kind: str = recommended_kind("vector")
    parameters: Mapping[str, Any] = field(default_factory=dict)
    false_alarms: FalseAlarmTarget = DEFAULT
    seed: int = 0
    alone: bool = False

    @property
    def detectors(self) -> tuple[str, ...]:
        """What it is measured as: `OF_A_PAIR`, or the kind itself where it has no classical baseline."""
        return OF_A_PAIR if self._is_pair else (self.kind,)

    @property
    def _is_pair(self) -> bool:
        return self.kind in autoencoder_kinds() and not self.alone

    def check(self) -> None:
        """See that it can score metric vectors.

        Raises:
            TrainingError: the kind is unknown, or one of maps.

        """
        if detector_class(self.kind).sample_kind != "vector":
            raise TrainingError(f"{self.kind!r} is a detector of maps; measured here are those of vectors")

    def train(self, training: TrainingSet, progress: Progress = silent) -> Trained:
        """Fit and calibrate it.

        Raises:
            TrainingError: as `train_model`.

        """
        if self._is_pair:
            return train_pair(
                training,
                kind=self.kind,
                parameters=self.parameters,
                false_alarms=self.false_alarms,
                seed=self.seed,
                progress=progress,
            )
        return train_model(
            training,
            kind=self.kind,
            parameters=self.parameters,
            false_alarms=self.false_alarms,
            seed=self.seed,
            code_version="",
            created=0.0,
            progress=progress,
        )


@dataclass(frozen=True, slots=True)
class Feedback:
    """An operator's word, said just before row `row` of what has been so since row `since`."""

    row: int
    word: Verdict
    since: int


def stream(
    trained: Trained,
    entity: str,
    times: NDArray[np.float64],
    values: NDArray[np.float32],
    told: Feedback | None = None,
) -> Streamed:
    """Stream rows (U, F) causally, beginning with nothing remembered but what the model itself holds."""
    state: State = {}
    parts: dict[str, list[tuple[NDArray[np.float64], NDArray[np.float32]]]] = {}
    cuts = sorted({*range(0, len(values), _CHUNK_ROWS), len(values), *([told.row] if told else ())})
    for start, end in itertools.pairwise(cuts):
        if told is not None and start == told.row:
            state = trained.apply_feedback(
                state, told.word, float(times[told.since]), float(times[told.row - 1])
            )
        (scored,) = trained.score([SeriesWindow(entity, times[start:end], values[start:end], state)])
        state = scored.state
        for name, part in _views(trained, scored).items():
            parts.setdefault(name, []).append(part)
    return {
        name: (np.concatenate([s for s, _ in found]), np.concatenate([c for _, c in found]))
        for name, found in parts.items()
    }


def _views(
    trained: Trained, scored: PairScores | Scores
) -> dict[str, tuple[NDArray[np.float64], NDArray[np.float32]]]:
    """Take apart what was said."""
    if isinstance(scored, Scores):
        assert isinstance(trained, Model)
        return {trained.card.kind: (np.nan_to_num(scored.score), scored.contribution)}
    return {
        name: (np.nan_to_num(each.score), each.contribution)
        for name, each in zip(OF_A_PAIR, (scored.autoencoder, scored.classical), strict=True)
    }
