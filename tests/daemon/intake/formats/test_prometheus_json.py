"""What prometheus-kafka-adapter writes as JSON; and messages that are in another format than their topic."""

from __future__ import annotations

import json
from typing import Any

import pytest

from anomalyd.daemon.config.config import InputConfig
from anomalyd.daemon.intake.decode import Decoder
from anomalyd.daemon.intake.formats.recognise import recognised
from anomalyd.daemon.stages import DeadLetter, Record, Sample

NOW = 1_795_946_400.0  # 2026-11-29T10:00:00Z
ADAPTER = {
    "timestamp": "2026-11-29T10:00:00Z",
    "value": "9876543210.5",
    "name": "node_load1",
    "labels": {"__name__": "node_load1", "instance": "n1:9100", "job": "node"},
}


def decoded(value: Any, format_: str = "prometheus-json") -> tuple[list[Sample], list[DeadLetter]]:
    raw = value if isinstance(value, bytes) else json.dumps(value).encode()
    return Decoder([InputConfig(topic="t", format=format_)], clock=lambda: NOW).decode(
        [Record("t", 0, 3, NOW, b"k", raw)]
    )


def test_a_sample() -> None:
    (sample,), dead = decoded(ADAPTER)
    assert dead == []
    assert (sample.entity, sample.time, sample.values) == ("n1:9100", NOW, {"node_load1": 9876543210.5})
    assert (sample.partial, sample.aside) == (True, {"node_load1": ("job=node",)})


@pytest.mark.parametrize(
    ("value", "number"),
    [
        ("18446744073709551615", 2**64 - 1),
        ("1e3", 1000.0),
        (7, 7.0),
        ("NaN", None),
        (None, None),
        ("-0.5", -0.5),
    ],
)
def test_what_a_value_may_be(value: Any, number: float | None) -> None:
    (sample,), dead = decoded(ADAPTER | {"value": value})
    assert (dead, sample.values) == ([], {"node_load1": number})


def test_counters_and_hosts_are_those_of_prometheus() -> None:
    labels = {"host": "WIN01", "instance": "_Total", "__name__": "cpu_total"}
    (sample,), _ = decoded({**ADAPTER, "name": "", "labels": labels})
    assert (sample.entity, sample.counters) == ("WIN01", {"cpu_total{instance=_Total}": 0})


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"value": "+Inf"}, "field"),
        ({"value": "many"}, "field"),
        ({"timestamp": "yesterday"}, "time"),
        ({"labels": {"__name__": "x"}}, "entity"),
        ({"labels": {"instance": "x"}, "name": ""}, "metrics"),
        ({"labels": 3}, "field"),
    ],
)
def test_what_is_refused(change: dict[str, Any], reason: str) -> None:
    samples, (letter,) = decoded(ADAPTER | change)
    assert (samples, letter.reason) == ([], reason)
    samples, (letter,) = decoded([ADAPTER, ADAPTER | change])
    assert (len(samples), letter.where) == (1, "element 1")


LINE = b"cpu,host=wn1 usage=1"
TELEGRAF = {"name": "m", "tags": {"host": "h"}, "fields": {"a": 1}, "timestamp": NOW}
VECTOR = {"entity": "e", "time": NOW, "values": {"a": 1}}


@pytest.mark.parametrize(
    ("value", "format_"),
    [(LINE, "influx"), (TELEGRAF, "telegraf-json"), (VECTOR, "json"), (ADAPTER, "prometheus-json")],
)
def test_a_message_of_another_format_says_which(value: Any, format_: str) -> None:
    raw = value if isinstance(value, bytes) else json.dumps(value).encode()
    assert recognised(Record("t", 0, 0, NOW, None, raw)) == format_
    for other in {"influx", "telegraf-json", "json", "prometheus", "prometheus-json", "collectd"} - {format_}:
        samples, (letter,) = decoded(raw, other)
        assert samples == []
        assert f"it is a message of the format {format_!r}" in letter.text, other


def test_a_message_of_no_format_says_none() -> None:
    assert recognised(Record("t", 0, 0, NOW, None, b"hello world")) is None
    assert recognised(Record("t", 0, 0, NOW, None, None)) is None
    (letter,) = decoded(b"hello world")[1]
    assert "it is a message" not in letter.text
