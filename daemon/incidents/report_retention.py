"""Lets go of old reports while the daemon runs, a few at a time."""

from __future__ import annotations

import time
from collections.abc import Callable

from anomalyd.daemon.telemetry.telemetry import Telemetry
from anomalyd.reports.storage.repositories.retention import RetentionLimits
from anomalyd.reports.storage.store import Store

_EVERY_S = 300.0
_AT_ONCE = 200


class ReportRetention:
    """Prunes the store every few minutes; oftener while there is more than one pass may take."""

    def __init__(
        self,
        store: Store,
        limits: RetentionLimits,
        telemetry: Telemetry,
        stopwatch: Callable[[], float] = time.perf_counter,
    ) -> None:
        self._store = store
        self._limits = limits
        self._telemetry = telemetry
        self._stopwatch = stopwatch
        self._next = 0.0

    def prune(self) -> None:
        """Let go of what is over the limits, if it is time.

        Raises:
            StoreError: the store cannot be reached.

        """
        now = self._stopwatch()
        if now < self._next:
            return
        pruned = self._store.retention.prune(self._limits, _AT_ONCE)
        self._next = now if max(pruned.evidence, pruned.reports) >= _AT_ONCE else now + _EVERY_S
        self._telemetry.store.pruned(pruned.evidence, pruned.reports)
