"""How long an explanation may take: the operator waits for it."""

from __future__ import annotations

from collections.abc import Callable


class Budget:
    """Time that runs from the moment it is made.

    `clock` gives seconds from any origin, never backwards (such as `time.monotonic`).
    """

    def __init__(self, seconds: float, clock: Callable[[], float]) -> None:
        self._seconds = seconds
        self._clock = clock
        self._start = clock()

    def used(self) -> float:
        """Seconds since the start."""
        return self._clock() - self._start

    def left(self) -> float:
        """Seconds until it is spent; below 0 when it is overdrawn."""
        return self._seconds - self.used()
