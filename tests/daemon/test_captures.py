"""What Telegraf and collectd have really put into Kafka: it is read, and all encodings say the same."""

from __future__ import annotations

import base64
import gzip
import json
import os
from pathlib import Path

import pytest

from anomalyd.daemon.config import InputConfig
from anomalyd.daemon.decode import Decoder
from anomalyd.daemon.stages import Record, Sample

SHARED = Path(os.environ.get("ANOMALYD_SHARED", Path(__file__).parents[3] / "shared"))
CAPTURES = SHARED / "data" / "captures"
NOW = 1_795_323_400.0  # just after the last of them

pytestmark = pytest.mark.skipif(
    not (CAPTURES / "tg-json.jsonl.gz").is_file(),
    reason="no captures: set ANOMALYD_SHARED to a folder with data/captures",
)


def decoded(file: str, name: str) -> list[Sample]:
    """The samples of a capture, of which nothing else than topic and format is told."""
    with gzip.open(CAPTURES / file, "rt") as stream:
        told = [json.loads(line) for line in stream]
    records = [
        Record("t", 0, i, m["ts"] / 1000, m["key"] and m["key"].encode(), base64.b64decode(m["value"]))
        for i, m in enumerate(told)
    ]
    samples, dead = Decoder([InputConfig(topic="t", format=name)], clock=lambda: NOW).decode(records)
    assert len(records) == 3000
    assert [letter.text for letter in dead] == []
    return samples


def content(samples: list[Sample]) -> dict[tuple[str, float], dict[str, float | None]]:
    """Entity and time -> all values told of them."""
    out: dict[tuple[str, float], dict[str, float | None]] = {}
    for sample in samples:
        assert sample.partial
        assert sample.values is not None
        out.setdefault((sample.entity, sample.time), {}).update(sample.values)
    return out


def counters(samples: list[Sample]) -> set[str]:
    return {name for sample in samples for name in sample.counters or ()}


def test_telegraf_says_the_same_in_all_its_formats() -> None:
    as_json = decoded("tg-json.jsonl.gz", "telegraf-json")
    as_lines = decoded("tg-influx.jsonl.gz", "influx")
    as_series = decoded("tg-prw.jsonl.gz", "prometheus")

    assert len(as_json) == 2823  # the other 177 messages hold nothing but a text
    assert {s.entity for s in as_json} == {"wn042.example.org"}
    values = content(as_json)
    assert content(as_lines) == values
    assert content(as_series) == {
        key: {name.replace(".", "_", 1): value for name, value in found.items()}
        for key, found in values.items()
    }

    counting = counters(as_json)
    assert counters(as_lines) == counting
    assert counters(as_series) == {name.replace(".", "_", 1) for name in counting}
    falling = set()
    last: dict[str, float] = {}
    for _, found in sorted(values.items()):
        for name, value in found.items():
            if value is not None and value < last.get(name, value):
                falling.add(name)
            last[name] = value or 0.0
    assert not counting & falling
    assert {"net.bytes_recv{interface=eth0}", "diskio.reads{name=vda}", "kernel.interrupts"} <= counting
    # What never fell though it is no counter is what did not change, or by chance.
    assert {n.partition("{")[0].partition(".")[0] for n in counting} == {"net", "diskio", "kernel", "system"}


def test_collectd_sends_rates_by_default() -> None:
    samples = decoded("collectd.jsonl.gz", "collectd")
    values = content(samples)
    assert {entity for entity, _ in values} == {"wn043.example.org"}
    names = {name for found in values.values() for name in found}
    assert len(names) == 68
    assert {
        "cpu.cpu{plugin_instance=0,type_instance=user}",
        "interface.if_octets.rx{plugin_instance=eth0}",
        "disk.disk_ops.read{plugin_instance=vda}",
        "memory.memory{type_instance=used}",
        "load.load.shortterm",
    } <= names
    assert counters(samples) == set()
