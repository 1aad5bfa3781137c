"""Sample -> Scored: the samples of a step through the detectors, in batches.

Samples of one entity make a window in event-time order; maps of one entity make a new window wherever their
shape changes. A sample not newer than what was scored before is late: it is scored on its own, and nothing is
remembered of it.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import chain, groupby

import numpy as np
from numpy.typing import NDArray

from anomalyd.daemon.scoring.active_model import ActiveModel
from anomalyd.daemon.scoring.entity_state import EntityState
from anomalyd.daemon.scoring.entity_states import EntityStates
from anomalyd.daemon.scoring.recent_rows import thinned
from anomalyd.daemon.scoring.state_journal import Rows
from anomalyd.daemon.stages import Sample, Scored
from anomalyd.daemon.telemetry.telemetry import Telemetry
from anomalyd.detectors.detector import SeriesWindow
from anomalyd.detectors.detector_pair import PairScores
from anomalyd.detectors.library import LoadedPair
from anomalyd.errors import ModelMismatch

_log = logging.getLogger(__name__)

_FLOAT32 = np.finfo(np.float32).max


class Scorer:
    """Scores samples with every detector that watches their entity, and remembers what the detectors say."""

    def __init__(
        self, watches: Sequence[ActiveModel], entity_states: EntityStates, telemetry: Telemetry
    ) -> None:
        self._active_models = watches
        self._entity_states = entity_states
        self._telemetry = telemetry
        self._watched: dict[str, tuple[ActiveModel, ...]] = {}

    def score(self, samples: Iterable[Sample]) -> list[Scored]:
        """Score samples of any entities, in any order."""
        groups: dict[ActiveModel, list[list[Sample]]] = {}
        for (entity, of_maps), some in _by_entity(samples).items():
            some.sort(key=_time)
            for active_model in self._models_of(entity):
                if (active_model.sample_kind == "map") == of_maps:
                    groups.setdefault(active_model, []).append(some)
        late: dict[int, Sample] = {}
        found = [
            scored
            for active_model, group in groups.items()
            for scored in self._score_all(active_model, group, late)
        ]
        for topic, count in Counter(sample.topic for sample in late.values()).items():
            self._telemetry.intake.late(topic, count)
        return found

    def watches(self, sample: Sample) -> bool:
        """Say whether any detector watches what the sample is of."""
        kind = "vector" if sample.map is None else "map"
        return any(each.sample_kind == kind for each in self._models_of(sample.entity))

    def _models_of(self, entity: str) -> tuple[ActiveModel, ...]:
        watches = self._watched.get(entity)
        if watches is None:
            watches = tuple(w for w in self._active_models if w.config.watches(entity))
            self._watched[entity] = watches
        return watches

    def _score_all(
        self, active_model: ActiveModel, group: Sequence[list[Sample]], noted_late: dict[int, Sample]
    ) -> list[Scored]:
        """Score the samples of many entities with one pair, in one batch.

        `noted_late` collects the late ones by identity: a sample that two detectors watch is one sample.
        """
        name = active_model.config.name
        if active_model.loaded is None:
            self._telemetry.scoring.unscored(name, "untrained", sum(map(len, group)))
            return []
        loaded = active_model.loaded
        self._entity_states.load(name, (some[0].entity for some in group), loaded)
        rounds: list[list[list[Sample]]] = []
        late: list[tuple[list[Sample], SeriesWindow]] = []
        for some in group:
            before = self._entity_states.get(name, some[0].entity)
            entity_state = before.for_model(loaded.version)
            if entity_state is not before:
                self._entity_states.put(name, some[0].entity, entity_state)
            in_time, too_late = _split_late(some, entity_state.track.newest)
            runs = (run for each in _runs(in_time) for run in _by_learning(active_model, loaded, each))
            for number, run in enumerate(runs):
                if number == len(rounds):
                    rounds.append([])
                rounds[number].append(run)
            # Each on its own: with what is remembered now, as if it came next.
            late.extend(
                ([sample], window_of(active_model, loaded, entity_state, [sample])) for sample in too_late
            )
            noted_late.update((id(sample), sample) for sample in too_late)
        found: list[Scored] = []
        for group in rounds:
            timely = [
                (run, window_of(active_model, loaded, self._entity_states.get(name, run[0].entity), run))
                for run in group
            ]
            found += [
                self._remember(active_model, loaded, *scored) for scored in self._batch(name, loaded, timely)
            ]
        for some, window, scores in self._batch(name, loaded, late):
            found.append(
                _scored(
                    name, loaded, self._entity_states.get(name, window.entity), some, window, scores, True
                )
            )
        self._telemetry.scoring.scored(name, sum(len(scored.samples) for scored in found))
        return found

    def _batch(
        self, name: str, loaded: LoadedPair, series_windows: Sequence[tuple[list[Sample], SeriesWindow]]
    ) -> list[tuple[list[Sample], SeriesWindow, PairScores]]:
        """Score windows in one batch; if one does not fit the model, the others are scored without it."""
        if not series_windows:
            return []
        try:
            scores = loaded.pair.score([window for _, window in series_windows])
        except ModelMismatch as error:
            if len(series_windows) > 1:
                return [one for part in series_windows for one in self._batch(name, loaded, [part])]
            some, window = series_windows[0]
            _log.warning("detector %s: %s cannot be scored: %s", name, window.entity, error)
            self._telemetry.scoring.unscored(name, "mismatch", len(some))
            self._telemetry.scoring.unfit(name, window.entity, True)
            return []
        return [(*part, scored) for part, scored in zip(series_windows, scores, strict=True)]

    def _remember(
        self,
        active_model: ActiveModel,
        loaded: LoadedPair,
        some: list[Sample],
        window: SeriesWindow,
        scores: PairScores,
    ) -> Scored:
        name = active_model.config.name
        self._telemetry.scoring.learning(name, window.entity, scores.learning)
        self._telemetry.scoring.unfit(name, window.entity, False)
        entity_state = self._entity_states.get(name, window.entity)
        # What is not to be learnt from is judged by what was remembered before it, and forgotten.
        learnt = active_model.policy.learns(window.entity, some[0].time) or not loaded.pair.adaptive
        if not learnt:
            scores = scores.forgetting(entity_state.state)
        scored = _scored(name, loaded, entity_state, some, window, scores, False)
        recent_times, recent = entity_state.recent_times, entity_state.recent
        if loaded.pair.sample_kind == "vector":
            recent_times, recent = thinned(scored.recent_times, scored.recent, window.times, window.values)
        after = EntityState(entity_state.model, scores.state, entity_state.track, recent_times, recent)
        rows = slice(None) if learnt else slice(0)
        self._entity_states.advance(
            name, Rows(window.entity, float(window.times[-1]), window.times[rows], window.values[rows]), after
        )
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
    """Cut samples in event-time order where the shape of their maps changes: a window has one shape."""
    if not samples or samples[0].map is None:
        return [samples] if samples else []
    return [list(run) for _, run in groupby(samples, _shape)]


def _by_learning(active_model: ActiveModel, loaded: LoadedPair, samples: list[Sample]) -> list[list[Sample]]:
    """Cut samples in event-time order where an adaptive detector may begin to learn, or may no longer."""
    if not active_model.policy.windows or not loaded.pair.adaptive:
        return [samples] if samples else []
    entity = samples[0].entity if samples else ""
    return [list(run) for _, run in groupby(samples, lambda s: active_model.policy.learns(entity, s.time))]


def _shape(sample: Sample) -> tuple[int, ...] | None:
    return None if sample.map is None else sample.map.shape


def window_of(
    active_model: ActiveModel, loaded: LoadedPair, entity_state: EntityState, samples: Sequence[Sample]
) -> SeriesWindow:
    """Put samples of one entity before a pair, behind what is remembered of it."""
    features = loaded.pair.features
    if loaded.pair.sample_kind == "vector":
        values = vectors(features, samples)
        # A model trained before the metric was to be ignored still knows it.
        if (ignored := active_model.policy.ignored(features)) is not None:
            values[:, ignored] = np.nan
    else:
        values = np.stack([sample.map for sample in samples if sample.map is not None])
    times = np.array([sample.time for sample in samples])
    exposure = None
    if any(sample.exposure is not None for sample in samples):
        exposure = np.array([np.nan if s.exposure is None else s.exposure for s in samples])
    return SeriesWindow(samples[0].entity, times, values, entity_state.state, exposure)


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
    entity_state: EntityState,
    some: Sequence[Sample],
    window: SeriesWindow,
    scores: PairScores,
    late: bool,
) -> Scored:
    recent = entity_state.recent
    if recent is None or recent.shape[1:] != window.values.shape[1:]:
        recent = np.empty((0, *window.values.shape[1:]), dtype=np.float32)
    times = entity_state.recent_times if len(recent) else np.empty(0)
    return Scored(name, loaded.version, tuple(some), window, scores, times, recent, late)
