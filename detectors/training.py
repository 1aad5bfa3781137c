"""Train one model: fit on the older part of the data, calibrate on the newer part."""

from __future__ import annotations

import hashlib
import math
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from anomalyd.detectors.calibration import ALERT, Calibration, fit_calibration, fit_log_odds
from anomalyd.detectors.detector import (
    Completed,
    Detector,
    Graded,
    Primed,
    Progress,
    Series,
    SeriesWindow,
    State,
    TrainingSet,
    silent,
)
from anomalyd.detectors.false_alarm_target import FalseAlarmTarget
from anomalyd.detectors.model import Card, Model
from anomalyd.detectors.registry import detector_class
from anomalyd.detectors.training_log import TrainingLog
from anomalyd.errors import TrainingError

_HELD_OUT_SHARE = 0.25
_HELD_OUT_LEAST = 24
"""Samples of an entity that calibration should have at least, but never more than 40 % of them."""

_CHUNK_ROWS = 2048

_FEW, _FOLDS = 5, 4
"""With fewer samples of an entity than this entities are held out, in so many folds, not new samples."""


def train_model(
    training: TrainingSet,
    *,
    kind: str,
    parameters: Mapping[str, Any],
    false_alarms: FalseAlarmTarget,
    seed: int,
    code_version: str,
    created: float,
    progress: Progress = silent,
    stopwatch: Callable[[], float] = time.perf_counter,
) -> Model:
    """Fit a detector and calibrate it.

    Each series is split by time. The detector is fitted on the older part; then the whole series is streamed
    through it, causally as the daemon will, and the scores of the newer part, which it has not seen,
    calibrate it. It is not fitted again on everything: the calibration would belong to another model.
    A `Graded` detector knows its threshold, and is fitted on everything at once. Where there are but a few
    samples of each entity (one map of forty chambers), it is fitted on all, and calibrated on the scores that
    entities have by detectors fitted on the others.

    `false_alarms` says how many are wanted. `created` is the wall-clock time in seconds since the epoch,
    `code_version` says which anomalyd it was. The card's figures: what the detector reported of its fit,
    "held_out_rate" (the share of the held-out samples that alert; the wanted rate is in the calibration) or,
    where nothing was held out, "training_rate", and "seconds" it all took.

    Raises:
        TrainingError: too little data, an unknown kind or parameter, a false-alarm rate outside (0, 1).

    """
    training = replace(training, series={e: s for e, s in training.series.items() if len(s.times)})
    if not training.series:
        raise TrainingError("there is no training data: not one sample of any entity")
    begun, course = stopwatch(), TrainingLog(progress)
    fitted = _fit(detector_class(kind), training, parameters, false_alarms, seed, course)
    calibration = _calibrate(fitted, training, false_alarms)
    rate = "training_rate" if isinstance(fitted.detector, Graded) else "held_out_rate"
    figures = course.figures() | {rate: _alerting(calibration, fitted), "seconds": stopwatch() - begun}
    card = Card(
        kind=kind,
        sample_kind=fitted.detector.sample_kind,
        features=training.features,
        shapes={entity: series.values.shape[1:] for entity, series in training.series.items()},
        trained_from=min(float(series.times[0]) for series in training.series.values()),
        trained_to=max(float(series.times[-1]) for series in training.series.values()),
        samples=sum(len(series.times) for series in training.series.values()),
        data_sha256=data_sha256(training),
        code_version=code_version,
        seed=seed,
        parameters=dict(parameters),
        created=created,
        alarms_per_day=false_alarms.alarms_per_day,
        figures={name: value for name, value in figures.items() if math.isfinite(value)},
    )
    detector = fitted.detector
    return Model(card, detector.prime(fitted.left) if isinstance(detector, Primed) else detector, calibration)


@dataclass(frozen=True, slots=True)
class _Fitted:
    """A detector, the raw scores (n,) of each entity that it was not fitted on, and what it remembers."""

    detector: Detector
    held_out: list[NDArray[np.float64]]
    left: dict[str, State]


def _fit(
    chosen: type[Detector],
    training: TrainingSet,
    parameters: Mapping[str, Any],
    false_alarms: FalseAlarmTarget,
    seed: int,
    progress: Progress,
) -> _Fitted:
    """Fit on what is not held out, then stream everything through the detector."""
    graded = issubclass(chosen, Graded)
    few = not graded and _few_of_each(training)
    fitted_on = training.series if graded or few else _heads(training)
    detector = chosen.fit(replace(training, series=fitted_on), parameters, seed=seed, progress=progress)
    if isinstance(detector, Graded):
        detector = detector.at(false_alarms.onset_rate(training.series))
    left: dict[str, State] = {}
    streamed = stream_scores(detector, training, left)
    held_out = [raw[0 if graded else _split(training.series[entity]) :] for entity, raw in streamed]
    if few:
        held_out = _scores_by_others(chosen, training, parameters, seed)
    if isinstance(detector, Completed):
        detector = detector.completed(training)
        by_others = detector.left_out()
        held_out = [by_others.get(e, raw) for e, raw in zip(training.series, held_out, strict=False)]
    return _Fitted(detector, held_out, left)


def _alerting(calibration: Calibration, fitted: _Fitted) -> float:
    """Give the share of the held-out samples that alert."""
    judged = np.concatenate(fitted.held_out)
    return float(np.mean(calibration(judged[~np.isnan(judged)]) > ALERT))


def _calibrate(fitted: _Fitted, training: TrainingSet, false_alarms: FalseAlarmTarget) -> Calibration:
    """Map raw scores to calibrated ones; a `Graded` detector knows where its alert is."""
    detector = fitted.detector
    if isinstance(detector, Graded):
        return Calibration.known(false_alarms.onset_rate(training.series), *detector.heights())
    rate = false_alarms.alert_rate(fitted.held_out, training.series)
    return (fit_log_odds if detector.log_odds else fit_calibration)(np.concatenate(fitted.held_out), rate)


def stream_scores(
    detector: Detector, training: TrainingSet, left: dict[str, State] | None = None
) -> Iterator[tuple[str, NDArray[np.float64]]]:
    """Stream every series causally through a detector: the raw scores (T,) of each entity.

    Into `left` goes what is remembered of each entity at the end.
    """
    for entity, series in training.series.items():
        state: State = {}
        raw = [np.empty(0)]
        for start in range(0, len(series.times), _CHUNK_ROWS):
            part = slice(start, start + _CHUNK_ROWS)
            (scored,) = detector.score([SeriesWindow(entity, series.times[part], series.values[part], state)])
            raw.append(scored.raw)
            state = scored.state
        if left is not None:
            left[entity] = state
        yield entity, np.concatenate(raw)


def data_sha256(training: TrainingSet) -> str:
    """Hash everything a model is fitted on: names, entities, times and values, in the order of names."""
    digest = hashlib.sha256("\x1f".join(training.features).encode())
    for entity in sorted(training.series):
        series = training.series[entity]
        digest.update(f"\x1e{entity}\x1f{series.values.shape}".encode())
        digest.update(np.ascontiguousarray(series.times, dtype="<f8").tobytes())
        digest.update(np.ascontiguousarray(series.values, dtype="<f4").tobytes())
    return digest.hexdigest()


def _split(series: Series) -> int:
    """Say how many of the oldest samples are fitted on; the others calibrate."""
    n = len(series.times)
    return n - round(min(max(_HELD_OUT_SHARE * n, _HELD_OUT_LEAST), 0.4 * n))


def _heads(training: TrainingSet) -> dict[str, Series]:
    counts = {entity: _split(series) for entity, series in training.series.items()}
    return {e: Series(s.times[: counts[e]], s.values[: counts[e]]) for e, s in training.series.items()}


def _few_of_each(training: TrainingSet) -> bool:
    """Say whether there are so few samples of each entity that whole entities must be held out."""
    lengths = [len(s.times) for s in training.series.values()]
    return len(lengths) >= _FOLDS and float(np.median(lengths)) < _FEW


def _scores_by_others(
    chosen: type[Detector], training: TrainingSet, parameters: Mapping[str, Any], seed: int
) -> list[NDArray[np.float64]]:
    """Score each entity by a detector that was fitted on others: a fold of them is left out at a time."""
    names = list(training.series)
    found = []
    for fold in range(_FOLDS):
        out = names[fold::_FOLDS]
        kept = {e: s for e, s in training.series.items() if e not in out}
        detector = chosen.fit(replace(training, series=kept), parameters, seed=seed)
        left_out = replace(training, series={e: training.series[e] for e in out})
        found += [raw for _, raw in stream_scores(detector, left_out)]
    return found
