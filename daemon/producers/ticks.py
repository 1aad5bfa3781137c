"""When to send: a schedule that does not drift."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Iterator


class Ticks:
    """Ticks every `interval_s` seconds, counted from the first; iterating waits for the next one.

    A tick that comes late does not delay those behind it; ticks that have been missed altogether (the machine
    slept, the work took longer than an interval) are left out, not made up for. `sleep(seconds)` returns True
    when it was cut short by `stop`; `clock` is monotonic, in seconds.
    """

    def __init__(
        self,
        interval_s: float,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], bool] | None = None,
    ) -> None:
        if not interval_s > 0:
            raise ValueError(f"interval_s {interval_s}: must be above 0")
        self._interval_s = interval_s
        self._clock = clock
        self._stopped = threading.Event()
        self._sleep = sleep or self._stopped.wait

    def stop(self) -> None:
        """End the iteration, from any thread or from a signal handler; a sleep is cut short."""
        self._stopped.set()

    def __iter__(self) -> Iterator[int]:
        """Give the number of each tick, from 0 on; the first one at once."""
        begin, number = self._clock(), 0
        while not self._stopped.is_set():
            yield number
            passed = (self._clock() - begin) / self._interval_s
            number = max(number + 1, math.floor(passed))
            if self._sleep(max(0.0, begin + number * self._interval_s - self._clock())):
                return
