"""Sends the canaries: every minute a healthy and a faulty sample for each detector, into the real topic."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Collection
from typing import Any

from kafka import KafkaProducer

from anomalyd.daemon.canary.planted import Template
from anomalyd.daemon.config.config import Config
from anomalyd.daemon.intake.formats.canary import encode_canary
from anomalyd.daemon.kafka.connection.connection import close_producer, connect
from anomalyd.daemon.telemetry.telemetry import Telemetry

_log = logging.getLogger(__name__)

_ACKNOWLEDGED_WITHIN_S = 3.0
"""A daemon that stops cannot wait longer; one that is not acknowledged by then is missed."""


class CanarySender:
    """Sends canaries in a thread of its own, each into the partition from which its entity is read.

    So whoever remembers that entity judges it. One that cannot be sent counts as sent, and so as missed.

    Arguments:
        config: the brokers, and how often.
        templates: gives what canaries can be made of now.
        telemetry: counts what is sent.
        producer_factory: makes a KafkaProducer, or one that behaves like it; called again after a failure.
        clock: wall clock, seconds since the epoch.

    """

    def __init__(
        self,
        config: Config,
        templates: Callable[[], Collection[Template]],
        telemetry: Telemetry,
        *,
        producer_factory: Callable[..., Any] = KafkaProducer,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._config = config
        self._templates = templates
        self._telemetry = telemetry
        self._producer_factory = producer_factory
        self._clock = clock
        self._thread = threading.Thread(target=self._run, name="canary", daemon=True)
        self._stopping = threading.Event()
        self._producer: Any = None

    def start(self) -> None:
        """Begin to send; returns at once, also when no broker can be reached."""
        self._thread.start()

    def stop(self, timeout_s: float) -> bool:
        """Send no more; says whether the thread has ended."""
        self._stopping.set()
        if self._thread.ident is not None:
            self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def send(self) -> None:
        """Send the canaries of now, and wait until Kafka has acknowledged them; a failure is logged."""
        canaries = [
            (made, each.sample) for each in self._templates() for made in each.canaries(self._clock())
        ]
        for canary, _ in canaries:
            self._telemetry.canary.sent(canary.detector, canary.kind)
        if not canaries:
            return
        try:
            if self._producer is None:
                self._producer = self._connected()
            under_way = []
            for canary, sample in canaries:
                value, headers = encode_canary(canary)
                under_way.append(
                    self._producer.send(
                        sample.topic,
                        value=value,
                        key=sample.entity.encode(),
                        headers=headers,
                        partition=sample.partition,
                    )
                )
            for future in under_way:
                future.get(timeout=_ACKNOWLEDGED_WITHIN_S)
        except Exception as error:
            _log.warning("canaries were not sent: %s: %s", type(error).__name__, error)
            self._close()

    def _run(self) -> None:
        while not self._stopping.wait(self._config.canary.every_s):
            self.send()
        self._close()

    def _connected(self) -> Any:
        within_ms = int(_ACKNOWLEDGED_WITHIN_S * 1000)
        return connect(
            self._producer_factory,
            self._config.kafka,
            max_block_ms=within_ms,
            request_timeout_ms=within_ms - 500,
            delivery_timeout_ms=within_ms,
            metrics_enabled=False,
        )

    def _close(self) -> None:
        producer, self._producer = self._producer, None
        if producer is not None:
            close_producer(producer, 0.5)
