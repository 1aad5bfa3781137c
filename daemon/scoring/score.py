"""Sample -> Scored: the samples of a step through the detectors, in batches.

Samples of one entity make a stretch in event-time order; maps of one entity make a new stretch wherever their
shape changes. A sample not newer than what was scored before is late: it is scored on its own, and nothing is
remembered of it.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace
from itertools import chain, groupby

import numpy as np
from numpy.typing import NDArray

from anomalyd.daemon.scoring.active_model import Watch
from anomalyd.daemon.scoring.entity_state import RECENT_ROWS, Memories, Memory
from anomalyd.daemon.stages import Sample, Scored
from anomalyd.daemon.telemetry.telemetry import Telemetry
from anomalyd.detectors.detector import Stretch
from anomalyd.detectors.detector_pair import PairScores
from anomalyd.detectors.library import LoadedPair
from anomalyd.errors import ModelMismatch

_log = logging.getLogger(__name__)

_FLOAT32 = np.finfo(np.float32).max


class Scorer:
    """Scores samples with every detector that watches their entity, and remembers what the detectors say."""

    def __init__(self, watches: Sequence[Watch], memories: Memories, telemetry: Telemetry) -> None:
        self._watches = watches
        self._memories = memories
        self._telemetry = telemetry
        self._watched: dict[str, tuple[Watch, ...]] = {}

    def score(self, samples: Iterable[Sample]) -> list[Scored]:
        """Score samples of any entities, in any order."""
        groups: dict[Watch, list[list[Sample]]] = {}
        for (entity, of_maps), some in _by_entity(samples).items():
            some.sort(key=_time)
            for watch in self._watches_of(entity):
                if (watch.sample_kind == "map") == of_maps:
                    groups.setdefault(watch, []).append(some)
        late: dict[int, Sample] = {}
        found = [scored for watch, group in groups.items() for scored in self._score_all(watch, group, late)]
        for topic, count in Counter(sample.topic for sample in late.values()).items():
            self._telemetry.late(topic, count)
        return found

    def _watches_of(self, entity: str) -> tuple[Watch, ...]:
        watches = self._watched.get(entity)
        if watches is None:
            watches = tuple(w for w in self._watches if w.config.watches(entity))
            self._watched[entity] = watches
        return watches

    def _score_all(
        self, watch: Watch, group: Sequence[list[Sample]], noted_late: dict[int, Sample]
    ) -> list[Scored]:
        """Score the samples of many entities with one pair, in one batch.

        `noted_late` collects the late ones by identity: a sample that two detectors watch is one sample.
        """
        name = watch.config.name
        if watch.loaded is None:
            self._telemetry.unscored(name, "untrained", sum(map(len, group)))
            return []
        loaded = watch.loaded
        timely: list[tuple[list[Sample], Stretch]] = []
        late: list[tuple[list[Sample], Stretch]] = []
        for some in group:
            entity = some[0].entity
            memory = self._memories.get(name, entity).for_model(loaded.version)
            self._memories.put(name, entity, memory)
            in_time, too_late = _split_late(some, memory.track.newest)
            runs = [run for each in _runs(in_time) for run in _by_learning(watch, loaded, each)]
            timely.extend((run, _stretch(watch, loaded, memory, run)) for run in runs)
            # Each on its own: with what is remembered now, as if it came next.
            late.extend(([sample], _stretch(watch, loaded, memory, [sample])) for sample in too_late)
            noted_late.update((id(sample), sample) for sample in too_late)
        found = [self._remember(watch, loaded, *scored) for scored in self._batch(name, loaded, timely)]
        for some, stretch, scores in self._batch(name, loaded, late):
            found.append(
                _scored(name, loaded, self._memories.get(name, stretch.entity), some, stretch, scores, True)
            )
        self._telemetry.scored(name, sum(len(scored.samples) for scored in found))
        return found

    def _batch(
        self, name: str, loaded: LoadedPair, stretches: Sequence[tuple[list[Sample], Stretch]]
    ) -> list[tuple[list[Sample], Stretch, PairScores]]:
        """Score stretches in one batch; if one does not fit the model, the others are scored without it."""
        if not stretches:
            return []
        try:
            scores = loaded.pair.score([stretch for _, stretch in stretches])
        except ModelMismatch as error:
            if len(stretches) > 1:
                return [one for part in stretches for one in self._batch(name, loaded, [part])]
            some, stretch = stretches[0]
            _log.warning("detector %s: %s cannot be scored: %s", name, stretch.entity, error)
            self._telemetry.unscored(name, "mismatch", len(some))
            return []
        return [(*part, scored) for part, scored in zip(stretches, scores, strict=True)]

    def _remember(
        self, watch: Watch, loaded: LoadedPair, some: list[Sample], stretch: Stretch, scores: PairScores
    ) -> Scored:
        name = watch.config.name
        memory = self._memories.get(name, stretch.entity)
        # What is not to be learnt from is judged by what was remembered before it, and forgotten.
        learnt = not loaded.pair.adaptive or watch.policy.learns(stretch.entity, some[0].time)
        if not learnt:
            scores = scores.forgetting(memory.state)
        scored = _scored(name, loaded, memory, some, stretch, scores, False)
        after = replace(memory, state=scores.state)
        if loaded.pair.sample_kind == "vector":
            after = replace(
                after,
                recent_times=np.concatenate([scored.recent_times, stretch.times])[-RECENT_ROWS:],
                recent=np.concatenate([scored.recent, stretch.values])[-RECENT_ROWS:],
            )
        self._memories.put(name, stretch.entity, after)
        return scored


def _by_entity(samples: Iterable[Sample]) -> dict[tuple[str, bool], list[Sample]]:
    """Sort samples by entity, its vectors apart from its maps (True)."""
    found: dict[tuple[str, bool], list[Sample]] = {}
    for sample in samples:
        key = (sample.entity, sample.map is not None)
        some = found.get(key)
        if some is None:
            found[key] = [sample]
        else:
            some.append(sample)
    return found


def _time(sample: Sample) -> float:
    return sample.time


def _split_late(samples: list[Sample], newest: float) -> tuple[list[Sample], list[Sample]]:
    """Part samples in event-time order into those that are newer than all before them, and the others."""
    in_time: list[Sample] = []
    late: list[Sample] = []
    for sample in samples:
        if sample.time > newest:
            in_time.append(sample)
            newest = sample.time
        else:
            late.append(sample)
    return in_time, late


def _runs(samples: list[Sample]) -> list[list[Sample]]:
    """Cut samples in event-time order where the shape of their maps changes: a stretch has one shape."""
    if not samples or samples[0].map is None:
        return [samples] if samples else []
    return [list(run) for _, run in groupby(samples, _shape)]


def _by_learning(watch: Watch, loaded: LoadedPair, samples: list[Sample]) -> list[list[Sample]]:
    """Cut samples in event-time order where an adaptive detector may begin to learn, or may no longer."""
    if not loaded.pair.adaptive or not watch.policy.windows:
        return [samples] if samples else []
    entity = samples[0].entity if samples else ""
    return [list(run) for _, run in groupby(samples, lambda s: watch.policy.learns(entity, s.time))]


def _shape(sample: Sample) -> tuple[int, ...] | None:
    return None if sample.map is None else sample.map.shape


def _stretch(watch: Watch, loaded: LoadedPair, memory: Memory, samples: Sequence[Sample]) -> Stretch:
    features = loaded.pair.features
    if loaded.pair.sample_kind == "vector":
        values = vectors(features, samples)
        # A model trained before the metric was to be ignored still knows it.
        if (ignored := watch.policy.ignored(features)) is not None:
            values[:, ignored] = np.nan
    else:
        values = np.stack([sample.map for sample in samples if sample.map is not None])
    times = np.array([sample.time for sample in samples])
    return Stretch(samples[0].entity, times, values, memory.state)


def vectors(features: tuple[str, ...], samples: Sequence[Sample]) -> NDArray[np.float32]:
    """Put metric values into rows (n, F) in the order of the features; a metric that is not there is NaN."""
    # Most producers keep one order of metrics; then no look-up by name is needed.
    if all(tuple(sample.values or ()) == features for sample in samples):
        numbers = chain.from_iterable(sample.values.values() for sample in samples if sample.values)
        try:
            flat = np.fromiter(numbers, dtype=np.float64, count=len(samples) * len(features))
        except TypeError:  # a metric without a value, which only the way below can take
            pass
        else:
            return _float32(flat.reshape(len(samples), len(features)))
    rows = [[(sample.values or {}).get(name) for name in features] for sample in samples]
    return _float32(np.array(rows, dtype=np.float64))


def _float32(values: NDArray[np.float64]) -> NDArray[np.float32]:
    """Narrow; what is beyond float32 becomes its largest, not infinity, which no model could take."""
    with np.errstate(over="ignore", invalid="ignore"):
        narrow = values.astype(np.float32)
        # One sum tells whether there is anything to look for: it is finite only if every value is.
        if not np.isfinite(narrow.sum(dtype=np.float64)):
            narrow = np.clip(narrow, -_FLOAT32, _FLOAT32)
    return narrow


def _scored(
    name: str,
    loaded: LoadedPair,
    memory: Memory,
    some: Sequence[Sample],
    stretch: Stretch,
    scores: PairScores,
    late: bool,
) -> Scored:
    recent = memory.recent
    if recent is None or recent.shape[1:] != stretch.values.shape[1:]:
        recent = np.empty((0, *stretch.values.shape[1:]), dtype=np.float32)
    times = memory.recent_times if len(recent) else np.empty(0)
    return Scored(name, loaded.version, tuple(some), stretch, scores, times, recent, late)
