"""Gauges and counters -> one vector of metrics: what the host does now."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence

import psutil

from anomalyd.daemon.producers.readings import READERS, Reader, Reading

_log = logging.getLogger(__name__)

# A file or a call that this platform does not have, or one that looks different there.
_CANNOT_TELL = (OSError, psutil.Error, AttributeError, LookupError, ValueError, NotImplementedError)


class HostMetrics:
    """Measures this host: each call gives the gauges, and the rates since the call before.

    A metric that this platform does not have is left out, and so is a rate whose counter began anew. Rates of
    several instances (network cards) are added, of those that were there both times; of metrics named
    "busiest" the largest counts. Percentages end at 100.

    Arguments:
        readers: what is read.
        clock: monotonic seconds.

    """

    def __init__(
        self, readers: Sequence[Reader] = READERS, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._clock = clock
        self._readers = tuple(readers)
        self._missing: set[str] = set()
        self._before = self._read()
        self._before_at = clock()

    def measure(self) -> dict[str, float]:
        """Give the metrics by name."""
        reading, now = self._read(), self._clock()
        metrics = dict(reading.gauges)
        elapsed = now - self._before_at
        if elapsed > 0:
            metrics |= _rates(self._before, reading, elapsed)
            self._before, self._before_at = reading, now
        return metrics

    def _read(self) -> Reading:
        reading = Reading()
        for reader in self._readers:
            try:
                reader(reading)
            except _CANNOT_TELL as error:
                name = getattr(reader, "__name__", repr(reader))
                if name not in self._missing:  # once is enough: it would be said every second
                    _log.info("host metrics: %s cannot be read: %r", name, error)
                    self._missing.add(name)
        return reading


def _rates(before: Reading, after: Reading, elapsed: float) -> dict[str, float]:
    """Give the growth per second of every counter that did not begin anew."""
    rates: dict[str, float] = {}
    for key, value in after.counters.items():
        metric = key[0]
        grown = value - before.counters.get(key, float("inf"))
        if grown < 0:
            continue
        rate = grown / elapsed
        if "busiest" in metric:
            rates[metric] = max(rate, rates.get(metric, 0.0))
        else:
            rates[metric] = rates.get(metric, 0.0) + rate
    # The kernel's ticks and our clock do not agree to the last digit.
    return {m: min(rate, 100.0) if m.endswith("_percent") else rate for m, rate in rates.items()}
