"""The outbox -> Kafka: what a step put into the store is sent once its transaction is committed.

At least once comes from the store: a message leaves the outbox only when Kafka has acknowledged it. Not twice
comes from two things: an idempotent producer, for retries while it lives; and the number of the message in
its header, for a crash between acknowledgement and mark. Before a producer's first message the tails of the
topics are read, from the highest offset known to be acknowledged on, and what has arrived is marked. Of
several daemons on one store the one that holds the lease sends; it outlives a message's delivery timeout.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, Protocol

from kafka import KafkaConsumer, KafkaProducer, TopicPartition
from kafka.errors import MessageSizeTooLargeError, RecordListTooLargeError

from anomalyd.daemon.config.config import KafkaConfig
from anomalyd.daemon.kafka.connection.connection import close_producer, connect
from anomalyd.daemon.kafka.messages import PREFIX
from anomalyd.daemon.stages import Partition
from anomalyd.errors import AnomalydError, BrokerError
from anomalyd.reports.step import Outgoing

log = logging.getLogger(__name__)


ID_HEADER = PREFIX + "id"
BATCH = 500
ACKNOWLEDGED_WITHIN_S = 15.0
METADATA_WITHIN_MS = 5_000
QUIET_MS = 300  # a tail is at its end when nothing more came for so long: end offsets may lag behind
TAIL_WITHIN_S = 20.0
KEPT_BYTES = 65_536  # of a message that Kafka finds too large


class Lease(Protocol):
    """Whose turn it is to publish: `reports.storage.repositories.publisher_lease`."""

    def renew(self) -> bool:
        """Say whether it is still ours."""

    def take(self) -> bool:
        """Take it if nobody holds it; says whether it is ours now."""

    def release(self) -> None:
        """Let others have it."""


class Outbox(Protocol):
    """The part of the report store that a publisher works on."""

    @property
    def publisher_lease(self) -> Lease:
        """Give what lets one publisher at a time send."""

    def unsent(self, limit: int) -> list[Outgoing]:
        """Give the first messages, in order."""

    def mark_sent(self, ids: Sequence[int], positions: Mapping[Partition, int]) -> None:
        """Take messages out, and remember the highest offset acknowledged of each partition."""

    def sent_positions(self) -> dict[Partition, int]:
        """Give the highest offset acknowledged of each partition."""


class Publisher:
    """Sends the outbox in a thread of its own, in order, for as long as it takes.

    Arguments:
        store: where the outbox is.
        config: the brokers.
        producer_factory, consumer_factory: KafkaProducer and KafkaConsumer, or ones that behave alike.
        retry_s: the first and the longest pause after a failure.
        idle_s: how long a message may wait when nobody calls `wake`.

    Counters: `published` by topic, `recovered` (found to have arrived before a crash), `errors`;
    `last_error` while it does not go well.
    """

    def __init__(
        self,
        store: Outbox,
        config: KafkaConfig,
        *,
        producer_factory: Callable[..., Any] = KafkaProducer,
        consumer_factory: Callable[..., Any] = KafkaConsumer,
        retry_s: tuple[float, float] = (0.5, 5.0),
        idle_s: float = 0.5,
    ) -> None:
        self._store = store
        self._config = config
        self._producer_factory = producer_factory
        self._consumer_factory = consumer_factory
        self._retry_s = retry_s
        self._idle_s = idle_s
        self._thread = threading.Thread(target=self._run, name="kafka-outbox", daemon=True)
        self._stopping = threading.Event()
        self._woken = threading.Event()
        self.published: dict[str, int] = {}
        self.recovered = 0
        self.errors = 0
        self.last_error: str | None = None

    def start(self) -> None:
        """Start sending; returns at once, also when no broker can be reached yet."""
        self._thread.start()

    def wake(self) -> None:
        """Say that there is something new in the outbox."""
        self._woken.set()

    def stop(self, timeout_s: float = 5.0) -> bool:
        """Send what can be sent at once and end the thread; says whether it ended in time.

        What stays unsent stays in the store, and is sent by the next start.
        """
        self._stopping.set()
        self._woken.set()
        if self._thread.ident is not None:
            self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def alive(self) -> bool:
        """Say whether the thread runs (it outlives every outage of the brokers)."""
        return self._thread.is_alive()

    def _run(self) -> None:
        pause, longest = self._retry_s
        while not self._stopping.is_set():
            before = sum(self.published.values())
            try:
                self._publish()
            except Exception as error:
                # It is unknown now what has arrived: the next producer begins with a look at the tails.
                self.errors += 1
                self.last_error = f"{type(error).__name__}: {error}"
                log.warning("outbox: %s", self.last_error)
                if sum(self.published.values()) > before:
                    pause = self._retry_s[0]
                self._stopping.wait(pause)
                pause = min(pause * 2, longest)
        try:
            self._store.publisher_lease.release()
        except AnomalydError as error:  # the others wait until it runs out
            log.warning("outbox: the lease is not given back: %s", error)

    def _publish(self) -> None:
        """Send until stopped, and then what is left."""
        producer = None
        looked_at: set[str] = set()
        try:
            while True:
                stopping = self._stopping.is_set()
                if not self._store.publisher_lease.renew():
                    # Another may have sent since: what arrived is looked for anew.
                    looked_at.clear()
                    if not self._store.publisher_lease.take():
                        # What went wrong here while it was our turn says nothing of the one that sends now.
                        self.last_error = None
                        if stopping:
                            return
                        self._pause()
                        continue
                rows = self._store.unsent(BATCH)
                if not rows:
                    self.last_error = None
                    if stopping:
                        return
                    self._pause()
                    continue
                producer = producer or self._connect()
                topics = {row.entry.topic for row in rows} - looked_at
                if topics:
                    self._mark_arrived(rows, topics, producer)
                    looked_at |= topics
                else:
                    self._send(rows, producer)
                    self.last_error = None
        finally:
            if producer is not None:
                close_producer(producer, 2.0)

    def _pause(self) -> None:
        self._woken.wait(self._idle_s)
        self._woken.clear()

    def _connect(self) -> Any:
        within_ms = int(ACKNOWLEDGED_WITHIN_S * 1000)
        return connect(
            self._producer_factory,
            self._config,
            acks="all",
            enable_idempotence=True,
            max_block_ms=METADATA_WITHIN_MS,
            delivery_timeout_ms=within_ms,
            # Hardly shorter: what kafka-python sends again to a broker that hangs keeps a core busy.
            request_timeout_ms=within_ms - 1_000,
            max_request_size=2**31 - 1,  # the broker says what is too large
            metrics_enabled=False,
        )

    def _send(self, rows: Sequence[Outgoing], producer: Any) -> None:
        """Send rows, mark those that are acknowledged, raise what went wrong with the first that is not."""
        deadline = time.monotonic() + ACKNOWLEDGED_WITHIN_S + 1.0
        futures = [_send_one(row, producer) for row in rows]
        ids: list[int] = []
        positions: dict[Partition, int] = {}
        failure: Exception | None = None
        for row, future in zip(rows, futures, strict=True):
            try:
                try:
                    acknowledged = future.get(timeout=max(0.0, deadline - time.monotonic()))
                except (MessageSizeTooLargeError, RecordListTooLargeError):
                    acknowledged = _send_one(_shortened(row), producer).get(timeout=ACKNOWLEDGED_WITHIN_S)
            except Exception as error:
                failure = failure or error
                continue
            ids.append(row.id)
            self.published[row.entry.topic] = self.published.get(row.entry.topic, 0) + 1
            # A message that failed may yet have arrived: the next look at the tail must begin before it.
            if failure is None:
                place = (acknowledged.topic, acknowledged.partition)
                positions[place] = max(acknowledged.offset, positions.get(place, -1))
        if ids:
            self._store.mark_sent(ids, positions)
        if failure is not None:
            raise failure

    def _mark_arrived(self, rows: Sequence[Outgoing], topics: Iterable[str], producer: Any) -> None:
        """Mark those of the rows that lie in the tails of the topics; remember where new tails begin."""
        consumer = connect(
            self._consumer_factory,
            self._config,
            group_id=None,
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            metrics_enabled=False,
        )
        try:
            # The producer is asked for the partitions: it waits for a topic that is made by asking.
            places = [TopicPartition(t, p) for t in topics for p in sorted(producer.partitions_for(t) or ())]
            ends = consumer.end_offsets(places, timeout_ms=METADATA_WITHIN_MS)
            begins = consumer.beginning_offsets(places, timeout_ms=METADATA_WITHIN_MS)
            known = self._store.sent_positions()
            used = {topic for topic, _ in known}
            # Where nothing was ever sent there is no tail: it begins here.
            new = {tuple(place): end - 1 for place, end in ends.items() if place.topic not in used}
            tails = {
                place: max(known.get(tuple(place), -1) + 1, begins[place])
                for place in places
                if place.topic in used
            }
            arrived = _arrived(rows, _read(consumer, tails, ends))
            if arrived or new:
                self._store.mark_sent(arrived, new)
            self.recovered += len(arrived)
        finally:
            consumer.close(autocommit=False, timeout_ms=2_000)


def _send_one(row: Outgoing, producer: Any) -> Any:
    entry = row.entry
    headers = [*entry.headers, (ID_HEADER, str(row.id).encode())]
    return producer.send(entry.topic, value=entry.value, key=entry.key, headers=headers)


def _shortened(row: Outgoing) -> Outgoing:
    """Cut a message that Kafka finds too large: most of a dead letter is better than a blocked outbox."""
    entry = row.entry
    value = entry.value or b""
    log.warning(
        "outbox: message %d for %s is too large for Kafka; cut to %d", row.id, entry.topic, KEPT_BYTES
    )
    told = (PREFIX + "cut-from", str(len(value)).encode())
    return replace(row, entry=replace(entry, value=value[:KEPT_BYTES], headers=(*entry.headers, told)))


def _read(consumer: Any, tails: Mapping[Any, int], ends: Mapping[Any, int]) -> Iterator[Any]:
    """Read partitions from the given offsets to their ends."""
    if not tails:
        return
    consumer.assign(list(tails))
    for place, offset in tails.items():
        consumer.seek(place, offset)
    last = time.monotonic()
    while True:
        polled = consumer.poll(timeout_ms=QUIET_MS)
        if polled:
            last = time.monotonic()
            for records in polled.values():
                yield from records
        elif all((consumer.position(place, timeout_ms=QUIET_MS) or 0) >= ends[place] for place in tails):
            return
        elif time.monotonic() - last > TAIL_WITHIN_S:
            raise BrokerError("the output topics cannot be read, so it is unknown what was sent before")


def _arrived(rows: Sequence[Outgoing], records: Iterable[Any]) -> list[int]:
    """Give the numbers of the rows that are among the records.

    Another anomalyd with a store of its own may write there too: a number says nothing without the content.
    """
    waiting = {str(row.id).encode(): row for row in rows}
    found = []
    for record in records:
        row = waiting.get(dict(record.headers).get(ID_HEADER, b""))
        if row is not None and record.topic == row.entry.topic and record.key == row.entry.key:
            value = row.entry.value
            if record.value in (value, (value or b"")[:KEPT_BYTES]):
                found.append(row.id)
    return found
