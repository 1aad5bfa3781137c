"""Whether a newly trained model takes the place of the old one: both score hours that it has not seen."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from anomalyd.daemon.learning.disagreement import Disagreement, columns, disagreement, scores_of
from anomalyd.detectors.calibration import ALERT
from anomalyd.detectors.detector import Series, TrainingSet
from anomalyd.detectors.detector_pair import DetectorPair
from anomalyd.errors import ModelMismatch

HELD_OUT = 0.1
"""Share of each entity's newest samples that a candidate is judged on, and not trained on."""

_FAULTS = 20
_FAULT_SAMPLES = 10
_FAULT_SIZE = 10.0  # spreads of the metric
_LEAST_FOUND = 0.5


@dataclass(frozen=True, slots=True)
class Figures:
    """What a pair does on held-out hours: the share of samples above 1, and of injected faults found."""

    alert_rate: float
    faults_found: float
    samples: int
    faults: int


@dataclass(frozen=True, slots=True)
class Decision:
    """Whether the candidate is promoted, why not, the figures of both, and where the two differ."""

    promoted: bool
    why: str
    candidate: Figures
    old: Figures | None
    differs: Disagreement | None = None

    def as_dict(self) -> dict[str, Any]:
        """Give it as what JSON holds."""
        return asdict(self)


def held_out(training: TrainingSet) -> TrainingSet:
    """Give the training set without the newest tenth of each entity's samples."""
    kept = {
        entity: len(s.times) - max(1, int(HELD_OUT * len(s.times))) for entity, s in training.series.items()
    }
    return replace(
        training,
        series={
            e: Series(s.times[: kept[e]], s.values[: kept[e]]) for e, s in training.series.items() if kept[e]
        },
    )


def decide(candidate: DetectorPair, old: DetectorPair | None, training: TrainingSet) -> Decision:
    """Judge a candidate, trained on `held_out(training)`, beside the old pair on what was held out.

    Its alert rate may be ten times what is wanted, or twice the old one's; of the faults it must find half,
    and no fifth fewer than the old one.
    """
    ours = figures(candidate, training)
    try:
        theirs = None if old is None else figures(old, training)
    except ModelMismatch:
        theirs = None  # other metrics, or maps of another shape: there is nothing to compare with
    bound = max(
        10 * candidate.false_alarm_rate,
        2 * theirs.alert_rate if theirs else 0.0,
        3 / max(1, ours.samples),
    )
    least = max(_LEAST_FOUND, theirs.faults_found - 0.2 if theirs else 0.0)
    why = ""
    if ours.alert_rate > bound:
        why = f"{ours.alert_rate:.2%} of the last samples alert, at most {bound:.2%} may"
    elif ours.faults and ours.faults_found < least:
        why = f"it finds {ours.faults_found:.0%} of the injected faults, at least {least:.0%} are needed"
    differs = disagreement(candidate, old, training, HELD_OUT) if old is not None and theirs else None
    return Decision(not why, why, ours, theirs, differs)


def figures(pair: DetectorPair, training: TrainingSet) -> Figures:
    """Score the newest tenth of each entity's samples, as they are and with faults put into them."""
    above, samples, found, faults = 0, 0, 0, 0
    for entity, series in training.series.items():
        begin = len(series.times) - max(1, int(HELD_OUT * len(series.times)))
        values = columns(pair, training.features, series.values)
        scores = scores_of(pair, entity, series.times, values)[begin:]
        above += int(np.count_nonzero(scores > ALERT))
        samples += len(scores)
        if faults < _FAULTS and len(scores) > _FAULT_SAMPLES:
            at = begin + (len(scores) - _FAULT_SAMPLES) // 2
            for broken in _broken(values, at):
                hit = scores_of(pair, entity, series.times, broken)[at : at + _FAULT_SAMPLES]
                found += bool((hit > ALERT).any())
                faults += 1
    return Figures(above / max(1, samples), found / faults if faults else 1.0, samples, faults)


def _broken(values: NDArray[np.float32], at: int) -> Iterator[NDArray[np.float32]]:
    """Give values with one fault each: a third of the metrics far off, or a third of a map's rows dead."""
    stop = at + _FAULT_SAMPLES
    for third in range(3):
        broken = values.copy()
        if values.ndim == 3:
            broken[at:stop, third::3] = 0
        else:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", RuntimeWarning)  # a metric that is missing all the time
                spread = np.nanstd(values[:at], axis=0)[third::3]
            broken[at:stop, third::3] += _FAULT_SIZE * np.where(spread > 0, spread, 1.0)
        yield broken
