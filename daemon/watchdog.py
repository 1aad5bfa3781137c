"""Tells systemd that the daemon is ready, and, from the loop itself, that it goes round."""

from __future__ import annotations

import contextlib
import os
import socket
import time
from collections.abc import Callable, Mapping


class Watchdog:
    """Speaks systemd's notify protocol (sd_notify(3)); says nothing where nobody listens.

    `beat` belongs on every turn of the loop: a loop that hangs beats no more, and systemd ends the process
    after WatchdogSec and starts it again.
    """

    def __init__(
        self,
        environment: Mapping[str, str] = os.environ,
        *,
        every_s: float = 1.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        address = environment.get("NOTIFY_SOCKET", "")
        # An abstract socket is written with an @ in place of its first byte, which is 0.
        self._address = "\0" + address[1:] if address.startswith("@") else address
        self._every_s = every_s
        self._clock = clock
        self._next = 0.0

    def ready(self) -> None:
        """Say that the daemon has started."""
        self._say("READY=1")

    def beat(self) -> None:
        """Say that the loop goes round, once a second at most."""
        now = self._clock()
        if now >= self._next:
            self._next = now + self._every_s
            self._say("WATCHDOG=1")

    def reloading(self) -> None:
        """Say that the process begins anew with another configuration, and will be ready again."""
        self._say(f"RELOADING=1\nMONOTONIC_USEC={time.monotonic_ns() // 1000}")

    def stopping(self) -> None:
        """Say that the daemon ends."""
        self._say("STOPPING=1")

    def _say(self, state: str) -> None:
        if not self._address:
            return
        # A lost word is no reason to stop watching; systemd hears the next.
        with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as speaking:
            speaking.sendto(state.encode(), self._address)
