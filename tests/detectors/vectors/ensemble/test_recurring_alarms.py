"""Alarms that come back every day, on made excesses: rows of a minute, four metrics."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from anomalyd.detectors.vectors.ensemble.fusion import recurring_alarms
from anomalyd.detectors.vectors.ensemble.memory import Batch, Layout

DAY, UNIT = 1440, 3.0
TOLD = 2
"""Rows of each alarm that are never held back."""

NIGHT = 3 * 60


class Stream:
    """Excesses (n,) of one entity and how far its metrics are away (n, 4), over some days."""

    def __init__(self, days: int) -> None:
        self.excess = np.full(days * DAY, -1.0)
        self.away = np.full((days * DAY, 4), 0.2, dtype=np.float32)

    def job(
        self, day: int, at: int, rows: int = 25, metric: int = 1, away: float = 5.0, high: float = 2.0
    ) -> slice:
        where = slice(day * DAY + at, day * DAY + at + rows)
        self.excess[where], self.away[where, metric] = high, away
        return where

    def follow(self, batch: Batch, cuts: list[int] | None = None) -> NDArray[np.float64]:
        times = 60.0 * np.arange(len(self.excess), dtype=np.float64) + 40 * 86_400.0
        edges = [0, *sorted(cuts or []), len(times)]
        parts = []
        for begin, end in itertools.pairwise(edges):
            if begin < end:
                rows = slice(begin, end)
                excess = self.excess[rows]
                away = self.away[rows][excess > 0.0]
                parts.append(recurring_alarms.follow(times[None, rows], excess[None], away, UNIT, batch)[0])
        return np.concatenate(parts)


@pytest.fixture
def batch() -> Batch:
    return Layout(4, 60).blank()


def nightly(days: int = 6) -> Stream:
    stream = Stream(days)
    for day in range(days - 1):
        stream.job(day, NIGHT + 3 * (day % 3))
    return stream


def test_what_comes_every_night_alarms_for_three_nights_and_is_usual_then(batch: Batch) -> None:
    stream = nightly()
    last = stream.job(5, NIGHT + 5)
    found = stream.follow(batch)
    for day, alarms in enumerate((25, 25, 25, TOLD, TOLD)):
        night = found[day * DAY + NIGHT : day * DAY + NIGHT + 60]
        assert (night > 0.0).sum() == alarms, day
    assert (found[last][TOLD:] < 0.0).all()
    np.testing.assert_array_equal(found[stream.excess < 0.0], -1.0)


def test_what_is_usual_stays_above_all_that_is_no_alarm_and_in_its_order(batch: Batch) -> None:
    stream = nightly()
    last = stream.job(5, NIGHT)
    stream.excess[last] = np.linspace(0.1, 2.0, 25)
    found = stream.follow(batch)[last][TOLD:]
    assert (np.diff(found) > 0.0).all()
    assert (found > -1.0).all()


@pytest.mark.parametrize(
    ("what", "otherwise"),
    [
        ("another metric", {"metric": 2}),
        ("another metric farther, too", {"metric": 2, "away": 50.0}),
        ("the same metric farther", {"away": 12.0}),
        ("a higher score", {"high": 12.0}),
        ("another time", {"at": 15 * 60}),
    ],
)
def test_what_differs_from_the_nights_before_alarms(
    batch: Batch, what: str, otherwise: dict[str, int | float]
) -> None:
    stream = Stream(5)
    for day in (1, 2, 3):
        stream.job(day, NIGHT)
    last = stream.job(4, **({"at": NIGHT} | otherwise))  # type: ignore[arg-type]
    assert (stream.follow(batch)[last] > 0.0).all(), what


def test_a_second_metric_that_is_away_with_it_alarms(batch: Batch) -> None:
    stream = nightly()
    last = stream.job(5, NIGHT)
    stream.away[last, 3] = 4.0
    assert (stream.follow(batch)[last] > 0.0).all()


def test_jobs_at_any_time_are_usual_once_four_days_had_them(batch: Batch) -> None:
    stream = Stream(6)
    where = [stream.job(day, at) for day, at in enumerate((600, 150, 900, 400, 1200, 20))]
    found = stream.follow(batch)
    assert [int((found[each] > 0.0).sum()) for each in where] == [25, 25, 25, 25, TOLD, TOLD]


def test_what_lasts_longer_than_ever_alarms_in_the_end(batch: Batch) -> None:
    stream = nightly()
    last = stream.job(5, NIGHT, rows=180)
    found = stream.follow(batch)[last]
    assert (found[TOLD:25] < 0.0).all()
    assert (found[-90:] > 0.0).all()


def test_jolts_of_a_row_or_two_are_told_however_often_they_come(batch: Batch) -> None:
    stream = Stream(6)
    where = [stream.job(day, NIGHT, rows=TOLD) for day in range(6)]
    found = stream.follow(batch)
    assert all((found[each] > 0.0).all() for each in where)


def test_what_goes_on_for_days_never_becomes_usual(batch: Batch) -> None:
    stream = Stream(6)
    where = stream.job(0, NIGHT, rows=5 * DAY)
    assert (stream.follow(batch)[where] > 0.0).all()


def test_what_was_called_broken_is_forgotten_and_held_back_by_nothing(batch: Batch) -> None:
    stream = nightly()
    stream.follow(batch)
    recurring_alarms.forget_since(batch, 0, 40 * 86_400.0 + 2 * 86_400.0)
    quarters = batch.alarms[0][:, 0]
    assert len(quarters)
    assert quarters.max() < (42 * 86_400) // 900
    batch.broken[:] = True
    again = nightly()
    last = again.job(5, NIGHT)
    assert (again.follow(batch)[last] > 0.0).all()
    assert (batch.alarms[0][:, 0] == quarters).all()


def test_after_eight_days_it_is_forgotten(batch: Batch) -> None:
    stream = Stream(14)
    for day in (0, 1, 2, 3):
        stream.job(day, NIGHT)
    last = stream.job(13, NIGHT)
    assert (stream.follow(batch)[last] > 0.0).all()
    assert len(np.unique(batch.alarms[0][:, 0] // 96)) == 1


def grown(each_night: float, nights: int = 20) -> list[int]:
    """Give how many rows alarm in each of the nights of a job that is farther and higher by a factor."""
    stream = Stream(nights)
    where = [
        stream.job(n, NIGHT, away=5.0 * each_night**n, high=2.0 * each_night**n, metric=1)
        for n in range(nights)
    ]
    found = stream.follow(Layout(4, 60).blank())
    return [int((found[each] > 0.0).sum()) for each in where]


def test_a_leak_that_grows_by_a_tenth_each_day_is_told_after_a_week() -> None:
    alarms = grown(1.1)
    assert alarms[3:6] == [TOLD] * 3
    assert alarms[7:] == [25] * 13


def test_a_job_that_stays_is_usual_for_ever() -> None:
    assert grown(1.0)[3:] == [TOLD] * 17


def test_a_job_a_quarter_hour_longer_each_night_is_told_after_a_week(batch: Batch) -> None:
    stream = Stream(14)
    where = [stream.job(n, NIGHT, rows=15 * (n + 1)) for n in range(14)]
    found = stream.follow(batch)
    assert all((found[each][-15:] > 0.0).all() for each in where[8:])


def test_a_job_that_was_smaller_on_some_nights_is_usual_where_the_first_had_it(batch: Batch) -> None:
    stream = Stream(8)
    where = [
        stream.job(n, NIGHT, away=away) for n, away in enumerate((5.0, 2.0, 5.0, 2.0, 5.0, 2.0, 2.0, 5.0))
    ]
    assert (stream.follow(batch)[where[-1]] > 0.0).sum() == TOLD


@settings(max_examples=30, deadline=None)
@given(cuts=st.lists(st.integers(1, 6 * DAY - 1), max_size=12))
def test_it_does_not_matter_how_rows_are_cut(cuts: list[int]) -> None:
    stream = nightly()
    stream.job(5, NIGHT, rows=90)
    stream.job(4, 700, metric=3)
    whole, cut = Layout(4, 60).blank(), Layout(4, 60).blank()
    np.testing.assert_array_equal(stream.follow(whole), stream.follow(cut, cuts))
    np.testing.assert_array_equal(whole.alarms[0], cut.alarms[0])


def test_entities_of_a_batch_are_told_apart() -> None:
    layout = Layout(4, 60)
    quiet, loud = layout.blank(), layout.blank()
    stream = nightly()
    stream.follow(loud)
    both = layout.join(layout.part(quiet, [{}]) + layout.part(loud, [{}]))
    times = np.full((2, 3), 40 * 86_400.0 + 5 * 86_400.0 + NIGHT * 60.0) + 60.0 * np.arange(3)
    away = np.tile(np.array([0.2, 5.0, 0.2, 0.2], dtype=np.float32), (6, 1))
    found = recurring_alarms.follow(times, np.full((2, 3), 2.0), away, UNIT, both)
    assert (found[0] > 0.0).all()
    assert (found[1] < 0.0).tolist() == [False, False, True]
