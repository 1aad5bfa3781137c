from __future__ import annotations

import threading
from itertools import islice

import pytest
from hypothesis import given
from hypothesis import strategies as st

from anomalyd.daemon.producers.ticks import Ticks


class Clock:
    """Time passes by sleeping (never short of what was asked) and by working."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.oversleep = 0.0

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> bool:
        assert seconds >= 0
        self.now += seconds + self.oversleep
        return False


def test_ticks_do_not_drift() -> None:
    clock = Clock()
    clock.oversleep = 0.01
    times = []
    for number in islice(Ticks(1.0, clock=clock, sleep=clock.sleep), 1000):
        times.append((number, clock.now - 1000.0))
        clock.now += 0.3  # the work
    assert [number for number, _ in times] == list(range(1000))
    assert times[-1][1] == pytest.approx(999.01)


def test_missed_ticks_are_left_out() -> None:
    clock = Clock()
    seen = []
    for number in islice(Ticks(1.0, clock=clock, sleep=clock.sleep), 4):
        seen.append((number, clock.now - 1000.0))
        if number == 1:
            clock.now += 3.5  # the machine slept
    assert seen == [(0, 0.0), (1, 1.0), (4, 4.5), (5, 5.0)]


@given(st.lists(st.floats(0, 5), min_size=1, max_size=30), st.floats(0.1, 2))
def test_a_tick_is_never_early_and_never_a_whole_interval_late(work: list[float], interval: float) -> None:
    clock = Clock()
    last = -1
    for number, spent in zip(Ticks(interval, clock=clock, sleep=clock.sleep), work, strict=False):
        late = clock.now - 1000.0 - number * interval
        assert number > last
        assert -1e-6 < late < interval + 1e-6
        last = number
        clock.now += spent


def test_stop_cuts_the_sleep_short() -> None:
    ticks, ticked = Ticks(3600.0), threading.Event()

    def run() -> None:
        for _ in ticks:
            ticked.set()

    thread = threading.Thread(target=run)
    thread.start()
    assert ticked.wait(120)
    ticks.stop()
    thread.join(120)
    assert not thread.is_alive()
    assert list(ticks) == []


@pytest.mark.parametrize("interval", [0.0, -1.0, float("nan")])
def test_an_interval_must_be_one(interval: float) -> None:
    with pytest.raises(ValueError, match="interval_s"):
        Ticks(interval)
