"""To Kafka, through outages of the brokers, without holding the producer of the messages up."""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Self

from kafka import KafkaProducer
from kafka.errors import MessageSizeTooLargeError, RecordListTooLargeError

from anomalyd.daemon.config.config import KafkaConfig
from anomalyd.daemon.kafka.connection.connection import close_producer, connect

_log = logging.getLogger(__name__)

BATCH = 500
ACKNOWLEDGED_WITHIN_S = 15.0

# To send these again would hold up what comes behind them for ever.
_TOO_LARGE = (MessageSizeTooLargeError, RecordListTooLargeError)


@dataclass(frozen=True, slots=True)
class Message:
    """What is sent: `time` becomes Kafka's timestamp, seconds since the epoch."""

    key: bytes
    value: bytes
    time: float


class Sender:
    """Sends messages to one topic, in order, in a thread of its own; a context manager.

    While the brokers are away, the newest `capacity` messages are kept and sent later; older ones are dropped
    and counted, as is a message that is too large. A message may arrive twice when the brokers died before
    they could acknowledge it.

    Arguments:
        topic: where to.
        producer_factory: makes a KafkaProducer, or one that behaves like it; called again after a failure.
        capacity: how many messages may wait.
        retry_s: the first and the longest pause after a failure.

    """

    def __init__(
        self,
        topic: str,
        producer_factory: Callable[[], Any],
        *,
        capacity: int = 10_000,
        retry_s: tuple[float, float] = (0.5, 10.0),
    ) -> None:
        self.topic = topic
        self._producer_factory = producer_factory
        self._capacity = capacity
        self._retry_s = retry_s
        self._thread = threading.Thread(target=self._run, name=f"sender-{topic}", daemon=True)
        self._changed = threading.Condition()
        self._waiting: deque[Message] = deque()
        self._under_way = 0
        self._stop_at: float | None = None
        self.sent = 0
        self.dropped = 0
        self.last_error: str | None = None

    @classmethod
    def to(cls, topic: str, config: KafkaConfig, *, capacity: int = 10_000) -> Self:
        """Make a sender to the brokers of a configuration."""

        def producer() -> Any:
            return connect(
                KafkaProducer,
                config,
                compression_type="lz4",
                reconnect_backoff_max_ms=1_000,
                max_block_ms=5_000,
                request_timeout_ms=int(ACKNOWLEDGED_WITHIN_S * 1000) - 1_000,
                delivery_timeout_ms=int(ACKNOWLEDGED_WITHIN_S * 1000),
                metrics_enabled=False,
            )

        return cls(topic, producer, capacity=capacity)

    def start(self) -> None:
        """Start sending; returns at once, also when no broker can be reached yet."""
        self._thread.start()

    def send(self, message: Message) -> None:
        """Put a message behind those that wait; never blocks."""
        with self._changed:
            self._waiting.append(message)
            self._drop_the_oldest()
            self._changed.notify_all()

    def flush(self, timeout_s: float) -> bool:
        """Wait until all is acknowledged; says whether it is."""
        with self._changed:
            return self._changed.wait_for(lambda: self.waiting == 0, timeout_s)

    @property
    def waiting(self) -> int:
        """How many messages are not acknowledged yet."""
        return len(self._waiting) + self._under_way

    def stop(self, timeout_s: float = 5.0) -> None:
        """Send what can be sent within `timeout_s`, and end the thread."""
        with self._changed:
            self._stop_at = time.monotonic() + timeout_s
            self._changed.notify_all()
        if self._thread.ident is not None:
            self._thread.join(timeout_s + 2.0)
        if self.waiting:
            _log.warning("%s: %d messages were never acknowledged", self.topic, self.waiting)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _drop_the_oldest(self) -> None:
        while len(self._waiting) > self._capacity:
            self._waiting.popleft()
            self.dropped += 1

    def _run(self) -> None:
        pause, longest = self._retry_s
        while not self._finished():
            producer = None
            try:
                producer = self._producer_factory()
                while not self._finished():
                    self._send_batch(producer)
                    pause = self._retry_s[0]
            except Exception as error:
                # What a failed producer still holds is unknown: it is sent again by a new one.
                self.last_error = f"{type(error).__name__}: {error}"
                _log.warning("%s: %s; %d messages wait", self.topic, self.last_error, self.waiting)
                with self._changed:
                    self._changed.wait_for(self._finished, min(pause, self._time_left()))
                pause = min(pause * 2, longest)
            finally:
                if producer is not None:
                    close_producer(producer, 1.0)

    def _finished(self) -> bool:
        """Say whether it is time to end: stopped, and nothing left to send or no time left for it."""
        return self._stop_at is not None and (not self._waiting or self._time_left() == 0)

    def _time_left(self) -> float:
        return ACKNOWLEDGED_WITHIN_S if self._stop_at is None else max(0.0, self._stop_at - time.monotonic())

    def _send_batch(self, producer: Any) -> None:
        """Send what waits, and put back what is not acknowledged; raises the first failure."""
        with self._changed:
            self._changed.wait_for(lambda: self._waiting or self._stop_at is not None)
            batch = [self._waiting.popleft() for _ in range(min(BATCH, len(self._waiting)))]
            self._under_way = len(batch)
        undelivered, lost, failure = self._deliver(producer, batch)
        with self._changed:
            self.sent += len(batch) - len(undelivered) - lost
            self.dropped += lost
            self._waiting.extendleft(reversed(undelivered))
            self._under_way = 0
            self._drop_the_oldest()
            self._changed.notify_all()
        if failure is not None:
            raise failure
        self.last_error = None

    def _deliver(self, producer: Any, batch: list[Message]) -> tuple[list[Message], int, Exception | None]:
        """Send a batch; give what was not acknowledged, how many can never be, and the first failure."""
        deadline = time.monotonic() + self._time_left()
        under_way: list[tuple[Message, Any]] = []
        failure: Exception | None = None
        not_begun: list[Message] = []
        lost = 0
        for number, message in enumerate(batch):
            at_ms = int(message.time * 1000)
            try:
                future = producer.send(self.topic, value=message.value, key=message.key, timestamp_ms=at_ms)
                under_way.append((message, future))
            except _TOO_LARGE:
                lost += 1
            except Exception as error:
                failure, not_begun = error, batch[number:]
                break
        undelivered: list[Message] = []
        for message, future in under_way:
            try:
                future.get(timeout=max(0.0, deadline - time.monotonic()))
            except _TOO_LARGE:
                lost += 1
            except Exception as error:
                failure = failure or error
                undelivered.append(message)
        if lost:
            _log.error("%s: %d messages are lost: they are too large for Kafka", self.topic, lost)
        return undelivered + not_begun, lost, failure
