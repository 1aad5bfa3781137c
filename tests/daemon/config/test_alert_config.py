"""The section `alert`: what it refuses, quiet hours by the clock on the wall, one wish for a rate."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from anomalyd.daemon.config.alert_config import AlertPolicy, Maintenance, QuietHours
from anomalyd.daemon.config.config import parse_config
from anomalyd.detectors.false_alarm_target import AlarmsPerDay, AlertRate
from anomalyd.errors import ConfigError

MINUTE = timedelta(minutes=1)
DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


def quiet(**about: Any) -> QuietHours:
    return QuietHours.model_validate(about)


def minutes_of_the_week(days: set[int], begin: int, end: int) -> set[tuple[int, int]]:
    """Walk from the beginning on each day, minute by minute: (weekday, minute) that are quiet."""
    found = set()
    for day in days:
        at = (day, begin)
        for _ in range(24 * 60):
            found.add(at)
            minute = (at[1] + 1) % 1440
            at = ((at[0] + (minute == 0)) % 7, minute)
            if minute == end:
                break
    return found


@settings(deadline=None)  # other work on the machine is no failure
@given(
    st.sets(st.sampled_from(range(7)), min_size=1),
    st.integers(0, 1439),
    st.integers(0, 1439),
    # Before and behind both changes of the clocks of 2026 in Zurich and New York.
    st.sampled_from([date(2026, 3, 8), date(2026, 3, 29), date(2026, 10, 25), date(2026, 11, 1)]),
    st.sampled_from(["Europe/Zurich", "America/New_York", "UTC", "Asia/Kathmandu"]),
)
def test_quiet_hours_are_what_a_scan_of_every_minute_finds(
    days: set[int], begin: int, end: int, around: date, zone: str
) -> None:
    hours = quiet(
        **{
            "days": [DAYS[day] for day in days],
            "from": f"{begin // 60:02}:{begin % 60:02}",
            "to": f"{end // 60:02}:{end % 60:02}",
            "timezone": zone,
        }
    )
    expected = minutes_of_the_week(days, begin, end)
    at = datetime(around.year, around.month, around.day, tzinfo=UTC) - timedelta(days=1)
    # Every seventh minute of two and a half days; the edges lie at any minute.
    for n in range(begin % 7, 60 * 60, 7):
        moment = at + n * MINUTE
        local = moment.astimezone(ZoneInfo(zone))
        found = hours.hold(moment.timestamp())
        assert found == ((local.weekday(), local.hour * 60 + local.minute) in expected), local


@pytest.mark.parametrize(
    ("first", "hours_long"),
    [("2026-03-28T12:00Z", 7), ("2026-10-24T12:00Z", 9), ("2026-06-06T12:00Z", 8)],
)
def test_a_night_is_shorter_or_longer_when_the_clocks_change(first: str, hours_long: int) -> None:
    night = quiet(**{"from": "22:00", "to": "06:00", "timezone": "Europe/Zurich"})
    begin = datetime.fromisoformat(first).timestamp()
    assert sum(night.hold(begin + 60 * n) for n in range(24 * 60)) == hours_long * 60


def test_quiet_hours_belong_to_the_day_on_which_they_begin() -> None:
    friday_night = quiet(**{"days": ["fri"], "from": "22:00", "to": "06:00"})
    for moment, expected in (
        ("2026-11-27T21:59:59Z", False),  # a Friday
        ("2026-11-27T22:00:00Z", True),
        ("2026-11-28T05:59:59Z", True),
        ("2026-11-28T06:00:00Z", False),
        ("2026-11-28T22:00:00Z", False),
        ("2026-11-27T05:00:00Z", False),
    ):
        assert friday_night.hold(datetime.fromisoformat(moment).timestamp()) is expected, moment


@pytest.mark.parametrize(
    ("alert", "said"),
    [
        ("direction: {cpu: sideways}", "detectors[0].alert.direction.cpu: Input should be 'up', 'down'"),
        (
            "min_deviation: {cpu: 5 percent}",
            'expected a number in the metric\'s own unit, or a share as in "5%"',
        ),
        ("min_deviation: {cpu: -1}", "expected a number in the metric's own unit"),
        ("min_deviation: {cpu: true}", "expected a number in the metric's own unit"),
        ("min_deviation: {cpu: .nan}", "expected a number in the metric's own unit"),
        (
            "quiet_hours: [{from: 22:00, to: '06:00'}]",
            "quiet_hours[0].from: expected a time of day within quotes",
        ),
        ("quiet_hours: [{from: '24:00', to: '06:00'}]", "quiet_hours[0].from: expected a time of day"),
        ("quiet_hours: [{to: '06:00'}]", "quiet_hours[0].from: must be given"),
        ("quiet_hours: [{from: '01:00', to: '06:00', day: mon}]", "known here: days, from, timezone, to"),
        (
            "quiet_hours: [{from: '01:00', to: '06:00', days: monday}]",
            "expected daily, weekdays, weekends, or",
        ),
        ("quiet_hours: [{from: '01:00', to: '06:00', days: []}]", "expected daily, weekdays, weekends, or"),
        ("quiet_hours: [{from: '01:00', to: '06:00', timezone: Europe}]", "timezone: unknown time zone"),
        ("quiet_hours: [{from: '01:00', to: '06:00', timezone: ../x}]", "timezone: unknown time zone"),
        ("maintenance: [{from: 2026-12-01T08:00:00, to: 2026-12-01T09:00:00Z}]", "say the offset from UTC"),
        ("maintenance: [{from: 2026-12-01, to: 2026-12-01T09:00:00Z}]", "expected a time as in"),
        ("maintenance: [{from: soon, to: 2026-12-01T09:00:00Z}]", "expected a time as in"),
        ("maintenance: [{from: 2026-12-01T09:00Z, to: 2026-12-01T09:00Z}]", "to must be after from"),
        ("severity: {error_after_s: 60.0, critical_after_s: 30.0}", "critical_after_s (30.0) must be above"),
        ("false_alarm_rate: 0.01, alarms_per_day: 1.0", "set one of them"),
        ("false_alarm_rate: null", "set false_alarm_rate or alarms_per_day"),
        ("alarms_per_day: 0.0", "alarms_per_day: Input should be greater than 0"),
    ],
)
def test_a_mistake_is_named_with_what_is_allowed(alert: str, said: str) -> None:
    text = f"inputs: [{{topic: m}}]\ndetectors: [{{name: d, kind: vector-autoencoder, alert: {{{alert}}}}}]"
    with pytest.raises(ConfigError) as error:
        parse_config(text, "f", {})
    assert said in str(error.value)


@pytest.mark.parametrize("setting", ["direction: {a: up}", "min_deviation: {a: 1}", "ignore: [a]"])
def test_what_is_for_metrics_is_refused_for_maps(setting: str) -> None:
    text = f"inputs: [{{topic: m}}]\ndetectors: [{{name: d, kind: map-autoencoder, alert: {{{setting}}}}}]"
    with pytest.raises(ConfigError, match=r"alert\.\w+ is for metric vectors"):
        parse_config(text, "f", {})


def test_times_may_stand_in_quotes_or_as_yaml_times() -> None:
    for given_ in ("2026-12-01T09:00:00+01:00", datetime(2026, 12, 1, 8, tzinfo=UTC)):
        work = Maintenance.model_validate({"from": given_, "to": "2026-12-01T10:00Z"})
        assert (work.begin, work.end) == (1_796_112_000.0, 1_796_119_200.0)


def test_a_wish_is_a_rate_or_a_number_of_alarms() -> None:
    assert AlertPolicy().wanted == AlertRate(1e-3)
    assert AlertPolicy(false_alarm_rate=0.02).wanted == AlertRate(0.02)
    for about in ({"alarms_per_day": 0.5}, {"alarms_per_day": 0.5, "false_alarm_rate": None}):
        policy = AlertPolicy.model_validate({**about, "open_after": 2, "close_after": 7})
        assert policy.wanted == AlarmsPerDay(0.5, 2, 7)
    with pytest.raises(ValidationError):
        AlertPolicy(alarms_per_day=0.5, false_alarm_rate=1e-3)
