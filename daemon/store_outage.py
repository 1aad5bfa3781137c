"""Waiting for the store while it fails: nothing is read meanwhile, and nothing piles up."""

from __future__ import annotations

import logging
from collections.abc import Callable

from anomalyd.daemon.telemetry.telemetry import Telemetry
from anomalyd.errors import StoreError
from anomalyd.reports.storage.store import Store

_log = logging.getLogger(__name__)

_RETRY_S = 1.0


class StoreOutage:
    """An outage of the store, as the service loop lives through it; `failure` says why it waits."""

    def __init__(
        self,
        store: Store,
        telemetry: Telemetry,
        on_turn: Callable[[], None],
        sleep: Callable[[float], None],
    ) -> None:
        self._store = store
        self._telemetry = telemetry
        self._on_turn = on_turn
        self._sleep = sleep
        self.failure: str | None = None

    def begin(self, error: StoreError) -> None:
        """Note and count that the store fails; each reason is logged once."""
        self._telemetry.store.error(error.failure)
        if str(error) != self.failure:
            _log.error("the store fails, trying again: %s", error)
        self.failure = str(error)

    def wait(self, stopping: Callable[[], bool]) -> None:
        """Wait until the store takes a write, or until it is time to stop."""
        while not stopping():
            self._on_turn()
            self._sleep(_RETRY_S)
            try:
                self._store.probe()
            except StoreError as error:
                self.begin(error)
            else:
                self.failure = None
                return
