"""Format `collectd`: value lists, and telling what was counted from what is a rate."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from anomalyd.daemon.config.config import InputConfig
from anomalyd.daemon.intake.formats import collectd as module
from anomalyd.daemon.intake.formats.format import Format
from anomalyd.daemon.intake.formats.registry import format_of
from anomalyd.daemon.stages import Record, Sample
from anomalyd.errors import DecodeError

NOW = 1_795_288_500.0


def value_list(**changes: Any) -> dict[str, Any]:
    return {
        "values": [1, 2],
        "dstypes": ["derive", "derive"],
        "dsnames": ["rx", "tx"],
        "time": NOW - 0.5,
        "interval": 2.0,
        "host": "h",
        "plugin": "interface",
        "plugin_instance": "eth0",
        "type": "if_octets",
        "type_instance": "",
    } | changes


def gauge(value: Any, **changes: Any) -> dict[str, Any]:
    return value_list(values=[value], dstypes=["gauge"], dsnames=["value"], **changes)


RX, TX = "interface.if_octets.rx{plugin_instance=eth0}", "interface.if_octets.tx{plugin_instance=eth0}"


@pytest.fixture
def decoder() -> Format:
    return format_of(InputConfig(topic="t", format="collectd"))


def decode(decoder: Format, *lists: Any) -> tuple[Sequence[Sample], DecodeError | None]:
    return decoder.decode(Record("t", 1, 7, NOW, b"6D1C6503", json.dumps(lists).encode()), NOW)


def test_value_lists_are_parts_of_their_host(decoder: Format) -> None:
    (sample,), error = decode(
        decoder,
        value_list(),
        gauge(5.5, plugin="memory", plugin_instance="", type="memory", type_instance="used"),
        gauge(None, plugin="cpu", plugin_instance="0", type="cpu", type_instance="idle"),
    )
    assert error is None
    assert (sample.entity, sample.time, sample.partial) == ("h", NOW - 0.5, True)
    assert sample.values == {
        RX: 1,
        TX: 2,
        "memory.memory{type_instance=used}": 5.5,
        "cpu.cpu{plugin_instance=0,type_instance=idle}": None,
    }
    assert sample.counters == {RX: 0, TX: 0}


@pytest.mark.parametrize("proof", [None, 0.5, 7.0])
def test_a_host_that_sent_what_no_counter_can_be_sends_rates(decoder: Format, proof: float | None) -> None:
    (before,), _ = decode(decoder, value_list())
    assert before.counters == {RX: 0, TX: 0}
    (sample,), _ = decode(decoder, value_list(values=[3, proof], type="if_packets"))
    assert sample.counters is None
    (after,), _ = decode(decoder, value_list())
    assert after.counters is None
    (other,), _ = decode(decoder, value_list(host="other"))
    assert other.counters == {RX: 0, TX: 0}


def test_a_gauge_proves_nothing(decoder: Format) -> None:
    decode(decoder, gauge(None, type="x"), gauge(0.5, type="y"))
    (sample,), _ = decode(decoder, value_list())
    assert sample.counters == {RX: 0, TX: 0}


@pytest.mark.parametrize(
    ("kind", "value", "counters"),
    [
        ("derive", 5, {RX: 0}),
        ("derive", -5, {RX: 0}),
        ("counter", 5, {RX: 32}),
        ("counter", 2**32 - 1, {RX: 32}),
        ("counter", 2**32, {RX: 64}),
        ("gauge", 5, None),
        ("absolute", 5, None),
    ],
)
def test_what_counts_and_when_it_wraps(decoder: Format, kind: str, value: int, counters: Any) -> None:
    (sample,), _ = decode(decoder, value_list(values=[value], dstypes=[kind], dsnames=["rx"]))
    assert sample.values == {RX: value}
    assert sample.counters == counters


@pytest.mark.parametrize(("patterns", "counters"), [([], None), (["*"], {RX: 0, TX: 0}), (["*.rx"], {RX: 0})])
def test_the_input_knows_better(patterns: list[str], counters: Any) -> None:
    decoder = format_of(InputConfig(topic="t", format="collectd", counters=patterns))
    for values in ([1, 2], [1.5, 2], [None, 2]):
        (sample,), _ = decode(decoder, value_list(values=values))
        assert sample.counters == counters


def test_hosts_that_never_repeat_are_not_remembered_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "REMEMBERED", 10)
    decoder = module.Collectd(InputConfig(topic="t", format="collectd"))
    for i in range(100):
        decode(decoder, value_list(host=f"h{i}", values=[0.5, 0.5]))
    assert len(decoder._sends_rates) <= 10


@pytest.mark.parametrize(
    ("message", "reason", "text"),
    [
        (b"[", "syntax", "not JSON"),
        (b"{}", "field", "array"),
        (b"[]", "empty", "without value lists"),
        ([3], "field", "element 0"),
        ([{"values": []}], "field", "missing field"),
        ([value_list(values=[1])], "field", "1, 2 and 2 elements"),
        ([value_list(values=["a", 1])], "field", r"\$\.values\[0\]"),
        ([value_list(values=[True, 1])], "field", r"\$\.values\[0\]"),
        ([gauge(1e39)], "field", "beyond"),
        ([value_list(time=NOW * 1000)], "clock", "milliseconds"),
        ([value_list(time="now")], "field", r"\$\.time"),
        ([value_list(host="")], "entity", "no label host"),
        ([value_list(host="a\tb")], "entity", "control"),
    ],
)
def test_what_is_refused(decoder: Format, message: Any, reason: str, text: str) -> None:
    raw = message if isinstance(message, bytes) else json.dumps(message).encode()
    with pytest.raises(DecodeError) as caught:
        decoder.decode(Record("t", 1, 7, NOW, None, raw), NOW)
    assert caught.value.reason == reason, str(caught.value)
    assert re.search(text, str(caught.value)), str(caught.value)


def test_a_bad_element_takes_no_other_with_it(decoder: Format) -> None:
    (sample,), error = decode(decoder, {"values": 1}, value_list(), value_list(host="x", time=0.0))
    assert sample.values == {RX: 1, TX: 2}
    assert error is not None
    assert error.reason == "field"
    assert re.fullmatch("element 0: .*; element 2: time: .*", str(error))


text = st.text(st.characters(categories=("L", "N", "P", "S")), min_size=1, max_size=8)
sources = st.lists(
    st.tuples(text, st.sampled_from(["gauge", "derive", "counter", "absolute"]), st.integers(0, 2**64 - 1)),
    min_size=1,
    max_size=5,
    unique_by=lambda source: source[0],
)


@given(text, text, text, text, sources)
def test_a_value_list_comes_back_as_it_went(
    host: str, plugin: str, instance: str, type_instance: str, found: list[tuple[str, str, int]]
) -> None:
    dsnames, dstypes, values = map(list, zip(*found, strict=True))
    sent = value_list(
        host=host,
        plugin=plugin,
        plugin_instance=instance,
        type_instance=type_instance,
        values=values,
        dstypes=dstypes,
        dsnames=dsnames,
    )
    (sample,), error = decode(format_of(InputConfig(topic="t", format="collectd")), sent)
    assert error is None
    assert sample.entity == host
    assert sample.values is not None
    assert list(sample.values.values()) == values
    counting = [kind in ("derive", "counter") for kind in dstypes]
    assert [name in (sample.counters or {}) for name in sample.values] == counting
