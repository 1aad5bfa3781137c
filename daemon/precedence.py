"""Scoring goes first: in one process Python runs one thread at a time, and who asks for an answer waits.

Whoever is less urgent asks between two pieces of its work whether scoring has a step in hand, and waits until
it is done: so a step is held up by one piece at most, some ten milliseconds. But it does not wait for ever.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager


class Precedence:
    """Held while a step is in hand; others give way."""

    def __init__(self) -> None:
        self._free = threading.Event()
        self._free.set()

    @contextmanager
    def held(self) -> Iterator[None]:
        """Hold it for as long as something urgent is done."""
        self._free.clear()
        try:
            yield
        finally:
            self._free.set()

    def wait(self, at_most_s: float) -> bool:
        """Wait until nobody holds it, but not for longer than that; says whether nobody does."""
        return self._free.wait(max(at_most_s, 0.0))


class GivingWay:
    """A clock that gives way whenever it is asked, and stands still meanwhile.

    A piece of work that is done within a budget asks it between its pieces: what it waits for scoring is not
    taken from its budget. All in all it waits `at_most_s`, for a daemon that is behind has always a step in
    hand.
    """

    def __init__(self, precedence: Precedence, clock: Callable[[], float], at_most_s: float) -> None:
        self._precedence = precedence
        self._clock = clock
        self._left_s = at_most_s
        self._waited_s = 0.0

    def __call__(self) -> float:
        """Give the time in seconds, without what was waited."""
        if self._left_s > 0.0 and not self._precedence.wait(0.0):
            begun = self._clock()
            self._precedence.wait(self._left_s)
            waited = self._clock() - begun
            self._waited_s += waited
            self._left_s -= max(waited, 1e-3)  # also by a clock that stands still
        return self._clock() - self._waited_s
