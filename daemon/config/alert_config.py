"""The section `alert` of a detector: what it may alarm for, when, and how bad it is."""

from __future__ import annotations

import re
from datetime import datetime, time
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo

from pydantic import BaseModel, BeforeValidator, Field, field_validator, model_validator

from anomalyd.daemon.config.section import STRICT, Count, Fraction, Seconds
from anomalyd.detectors.detector import AlertOn
from anomalyd.detectors.false_alarm_target import AlarmsPerDay, AlertRate, FalseAlarmTarget
from anomalyd.reports.report import Severity

_DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_GROUPS = {"daily": _DAYS, "weekdays": _DAYS[:5], "weekends": _DAYS[5:]}

_NUMBER = r"(\d+(?:\.\d*)?|\.\d+)"


def moment(given: Any) -> float:
    """Read a moment in ISO 8601 (text, or what YAML made of it): seconds since the epoch.

    Raises:
        ValueError: it is none, or does not say its offset from UTC.

    """
    try:
        # Not a bare date: YAML makes a `date` of it, which is no datetime.
        found = given if isinstance(given, datetime) else datetime.fromisoformat(given)
    except (ValueError, TypeError):
        raise ValueError("expected a time as in 2026-11-24T22:00:00+01:00") from None
    if found.tzinfo is None:
        raise ValueError("say the offset from UTC, as in 2026-11-24T22:00:00+01:00 (or Z)")
    return found.timestamp()


def _days(given: Any) -> frozenset[int]:
    names = _GROUPS.get(given) if isinstance(given, str) else given
    if not isinstance(names, list | tuple) or not names or not set(map(str, names)) <= set(_DAYS):
        raise ValueError(f"expected {', '.join(_GROUPS)}, or a list of {', '.join(_DAYS)}")
    return frozenset(_DAYS.index(name) for name in names)


def _time_of_day(given: Any) -> time:
    # Without quotes YAML makes a number of 22:00, counting in sixties.
    if not isinstance(given, str) or not re.fullmatch(r"([01]\d|2[0-3]):[0-5]\d", given):
        raise ValueError('expected a time of day within quotes, from "00:00" to "23:59"')
    return time.fromisoformat(given)


def _deviation(given: Any) -> tuple[float, float]:
    """Read a least deviation: in the metric's own unit, and as a share of the expectation."""
    if isinstance(given, int | float) and not isinstance(given, bool) and 0 <= given < float("inf"):
        return float(given), 0.0
    found = re.fullmatch(_NUMBER + "%", given) if isinstance(given, str) else None
    if found is None:
        raise ValueError('expected a number in the metric\'s own unit, or a share as in "5%"')
    return 0.0, float(found[1]) / 100.0


Moment = Annotated[float, BeforeValidator(moment)]
TimeOfDay = Annotated[time, BeforeValidator(_time_of_day)]
LeastDeviation = Annotated[tuple[float, float], BeforeValidator(_deviation)]


class _Section(BaseModel):
    model_config = STRICT


class QuietHours(_Section):
    """Hours of the week in which no incident opens, by the clock on the wall of a time zone.

    They begin on each of `days` (0 is Monday) and last over midnight where `to` is not after `from`; where
    both are the same, a whole day. When clocks go forward they are an hour shorter, when they go back an hour
    longer.
    """

    days: Annotated[frozenset[int], BeforeValidator(_days)] = frozenset(range(7))
    begin: TimeOfDay = Field(alias="from")
    end: TimeOfDay = Field(alias="to")
    timezone: str = "UTC"

    @field_validator("timezone")
    @classmethod
    def _is_known(cls, name: str) -> str:
        try:
            ZoneInfo(name)
        except (KeyError, ValueError, OSError):
            raise ValueError("unknown time zone; expected a name as Europe/Zurich") from None
        return name

    def hold(self, at: float) -> bool:
        """Say whether they hold at a time (seconds since the epoch)."""
        local = datetime.fromtimestamp(at, ZoneInfo(self.timezone))
        clock, today = local.time(), local.weekday()
        if self.begin < self.end:
            return today in self.days and self.begin <= clock < self.end
        yesterday = (today - 1) % 7
        return (today in self.days and clock >= self.begin) or (yesterday in self.days and clock < self.end)


class Maintenance(_Section):
    """A planned time of work on some entities: no incident opens, and no training takes them."""

    entities: Annotated[list[str], Field(min_length=1)] = ["*"]
    begin: Moment = Field(alias="from")
    end: Moment = Field(alias="to")
    reason: str = ""

    @model_validator(mode="after")
    def _ends_after_it_begins(self) -> Maintenance:
        if self.end <= self.begin:
            raise ValueError("to must be after from")
        return self


class SeverityLevels(_Section):
    """From which peak score, or after which time, an incident is an error, or critical, not a warning."""

    error: Annotated[float, Field(gt=1)] = 2.0
    critical: Annotated[float, Field(gt=1)] = 5.0
    error_after_s: Seconds | None = None
    critical_after_s: Seconds | None = None

    @model_validator(mode="after")
    def _in_order(self) -> SeverityLevels:
        if self.critical <= self.error:
            raise ValueError(f"critical ({self.critical}) must be above error ({self.error})")
        after = self.error_after_s, self.critical_after_s
        if after[0] is not None and after[1] is not None and after[1] <= after[0]:
            raise ValueError(f"critical_after_s ({after[1]}) must be above error_after_s ({after[0]})")
        return self

    def of(self, peak: float, lasted_s: float) -> Severity:
        """Give the severity of an incident: by its peak score, and by how long it has lasted so far."""
        if peak >= self.critical or _reached(lasted_s, self.critical_after_s):
            return Severity.CRITICAL
        if peak >= self.error or _reached(lasted_s, self.error_after_s):
            return Severity.ERROR
        return Severity.WARNING


def _reached(lasted_s: float, after_s: float | None) -> bool:
    return after_s is not None and lasted_s >= after_s


class AlertPolicy(_Section):
    """When an anomaly becomes an incident, and when it is over."""

    false_alarm_rate: Fraction | None = 1e-3
    alarms_per_day: Annotated[float, Field(gt=0)] | None = None
    alert_on: AlertOn = "autoencoder"
    open_after: Count = 3
    close_after: Count = 10
    direction: dict[str, Literal["up", "down", "both"]] = {}
    min_deviation: dict[str, LeastDeviation] = {}
    ignore: list[str] = []
    quiet_hours: list[QuietHours] = []
    maintenance: list[Maintenance] = []
    severity: SeverityLevels = SeverityLevels()

    @model_validator(mode="after")
    def _one_wish(self) -> AlertPolicy:
        rate = self.false_alarm_rate if "false_alarm_rate" in self.model_fields_set else None
        if self.alarms_per_day is not None and rate is not None:
            raise ValueError("false_alarm_rate and alarms_per_day say the same in two ways; set one of them")
        if self.alarms_per_day is None and self.false_alarm_rate is None:
            raise ValueError("set false_alarm_rate or alarms_per_day")
        return self

    @property
    def wanted(self) -> FalseAlarmTarget:
        """What detectors are calibrated for: a rate of false alarms per sample, or so many a day."""
        if self.alarms_per_day is not None:
            return AlarmsPerDay(self.alarms_per_day, self.open_after, self.close_after)
        assert self.false_alarm_rate is not None  # _one_wish
        return AlertRate(self.false_alarm_rate)
