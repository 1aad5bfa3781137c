"""The alert policy of a detector pair, between score and incident: which anomalous samples may alarm.

    scores -> (metrics: direction, least deviation) -> (time: maintenance, quiet hours) -> incidents

A sample whose metrics may not alarm is a quiet one. In quiet hours and in maintenance no incident opens, but
one that is open goes on, and may close. Whatever the policy says, a sample is scored and counted.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from anomalyd.daemon.config.alert_config import AlertPolicy
from anomalyd.daemon.config.config import DetectorConfig
from anomalyd.daemon.scoring.deviation import DeviationRules
from anomalyd.daemon.stages import Scored, Suppression
from anomalyd.detectors.calibration import ALERT
from anomalyd.detectors.detector import Series, TrainingSet
from anomalyd.detectors.model import Scores
from anomalyd.errors import TrainingError
from anomalyd.reports.storage.repositories.maintenance import Window

Flags = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Judgement:
    """What the policy says of the n samples of a window.

    `anomalous` (n,): it belongs into an incident that goes on; `opens` (n,): and may open one.
    `suppressed` counts the others that score above 1, by reason.
    """

    anomalous: Flags
    opens: Flags
    suppressed: Mapping[Suppression, int]


@dataclass(frozen=True, slots=True)
class Policy:
    """The policy of one detector pair; `windows` are the times of maintenance that concern it."""

    alert: AlertPolicy
    windows: tuple[Window, ...] = ()

    @classmethod
    def of(cls, detector: DetectorConfig, opened: Sequence[Window] = ()) -> Policy:
        """Make the policy of a detector, with the windows that operators `opened` beside the planned ones."""
        planned = [
            Window(tuple(w.entities), w.begin, w.end, w.reason, detector.name)
            for w in detector.alert.maintenance
        ]
        ours = [w for w in opened if fnmatchcase(detector.name, w.detector)]
        return cls(detector.alert, (*planned, *ours))

    def judge(self, scored: Scored, features: tuple[str, ...] = ()) -> Judgement:
        """Judge a window; `features` names its metrics (F,), and is empty for maps."""
        autoencoder, classical = scored.scores.autoencoder, scored.scores.classical
        seen = self._believed(autoencoder.score > ALERT, classical.score > ALERT)
        rows = np.flatnonzero(seen)
        if not len(rows):
            return Judgement(seen, seen, {})
        anomalous, suppressed = seen, dict[Suppression, int]()
        if features and (self.alert.direction or self.alert.min_deviation):
            anomalous, suppressed = self._by_metrics(scored, rows, features)
        opens = anomalous.copy()
        for reason, muted in (
            (Suppression.MAINTENANCE, self._in_maintenance(scored.entity, scored.window.times)),
            (Suppression.QUIET_HOURS, self._in_quiet_hours(scored.window.times, rows)),
        ):
            suppressed[reason] = int(np.count_nonzero(opens & muted))
            opens &= ~muted
        return Judgement(anomalous, opens, {reason: n for reason, n in suppressed.items() if n})

    def learns(self, entity: str, time: float) -> bool:
        """Say whether what an entity does at an event time may be learnt: not while it is worked on."""
        return not any(w.since <= time < w.until and w.covers(entity) for w in self.windows)

    def ignored(self, features: tuple[str, ...]) -> Flags | None:
        """Say which of the metrics (F,) are to be taken as missing; None if all count."""
        return _matching(features, tuple(self.alert.ignore)) if self.alert.ignore and features else None

    def learnable(self, training: TrainingSet) -> TrainingSet:
        """Give the training data without ignored metrics, and without what came during maintenance.

        Raises:
            TrainingError: nothing is left.

        """
        ignored = self.ignored(training.features)
        series = {entity: self._learnable(entity, each, ignored) for entity, each in training.series.items()}
        kept = {entity: each for entity, each in series.items() if len(each.times)}
        if training.series and not kept:
            raise TrainingError("all training data fall into maintenance; check alert.maintenance")
        if ignored is None:
            return TrainingSet(kept, training.features)
        if ignored.all():
            raise TrainingError(f"alert.ignore {', '.join(self.alert.ignore)} leaves no metric to train on")
        features = tuple(name for name, out in zip(training.features, ignored, strict=True) if not out)
        return TrainingSet(kept, features)

    def _learnable(self, entity: str, series: Series, ignored: Flags | None) -> Series:
        rows = ~self._in_maintenance(entity, series.times)
        if not rows.all():
            series = Series(series.times[rows], series.values[rows])
        return series if ignored is None else Series(series.times, series.values[:, ~ignored])

    def _believed(self, autoencoder: Flags, classical: Flags) -> Flags:
        if self.alert.alert_on == "either":
            return autoencoder | classical
        return autoencoder & classical if self.alert.alert_on == "both" else autoencoder

    def _by_metrics(
        self, scored: Scored, rows: NDArray[np.int64], features: tuple[str, ...]
    ) -> tuple[Flags, dict[Suppression, int]]:
        """Take back what a detector says above 1 if the metrics it blames may not alarm."""
        rules = _rules(features, tuple(self.alert.direction.items()), tuple(self.alert.min_deviation.items()))
        believed, small = [], np.zeros(len(rows), dtype=bool)
        for scores in (scored.scores.autoencoder, scored.scores.classical):
            direction, deviation = _refused(rules, scored, scores, rows)
            above = scores.score[rows] > ALERT
            believed.append(above & ~direction & ~deviation)
            small |= above & deviation
        left = self._believed(*believed)
        anomalous = np.zeros(len(scored.window.times), dtype=bool)
        anomalous[rows] = left
        return anomalous, {
            Suppression.DIRECTION: int(np.count_nonzero(~left & ~small)),
            Suppression.DEVIATION: int(np.count_nonzero(~left & small)),
        }

    def _in_maintenance(self, entity: str, times: NDArray[np.float64]) -> Flags:
        found = np.zeros(len(times), dtype=bool)
        for window in self.windows:
            if window.covers(entity):
                found |= (times >= window.since) & (times < window.until)
        return found

    def _in_quiet_hours(self, times: NDArray[np.float64], rows: NDArray[np.int64]) -> Flags:
        """Say of the samples `rows`, among n, whether they fall into quiet hours."""
        found = np.zeros(len(times), dtype=bool)
        for hours in self.alert.quiet_hours:
            found[rows] |= [hours.hold(at) for at in times[rows].tolist()]
        return found


def _refused(
    rules: DeviationRules, scored: Scored, scores: Scores, rows: NDArray[np.int64]
) -> tuple[Flags, Flags]:
    return rules.refused(scored.window.values[rows], scores.expectation[rows], scores.contribution[rows])


@lru_cache(maxsize=64)
def _matching(features: tuple[str, ...], patterns: tuple[str, ...]) -> Flags:
    return np.array([any(fnmatchcase(name, pattern) for pattern in patterns) for name in features])


@lru_cache(maxsize=64)
def _rules(
    features: tuple[str, ...],
    direction: tuple[tuple[str, str], ...],
    min_deviation: tuple[tuple[str, tuple[float, float]], ...],
) -> DeviationRules:
    return DeviationRules.of(features, dict(direction), dict(min_deviation))
