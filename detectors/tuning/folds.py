"""What a set of parameters is judged by: folds split by time, trained on the past, scored on what follows.

Reconstruction errors of two networks cannot be compared, so the judge is always the ranking of anomalies:
labelled ones where there are any, injected ones of known size where there are none.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from anomalyd.detectors.detector import Series, TrainingSet
from anomalyd.detectors.evaluation.figures import auprc
from anomalyd.detectors.evaluation.metrics.competitor import Competitor, stream
from anomalyd.detectors.evaluation.metrics.labelled import Labelled
from anomalyd.detectors.tuning.injection import KINDS, LEAST_ROWS, inject
from anomalyd.errors import TrainingError

FOLDS = 3

_MOST_ENTITIES = 8
"""Entities that are scored in a fold, those with most samples; all of them are trained on."""


@dataclass(frozen=True, slots=True)
class Scene:
    """One entity in one fold: rows (n, F) to be scored, and the labels (n,) to be ranked by, one a kind.

    A label is 1 where anomalous, 0 where normal, and -1 where the row is not to be counted (an anomaly of
    another kind).
    """

    entity: str
    times: NDArray[np.float64]
    values: NDArray[np.float32]
    labels: tuple[NDArray[np.int8], ...]


@dataclass(frozen=True, slots=True)
class Fold:
    """What is trained on, and what is scored, which is all later."""

    training: TrainingSet
    scenes: tuple[Scene, ...]


def judge(competitor: Competitor, fold: Fold) -> float:
    """Give the mean area under the precision-recall curve over the scenes of a fold and their labels.

    Raises:
        TrainingError: it cannot be trained on this fold.

    """
    trained = competitor.train(fold.training)
    areas = []
    for scene in fold.scenes:
        found = stream(trained, scene.entity, scene.times, scene.values)
        score, _ = found[competitor.detectors[-1]]
        for label in scene.labels:
            counted = label >= 0
            areas.append(auprc(score[counted], label[counted].astype(np.uint8)))
    return float(np.mean(areas))


def folds_without_labels(training: TrainingSet, *, seed: int = 0, folds: int = FOLDS) -> list[Fold]:
    """Cut every series in time, and inject anomalies into the part behind each cut.

    Of `folds` + 1 parts of equal length, fold k trains on the first k and scores part k + 1. Injected are
    spikes, shifts, stuck metrics and turbulence, sized by the training's standard deviations; each kind has
    a label of its own.

    Raises:
        TrainingError: no series is long enough.

    """
    longest = sorted(training.series, key=lambda e: len(training.series[e].times), reverse=True)
    found = []
    for fold in range(1, folds + 1):
        past: dict[str, Series] = {}
        scenes = []
        for entity, series in training.series.items():
            cut, end = (len(series.times) * k // (folds + 1) for k in (fold, fold + 1))
            past[entity] = Series(series.times[:cut], series.values[:cut])
            sigma = _sigma(series.values[:cut])
            if entity in longest[:_MOST_ENTITIES] and end - cut >= LEAST_ROWS and (sigma > 0).any():
                injected = inject(series.values[cut:end], sigma, seed + fold)
                labels = tuple(
                    np.where(injected.kind == -1, 0, np.where(injected.kind == kind, 1, -1)).astype(np.int8)
                    for kind in range(len(KINDS))
                )
                scenes.append(Scene(entity, series.times[cut:end], injected.values, labels))
        if not scenes:
            most = max((len(series.times) for series in training.series.values()), default=0)
            raise TrainingError(
                f"no series is long enough to be tuned on: the longest has {most} samples, at least "
                f"{LEAST_ROWS * (folds + 1)} of metrics that move are needed"
            )
        found.append(Fold(TrainingSet(past, training.features), tuple(scenes)))
    return found


def folds_with_labels(series: Sequence[Labelled]) -> list[Fold]:
    """Give two folds of each labelled series: its first half of `test` after `train`, then the second half.

    The second is trained on the first half of `test`, too, without its labels, anomalies and all: that is
    what a daemon trained again would be trained on. A half without any anomaly is left out.

    Raises:
        TrainingError: there is no anomaly in any of them.

    """
    found = [fold for each in series for fold in _folds_of(each)]
    if not found:
        raise TrainingError("no anomaly is labelled in the data: tune without labels instead")
    return found


def _folds_of(series: Labelled) -> Iterator[Fold]:
    values = np.concatenate([series.train, series.test])
    times = np.arange(len(values), dtype=np.float64) * series.interval_s
    middle = len(series.test) // 2
    for first, last in ((0, middle), (middle, len(series.test))):
        label = series.label[first:last]
        if label.any() and not label.all():
            cut, end = len(series.train) + first, len(series.train) + last
            training = TrainingSet({series.name: Series(times[:cut], values[:cut])}, series.training.features)
            scene = Scene(series.name, times[cut:end], values[cut:end], (label.astype(np.int8),))
            yield Fold(training, (scene,))


def _sigma(values: NDArray[np.float32]) -> NDArray[np.float64]:
    """Give the standard deviation of each metric, 0 where it is always missing."""
    known = np.isfinite(values).any(axis=0)
    sigma = np.zeros(values.shape[1])
    sigma[known] = np.nanstd(values[:, known].astype(np.float64), axis=0)
    return sigma
