"""Other producers' names and labels: which entity, which metric, which of them count up."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from anomalyd.daemon.config.config import InputConfig, Limits
from anomalyd.daemon.intake.formats.prometheus import PROMETHEUS_COUNTERS
from anomalyd.daemon.intake.parsing import naming as module
from anomalyd.daemon.intake.parsing.fields import Fields
from anomalyd.daemon.intake.parsing.naming import Metric, Naming, Series
from anomalyd.daemon.intake.parsing.patterns import Patterns
from anomalyd.daemon.intake.parsing.telegraf_counters import TELEGRAF_COUNTERS
from anomalyd.errors import DecodeError

LABELS = {"host": "n1", "cpu": "cpu0", "job": "node", "empty": ""}


def naming(**settings: Any) -> Naming:
    config = InputConfig(topic="t", format="influx", **settings)
    return Naming(config, Fields(config), ("instance", "host"), ("*_total",))


def learn(labels: dict[str, str] = LABELS, **settings: Any) -> Series:
    return naming(**settings).learn("key", "cpu", labels)


def test_one_spelling() -> None:
    assert learn().metric("idle") == Metric("cpu.idle{cpu=cpu0}", counts=False)
    assert learn().metric("") == Metric("cpu{cpu=cpu0}", counts=False)
    assert learn({"host": "n1"}).metric("idle") == Metric("cpu.idle", counts=False)
    labels = {"host": "n1", "z": "1", "a": "2"}
    assert learn(labels).metric("x") == learn(dict(reversed(labels.items()))).metric("x")
    assert learn(labels).metric("x") == Metric("cpu.x{a=2,z=1}", counts=False)


def test_the_entity_is_the_labels_or_the_inputs() -> None:
    both = {"host": "h", "instance": "i", "node": "n"}
    assert learn(both).entity == "i"
    assert learn(LABELS).entity == "n1"
    assert learn(both | {"instance": ""}).entity == "h"
    assert learn(both, entity_label="node").entity == "n"
    assert learn(both, entity_label="node").metric("x") == Metric("cpu.x{host=h,instance=i}", counts=False)
    assert learn({}, entity="all").entity == "all"
    assert learn(LABELS, entity="all").entity == "n1"
    with pytest.raises(DecodeError, match=r"no label instance or host; .*inputs\.entity_label") as caught:
        learn({"x": "y"})
    assert caught.value.reason == "entity"
    with pytest.raises(DecodeError, match="no label node"):
        learn(LABELS, entity_label="node")


def test_labels_that_are_asked_for_are_the_only_ones() -> None:
    settings = {"metric_labels": ["job", "cpu", "gone"]}
    assert learn(**settings).metric("x") == Metric("cpu.x{cpu=cpu0,job=node}", counts=False)
    assert learn(metric_labels=[]).metric("x") == Metric("cpu.x", counts=False)


@pytest.mark.parametrize(
    ("settings", "taken"),
    [
        ({"metrics": ["cpu.i*"]}, {"idle", "irq"}),
        ({"metrics": ["cpu.*", "!cpu.i*"]}, {"user_total"}),
        ({"metrics": ["!cpu.i*", "cpu.*"]}, {"idle", "irq", "user_total"}),
        ({"ignore_metrics": ["*.idle"]}, {"irq", "user_total"}),
        ({"ignore_metrics": ["*", "!cpu.idle"]}, {"idle"}),
        ({"metrics": ["cpu.i*{cpu=cpu0}"]}, {"idle", "irq"}),
        ({"metrics": ["cpu.i*{cpu=cpu1}"]}, set()),
        ({"metrics": ["CPU*"]}, set()),
        ({"metrics": ["*cpu0*"]}, set()),  # without a `{`, labels are not looked at
    ],
)
def test_which_metrics_are_taken(settings: dict[str, Any], taken: set[str]) -> None:
    series = learn(**settings)
    for _ in range(2):  # asked for the first time, and known
        assert {f for f in ("idle", "irq", "user_total") if series.metric(f) is not None} == taken


def test_counters_are_the_formats_or_the_inputs() -> None:
    assert learn().metric("user_total") == Metric("cpu.user_total{cpu=cpu0}", counts=True)
    assert learn(counters=["cpu.idle"]).metric("user_total") == Metric(
        "cpu.user_total{cpu=cpu0}", counts=False
    )
    assert learn(counters=["cpu.idle"]).metric("idle") == Metric("cpu.idle{cpu=cpu0}", counts=True)


COUNTERS = [
    "net.bytes_recv",
    "net.drop_in",
    "net.icmp_inmsgs",
    "net.icmpmsg_intype3",
    "net.tcp_insegs",
    "net.udp_noports",
    "diskio.reads",
    "diskio.read_bytes",
    "diskio.weighted_io_time",
    "diskio.merged_writes",
    "kernel.interrupts",
    "kernel.context_switches",
    "cpu.time_user",
    "swap.in",
    "kernel_vmstat.pgfault",
    "system.uptime",
    "docker_container_cpu.usage_total",
]
GAUGES = [
    "net.speed",
    "net.tcp_currestab",
    "net.tcp_maxconn",
    "net.tcp_rtomin",
    "net.ip_defaultttl",
    "netstat.tcp_established",
    "netstat.udp_socket",
    "diskio.iops_in_progress",
    "diskio.io_await",
    "diskio.io_util",
    "kernel.boot_time",
    "cpu.usage_user",
    "swap.total",
    "swap.used",
    "mem.total",
    "mem.huge_pages_total",
    "disk.total",
    "disk.inodes_total",
    "processes.total",
    "processes.total_threads",
    "kernel_vmstat.nr_free_pages",
    "system.load1",
    "docker_container_cpu.usage_percent",
]


def test_what_telegraf_counts() -> None:
    patterns = Patterns(TELEGRAF_COUNTERS)
    assert [name for name in COUNTERS if not patterns.fit(name, name)] == []
    assert [name for name in GAUGES if patterns.fit(name, name)] == []


def test_what_prometheus_counts_and_telegraf_by_way_of_it() -> None:
    patterns = Patterns(PROMETHEUS_COUNTERS)
    own = ["node_cpu_seconds_total", "http_request_seconds_bucket", "http_request_seconds_sum", "gc_count"]
    assert [n for n in own + [c.replace(".", "_", 1) for c in COUNTERS] if not patterns.fit(n, n)] == []
    gauges = ["node_load1", "node_memory_MemFree_bytes", *(g.replace(".", "_", 1) for g in GAUGES)]
    assert [name for name in gauges if patterns.fit(name, name)] == []


names = st.text(st.sampled_from('ab,={}"\\'), min_size=1, max_size=4)
series = st.tuples(names, names, st.dictionaries(names, names, max_size=2))


@given(series, series)
def test_two_series_share_no_name(one: Any, other: Any) -> None:
    told = []
    for measurement, field, labels in (one, other):
        found = naming(entity="e").learn("key", measurement, labels).metric(field)
        assert found is not None
        told.append(found.name)
    assert (told[0] == told[1]) is (one == other)


def test_a_long_name_is_shortened_and_stays_its_own(caplog: pytest.LogCaptureFixture) -> None:
    config = InputConfig(topic="pods", format="prometheus", limits=Limits(name_length=40))
    found = Naming(config, Fields(config), ("instance",), ())
    names = []
    for number in range(3):
        series = found.learn(number, "container_cpu", {"instance": "n1", "image": "a" * 300 + str(number)})
        metric = series.metric("")
        assert metric is not None
        names.append(metric.name)
    assert names[0].startswith("container_cpu{image=aaa~")
    assert len(set(names)) == 3
    assert all(len(name) == 40 for name in names)
    assert [r.getMessage()[:5] for r in caplog.records] == ["pods:"]  # told once
    assert "name_length" in caplog.text
    assert found.learn("long", "up", {"instance": "pod-" * 50}).entity.startswith("pod-pod-pod-pod-pod-pod~")


def test_a_name_that_is_not_allowed_is_told() -> None:
    with pytest.raises(DecodeError, match="control"):
        learn().metric("a\nb")


def test_names_that_never_repeat_are_not_remembered_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "KNOWN", 10)
    known = naming()
    for i in range(100):
        assert known.learn(i, "m", {"host": f"h{i}"}).metric("x") == Metric("m.x", counts=False)
        assert known.known(i) is not None or i > 3
    assert len(known._known) <= 10
