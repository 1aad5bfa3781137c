"""Kafka -> Record: reads in a thread of its own, and starts every partition where the report store says.

Exactly-once comes from the store, not from Kafka: offsets are kept in the transaction that keeps the reports,
and a partition that is assigned is sought to its stored offset before a record of it is handed out.

The taker's side of the bargain (one thread, the service loop):

    while running:
        polled = source.take(timeout_s)    # what was polled before is dealt with: committed, or forgotten
        if polled is None: continue
        if polled.revoked or polled.assigned:
            forget everything of these partitions that is not in the store; there are no records yet
            source.start_at(offsets)       # the stored ones, read now: nothing is under way
        for batch in polled.batches: ...

What is taken is either news of partitions or records, in the order things happened. No record of a partition
is handed out before `start_at` has said where it begins.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from kafka import KafkaConsumer, OffsetAndMetadata, TopicPartition

from anomalyd.daemon.config.config import KafkaConfig
from anomalyd.daemon.kafka.connection.access import explained
from anomalyd.daemon.kafka.consumer_lag import ConsumerLag
from anomalyd.daemon.kafka.membership import end_earlier_membership, group_consumer, member_id_of
from anomalyd.daemon.kafka.poll_result import Batch, PollResult
from anomalyd.daemon.kafka.rebalance import RebalanceListener
from anomalyd.daemon.kafka.record_queue import RecordQueue
from anomalyd.daemon.kafka.start_offsets import StartOffsets
from anomalyd.daemon.kafka.topic_ids import TopicIds
from anomalyd.daemon.stages import Partition, Record

__all__ = ["Batch", "KafkaSource", "PollResult"]

log = logging.getLogger(__name__)

POLL_MS = 50  # how long the resuming of a paused partition may wait for the poll under way
IDLE_POLL_MS = 200  # ... and a seek, where nothing waits: each poll costs most of what an idle daemon uses
AWAY_S = 0.25  # between polls while no broker answers: kafka-python spins within each of them
LAG_EVERY_S = 1.0
COMMIT_EVERY_S = 1.0  # Kafka's own commit is advisory: it costs a request, and nothing depends on it


class KafkaSource:
    """A member of the consumer group: polls, queues, pauses when the queue is full, seeks, comes back.

    Arguments:
        config: the brokers, the group, and how much may wait in the queue.
        topics: what to read.
        clock: monotonic seconds.
        consumer_factory: KafkaConsumer, or one that behaves like it.
        end_membership: ends what an earlier life of this daemon, or its last consumer, left in the group.
        retry_s: the first and the longest pause before a new connection.
        topic_ids: which topics the stored offsets belong to.
        trained_until: the event time (s) that the models were trained up to, for the start `trained`.

    """

    def __init__(
        self,
        config: KafkaConfig,
        topics: Sequence[str],
        *,
        clock: Callable[[], float] = time.monotonic,
        consumer_factory: Callable[..., Any] = KafkaConsumer,
        end_membership: Callable[[KafkaConfig, str | None], None] = end_earlier_membership,
        retry_s: tuple[float, float] = (0.5, 5.0),
        topic_ids: TopicIds | None = None,
        trained_until: Callable[[], float | None] = lambda: None,
    ) -> None:
        self._config = config
        self._topics = list(topics)
        self._clock = clock
        self._consumer_factory = consumer_factory
        self._end_membership = end_membership
        self._retry_s = retry_s
        self._away = threading.Event()
        self._thread = threading.Thread(target=self._run, name="kafka-source", daemon=True)
        self._stopping = threading.Event()

        # Shared by the two threads, under the lock.
        self._changed = threading.Condition()
        self._queue = RecordQueue()
        self._owned: set[Partition] = set()  # assigned by Kafka
        self._placed: set[Partition] = set()  # ... and sought: their records count
        self._known: set[Partition] = set()  # ... and the taker has been told
        self._lost: set[Partition] = set()  # known to the taker, and gone since
        self._seeks: dict[Partition, int | None] = {}
        self._commits: dict[Partition, int] = {}
        self._generation = 0
        self._lag = ConsumerLag()
        self._errors = 0
        self._last_error: str | None = None
        self._connected = False

        # Of the source's thread alone.
        self._topic_ids = topic_ids or TopicIds()
        self._start_offsets = StartOffsets(config.start, self._topic_ids, trained_until)
        self._rebalances: deque[tuple[bool, set[Partition]]] = deque()
        self._next_lag = self._next_commit = 0.0
        self._member_id: str | None = None  # of the last consumer that was given up

    # ---- the taker's side

    def start(self) -> None:
        """Start reading; returns at once, also when no broker can be reached yet."""
        self._thread.start()

    def take(self, timeout_s: float, max_records: int | None = None) -> PollResult | None:
        """Wait for what comes next; None when nothing did. Calling it says: what was taken is dealt with.

        At most `max_records` (by default `max_poll_records`) are handed out, save that a batch stays whole.
        """
        limit = max_records or self._config.max_poll_records
        with self._changed:
            self._changed.wait_for(lambda: self._queue or self._news(), timeout_s)
            if self._news():
                return self._tell()
            batches = self._queue.take(limit)
            return PollResult(batches, generation=self._generation) if batches else None

    def start_at(self, offsets: Mapping[Partition, int]) -> None:
        """Say where the partitions begin that were told as assigned: the store's next offset of each.

        A partition that `offsets` does not name begins where `StartOffsets` has it. One that was lost since
        it was told is announced anew, and waits for that.
        """
        with self._changed:
            for place in self._known - self._placed - self._lost - self._seeks.keys():
                self._seeks[place] = offsets.get(place)

    def rewind(self) -> None:
        """Start every partition again at its stored offset: another daemon has moved the offsets on.

        What waits in the queue is dropped; the next `take` gives all partitions as revoked and assigned.
        """
        with self._changed:
            self._lost |= self._known & self._owned
            self._forget(self._owned)

    def committed(self, offsets: Mapping[Partition, int]) -> None:
        """Tell Kafka, some time soon, up to where the store has it; for those who watch the group's lag."""
        with self._changed:
            self._commits.update(offsets)

    def answers(self, is_so: bool) -> None:
        """Note whether any broker answers; while none does, it is polled only now and then."""
        (self._away.clear if is_so else self._away.set)()

    def lag(self) -> Mapping[Partition, int]:
        """Give the consumer lag of each placed partition: messages in Kafka that nobody has taken yet."""
        with self._changed:
            return self._lag.lag(self._queue.by_partition())

    def behind(self) -> frozenset[Partition]:
        """Give the placed partitions of which there may be more to take right now."""
        with self._changed:
            return self._lag.behind(self._placed, self._queue.by_partition())

    def assigned(self) -> frozenset[Partition]:
        """Give the partitions whose records are being read."""
        with self._changed:
            return frozenset(self._placed)

    def owned(self) -> frozenset[Partition]:
        """Give the partitions that Kafka has assigned to us, whether they are being read or not."""
        with self._changed:
            return frozenset(self._owned)

    def alive(self) -> bool:
        """Say whether the thread runs (it outlives every outage of the brokers)."""
        return self._thread.is_alive()

    @property
    def connected(self) -> bool:
        """Whether there is a consumer whose last poll went well."""
        return self._connected

    @property
    def queued(self) -> int:
        """How many records wait to be taken."""
        return self._queue.records

    @property
    def errors(self) -> int:
        """How often the connection was lost or could not be made, or Kafka refused a commit."""
        return self._errors

    @property
    def last_error(self) -> str | None:
        """Why there is no connection; None while there is one."""
        return self._last_error

    def stop(self, timeout_s: float = 8.0) -> bool:
        """Leave the group and end the thread; says whether it ended in time."""
        self._stopping.set()
        if self._thread.ident is not None:
            self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def _news(self) -> bool:
        return bool(self._lost or self._owned - self._known)

    def _tell(self) -> PollResult:
        revoked = frozenset(self._lost)
        self._known -= self._lost
        assigned = frozenset(self._owned - self._known)
        self._known |= assigned
        self._lost.clear()
        self._generation += 1
        return PollResult((), assigned, revoked, self._generation)

    def _forget(self, places: set[Partition]) -> None:
        """Drop what is queued of these partitions, and what was known of their place."""
        self._queue.forget(places)
        self._placed -= places
        for place in places:
            self._seeks.pop(place, None)
            self._commits.pop(place, None)
            self._lag.forget(place)
        self._changed.notify_all()

    # ---- the source's thread

    def _run(self) -> None:
        pause, longest = self._retry_s
        while not self._stopping.is_set():
            consumer = None
            try:
                consumer = self._connect()
                while not self._stopping.is_set():
                    self._step(consumer)
                    if not self._connected:
                        self._connected, self._last_error, pause = True, None, self._retry_s[0]
            except Exception as error:
                # kafka-python does not promise that a consumer whose poll raised can go on: make a new one.
                self._last_error = self._count("reading", error)
            finally:
                self._connected = False
                owned = set(self._owned)
                self._revoked(owned)
                if consumer is not None:
                    self._close(consumer, joining=not owned)
            if self._stopping.wait(pause):
                break
            pause = min(pause * 2, longest)

    def _connect(self) -> Any:
        self._end_membership(self._config, self._member_id)
        consumer = group_consumer(self._consumer_factory, self._config)
        self._rebalances.clear()
        consumer.subscribe(self._topics, listener=RebalanceListener(self._rebalances, consumer))
        return consumer

    def _step(self, consumer: Any) -> None:
        self._seek(consumer)
        self._pause_or_resume(consumer)
        polled = consumer.poll(timeout_ms=self._poll_ms())
        # Partitions assigned during this poll are not placed yet: what it brought of them is discarded.
        self._rebalance()
        self._enqueue(polled)
        now = self._clock()
        if now >= self._next_lag:
            self._next_lag = now + LAG_EVERY_S
            self._measure(consumer)
            if self._topic_ids.look(consumer, self._topics):
                self.rewind()
        if self._commits and now >= self._next_commit:
            self._next_commit = now + COMMIT_EVERY_S
            consumer.commit_async(self._commits_for_kafka(), callback=self._commit_done)

    def _poll_ms(self) -> int:
        if self._away.is_set():
            self._stopping.wait(AWAY_S)
            return 0
        return POLL_MS if self._queue.records else IDLE_POLL_MS

    def _rebalance(self) -> None:
        while self._rebalances:
            came, places = self._rebalances.popleft()
            self._revoked(places)
            if came:
                with self._changed:
                    self._owned |= places
                    self._changed.notify_all()

    def _revoked(self, places: set[Partition]) -> None:
        with self._changed:
            self._lost |= places & self._known & self._owned
            self._owned -= places
            self._forget(places)

    def _seek(self, consumer: Any) -> None:
        if not self._seeks:
            return
        with self._changed:
            seeks = self._seeks.copy()
        # Round trips outside the lock; a rewind meanwhile asks anew, and then this placing does not count.
        self._start_offsets.seek(consumer, seeks)
        with self._changed:
            for place, stored in seeks.items():
                if place in self._seeks and self._seeks[place] == stored:
                    del self._seeks[place]
                    self._placed.add(place)

    def _pause_or_resume(self, consumer: Any) -> None:
        """Stop fetching while the queue is full, but poll on: a member that does not is thrown out."""
        assigned, paused = consumer.assignment(), consumer.paused()
        with self._changed:
            ready = {place for place in assigned if tuple(place) in self._placed}
        if self._queue.records > self._config.queue_records:
            ready = set()
        elif self._queue.records > self._config.queue_records // 2:
            ready -= paused
        consumer.pause(*(assigned - ready - paused))
        consumer.resume(*(ready & paused))

    def _enqueue(self, polled: Mapping[Any, list[Any]]) -> None:
        for place, raws in polled.items():
            topic, partition = place
            records = [
                Record(
                    topic, partition, offset, timestamp / 1000, key, value, tuple(headers) if headers else ()
                )
                for _, _, _, offset, timestamp, _, key, value, headers, _, _, _, _ in raws
            ]
            with self._changed:
                if (topic, partition) in self._placed:
                    self._start_offsets.began((topic, partition), records[0].offset)
                    self._queue.put(Batch(topic, partition, records))
                    self._changed.notify_all()

    def _measure(self, consumer: Any) -> None:
        lag = {}
        for place in consumer.assignment():
            if tuple(place) not in self._placed:
                continue
            # 0: do not wait for a position that is still being asked for.
            position, highwater = consumer.position(place, timeout_ms=0), consumer.highwater(place)
            if position is None:
                continue
            # Also of a partition that is silent so far: with `start: latest` a new connection must not skip
            # what arrives during an outage.
            self._start_offsets.began(tuple(place), position)
            if highwater is not None:
                lag[tuple(place)] = max(0, highwater - position)
        with self._changed:
            self._lag.measure({place: behind for place, behind in lag.items() if place in self._placed})

    def _commits_for_kafka(self) -> dict[Any, Any]:
        with self._changed:
            commits, self._commits = self._commits, {}
            return {
                TopicPartition(*place): OffsetAndMetadata(offset, "", -1)
                for place, offset in commits.items()
                if place in self._owned
            }

    def _commit_done(self, offsets: Any, response: Any) -> None:
        if isinstance(response, Exception):
            self._count("committing (advisory)", response)

    def _close(self, consumer: Any, joining: bool) -> None:
        self._member_id = member_id_of(consumer) or self._member_id
        if joining and not self._away.is_set():
            try:
                # A broker reads nothing of a connection on which a join waits, so not that it leaves either:
                # the others would wait for it until its session ends.
                self._end_membership(self._config, self._member_id)
            except Exception as error:
                self._count("leaving the group", error)
        try:
            if commits := self._commits_for_kafka():
                consumer.commit(commits, timeout_ms=1_000)
        except Exception as error:
            self._count("the last commit (advisory)", error)
        try:
            consumer.close(autocommit=False, timeout_ms=3_000)
        except Exception as error:
            self._count("leaving the group", error)

    def _count(self, doing: str, error: Exception) -> str:
        self._errors += 1
        text = f"{doing}: {explained(error, self._config)}"
        log.warning("Kafka: %s", text)
        return text
