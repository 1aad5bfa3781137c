"""Metrics of what comes from Kafka and goes to it."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from anomalyd.daemon.telemetry.metric_factory import Families, set_partitions


class KafkaMetrics:
    """Records taken, consumer lag, newest event times, connections lost, messages published."""

    def __init__(
        self, families: Families, *, topics: Collection[str] = (), output_topics: Collection[str] = ()
    ) -> None:
        self._consumed = families.counter(
            "records_consumed", "Records taken from Kafka, each counted once.", "topic"
        )
        self._again = families.counter(
            "records_reread", "Records taken again, after a rebalance or a failure of the store.", "topic"
        )
        self._lag = families.gauge("consumer_lag", "Records in Kafka not taken yet.", "topic", "partition")
        self._event_time = families.gauge(
            "last_event_timestamp_seconds",
            "Event time of the newest sample, seconds since the epoch.",
            "topic",
            "partition",
        )
        self._queue = families.gauge("queue_records", "Records taken from Kafka that wait to be scored.")
        self._source_errors = families.counter("source_errors", "Connections to Kafka lost, or not made.")
        self._answers = families.gauge("kafka_answers", "Whether any broker answered when last asked.")
        self._outbox = families.gauge(
            "outbox_pending", "Messages stored that Kafka has not acknowledged yet."
        )
        self._published = families.counter("published", "Messages that Kafka has acknowledged.", "topic")
        self._lost = families.counter("records_lost", "Records deleted by Kafka, unread.", "topic")
        self._anew = families.counter(
            "partitions_made_anew",
            "Partitions of topics deleted and made anew, read from the beginning.",
            "topic",
        )
        for topic in topics:
            for of_topic in (self._consumed, self._again, self._lost, self._anew):
                of_topic.labels(topic)
        for topic in output_topics:
            self._published.labels(topic)

    def consumed(self, topic: str, records: int, again: int = 0) -> None:
        """Count records taken from Kafka for the first time, and those taken again."""
        self._consumed.labels(topic).inc(records)
        self._again.labels(topic).inc(again)

    def lag(self, records: Mapping[tuple[str, int], int]) -> None:
        """Set the consumer lag by (topic, partition); partitions that are not named are no longer ours."""
        set_partitions(self._lag, records)

    def last_event_time(self, seconds: Mapping[tuple[str, int], float]) -> None:
        """Set the newest event time by (topic, partition); partitions not named are no longer ours."""
        set_partitions(self._event_time, seconds)

    def queue(self, records: int) -> None:
        """Set how many records wait to be scored."""
        self._queue.set(records)

    def source_error(self, errors: int = 1) -> None:
        """Count connections to Kafka lost, or not made."""
        self._source_errors.inc(errors)

    def answers(self, is_so: bool) -> None:
        """Say whether any broker answered when they were last asked."""
        self._answers.set(is_so)

    def records_lost(self, topic: str, records: int) -> None:
        """Count records that Kafka deleted before they were read."""
        self._lost.labels(topic).inc(records)

    def made_anew(self, topic: str, partitions: int) -> None:
        """Count partitions of a topic that was deleted and made anew."""
        self._anew.labels(topic).inc(partitions)

    def outbox_pending(self, messages: int) -> None:
        """Set how many stored messages Kafka has not acknowledged."""
        self._outbox.set(messages)

    def published(self, topic: str, messages: int) -> None:
        """Count messages that Kafka has acknowledged."""
        self._published.labels(topic).inc(messages)
