"""The source: where it starts, what it tells, and that nothing is lost or doubled whatever happens."""

from __future__ import annotations

import itertools
import logging
import os
import random
import threading
import time
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
from kafka import KafkaConsumer, KafkaProducer
from kafka.admin import KafkaAdminClient
from kafka.errors import KafkaConnectionError, KafkaError, KafkaTimeoutError, SaslAuthenticationFailedError
from pydantic import SecretStr

from anomalyd.daemon.broker import LocalBroker
from anomalyd.daemon.broker.ports import reserve_port
from anomalyd.daemon.config.config import KafkaConfig, Security
from anomalyd.daemon.kafka.connection.connection import client_settings, close_producer, connect
from anomalyd.daemon.kafka.source import KafkaSource, PollResult
from anomalyd.errors import BrokerError

Partition = tuple[str, int]


class Taker:
    """A service loop in small: its store knows what it has read, and refuses a gap or a repetition."""

    def __init__(self, kafka: Any, source: KafkaSource, stored: dict[Partition, int]) -> None:
        self.kafka, self.source, self.stored = kafka, source, stored
        self.values: list[bytes] = []
        self.news: list[PollResult] = []
        self.owned: frozenset[Partition] = frozenset()

    def take(self, timeout_s: float = 0.02) -> PollResult | None:
        polled = self.source.take(timeout_s)
        if polled is None:
            return None
        if polled.assigned or polled.revoked:
            assert not polled.batches
            assert polled.revoked <= self.owned
            self.owned = self.owned - polled.revoked | polled.assigned
            self.news.append(polled)
            self.source.start_at(dict(self.stored))
        for batch in polled.batches:
            place = (batch.topic, batch.partition)
            assert place in self.owned
            assert batch.records[0].offset == self.stored.get(place, batch.records[0].offset)
            self.stored[place] = batch.next_offset
            self.values += [record.value for record in batch.records if record.value is not None]
        return polled

    def take_until(self, condition: Callable[[], Any], within_s: float = 180.0) -> None:
        deadline = time.monotonic() + within_s
        while not condition():
            assert time.monotonic() < deadline, f"not in time; last error: {self.source.last_error}"
            self.take()


@pytest.fixture
def start(kafka: Any, stopping: Any, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Taker]:
    """Start a source on the fake: start(stored=..., start="latest", ...) -> its taker."""
    kafka.create("in", 2)
    monkeypatch.setattr("anomalyd.daemon.kafka.source.POLL_MS", 5)
    monkeypatch.setattr("anomalyd.daemon.kafka.source.IDLE_POLL_MS", 5)

    def starting(
        stored: dict[Partition, int] | None = None, trained_until: float | None = None, **settings: Any
    ) -> Taker:
        offsets = {} if stored is None else stored
        ticks = itertools.count(step=10)  # every look at the clock is 10 s later: nothing is put off
        source = stopping(
            KafkaSource(
                KafkaConfig(**settings),
                ["in"],
                clock=lambda: float(next(ticks)),
                consumer_factory=kafka.consumer,
                end_membership=lambda config, member_id: kafka.ended.append(member_id),
                retry_s=(0.01, 0.05),
                trained_until=lambda: trained_until,
            )
        )
        source.start()
        return Taker(kafka, source, offsets)

    return starting


def test_records_come_as_they_are(kafka: Any, start: Any) -> None:
    taker = start()
    kafka.produce("in", b"a", None, key=b"k", headers=[("h", b"1")])
    records: list[Any] = []
    while len(records) < 2:
        records += getattr(taker.take(), "records", [])
    first, second = records
    assert (first.topic, first.partition, first.offset, first.value) == ("in", 0, 0, b"a")
    assert (first.timestamp, first.key, first.headers) == (1_795_288_499.5, b"k", (("h", b"1"),))
    assert (second.offset, second.value) == (1, None)


def test_starts_at_the_stored_offset_and_not_where_kafka_says(kafka: Any, start: Any) -> None:
    kafka.produce("in", *[b"%d" % i for i in range(10)])
    kafka.committed["in", 0] = 9
    taker = start({("in", 0): 4})
    taker.take_until(lambda: len(taker.values) >= 6)
    assert taker.values == [b"4", b"5", b"6", b"7", b"8", b"9"]


@pytest.mark.parametrize(
    ("settings", "committed", "expected"),
    [
        ({"start": "earliest"}, None, 0),
        ({"start": "latest"}, None, 3),
        ({"start": "latest"}, 2, 2),
        ({"start": "trained"}, None, 0),  # no model yet
        ({"start": "trained", "trained_until": 1_795_288_498.5}, None, 0),
        ({"start": "trained", "trained_until": 1_795_288_499.5}, None, 3),
        ({"start": "trained", "trained_until": 1_795_288_499.5}, 2, 2),
    ],
)
def test_without_a_stored_offset_kafka_says_where_to_start(
    kafka: Any, start: Any, settings: dict[str, Any], committed: int | None, expected: int
) -> None:
    kafka.produce("in", b"0", b"1", b"2")
    if committed is not None:
        kafka.committed["in", 0] = committed
    taker = start(**settings)
    taker.take_until(lambda: len(taker.source.assigned()) == 2)
    kafka.produce("in", b"3")
    taker.take_until(lambda: b"3" in taker.values)
    assert taker.values == [b"0", b"1", b"2", b"3"][expected:]


def test_what_retention_deleted_is_passed_over_with_a_word(kafka: Any, start: Any, caplog: Any) -> None:
    kafka.produce("in", *[b"%d" % i for i in range(10)])
    kafka.delete_before("in", 7)
    taker = start(start="latest", stored={("in", 0): 4})
    records: list[Any] = []
    while len(records) < 3:
        polled = taker.source.take(5)  # not by the taker, which refuses gaps
        if polled is not None and polled.assigned:
            taker.source.start_at(taker.stored)
        records += getattr(polled, "records", [])
    assert [r.value for r in records] == [b"7", b"8", b"9"]
    assert "records 4 to 6 are gone" in caplog.text


def test_latest_skips_nothing_during_an_outage_before_the_first_record(
    kafka: Any, start: Any, eventually: Any
) -> None:
    kafka.produce("in", b"old")
    taker = start(start="latest")
    taker.take_until(lambda: len(taker.source.assigned()) == 2)
    polls = kafka.polls
    eventually(lambda: kafka.polls > polls + 2)
    kafka.down = True
    eventually(lambda: not taker.source.connected)
    kafka.produce("in", b"new")
    kafka.down = False
    taker.take_until(lambda: taker.values)
    assert taker.values == [b"new"]


def test_rewind_drops_the_queue_and_starts_again_at_the_stored_offsets(
    kafka: Any, start: Any, eventually: Any
) -> None:
    taker = start()
    taker.take_until(lambda: len(taker.source.assigned()) == 2)
    kafka.produce("in", *[b"%d" % i for i in range(5)])
    eventually(lambda: taker.source.queued == 5)
    taker.stored["in", 0] = 3  # another daemon has done three of them
    taker.source.rewind()
    assert taker.source.queued == 0
    news = taker.take()
    assert news is not None
    assert news.revoked == news.assigned == {("in", 0), ("in", 1)}
    taker.take_until(lambda: len(taker.values) >= 2)
    assert taker.values == [b"3", b"4"]


def test_a_rewind_without_stored_offsets_starts_where_reading_began(kafka: Any, start: Any) -> None:
    kafka.produce("in", b"0", b"1")
    kafka.committed["in", 0] = 1
    source = start().source
    records: list[Any] = []

    def take() -> None:
        polled = source.take(5)
        if polled is not None and polled.assigned:
            source.start_at({})
        records.extend(getattr(polled, "records", []))

    while not records:
        take()
    source.rewind()  # what was taken was not stored
    while len(records) < 2:
        take()
    assert [r.value for r in records] == [b"1", b"1"]


def test_offsets_read_before_a_rebalance_do_not_count_after_it(
    kafka: Any, stopping: Any, eventually: Any
) -> None:
    kafka.create("in")
    kafka.produce("in", *[b"%d" % i for i in range(5)])
    source = stopping(KafkaSource(KafkaConfig(), ["in"], consumer_factory=kafka.consumer))
    source.start()
    assert source.take(5) is not None  # the news; the store says 0, and while it is asked ...
    kafka.assign(("in", 0))
    polls = kafka.polls
    eventually(lambda: kafka.polls > polls + 2)
    source.start_at({("in", 0): 0})  # ... who had it in between has done three
    taker = Taker(kafka, source, {("in", 0): 3})
    taker.owned = frozenset({("in", 0)})
    taker.take_until(lambda: taker.values)
    assert taker.values == [b"3", b"4"]


def test_a_rewind_while_a_seek_is_under_way_counts(kafka: Any, stopping: Any) -> None:
    kafka.create("in")
    kafka.produce("in", *[b"%d" % i for i in range(5)])
    stored: dict[Partition, int] = {("in", 0): 0}
    source = stopping(KafkaSource(KafkaConfig(), ["in"], consumer_factory=kafka.consumer))
    taker = Taker(kafka, source, stored)

    def rewind() -> None:
        kafka.during_round_trip = lambda: None
        stored["in", 0] = 3
        source.rewind()
        assert source.take(0) is not None  # the news
        source.start_at(dict(stored))

    kafka.during_round_trip = rewind
    source.start()
    taker.take_until(lambda: taker.values)
    assert taker.values == [b"3", b"4"]


def test_revoked_partitions_are_told_and_their_queue_dropped(kafka: Any, start: Any, eventually: Any) -> None:
    taker = start()
    taker.take_until(lambda: len(taker.source.assigned()) == 2)
    kafka.produce("in", b"lost", partition=0)
    kafka.produce("in", b"kept", partition=1)
    eventually(lambda: taker.source.queued == 2)
    kafka.revoke(("in", 0))
    eventually(lambda: taker.source.queued == 1)
    news = taker.take()
    assert news is not None
    assert (news.revoked, news.assigned) == ({("in", 0)}, frozenset())
    assert news.generation == taker.news[0].generation + 1
    taker.take_until(lambda: taker.values)
    assert taker.values == [b"kept"]


def test_a_full_queue_pauses_the_partitions_and_polls_on(kafka: Any, start: Any, eventually: Any) -> None:
    taker = start(queue_records=100, max_poll_records=10)
    taker.take_until(lambda: len(taker.source.assigned()) == 2)
    kafka.produce("in", *[b"%d" % i for i in range(1000)])
    eventually(lambda: taker.source.queued > 100)
    polls = kafka.polls
    eventually(lambda: kafka.polls > polls + 3)
    assert taker.source.queued <= 110
    assert kafka.members()[0].paused()
    while taker.source.queued > 60:
        taker.source.take(1, max_records=10)
    polls, left = kafka.polls, taker.source.queued
    eventually(lambda: kafka.polls > polls + 3)
    assert taker.source.queued == left, "it resumes below half, not at every record taken"
    taker.stored["in", 0] = 0
    taker.source.rewind()
    taker.take_until(lambda: len(taker.values) == 1000)
    assert taker.values == [b"%d" % i for i in range(1000)]


def test_take_hands_out_no_more_than_asked(kafka: Any, start: Any, eventually: Any) -> None:
    taker = start(max_poll_records=10)
    taker.take_until(lambda: len(taker.source.assigned()) == 2)
    kafka.produce("in", *[b"%d" % i for i in range(100)])
    eventually(lambda: taker.source.queued == 100)
    polled = taker.source.take(1, max_records=35)
    assert polled is not None
    assert [len(batch.records) for batch in polled.batches] == [10, 10, 10]
    assert taker.source.queued == 70


@pytest.mark.parametrize("seed", range(8))
def test_nothing_is_lost_or_doubled_whatever_happens(kafka: Any, start: Any, seed: int) -> None:
    rng = random.Random(seed)
    taker = start(max_poll_records=7, queue_records=20)
    produced: list[bytes] = []
    both = (("in", 0), ("in", 1))
    verbs: list[Callable[[], None]] = [
        kafka.drop_connection,
        taker.source.rewind,
        lambda: kafka.revoke(both[rng.randrange(2)]),
        lambda: kafka.assign(*both),
        lambda: kafka.assign(both[rng.randrange(2)]),
    ]
    for _ in range(60):
        values = [b"%d" % (len(produced) + i) for i in range(rng.randrange(20))]
        kafka.produce("in", *values, partition=rng.randrange(2))
        produced += values
        if rng.random() < 0.4:
            rng.choice(verbs)()
        for _ in range(rng.randrange(4)):
            taker.take(0.002)  # refuses gaps and repetitions by itself
    while not kafka.members():  # being connected again
        taker.take()
    kafka.assign(*both)
    taker.take_until(lambda: len(taker.values) >= len(produced))
    assert sorted(taker.values, key=int) == produced


def test_comes_back_after_an_outage_and_says_what_is_wrong(kafka: Any, start: Any, eventually: Any) -> None:
    kafka.down = True
    taker = start()
    eventually(lambda: taker.source.errors >= 2)
    assert "cannot reach Kafka at localhost:9092" in str(taker.source.last_error)
    assert taker.source.alive()
    assert not taker.source.connected
    kafka.down = False
    kafka.produce("in", b"a")
    taker.take_until(lambda: taker.values)
    assert taker.source.connected
    assert taker.source.last_error is None


def test_a_consumer_that_is_given_up_does_not_stay_in_the_group(kafka: Any, start: Any) -> None:
    """It cannot leave in order; others, and we ourselves, would wait for the end of its session."""
    taker = start()
    kafka.produce("in", b"a")
    taker.take_until(lambda: taker.values)
    kafka.drop_connection()
    kafka.produce("in", b"b")
    taker.take_until(lambda: len(taker.values) == 2)
    assert kafka.ended == [None, "member-0"]


def test_who_stops_while_it_joins_leaves_by_another_connection(
    kafka: Any, start: Any, eventually: Any
) -> None:
    taker = start()
    taker.take_until(lambda: len(taker.source.assigned()) == 2)
    kafka.revoke(("in", 0), ("in", 1))  # as at the begin of every rebalance
    eventually(lambda: not taker.source.owned())
    assert taker.source.stop()
    assert kafka.ended == [None, "member-0"]


@pytest.mark.skipif(
    "CHAOS" not in os.environ, reason="a real group takes its own time: `make chaos` runs it, others fake it"
)
def test_who_stops_while_it_joins_a_real_group_does_not_stay_in_it(
    apache_kafka: LocalBroker, make_topic: Callable[..., str], stopping: Any, eventually: Any
) -> None:
    """The other member does not rejoin, so that the join waits; no session ends before the test does."""
    topic, group = make_topic(apache_kafka), f"joining-{os.getpid()}"
    config = KafkaConfig(
        bootstrap_servers=[apache_kafka.bootstrap_servers], group=group, session_timeout_s=1_200.0
    )
    other = lasting_member(config, topic)
    admin = KafkaAdminClient(bootstrap_servers=config.bootstrap_servers)
    try:
        eventually(lambda: other.poll(timeout_ms=100) or other.assignment())
        source = stopping(KafkaSource(config, [topic]))
        source.start()
        eventually(lambda: members(admin, group) == 2)
        assert source.stop(timeout_s=120.0)
        eventually(lambda: members(admin, group) == 1)
    finally:
        admin.close()
        other.close(autocommit=False, timeout_ms=3_000)


def lasting_member(config: KafkaConfig, topic: str) -> Any:
    """Make a consumer whose place is kept for it for longer than a test takes."""
    return KafkaConsumer(
        topic,
        bootstrap_servers=config.bootstrap_servers,
        group_id=config.group,
        session_timeout_ms=1_200_000,
        max_poll_interval_ms=1_200_000,
        # It may join before it knows the topic, and is assigned nothing until it looks again.
        metadata_max_age_ms=1_000,
    )


def members(admin: KafkaAdminClient, group: str) -> int:
    (about,) = admin.describe_groups([group]).values()
    return len(about["members"])


def test_stop_leaves_the_group_commits_and_ends_the_thread(kafka: Any, start: Any) -> None:
    kafka.produce("in", b"a", b"b")
    taker = start()
    taker.take_until(lambda: len(taker.values) == 2)
    taker.source.committed(taker.stored)
    assert taker.source.stop()
    assert not taker.source.alive()
    assert kafka.consumers[-1].closed
    assert kafka.committed == {("in", 0): 2}


def test_a_refused_commit_is_counted_and_nothing_else(kafka: Any, start: Any, eventually: Any) -> None:
    kafka.commit_error = KafkaError("not now")
    taker = start()
    taker.take_until(lambda: len(taker.source.assigned()) == 2)
    taker.source.committed({("in", 0): 0})
    eventually(lambda: taker.source.errors == 1)
    kafka.produce("in", b"a")
    taker.take_until(lambda: taker.values)
    assert len(kafka.consumers) == 1


def test_lag_counts_what_waits_in_kafka_and_in_the_queue(kafka: Any, start: Any, eventually: Any) -> None:
    taker = start(queue_records=10, max_poll_records=10)
    taker.take_until(lambda: len(taker.source.assigned()) == 2)
    kafka.produce("in", *[b"x"] * 100)
    eventually(lambda: taker.source.lag() == {("in", 0): 100, ("in", 1): 0})
    assert taker.source.behind() == {("in", 0)}
    taker.take_until(lambda: len(taker.values) == 100)
    eventually(lambda: taker.source.lag() == {("in", 0): 0, ("in", 1): 0})
    assert taker.source.behind() == frozenset()


def test_no_record_comes_before_it_is_said_where_to_start(kafka: Any, stopping: Any, eventually: Any) -> None:
    kafka.create("in")
    kafka.produce("in", b"a", b"b")
    source = stopping(KafkaSource(KafkaConfig(), ["in"], consumer_factory=kafka.consumer))
    source.start()
    news = source.take(5)
    assert news is not None
    assert news.assigned
    polls = kafka.polls
    eventually(lambda: kafka.polls > polls + 2)
    assert source.take(0) is None, "the store could not be read: the partition waits"
    source.rewind()
    again = source.take(5)
    assert again is not None
    assert again.assigned == again.revoked == news.assigned
    source.start_at({("in", 0): 1})
    polled = source.take(5)
    assert polled is not None
    assert [r.value for r in polled.records] == [b"b"]


def test_client_settings_carry_login_and_tls() -> None:
    security = Security(
        protocol="SASL_SSL", username="u", password=SecretStr("p"), ca_file="ca.pem", check_hostname=False
    )
    settings = client_settings(KafkaConfig(bootstrap_servers=["a:1", "b:2"], security=security))
    assert settings["bootstrap_servers"] == ["a:1", "b:2"]
    assert settings["security_protocol"] == "SASL_SSL"
    assert (settings["sasl_mechanism"], settings["sasl_plain_username"]) == ("SCRAM-SHA-512", "u")
    assert (settings["sasl_plain_password"], settings["ssl_cafile"]) == ("p", "ca.pem")
    assert settings["ssl_check_hostname"] is False
    assert not any(key.startswith(("ssl", "sasl")) for key in client_settings(KafkaConfig()))


def test_a_login_that_fails_is_not_called_a_timeout(kafka: Any) -> None:
    kafka.down = True
    security = Security(protocol="SASL_PLAINTEXT", username="u", password=SecretStr("secret"))
    with pytest.raises(
        BrokerError, match="cannot reach Kafka at localhost:9092 or log in as user 'u'"
    ) as caught:
        connect(kafka.consumer, KafkaConfig(security=security))
    assert "secret" not in str(caught.value)


def test_the_cause_is_found_in_kafka_pythons_log(kafka: Any) -> None:
    refusal = SaslAuthenticationFailedError("wrong password")

    def factory(**settings: Any) -> Any:
        log = logging.getLogger("kafka.net.manager")
        log.warning("Bootstrap connection to %s failed: %s", "bootstrap-0", refusal)
        log.warning("Connection failed: %s", KafkaConnectionError("closed"))
        raise KafkaTimeoutError("Unable to bootstrap")

    security = Security(protocol="SASL_PLAINTEXT", username="u", password=SecretStr("secret"))
    before = logging.getLogger("kafka.net.manager").handlers[:]
    with pytest.raises(BrokerError, match=r"refuses the login of user 'u'.*wrong password"):
        connect(factory, KafkaConfig(security=security))
    assert logging.getLogger("kafka.net.manager").handlers == before


def test_a_constructor_that_fails_leaves_no_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("anomalyd.daemon.kafka.connection.connection.BOOTSTRAP_TIMEOUT_MS", 50)
    config = KafkaConfig(bootstrap_servers=[f"127.0.0.1:{reserve_port()}"])
    before = threading.active_count()
    for _ in range(3):
        with pytest.raises(BrokerError, match="cannot reach"):
            connect(KafkaConsumer, config)
    assert threading.active_count() == before


class Unsent:
    """A producer whose broker is away: kafka-python's close gives up before it has closed anything."""

    def __init__(self, can_be_forced: bool = True) -> None:
        self.closed = self.forced = False
        if can_be_forced:
            self._sender = SimpleNamespace(force_close=self.force)

    def force(self) -> None:
        self.forced = True

    def close(self, timeout: float) -> None:
        if not self.forced:
            raise KafkaTimeoutError("Timeout waiting for future")
        self.closed = True


def test_a_producer_is_closed_also_with_what_it_could_not_send() -> None:
    close_producer(unsent := Unsent(), 0.0)
    assert unsent.closed
    close_producer(Unsent(can_be_forced=False), 0.0)


def test_a_real_broker(broker: LocalBroker, make_topic: Callable[..., str], stopping: Any) -> None:
    """Every compression, a start at stored offsets, a rewind, lag, and a quick stop."""
    topic = make_topic(broker, partitions=2)
    values = []
    for codec in (None, "gzip", "lz4", "zstd", "snappy"):
        producer = KafkaProducer(
            bootstrap_servers=broker.bootstrap_servers, compression_type=codec, linger_ms=50
        )
        for i in range(20):
            values.append(f"{codec}-{i}".encode())
            producer.send(topic, value=values[-1], key=b"k", partition=i % 2, headers=[("h", b"1")])
        producer.close()
    stored: dict[Partition, int] = {(topic, 0): 10}
    config = KafkaConfig(
        bootstrap_servers=[broker.bootstrap_servers], group=f"group-{topic}", session_timeout_s=6.0
    )
    source = stopping(KafkaSource(config, [topic]))
    source.start()
    taker = Taker(None, source, stored)
    taker.take_until(lambda: len(taker.values) >= 90)
    source.rewind()
    taker.take_until(lambda: len(taker.news) == 2 and len(source.assigned()) == 2)
    taker.take_until(lambda: source.lag() == {(topic, 0): 0, (topic, 1): 0})
    assert sorted(taker.values) == sorted(values[20::2] + values[1::2])
    source.committed(stored)
    began = time.monotonic()
    assert source.stop()
    assert time.monotonic() - began < 60
    assert (source.errors, source.last_error) == (0, None)


def test_a_static_member_that_comes_back_gets_all_that_is_configured_now(
    apache_kafka: LocalBroker, make_topic: Callable[..., str], stopping: Any
) -> None:
    """Killed, and started again with one topic more, within its session: Kafka would give it what it had."""
    old, new = make_topic(apache_kafka), make_topic(apache_kafka)
    config = KafkaConfig(
        bootstrap_servers=[apache_kafka.bootstrap_servers],
        group=f"group-{old}",
        instance_id="daemon-1",
        session_timeout_s=30.0,
    )
    killed = connect(KafkaConsumer, config, group_id=config.group, group_instance_id=config.instance_id)
    try:
        killed.subscribe([old])
        deadline = time.monotonic() + 120
        while not killed.assignment():
            assert time.monotonic() < deadline
            killed.poll(timeout_ms=50)
        stored: dict[Partition, int] = {}
        source = stopping(KafkaSource(config, [old, new]))
        source.start()
        taker = Taker(None, source, stored)
        taker.take_until(lambda: source.assigned() == {(old, 0), (new, 0)})
    finally:
        killed.close(autocommit=False, timeout_ms=1_000)


def test_a_join_that_outlasts_many_polls_is_completed(
    apache_kafka: LocalBroker,
    make_topic: Callable[..., str],
    stopping: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The group's first join finds no partitions, for nobody has asked for them yet; a second one follows."""
    monkeypatch.setattr("anomalyd.daemon.kafka.source.POLL_MS", 1)
    topic = make_topic(apache_kafka)
    for n in range(3):
        config = KafkaConfig(
            bootstrap_servers=[apache_kafka.bootstrap_servers],
            group=f"group-{topic}-{n}",
            session_timeout_s=6.0,
        )
        stored: dict[Partition, int] = {}
        source = stopping(KafkaSource(config, [topic]))
        source.start()
        taker = Taker(None, source, stored)
        taker.take_until(lambda source=source: source.assigned() == {(topic, 0)})
        assert source.stop()


def test_while_no_broker_answers_it_is_polled_now_and_then(
    kafka: Any, start: Callable[..., Taker], eventually: Any
) -> None:
    taker = start()
    taker.take_until(lambda: kafka.polls)
    taker.source.answers(False)
    eventually(lambda: kafka.poll_timeout_ms == 0)
    taker.source.answers(True)
    eventually(lambda: kafka.poll_timeout_ms > 0)
