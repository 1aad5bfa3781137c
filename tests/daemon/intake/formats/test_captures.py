"""What Telegraf and collectd have really put into Kafka: it is read, and all encodings say the same."""

from __future__ import annotations

from collections.abc import Callable

from anomalyd.daemon.stages import Sample

Captured = Callable[[str, str], list[Sample]]


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


def test_telegraf_says_the_same_in_all_its_formats(captured: Captured) -> None:
    as_json = captured("tg-json.jsonl.gz", "telegraf-json")
    as_lines = captured("tg-influx.jsonl.gz", "influx")
    as_series = captured("tg-prw.jsonl.gz", "prometheus")

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


def test_collectd_sends_rates_by_default(captured: Captured) -> None:
    samples = captured("collectd.jsonl.gz", "collectd")
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
