"""What producers wrap messages in, or send instead: read, or refused with what it is and what mends it."""

from __future__ import annotations

import gzip
import json
import re
from typing import Any

import msgspec
import pytest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from prometheus_client import CollectorRegistry

from anomalyd.daemon.config.config import InputConfig
from anomalyd.daemon.intake.decode import Decoder
from anomalyd.daemon.intake.intake import Intake
from anomalyd.daemon.kafka.poll_result import Batch
from anomalyd.daemon.stages import DeadLetter, Reason, Record, Sample
from anomalyd.daemon.telemetry.telemetry import Telemetry

NOW = 1_795_288_500.0

VECTOR = {"entity": "h", "time": NOW, "values": {"m.a": 1.5}}
TELEGRAF = {"name": "m", "tags": {"host": "h"}, "fields": {"a": 1.5}, "timestamp": int(NOW)}
COLLECTD = {"values": [1.5], "dstypes": ["gauge"], "dsnames": ["a"], "time": NOW, "host": "h"} | {
    "plugin": "m",
    "type": "t",
}
ADAPTER = {"timestamp": "2026-11-21T19:15:00Z", "value": "1.5", "name": "m", "labels": {"instance": "h"}}


def otlp(name: str, value: Any = 1.5, at: str = "1795288500000000000") -> dict[str, Any]:
    metric = {"name": name, "gauge": {"dataPoints": [{"timeUnixNano": at, "asDouble": value}]}}
    host = {"attributes": [{"key": "host.name", "value": {"stringValue": "h"}}]}
    return {"resourceMetrics": [{"resource": host, "scopeMetrics": [{"metrics": [metric]}]}]}


ONE_OF_EACH = [
    ("json", VECTOR),
    ("telegraf-json", TELEGRAF),
    ("collectd", COLLECTD),
    ("prometheus-json", ADAPTER),
    ("otlp", otlp("m")),
]


def decoded(value: bytes | None, format_: str = "json") -> tuple[list[Sample], list[DeadLetter]]:
    decoder = Decoder([InputConfig(topic="t", format=format_)], clock=lambda: NOW)
    return decoder.decode([Record("t", 0, 0, NOW, None, value)])


def raw(value: object) -> bytes:
    return json.dumps(value).encode()


@pytest.mark.parametrize(("format_", "message"), ONE_OF_EACH)
@pytest.mark.parametrize("before", [b"", b"\xef\xbb\xbf", b"\r\n ", b"\xef\xbb\xbf\r\n"])
def test_marks_and_line_ends_around_a_message_are_no_part_of_it(
    format_: str, message: dict[str, Any], before: bytes
) -> None:
    (sample,), dead = decoded(before + raw(message) + b"\r\n", format_)
    assert dead == []
    assert (sample.entity, list((sample.values or {}).values())) == ("h", [1.5])


def test_a_mark_before_line_protocol_is_not_in_the_name() -> None:
    (sample,), _ = decoded(b"\xef\xbb\xbfcpu,host=h a=1", "influx")
    assert sample.values == {"cpu.a": 1}


@pytest.mark.parametrize(("format_", "message"), ONE_OF_EACH)
def test_messages_line_by_line(format_: str, message: dict[str, Any]) -> None:
    samples, (letter,) = decoded(b"\n".join([raw(message), b'{"no": "message"}', b"", raw(message)]), format_)
    assert [s.entity for s in samples] == ["h", "h"]
    assert letter.where == "line 2"
    assert (letter.broken or b"").strip(b"[]") == b'{"no": "message"}'


def test_lines_of_arrays_and_nothing_but_bad_lines() -> None:
    samples, dead = decoded(raw([VECTOR]) + b"\n" + raw([VECTOR, VECTOR]))
    assert (len(samples), dead) == (3, [])
    samples, (letter,) = decoded(b'{"a": 1}\n{"b": 1}\n')
    assert samples == []
    assert "line 1: " in letter.text
    assert letter.broken is None  # it is the whole message


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (gzip.compress(raw(VECTOR), mtime=0), "compressed with gzip; send it plain"),
        (b"\x28\xb5\x2f\xfd" + bytes(20), "zstd"),
        (json.dumps(VECTOR).encode("utf-16"), "UTF-16; send UTF-8"),
        (json.dumps(VECTOR).encode("utf-16-le"), "UTF-16; send UTF-8"),
        (json.dumps(VECTOR).encode("utf-16-be"), "UTF-16; send UTF-8"),
        (b"\0\0\0\0\x07\x02\x04ab", "schema registry"),
        (b"\0\0\0\0\x07" + raw(VECTOR), "schema registry"),
        (b"Obj\x01" + bytes(20), "Avro file"),
        (msgspec.msgpack.encode(VECTOR), "MessagePack; send JSON"),
        (raw({"schema": {"type": "struct"}, "payload": VECTOR}), r"value\.converter\.schemas\.enable=false"),
        (b"# HELP a b\na 1\n", "scraping"),
        (b"<html></html>", "XML or HTML"),
        (b" \n", "it is blank"),
    ],
)
@pytest.mark.parametrize("format_", ["json", "telegraf-json", "collectd", "prometheus-json"])
def test_what_is_something_else_says_what(value: bytes, said: str, format_: str) -> None:
    samples, (letter,) = decoded(value, format_)
    assert samples == []
    assert re.search(said, letter.text), letter.text
    assert letter.reason is not Reason.INTERNAL


@pytest.mark.parametrize("value", [b"", None])
@pytest.mark.parametrize("format_", ["json", "influx", "otlp", "prometheus", "npy"])
def test_a_tombstone_is_empty(value: bytes | None, format_: str) -> None:
    samples, (letter,) = decoded(value, format_)
    assert (samples, letter.reason) == ([], "empty")


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ({"clock": 1, "value": 2}, "missing field `time`; there are: clock, value"),
        (VECTOR | {"time": NOW * 1e3}, "milliseconds: give seconds"),
        (VECTOR | {"time": NOW * 1e6}, "microseconds: give seconds"),
        (VECTOR | {"time": NOW * 1e9}, "nanoseconds: give seconds"),
        (VECTOR | {"time": str(int(NOW * 1e3))}, "milliseconds: give seconds"),
        (VECTOR | {"time": 1e308}, r"is \+1e\+308 s from now"),
        (VECTOR | {"time": "2027-02-29T00:00:00Z"}, "day is out of range for month"),
        (VECTOR | {"time": "2026-11-21T19:15:60Z"}, r"second must be in 0\.\.59"),
        (VECTOR | {"time": "2026-10-25T02:30:00"}, "no time zone; add Z or an offset"),
        (VECTOR | {"time": "Sat, 21 Nov 2026 19:15:00 +0000"}, "neither seconds since the epoch nor an ISO"),
    ],
)
def test_times_and_fields_that_are_refused(value: object, said: str) -> None:
    samples, (letter,) = decoded(raw(value))
    assert samples == []
    assert re.search(said, letter.text), letter.text


@pytest.mark.parametrize("time", ["1795288500", "2026-11-21t19:15:00z", "2026-11-21 20:15:00+01:00"])
def test_times_that_are_read(time: str) -> None:
    (sample,), _ = decoded(raw(VECTOR | {"time": time}))
    assert sample.time == NOW


def test_telegraf_as_others_write_it() -> None:
    (sample,), dead = decoded(raw([TELEGRAF, TELEGRAF | {"name": "n"}]), "telegraf-json")
    assert (sample.values, dead) == ({"m.a": 1.5, "n.a": 1.5}, [])
    tags = {"host": "h", "slot": 7, "hot": True, "load": 0.5, "none": None}
    (sample,), dead = decoded(raw(TELEGRAF | {"tags": tags}), "telegraf-json")
    assert (sample.values, dead) == ({"m.a{hot=true,load=0.5,slot=7}": 1.5}, [])
    for bad in ({"a": 1}, [1]):
        samples, (letter,) = decoded(raw(TELEGRAF | {"tags": {"host": "h", "slot": bad}}), "telegraf-json")
        assert samples == []
        assert "label 'slot': an" in letter.text
    (sample,), (letter,) = decoded(raw(TELEGRAF).replace(b"1.5", b'1e999, "b": 2'), "telegraf-json")
    assert sample.values == {"m.b": 2}
    assert letter.text == "fields.a: Number out of range"


def test_samples_of_the_adapter_as_templates_write_them() -> None:
    message = ADAPTER | {"timestamp": NOW * 1000, "labels": {"instance": "h", "cpu": 0, "none": None}}
    (sample,), dead = decoded(raw(message), "prometheus-json")
    assert (sample.time, sample.values, dead) == (NOW, {"m{cpu=0}": 1.5}, [])
    for value in ("1_000", "\u0661\u0662", "9" * 5000, "x"):
        samples, (letter,) = decoded(raw(ADAPTER | {"value": value}), "prometheus-json")
        assert (samples, letter.reason) == ([], "field")


@pytest.mark.parametrize("unit", [1, 10**3, 10**6, 10**9])
@pytest.mark.parametrize(("format_", "message"), [("telegraf-json", TELEGRAF), ("prometheus-json", ADAPTER)])
def test_time_stamps_are_numbers_or_their_text(format_: str, message: dict[str, Any], unit: int) -> None:
    for stamp in (int(NOW) * unit, str(int(NOW) * unit)):
        (sample,), dead = decoded(raw(message | {"timestamp": stamp}), format_)
        assert (sample.time, dead) == (NOW, [])


@pytest.mark.parametrize(
    ("format_", "value"),
    [
        ("influx", b"m,host=h a=%di"),
        ("telegraf-json", b'{"name":"m","tags":{"host":"h"},"fields":{"a":%d},"timestamp":1795288500}'),
        ("prometheus-json", raw(ADAPTER).replace(b"1.5", b"%d")),
        ("collectd", raw(COLLECTD).replace(b"1.5", b"%d")),
    ],
)
@pytest.mark.parametrize("number", [2**63, 2**64 - 1, 2**64, 10**19, 10**30, -(2**63) - 1, -(10**30)])
def test_whole_numbers_beyond_64_bits_can_be_remembered(format_: str, value: bytes, number: int) -> None:
    inputs = [InputConfig(topic="t", format=format_, grid_s=1.0, lateness_s=0.0)]
    way_in = Intake(inputs, Decoder(inputs, clock=lambda: NOW), Telemetry(CollectorRegistry(), topics=["t"]))
    record = Record("t", 0, 0, NOW, None, value % number)
    way_in.take([Batch("t", 0, [record])], {}, NOW)
    (sample,) = way_in.take([], {}, NOW + 60).samples
    told = [v for v in (sample.values or {}).values() if v is not None]
    assert told in ([pytest.approx(number)], [])  # of a counter there is no rate yet
    assert way_in.states()


def test_a_write_request_that_is_not_compressed_says_so() -> None:
    series = bytes.fromhex("0a230a0d0a085f5f6e616d655f5f120161121209000000000000f83f10ac8aa2fc9f34")
    _, (letter,) = decoded(series[:2] + series[2:], "prometheus")
    assert "compress" in letter.text


def test_a_bad_metric_of_otlp_takes_no_other_with_it() -> None:
    request = otlp("good")
    metrics = request["resourceMetrics"][0]["scopeMetrics"][0]["metrics"]
    metrics += [*_metrics(otlp("bad", at="soon")), *_metrics(otlp("also"))]
    (sample,), (letter,) = decoded(raw(request), "otlp")
    assert sample.values == {"good": 1.5, "also": 1.5}
    assert letter.where == "metric 1"
    assert letter.broken is not None
    assert json.loads(letter.broken) == otlp("bad", at="soon")


def test_a_byte_that_is_no_text_in_otlp_protobuf() -> None:
    request = ExportMetricsServiceRequest()
    resource = request.resource_metrics.add()
    resource.resource.attributes.add(key="host.name").value.string_value = "h"
    scope = resource.scope_metrics.add()
    for name in ("good", "bad?", "also"):
        point = scope.metrics.add(name=name).gauge.data_points.add(as_double=1.5)
        point.time_unix_nano = int(NOW * 1e9)
    (sample,), (letter,) = decoded(request.SerializeToString().replace(b"bad?", b"bad\xe8"), "otlp")
    assert sample.values == {"good": 1.5, "also": 1.5}
    assert letter.where == "metric 1"
    assert letter.broken is not None
    assert b"bad\xe8" in letter.broken
    assert b"good" not in letter.broken


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (raw({"resourceLogs": [{}]}), "these are logs, which are not read"),
        (raw({"resourceSpans": []}), "these are traces"),
        (raw([otlp("m")]), "not OTLP metrics as JSON"),
        (raw({"resourceMetrics": 5}), "not OTLP metrics as JSON"),
        (b"\x0a\x05a", "not OTLP metrics as protobuf"),
    ],
)
def test_what_is_no_otlp_request_of_metrics(value: bytes, said: str) -> None:
    samples, (letter,) = decoded(value, "otlp")
    assert samples == []
    assert said in letter.text


def _metrics(request: dict[str, Any]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = request["resourceMetrics"][0]["scopeMetrics"][0]["metrics"]
    return found
