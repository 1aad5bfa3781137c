"""What is less urgent gives way to scoring, but not for ever, and pays for it with nothing of its budget."""

from __future__ import annotations

import threading

import pytest

from anomalyd.daemon.precedence import GivingWay, Precedence


class Held(Precedence):
    """Scoring that is always at work; whoever waits for it moves the clock by as long as it may wait."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 100.0
        self.waits: list[float] = []

    def wait(self, at_most_s: float) -> bool:
        if at_most_s > 0:
            self.waits.append(at_most_s)
            self.now += at_most_s / 2
        return False


def test_nobody_waits_for_who_does_nothing() -> None:
    precedence = Precedence()
    assert precedence.wait(600.0)
    with precedence.held():
        assert not precedence.wait(0.0)
        assert not precedence.wait(-1.0)
    assert precedence.wait(600.0)
    with pytest.raises(KeyError), precedence.held():
        raise KeyError
    assert precedence.wait(600.0)


def test_the_clock_stands_still_while_it_gives_way_and_ends_to_give_way() -> None:
    scoring = Held()
    clock = GivingWay(scoring, lambda: scoring.now, 8.0)
    assert [clock() for _ in range(3)] == [100.0] * 3
    assert scoring.waits == [8.0, 4.0, 2.0]
    for _ in range(10_000):
        clock()
    assert sum(scoring.waits) / 2 == pytest.approx(8.0, abs=0.01)
    scoring.now += 5.0
    assert clock() == pytest.approx(105.0)
    assert clock() == pytest.approx(105.0)


def test_a_clock_that_never_moves_ends_to_give_way() -> None:
    scoring = Held()
    clock = GivingWay(scoring, lambda: 7.0, 0.01)
    for _ in range(100):
        assert clock() == 7.0
    assert len(scoring.waits) <= 11


def test_who_waits_goes_on_with_the_end_of_the_step() -> None:
    precedence, went_on = Precedence(), threading.Event()
    clock = GivingWay(precedence, lambda: 0.0, 600.0)

    def work() -> None:
        clock()
        went_on.set()

    with precedence.held():
        waiting = threading.Thread(target=work, daemon=True)
        waiting.start()
    assert went_on.wait(120.0)
    waiting.join(120.0)
