"""The host agent: what this host does, into Kafka, once a second."""

from __future__ import annotations

import platform
import time
from collections.abc import Callable, Mapping

import msgspec

from anomalyd.daemon.producers.sender import Message, Sender
from anomalyd.daemon.producers.ticks import Ticks


def host_entity() -> str:
    """Give this host's entity, `host/NAME`."""
    return f"host/{platform.node() or 'localhost'}"


class HostAgent:
    """Sends the metrics of one host, in the format `json`, its entity being the key.

    Arguments:
        sender: where to; the caller starts and stops it.
        measure: gives the metrics by name (`HostMetrics.measure`).
        entity: whose they are.
        ticks: when.
        clock: wall clock, seconds since the epoch: the event time.

    """

    def __init__(
        self,
        sender: Sender,
        measure: Callable[[], Mapping[str, float]],
        *,
        entity: str | None = None,
        ticks: Ticks | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.entity = entity or host_entity()
        self._sender = sender
        self._measure = measure
        self._ticks = ticks or Ticks(1.0)
        self._clock = clock

    def run(self) -> None:
        """Measure and send until `stop`."""
        for _ in self._ticks:
            now = self._clock()
            sample = {"entity": self.entity, "time": now, "values": self._measure()}
            self._sender.send(Message(self.entity.encode(), msgspec.json.encode(sample), now))

    def stop(self) -> None:
        """Make `run` return; from any thread or signal handler."""
        self._ticks.stop()
