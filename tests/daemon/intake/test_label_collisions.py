"""Series that share a name are seen, told once, and parted by the labels that differ."""

from __future__ import annotations

import logging
import struct
from pathlib import Path
from typing import Any

import cramjam
import pytest
from prometheus_client import CollectorRegistry

from anomalyd.daemon.config.config import InputConfig
from anomalyd.daemon.intake.decode import Decoder
from anomalyd.daemon.intake.intake import Intake
from anomalyd.daemon.intake.label_collisions import TURNS_S, LabelCollisions, _with
from anomalyd.daemon.kafka.poll_result import Batch
from anomalyd.daemon.stages import Record, Sample
from anomalyd.daemon.telemetry.telemetry import Telemetry
from anomalyd.reports.storage.store import Store

NOW = 1_795_288_500.0
Labels = dict[str, str]


def varint(number: int) -> bytes:
    return bytes([number]) if number < 128 else bytes([number & 127 | 128]) + varint(number >> 7)


def series(labels: Labels, value: float, at: float) -> bytes:
    """A series of remote write 1.0, as a request of its own; requests one behind the other are one."""

    def text(number: int, raw: bytes) -> bytes:
        return bytes([number << 3 | 2]) + varint(len(raw)) + raw

    raw = b"".join(text(1, text(1, k.encode()) + text(2, v.encode())) for k, v in labels.items())
    return text(1, raw + text(2, b"\x09" + struct.pack("<d", value) + b"\x10" + varint(int(at * 1000))))


class Feed:
    """A topic of remote write, taken through decode and align; a message of each call."""

    def __init__(self, **settings: Any) -> None:
        self.inputs = [InputConfig(topic="t", format="prometheus", **settings)]
        self.registry = CollectorRegistry()
        self.telemetry = Telemetry(self.registry, topics=["t"])
        self.intake = self.begin()
        self.offset = 0
        self.told: list[Sample] = []

    def begin(self) -> Intake:
        return Intake(self.inputs, Decoder(self.inputs, clock=lambda: NOW), self.telemetry)

    def send(self, at: float, *found: tuple[Labels, float]) -> None:
        value = b"".join(series(labels, value, NOW + at) for labels, value in found)
        record = Record("t", 0, self.offset, NOW, None, bytes(cramjam.snappy.compress_raw(value)))
        self.offset += 1
        self.take([Batch("t", 0, [record])])

    def take(self, batches: list[Batch], later: float = 0.0) -> None:
        arrivals = self.intake.take(batches, {}, NOW + later)
        self.told += arrivals.samples
        self.intake.tell(arrivals, {})

    def vectors(self) -> list[dict[str, Any]]:
        self.take([], 1000.0)
        return [{"entity": s.entity, **(s.values or {})} for s in self.told]

    @property
    def counted(self) -> float:
        return self.registry.get_sample_value("anomalyd_label_collisions_total", {"topic": "t"}) or 0.0


def probe(job: str, **labels: str) -> Labels:
    return {"__name__": "probe_success", "instance": "https://x.org", "job": job, **labels}


def test_two_jobs_at_one_time(caplog: pytest.LogCaptureFixture) -> None:
    feed = Feed()
    with caplog.at_level(logging.WARNING):
        for slot in range(3):
            feed.send(10 * slot, (probe("bb-http"), 1), (probe("bb-icmp"), 0))
        parted = {"probe_success{job=bb-http}": 1.0, "probe_success{job=bb-icmp}": 0.0}
        assert feed.vectors() == [{"entity": "https://x.org", **parted}] * 3
    assert feed.counted == 1
    (told,) = (r.getMessage() for r in caplog.records)
    assert "probe_success; what differs" in told
    assert "job=bb-http and job=bb-icmp; from now on they do" in told


def test_two_series_in_turns() -> None:
    feed = Feed(grid_s=30.0)
    for slot in range(6):
        feed.send(30 * slot, (probe("a" if slot % 2 else "b", region=f"eu-{slot % 2}"), slot))
    found = feed.vectors()
    assert [list(v)[1] for v in found[:2]] == ["probe_success", "probe_success"]
    assert [list(v)[1] for v in found[2:]] == [
        "probe_success{job=b,region=eu-0}",
        "probe_success{job=a,region=eu-1}",
    ] * 2
    assert feed.counted == 1


def test_a_host_that_moved_is_no_second_series() -> None:
    feed = Feed()
    for slot, job in enumerate("aaabbb"):
        feed.send(10 * slot, (probe(job), slot))
    assert {list(v)[1] for v in feed.vectors()} == {"probe_success"}
    assert feed.counted == 0


def test_a_host_that_moved_back_after_long_is_none_either() -> None:
    collisions = LabelCollisions()
    for at, job in ((0.0, "a"), (1.0, "b"), (2.0 + TURNS_S, "a")):
        part = Sample("e", at, "t", 0, 0, {"m": 1.0}, aside={"m": (f"job={job}",)})
        assert collisions.named([part]) == [part] or collisions.named([part])[0].values == {"m": 1.0}
    assert collisions.take() == []


@pytest.mark.parametrize("label", ["prometheus", "prometheus_replica", "replica"])
def test_who_asked_makes_no_second_series(label: str) -> None:
    feed = Feed()
    for slot in range(3):
        feed.send(10 * slot, (probe("a") | {label: "one"}, 1), (probe("a") | {label: "two"}, 1))
    assert feed.vectors() == [{"entity": "https://x.org", "probe_success": 1.0}] * 3
    assert feed.counted == 0


def test_where_the_configuration_names_the_labels_they_stay_and_it_is_said(
    caplog: pytest.LogCaptureFixture,
) -> None:
    feed = Feed(metric_labels=["mode"])
    for slot in range(3):
        feed.send(10 * slot, (probe("a", mode="x", code="1"), 1), (probe("a", mode="x", code="2"), 2))
    assert feed.vectors() == [{"entity": "https://x.org", "probe_success{mode=x}": 2.0}] * 3
    assert feed.counted == 3
    assert [r.getMessage().count("add these to inputs.metric_labels") for r in caplog.records] == [1]


def test_a_restart_changes_no_name(tmp_path: Path) -> None:
    feed = Feed()
    feed.send(0, (probe("a"), 1), (probe("b"), 0))
    feed.take([], 100.0)
    store = Store.open(f"sqlite:///{tmp_path}/s.db")
    states = feed.intake.states()
    assert ("labels", "https://x.org") in states
    store.close()
    again = LabelCollisions()
    again.restore({entity: blob for (name, entity), blob in states.items() if name == "labels"})
    (part,) = again.named(
        [Sample("https://x.org", 1.0, "t", 0, 0, {"probe_success": 1.0}, aside={"probe_success": ("job=a",)})]
    )
    assert part.values == {"probe_success{job=a}": 1.0}


@pytest.mark.parametrize(
    ("labels", "entity", "metric"),
    [
        ({"host": "WIN01", "instance": "_Total"}, "WIN01", "win_cpu{instance=_Total}"),
        ({"host": "WIN02", "instance": "C:"}, "WIN02", "win_cpu{instance=C:}"),
        ({"host": "WIN02", "instance": "0,1"}, "WIN02", 'win_cpu{instance="0,1"}'),
        ({"host": "WIN02", "instance": "sqlservr"}, "WIN02", "win_cpu{instance=sqlservr}"),
        ({"host": "h", "instance": "node17:9100"}, "node17:9100", "win_cpu{host=h}"),
        ({"host": "h", "instance": "10.0.0.1"}, "10.0.0.1", "win_cpu{host=h}"),
        ({"host": "h", "instance": "[::1]:9100"}, "[::1]:9100", "win_cpu{host=h}"),
        ({"host": "h", "instance": "https://x.org/health"}, "https://x.org/health", "win_cpu{host=h}"),
        ({"instance": "_Total"}, "_Total", "win_cpu"),
    ],
)
def test_the_host_names_the_entity_where_the_instance_is_no_address(
    labels: Labels, entity: str, metric: str
) -> None:
    feed = Feed()
    feed.send(0, ({"__name__": "win_cpu", **labels}, 1))
    assert feed.vectors() == [{"entity": entity, metric: 1.0}]


def test_labels_are_put_into_names_in_their_order() -> None:
    assert _with("m", ["job=a"]) == "m{job=a}"
    assert _with('m{a="x,y",z=1}', ["job=a"]) == 'm{a="x,y",job=a,z=1}'
    assert _with("m{a=1", []) == "m{a=1"
    assert _with("m{aaa~0123", ["job=a"]) == "m{aaa~0123{job=a}"
