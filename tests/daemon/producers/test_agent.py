from __future__ import annotations

import sys
import time
from collections.abc import Callable
from pathlib import Path

import msgspec
import psutil
import pytest
from hypothesis import given
from hypothesis import strategies as st
from kafka import KafkaConsumer, TopicPartition

from anomalyd.daemon.broker import LocalBroker
from anomalyd.daemon.config.config import InputConfig, KafkaConfig
from anomalyd.daemon.intake.decode import Decoder
from anomalyd.daemon.producers import readings
from anomalyd.daemon.producers.agent import HostAgent, host_entity
from anomalyd.daemon.producers.host import HostMetrics
from anomalyd.daemon.producers.readings import Reading
from anomalyd.daemon.producers.sender import Message, Sender
from anomalyd.daemon.producers.ticks import Ticks
from anomalyd.daemon.stages import Record

# ---- rates


class Host:
    """A host whose counters are set by hand, read at times set by hand."""

    def __init__(self) -> None:
        self.now = 0.0
        self.reading = Reading()
        self.broken = False

    def __call__(self, reading: Reading) -> None:
        if self.broken:
            raise FileNotFoundError("/proc/nothing")
        reading.gauges.update(self.reading.gauges)
        reading.counters.update(self.reading.counters)

    def metrics(self) -> HostMetrics:
        return HostMetrics([self], clock=lambda: self.now)


@pytest.fixture
def host() -> Host:
    return Host()


def test_gauges_stay_and_counters_become_rates(host: Host) -> None:
    host.reading.gauges["load_1min"] = 1.5
    host.reading.counters["sent", "eth0"] = 1000.0
    metrics = host.metrics()
    host.now, host.reading.counters["sent", "eth0"] = 2.0, 1500.0
    assert metrics.measure() == {"load_1min": 1.5, "sent": 250.0}
    host.now = 3.0
    assert metrics.measure() == {"load_1min": 1.5, "sent": 0.0}


def test_a_counter_that_begins_anew_is_left_out_once(host: Host) -> None:
    host.reading.counters["sent", ""] = 1e9
    metrics = host.metrics()
    host.now, host.reading.counters["sent", ""] = 1.0, 5.0
    assert metrics.measure() == {}
    host.now, host.reading.counters["sent", ""] = 2.0, 8.0
    assert metrics.measure() == {"sent": 3.0}


def test_a_card_that_is_new_does_not_look_like_traffic(host: Host) -> None:
    host.reading.counters["sent", "eth0"] = 10.0
    metrics = host.metrics()
    host.now = 1.0
    host.reading.counters.update({("sent", "eth0"): 15.0, ("sent", "wg0"): 1e12})
    assert metrics.measure() == {"sent": 5.0}
    host.now = 2.0
    host.reading.counters["sent", "wg0"] += 2.0
    assert metrics.measure() == {"sent": 2.0}


def test_of_the_busiest_the_largest_counts_and_percentages_end_at_100(host: Host) -> None:
    cores = {("cpu_busiest_core_percent", str(i)): 0.0 for i in range(3)}
    host.reading.counters.update(cores)
    metrics = host.metrics()
    host.now = 1.0
    host.reading.counters.update(zip(cores, (20.0, 101.0, 30.0), strict=True))
    assert metrics.measure() == {"cpu_busiest_core_percent": 100.0}


def test_no_time_between_two_measurements(host: Host) -> None:
    host.reading.counters["sent", ""] = 0.0
    metrics = host.metrics()
    host.reading.counters["sent", ""] = 10.0
    assert metrics.measure() == {}
    host.now = 2.0
    assert metrics.measure() == {"sent": 5.0}  # nothing was forgotten by asking too early


def test_what_cannot_be_read_is_left_out_and_comes_back(host: Host, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    host.reading.gauges["load_1min"] = 1.0
    metrics = HostMetrics([host, lambda reading: reading.gauges.update(threads=7.0)], clock=lambda: host.now)
    host.broken = True
    for host.now in (1.0, 2.0):
        assert metrics.measure() == {"threads": 7.0}
    assert len(caplog.records) == 1  # said once, not every second
    host.broken = False
    assert metrics.measure() == {"load_1min": 1.0, "threads": 7.0}


@given(
    st.lists(st.tuples(st.integers(1, 60), st.dictionaries(st.sampled_from("ab"), st.integers(0, 10**15))))
)
def test_rates_are_never_negative_and_add_up(steps: list[tuple[int, dict[str, int]]]) -> None:
    host = Host()
    metrics = host.metrics()
    before: dict[str, int] = {}
    for seconds, counters in steps:
        host.now += seconds
        host.reading.counters.clear()
        host.reading.counters.update({("sent", card): float(value) for card, value in counters.items()})
        grown = [v - before[card] for card, v in counters.items() if v >= before.get(card, v + 1)]
        expected = {"sent": pytest.approx(sum(grown) / seconds)} if grown else {}
        assert metrics.measure() == expected
        before = counters


# ---- readings


def test_this_host(tmp_path: Path) -> None:
    metrics = HostMetrics()
    (tmp_path / "work").write_bytes(bytes(1_000_000))
    deadline = time.monotonic() + 0.3
    while time.monotonic() < deadline:
        pass
    found = metrics.measure()
    assert found["cpu_percent"] > 0
    # The two are read one after the other, in ticks of 10 ms: one tick is 3 % of what was measured here.
    assert found["cpu_busiest_core_percent"] >= found["cpu_percent"] - 7
    assert 0 < found["memory_used_percent"] < 100
    assert found["memory_used_bytes"] < psutil.virtual_memory().total
    assert found["processes"] >= 1
    assert found["filesystem_used_percent"] > 0
    assert all(isinstance(v, float | int) and 0 <= v < 1e18 for v in found.values())
    assert all(v <= 100 for name, v in found.items() if name.endswith("_percent"))
    if sys.platform == "linux":
        assert {"threads", "file_descriptors", "context_switches_per_s", "processes_blocked"} <= set(found)
        assert len(found) >= 38
        # load does what it should to the figure that is named after it: the loop above was user time
        assert found["cpu_user_percent"] + found["cpu_nice_percent"] > 5


def test_measuring_costs_less_than_two_percent_of_a_core() -> None:
    metrics = HostMetrics()
    begun = time.process_time()
    for _ in range(20):
        metrics.measure()
    assert (time.process_time() - begun) / 20 < 0.02


def test_the_kernels_own_files(tmp_path: Path) -> None:
    (tmp_path / "stat").write_text(
        "cpu  1 2 3\nintr 5 0 0\nprocesses 4711\nprocs_running 3\nprocs_blocked 2\n"
    )
    (tmp_path / "loadavg").write_text("0.12 0.10 0.09 2/345 6789\n")
    (tmp_path / "vmstat").write_text("nr_free_pages 5\npgfault 1000\npgmajfault 10\n")
    reading = Reading()
    readings.kernel(reading, tmp_path)
    assert reading.gauges == {"processes_running": 3, "processes_blocked": 2, "threads": 345}
    assert reading.counters == {
        ("processes_started_per_s", ""): 4711,
        ("page_faults_per_s", ""): 1000,
        ("major_page_faults_per_s", ""): 10,
    }


def test_pressure_is_the_share_of_time_that_tasks_wait(tmp_path: Path) -> None:
    (tmp_path / "pressure").mkdir()
    for resource in ("cpu", "memory", "io"):
        (tmp_path / "pressure" / resource).write_text(
            "some avg10=0.00 avg60=0.00 avg300=0.00 total=2500000\n"
            "full avg10=0.00 avg60=0.00 avg300=0.00 total=1000000\n"
        )
    reading = Reading()
    readings.pressure(reading, tmp_path)
    # 2.5 s of waiting: over 10 s that will be 25 %
    assert reading.counters["pressure_io_some_percent", ""] / 10 == 25
    assert ("pressure_cpu_full_percent", "") not in reading.counters
    assert len(reading.counters) == 5


def test_sockets_and_descriptors(tmp_path: Path) -> None:
    (tmp_path / "net").mkdir()
    (tmp_path / "net" / "sockstat").write_text(
        "sockets: used 186\nTCP: inuse 6 orphan 0 tw 12 alloc 8 mem 1\nUDP: inuse 2 mem 0\n"
    )
    (tmp_path / "sys" / "fs").mkdir(parents=True)
    (tmp_path / "sys" / "fs" / "file-nr").write_text("1472\t0\t9223372036854775807\n")
    reading = Reading()
    readings.sockets(reading, tmp_path)
    readings.descriptors(reading, tmp_path)
    assert reading.gauges == {
        "sockets": 186,
        "tcp_connections": 6,
        "tcp_time_wait": 12,
        "file_descriptors": 1472,
    }


def test_a_platform_without_proc(tmp_path: Path) -> None:
    def no_kernel(reading: Reading) -> None:
        readings.kernel(reading, tmp_path / "nowhere")

    metrics = HostMetrics([no_kernel, readings.load])
    assert set(metrics.measure()) == {"load_1min", "load_5min", "load_15min"}


# ---- the agent


class Outbox(Sender):
    """Keeps what it is given."""

    def __init__(self) -> None:
        super().__init__("hosts", lambda: None)
        self.messages: list[Message] = []

    def send(self, message: Message) -> None:
        self.messages.append(message)


def test_the_daemon_can_read_what_the_agent_sends() -> None:
    outbox, now = Outbox(), [1795288499.5]
    naps: list[float] = []

    def sleep(seconds: float) -> bool:
        naps.append(seconds)
        now[0] += seconds
        return len(naps) == 3

    agent = HostAgent(
        outbox,
        lambda: {"cpu_percent": 12.5, "processes": 99},
        entity="host/node17",
        ticks=Ticks(1.0, clock=lambda: now[0], sleep=sleep),
        clock=lambda: now[0],
    )
    agent.run()
    assert naps == [1.0, 1.0, 1.0]
    records = [Record("hosts", 0, i, m.time, m.key, m.value) for i, m in enumerate(outbox.messages)]
    samples, dead = Decoder([InputConfig(topic="hosts")], clock=lambda: now[0]).decode(records)
    assert dead == []
    assert [(s.entity, s.time, s.values) for s in samples] == [
        ("host/node17", 1795288499.5 + i, {"cpu_percent": 12.5, "processes": 99.0}) for i in range(3)
    ]
    assert {m.key for m in outbox.messages} == {b"host/node17"}


def test_the_entity_is_this_host() -> None:
    assert HostAgent(Outbox(), dict).entity == host_entity()
    assert host_entity().startswith("host/")
    assert len(host_entity()) > len("host/")


def test_this_hosts_metrics_arrive_in_kafka(broker: LocalBroker, make_topic: Callable[..., str]) -> None:
    topic = make_topic(broker)
    config = KafkaConfig(bootstrap_servers=[broker.bootstrap_servers])
    with Sender.to(topic, config) as sender:
        agent = HostAgent(sender, HostMetrics().measure, ticks=Ticks(1.0, sleep=lambda _: True))
        agent.run()  # one tick
        assert sender.flush(120)
    consumer = KafkaConsumer(bootstrap_servers=broker.bootstrap_servers, consumer_timeout_ms=120_000)
    consumer.assign([TopicPartition(topic, 0)])
    consumer.seek_to_beginning()
    record = next(consumer)
    consumer.close()
    sample = msgspec.json.decode(record.value)
    assert (sample["entity"], record.key.decode()) == (agent.entity, agent.entity)
    assert abs(sample["time"] - time.time()) < 60
    assert sample["values"]["memory_used_percent"] > 0
