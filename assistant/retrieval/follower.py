"""Keep an index like its sources, beside those who search it."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

from anomalyd.assistant.retrieval.retriever import Retriever
from anomalyd.errors import AnomalydError

_log = logging.getLogger(__name__)


class Follower(threading.Thread):
    """A thread that refreshes a retriever of its own every few seconds; others over the same folder see it.

    `open_retriever` is called in the thread, because an encoder takes seconds to load.
    """

    def __init__(self, open_retriever: Callable[[], Retriever], every: float = 2.0) -> None:
        super().__init__(name="index", daemon=True)
        self._open = open_retriever
        self._every = every
        self._stopped = threading.Event()

    def stop(self) -> None:
        """End it, and wait until it has."""
        self._stopped.set()
        self.join()

    def run(self) -> None:
        """Refresh until it is stopped. A store that cannot be reached is tried again."""
        try:
            retriever = self._open()
        except AnomalydError as error:
            _log.error("the index is not kept up: %s", error)
            return
        while not self._stopped.is_set():
            try:
                retriever.refresh(seconds=self._every)
            except AnomalydError as error:
                _log.warning("the index was not kept up: %s", error)
            self._stopped.wait(self._every)
        retriever.close()
