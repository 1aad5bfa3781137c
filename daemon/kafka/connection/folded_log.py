"""kafka-python says of a broker that is away many lines a minute: one of them is enough."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

_EVERY_S = 60.0


class FoldedLog(logging.Filter):
    """Lets one line of kafka-python through a minute, which says how many were left out before it.

    A filter of the handler, since filters of a logger do not see what comes from the loggers below it.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._clock = clock
        self._next = float("-inf")
        self._left_out = 0

    def filter(self, record: logging.LogRecord) -> bool:
        """Say whether a line is written."""
        if record.name != "kafka" and not record.name.startswith("kafka."):
            return True
        if self._clock() < self._next:
            self._left_out += 1
            return False
        self._next = self._clock() + _EVERY_S
        # A socket that closes while it is read is told with a traceback, which says nothing to an operator.
        record.exc_info = record.exc_text = None
        if self._left_out:
            record.msg = f"{record.getMessage()} (and {self._left_out} more lines of kafka-python before)"
            record.args = ()
            self._left_out = 0
        return True
