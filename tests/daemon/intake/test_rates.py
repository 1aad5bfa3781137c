"""Counters to rates: never negative, never a spike, and the same over restarts."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from anomalyd.daemon.intake.rates import FORGET_S, Rates


def test_the_first_reading_tells_no_rate_and_the_next_does() -> None:
    rates = Rates()
    assert rates.rate("e", "sent", 0, [(10.0, 100)]) is None
    assert rates.rate("e", "sent", 0, [(15.0, 150)]) == 10.0
    assert rates.rate("other", "sent", 0, [(20.0, 7)]) is None


def test_several_readings_give_the_mean_rate_from_the_one_before() -> None:
    rates = Rates()
    rates.rate("e", "sent", 0, [(0.0, 0)])
    assert rates.rate("e", "sent", 0, [(4.0, 100), (10.0, 110)]) == 11.0


def test_what_is_not_newer_tells_nothing() -> None:
    rates = Rates()
    rates.rate("e", "sent", 0, [(10.0, 100)])
    assert rates.rate("e", "sent", 0, [(10.0, 150)]) is None
    assert rates.rate("e", "sent", 0, [(9.0, 10)]) is None
    assert rates.rate("e", "sent", 0, [(11.0, 101)]) == 1.0


@pytest.mark.parametrize(
    ("bits", "before", "now", "rate"),
    [
        (32, 2**32 - 100, 50, 15.0),
        (64, 2**64 - 100, 50, 15.0),
        (64, 2**63 + 100, 50, None),  # it would have risen by half its range in 10 s
        (32, 5_000_000, 10, None),  # set back
        (0, 2**32 - 100, 50, None),  # nobody says when it wraps
    ],
)
def test_a_fall_is_a_wrap_only_near_the_top(bits: int, before: int, now: int, rate: float | None) -> None:
    rates = Rates()
    rates.rate("e", "sent", bits, [(0.0, before)])
    assert rates.rate("e", "sent", bits, [(10.0, now)]) == rate
    assert rates.rate("e", "sent", bits, [(20.0, now + 100)]) == 10.0


def test_64_bits_are_counted_exactly() -> None:
    rates = Rates()
    rates.rate("e", "sent", 64, [(0.0, 2**63 + 1)])
    rates.restore("e", rates.newest("e"))
    assert rates.rate("e", "sent", 64, [(1.0, 2**63 + 3)]) == 2.0


def test_a_set_back_takes_its_time_out_of_the_mean() -> None:
    rates = Rates()
    rates.rate("e", "sent", 0, [(0.0, 1000)])
    assert rates.rate("e", "sent", 0, [(10.0, 1100), (20.0, 0), (30.0, 50)]) == 7.5


def test_after_a_day_of_silence_it_begins_anew() -> None:
    rates = Rates()
    rates.rate("e", "sent", 0, [(0.0, 0)])
    assert rates.rate("e", "sent", 0, [(FORGET_S + 1, 1000)]) is None


def test_names_that_come_no_more_are_forgotten() -> None:
    rates = Rates()
    rates.rate("e", "old", 0, [(0.0, 0)])
    rates.rate("e", "sent", 0, [(FORGET_S + 1, 0)])
    assert rates.newest("e").keys() == {"sent"}


def test_what_turns_out_to_be_no_counter_is_dropped() -> None:
    rates = Rates()
    rates.rate("e", "load", 0, [(0.0, 0)])
    rates.forget("e", ["load", "unknown"])
    assert rates.newest("e") == {}


readings = st.lists(st.tuples(st.integers(1, 1000), st.integers(0, 2**64 - 1)), min_size=1, max_size=30)


@given(readings, st.sampled_from([0, 32, 64]), st.sets(st.integers(0, 30)))
def test_no_rate_is_negative_and_a_restart_changes_nothing(
    steps: list[tuple[int, int]], bits: int, restarts: set[int]
) -> None:
    undisturbed, rates, time = Rates(), Rates(), 0
    for n, (seconds, value) in enumerate(steps):
        time += seconds
        if n in restarts:
            newest = rates.newest("e")
            rates = Rates()
            rates.restore("e", newest)
        found = rates.rate("e", "sent", bits, [(float(time), value)])
        assert found == undisturbed.rate("e", "sent", bits, [(float(time), value)])
        assert found is None or found >= 0
        assert bits == 0 or found is None or found <= 2.0**64 / seconds
