"""How many false alarms are wanted: a rate of alerts per sample, or alarms a day, which become one.

Alerts come in runs: a state that looks strange lasts for some samples, and these are one alarm. With m alerts
an alarm and N samples a day, a rate of alarms * m / N gives the wanted number. m is the reciprocal of what
extreme-value theory calls the extremal index, estimated by runs (Smith and Weissman, "Estimating the extremal
index", J. R. Stat. Soc. B 56, 1994); alerts that are too few in a row to be an alarm count to it here.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from anomalyd.detectors.detector import Series
from anomalyd.errors import TrainingError

DAY_S = 86_400.0

_RATES = 0.1 * 0.5 ** np.arange(12.0, -0.1, -0.5)
"""Rates at which alarms are counted on held-out data: from 2.4e-5 up to a tenth of the samples."""

_LEAST_ALARMS = 10
"""Fewer alarms than this do not tell how long one lasts."""


class FalseAlarmTarget(ABC):
    """How many false alarms a detector may raise on normal data."""

    @property
    @abstractmethod
    def alarms_per_day(self) -> float | None:
        """The wanted false alarms per entity and day; None where a rate per sample is wanted."""

    @abstractmethod
    def share(self, part: float) -> FalseAlarmTarget:
        """Give the target of one of several detectors, which may raise `part` (0 to 1) of them."""

    @abstractmethod
    def alert_rate(self, held_out: Sequence[NDArray[np.float64]], series: Mapping[str, Series]) -> float:
        """Give the wanted rate of alerts per sample.

        `held_out` are the raw scores (n,) of each entity that was not fitted on, `series` tells how often
        entities send.

        Raises:
            TrainingError: the target is out of its range, or no entity has two samples and that is needed.

        """

    @abstractmethod
    def onset_rate(self, series: Mapping[str, Series]) -> float:
        """Give the wanted rate at which alarms begin, per sample.

        Raises:
            TrainingError: as `alert_rate`.

        """


@dataclass(frozen=True, slots=True)
class AlertRate(FalseAlarmTarget):
    """A wanted share of the normal samples that alert: a probability between 0 and 1."""

    rate: float

    @property
    def alarms_per_day(self) -> None:
        """None: alarms are not counted."""
        return None

    def share(self, part: float) -> AlertRate:
        """Give a part of the rate."""
        return AlertRate(self.rate * part)

    def alert_rate(self, held_out: Sequence[NDArray[np.float64]], series: Mapping[str, Series]) -> float:
        """Give the rate itself, whatever the data.

        Raises:
            TrainingError: it is no probability between 0 and 1.

        """
        return self.onset_rate(series)

    def onset_rate(self, series: Mapping[str, Series]) -> float:
        """Give the rate itself, whatever the data.

        Raises:
            TrainingError: it is no probability between 0 and 1.

        """
        if not 0.0 < self.rate < 1.0:
            raise TrainingError(
                f"false_alarm_rate is {self.rate}; it is a probability between 0 and 1, for example 0.001"
            )
        return self.rate


DEFAULT = AlertRate(1e-3)
"""One normal sample in a thousand."""


@dataclass(frozen=True, slots=True)
class AlarmsPerDay(FalseAlarmTarget):
    """A wanted number of false alarms, `per_day` and entity.

    An alarm begins with `open_after` alerts in a row, and is over after `close_after` samples without one.
    """

    per_day: float
    open_after: int = 1
    close_after: int = 1

    @property
    def alarms_per_day(self) -> float:
        """The wanted number."""
        return self.per_day

    def share(self, part: float) -> AlarmsPerDay:
        """Give a part of the wanted alarms."""
        return replace(self, per_day=self.per_day * part)

    def alert_rate(self, held_out: Sequence[NDArray[np.float64]], series: Mapping[str, Series]) -> float:
        """Give the rate of alerts that makes so many alarms, for samples as often as entities send."""
        return self.rate(held_out, usual_interval(series))

    def onset_rate(self, series: Mapping[str, Series]) -> float:
        """Give the rate at which so many alarms begin, for samples as often as entities send."""
        return self.onsets(usual_interval(series))

    def rate(self, held_out: Sequence[NDArray[np.float64]], interval_s: float) -> float:
        """Give the rate of alerts per sample, from the raw scores (n,) of each entity, not fitted on.

        `interval_s` is the time between two samples of an entity. The alerts an alarm are counted at the
        lowest rate that gives the wanted number of alarms, and ten at least; a still lower rate is taken to
        have as many. Never more than 0.1.

        Raises:
            TrainingError: `per_day` or the interval is not above 0.

        """
        if not self.per_day > 0 or not interval_s > 0:
            raise TrainingError(
                f"alarms_per_day is {self.per_day}, samples come every {interval_s} s; both must be above 0"
            )
        scores = np.concatenate(held_out)
        scores = scores[~np.isnan(scores)]
        samples_a_day = DAY_S / interval_s
        days = len(scores) / samples_a_day
        enough = max(self.per_day * days, _LEAST_ALARMS)
        alerts, lengths = 0, list[int]()
        for rate in _RATES if len(scores) else ():
            alerts, lengths = self._count(held_out, float(np.quantile(scores, 1.0 - rate)))
            if len(lengths) >= enough:
                break
        if len(lengths) >= _LEAST_ALARMS:
            # The median, not the mean: one real anomaly that lasts would pass for a long false alarm.
            alerts_an_alarm = float(np.median(lengths) + (alerts - sum(lengths)) / len(lengths))
        else:
            alerts_an_alarm = max(alerts / _LEAST_ALARMS, 1.0)
        return float(min(self.per_day * alerts_an_alarm / samples_a_day, _RATES[-1]))

    def onsets(self, interval_s: float) -> float:
        """Give the rate at which alarms are to begin, per sample; never more than 0.1.

        Raises:
            TrainingError: `per_day` or the interval is not above 0.

        """
        if not self.per_day > 0 or not interval_s > 0:
            raise TrainingError(
                f"alarms_per_day is {self.per_day}, samples come every {interval_s} s; both must be above 0"
            )
        return float(min(self.per_day * interval_s / DAY_S, _RATES[-1]))

    def _count(self, held_out: Sequence[NDArray[np.float64]], threshold: float) -> tuple[int, list[int]]:
        """Count the alerts above a threshold, and the alerts of each alarm they make."""
        total, lengths = 0, list[int]()
        for scores in held_out:
            judged = scores[~np.isnan(scores)]
            at = np.flatnonzero(judged > threshold)
            total += len(at)
            # A gap of close_after quiet samples ends an alarm; within one, a run of open_after opens it.
            for part in np.split(at, np.flatnonzero(np.diff(at) > self.close_after) + 1):
                runs = np.split(part, np.flatnonzero(np.diff(part) > 1) + 1)
                opened = next((k for k, run in enumerate(runs) if len(run) >= self.open_after), None)
                if opened is not None:
                    lengths.append(sum(len(run) for run in runs[opened:]))
        return total, lengths


def usual_interval(series: Mapping[str, Series]) -> float:
    """Give the time in seconds between two samples of an entity: the median of the entities' medians.

    Raises:
        TrainingError: no entity has two samples.

    """
    medians = [float(np.median(np.diff(each.times))) for each in series.values() if len(each.times) > 1]
    if not medians:
        raise TrainingError("alarms_per_day needs two samples of an entity, to know how often it sends")
    return float(np.median(medians))
