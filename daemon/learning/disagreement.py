"""On which samples and entities two models differ: one alerts and the other does not."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from heapq import nlargest
from typing import Any

import numpy as np
from numpy.typing import NDArray

from anomalyd.detectors.calibration import ALERT
from anomalyd.detectors.detector import SeriesWindow, TrainingSet
from anomalyd.detectors.detector_pair import DetectorPair

MOST_ENTITIES = 50
MOST_SAMPLES = 50
"""How many are named, those that differ most."""


@dataclass(frozen=True, slots=True)
class EntityDifference:
    """How many samples of an entity each model alerts on alone, and both of them."""

    entity: str
    candidate: int
    old: int
    both: int


@dataclass(frozen=True, slots=True)
class SampleDifference:
    """A sample (event time, seconds since the epoch) on which one model alerts alone, with both scores."""

    entity: str
    time: float
    candidate: float
    old: float


@dataclass(frozen=True, slots=True)
class Disagreement:
    """Where two models differ, over some hours.

    `since`, `until`: event times, seconds since the epoch. `samples`: how many both scored. `entities` and
    `differing`: the worst of them. `candidate`, `old`, `both`: samples above 1 by one alone, and by both.
    """

    since: float
    until: float
    samples: int
    candidate: int
    old: int
    both: int
    entities: tuple[EntityDifference, ...]
    differing: tuple[SampleDifference, ...]

    def as_dict(self) -> dict[str, Any]:
        """Give it as what JSON holds."""
        return asdict(self)


def disagreement(
    candidate: DetectorPair, old: DetectorPair, training: TrainingSet, share: float
) -> Disagreement:
    """Score the newest `share` of each entity's samples by both; each reads on from the samples before.

    Raises:
        ModelMismatch: the samples do not fit one of the models.

    """
    entities: list[EntityDifference] = []
    samples: list[SampleDifference] = []
    first, last, scored = np.inf, -np.inf, 0
    for entity, series in training.series.items():
        begin = len(series.times) - max(1, int(share * len(series.times)))
        new, before = (
            scores_of(pair, entity, series.times, columns(pair, training.features, series.values))[begin:]
            for pair in (candidate, old)
        )
        times = series.times[begin:]
        first, last, scored = min(first, times[0]), max(last, times[-1]), scored + len(times)
        ours, theirs = new > ALERT, before > ALERT
        counts = (int(np.count_nonzero(each)) for each in (ours & ~theirs, theirs & ~ours, ours & theirs))
        entities.append(EntityDifference(entity, *counts))
        samples += _worst(entity, times, new, before)
    worst = nlargest(MOST_ENTITIES, entities, key=lambda each: each.candidate + each.old)
    return Disagreement(
        float(first),
        float(last),
        scored,
        candidate=sum(each.candidate for each in entities),
        old=sum(each.old for each in entities),
        both=sum(each.both for each in entities),
        entities=tuple(each for each in worst if each.candidate + each.old),
        differing=tuple(nlargest(MOST_SAMPLES, samples, key=_distance)),
    )


def scores_of(
    pair: DetectorPair, entity: str, times: NDArray[np.float64], values: NDArray[np.float32]
) -> NDArray[np.float64]:
    """Give the scores (n,) of an entity's samples (n, ...); 0 where the pair could not tell."""
    (scored,) = pair.score([SeriesWindow(entity, times, values)])
    return np.nan_to_num(np.asarray(scored.score, dtype=np.float64))


def columns(
    pair: DetectorPair, features: tuple[str, ...], values: NDArray[np.float32]
) -> NDArray[np.float32]:
    """Put metrics into the pair's order, NaN for those that are not there."""
    if pair.features == features:
        return values
    place = {name: f for f, name in enumerate(features)}
    out = np.full((len(values), len(pair.features)), np.nan, dtype=np.float32)
    for column, name in enumerate(pair.features):
        if name in place:
            out[:, column] = values[:, place[name]]
    return out


def _worst(
    entity: str, times: NDArray[np.float64], new: NDArray[np.float64], old: NDArray[np.float64]
) -> Iterator[SampleDifference]:
    differ = np.flatnonzero((new > ALERT) != (old > ALERT))
    apart = np.abs(new - old)[differ]
    for k in differ[np.argsort(-apart, kind="stable")[:MOST_SAMPLES]]:
        yield SampleDifference(entity, float(times[k]), float(new[k]), float(old[k]))


def _distance(each: SampleDifference) -> float:
    return abs(each.candidate - each.old)
