"""Format `prometheus`: remote write requests, what is passed over, and what is refused."""

from __future__ import annotations

import re
import struct
from collections.abc import Sequence
from typing import Any

import cramjam
import pytest
from hypothesis import given
from hypothesis import strategies as st

from anomalyd.daemon.config.config import InputConfig, Limits
from anomalyd.daemon.intake.formats.registry import format_of
from anomalyd.daemon.stages import Reason, Record, Sample
from anomalyd.errors import DecodeError

NOW = 1_795_288_500.0
MS = 1_795_288_499_500
STALE = struct.unpack("<d", struct.pack("<Q", 0x7FF0000000000002))[0]


def varint(number: int) -> bytes:
    number &= 2**64 - 1
    out = b""
    while number > 127:
        out += bytes([number & 127 | 128])
        number >>= 7
    return out + bytes([number])


def field(number: int, content: bytes) -> bytes:
    return varint(number << 3 | 2) + varint(len(content)) + content


def label(name: str, value: str) -> bytes:
    return field(1, field(1, name.encode()) + field(2, value.encode()))


def point(value: float, milliseconds: int = MS) -> bytes:
    """A sample as protobuf writes it: what is 0 is left out."""
    number = b"" if value == 0 else b"\x09" + struct.pack("<d", value)
    return field(2, number + (b"" if milliseconds == 0 else b"\x10" + varint(milliseconds)))


def time_series(name: str, *points: bytes, **labels: str) -> bytes:
    named = {"__name__": name, "instance": "i"} | labels
    return field(1, b"".join(label(k, v) for k, v in named.items()) + b"".join(points))


def compressed(request: bytes) -> bytes:
    return bytes(cramjam.snappy.compress_raw(request))


def decode(request: bytes, **settings: Any) -> tuple[Sequence[Sample], DecodeError | None]:
    decoder = format_of(InputConfig(topic="t", format="prometheus", **settings))
    return decoder.decode(Record("t", 1, 7, NOW, b"the key", compressed(request)), NOW)


def test_series_of_one_instance_are_one_part() -> None:
    request = (
        time_series("load", point(1.5), job="node")
        + time_series("cpu_seconds_total", point(0.0), cpu="0", mode="idle")
        + time_series("load", point(2.5), instance="other")
    )
    samples, error = decode(request)
    assert error is None
    assert [(s.entity, s.time, s.values, s.counters) for s in samples] == [
        (
            "i",
            NOW - 0.5,
            {"load": 1.5, "cpu_seconds_total{cpu=0,mode=idle}": 0.0},
            {"cpu_seconds_total{cpu=0,mode=idle}": 0},
        ),
        ("other", NOW - 0.5, {"load": 2.5}, None),
    ]
    assert all(s.partial for s in samples)


def test_a_series_of_several_times_is_several_parts() -> None:
    samples, error = decode(time_series("a", point(1, MS - 1000), point(2, MS)))
    assert error is None
    assert [(s.time, s.values) for s in samples] == [(NOW - 1.5, {"a": 1}), (NOW - 0.5, {"a": 2})]


@pytest.mark.parametrize("value", [STALE, float("nan")])
def test_nan_is_a_missing_value(value: float) -> None:
    (sample,), error = decode(time_series("a_total", point(value)))
    assert error is None
    assert (sample.values, sample.counters) == ({"a_total": None}, {"a_total": 0})


def test_the_host_where_there_is_no_instance() -> None:
    (sample,), _ = decode(time_series("a", point(1), instance="", host="h"))
    assert (sample.entity, sample.values) == ("h", {"a": 1})


UNKNOWN = varint(9 << 3) + varint(2**40) + varint(99 << 3 | 1) + bytes(8) + varint(10 << 3 | 5) + bytes(4)


def test_what_nobody_reads_is_passed_over() -> None:
    exemplar, histogram = field(3, b"\x09" + bytes(8)), field(4, b"\x08\x05\x10\x06")
    name = field(1, UNKNOWN + field(1, b"__name__") + field(7, b"x") + field(2, b"a"))
    value = field(2, UNKNOWN + b"\x09" + struct.pack("<d", 4.0) + b"\x10" + varint(MS))
    series = field(1, exemplar + name + UNKNOWN + value + histogram + label("instance", "i"))
    metadata = field(3, b"\x08\x01" + field(2, b"a") + field(4, b"help"))
    (sample,), error = decode(metadata + UNKNOWN + series + metadata)
    assert error is None
    assert (sample.entity, sample.values) == ("i", {"a": 4.0})


@pytest.mark.parametrize(
    "request_", [b"", field(3, b"\x08\x01"), time_series("a"), time_series("a", field(4, b""))]
)
def test_a_request_of_no_samples_is_no_fault(request_: bytes) -> None:
    assert decode(request_) == ([], None)


@pytest.mark.parametrize(
    ("request_", "reason", "text"),
    [
        (b"\x0a", "syntax", "ends within"),
        (b"\x0a\x05a", "syntax", "5 bytes where 1 are left"),
        (b"\x80" * 11, "syntax", "more than 64 bits"),
        (b"\x0b", "syntax", "wire type 3"),
        (b"\x09\x01", "syntax", "ends within"),
        (field(1, b"\x12\x03\x09\x00\x00") + bytes(20), "syntax", "within its value"),
        (field(1, b"\x12\x02\x10\x80") + field(3, b""), "syntax", "within a field"),
        (field(1, b"\x0a\x7f" + bytes(3)) + bytes(200), "syntax", "127 bytes where 3"),
        (time_series("a", point(1))[:-1], "syntax", "not a WriteRequest"),
        (field(4, b"") + field(4, b"__name__"), "syntax", r"remote write 2\.0"),
        (field(5, b"\x0a\x01\x01"), "syntax", r"remote write 2\.0"),
        (field(1, label("instance", "i") + point(1)), "metrics", "__name__"),
        (field(1, field(1, field(1, b"\xff")) + point(1)), "syntax", "labels"),
        (field(1, field(1, b"\x0a\x05a") + point(1)), "syntax", "labels"),
        (field(1, label("__name__", "a") + point(1)), "entity", "no label instance or host"),
        (time_series("a\n", point(1)), "metrics", "control"),
        (time_series("a", point(float("inf"))), "field", "a: inf is beyond"),
        (time_series("a", point(-1e39)), "field", r"a: -1e\+39 is beyond"),
        (time_series("a", point(1, MS // 1000)), "clock", "past_s"),
        (time_series("a", point(1, -MS)), "clock", r"time: -1795288499\.5 is"),
        (time_series("a", point(1, 0)), "clock", "past_s"),
    ],
)
def test_what_is_refused(request_: bytes, reason: str, text: str) -> None:
    with pytest.raises(DecodeError) as caught:
        decode(request_)
    assert caught.value.reason == reason, str(caught.value)
    assert re.search(text, str(caught.value)), str(caught.value)


def test_a_bad_series_takes_no_other_with_it() -> None:
    request = (
        time_series("a", point(1))
        + field(1, label("instance", "i") + point(1))
        + time_series("b", point(1, 0), point(2))
        + time_series("c", point(float("inf")))
    )
    (sample,), error = decode(request)
    assert sample.values == {"a": 1, "b": 2}
    assert error is not None
    assert error.reason == "metrics"
    assert re.fullmatch("series 1: .*; series 2: time: .*; series 3: c: inf .*", str(error))


@pytest.mark.parametrize("value", [b"\xff" * 11, b"\xff\xff\xff\xff\x0f", b"{}", compressed(b"abc")[:-1]])
def test_what_is_not_snappy_is_refused(value: bytes) -> None:
    decoder = format_of(InputConfig(topic="t", format="prometheus"))
    with pytest.raises(DecodeError, match=r"snappy|bytes uncompressed") as caught:
        decoder.decode(Record("t", 1, 7, NOW, None, value), NOW)
    assert caught.value.reason in ("syntax", "too-large")


def test_a_few_bytes_that_say_they_are_many_take_no_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    def uncompress(value: bytes) -> None:
        raise AssertionError("uncompressed")

    request = field(3, bytes(5000))
    size = len(request)
    assert len(compressed(request)) < 500
    assert decode(request, limits=Limits(message_bytes=size)) == ([], None)
    monkeypatch.setattr("anomalyd.daemon.intake.formats.prometheus.cramjam.snappy.decompress_raw", uncompress)
    with pytest.raises(
        DecodeError, match=rf"{size} bytes uncompressed; {size - 1} .*message_bytes"
    ) as caught:
        decode(request, limits=Limits(message_bytes=size - 1))
    assert caught.value.reason == "too-large"


words = st.text(st.characters(categories=("L", "N", "P", "S")), min_size=1, max_size=40).filter("name".__ne__)
points = st.tuples(st.floats(-3e38, 3e38), st.integers(MS - 10**6, MS))


@given(
    st.dictionaries(words, st.dictionaries(words, words, max_size=3), min_size=1, max_size=4),
    st.lists(points, min_size=1, max_size=3, unique_by=lambda p: p[1]),
)
def test_a_request_comes_back_as_it_went(series: dict[str, dict[str, str]], found: list[Any]) -> None:
    request = b"".join(
        time_series(
            name, *(point(v, ms) for v, ms in found), **(labels | {"instance": "i", "__name__": name})
        )
        for name, labels in series.items()
    )
    samples, error = decode(request)
    assert error is None
    assert [s.time for s in samples] == [ms / 1000 for _, ms in found]
    assert [list((s.values or {}).values()) for s in samples] == [[v] * len(series) for v, _ in found]


good = time_series("a", point(1.5), x="y") + field(3, b"\x08\x01")
mangled = st.builds(
    lambda at, byte, cut: (good[:at] + bytes([byte]) + good[at + 1 :])[:cut],
    st.integers(0, len(good)),
    st.integers(0, 255),
    st.integers(0, 2 * len(good)),
)


@given(st.binary(max_size=60) | mangled)
def test_any_bytes_give_samples_or_a_reason(request: bytes) -> None:
    try:
        _, error = decode(request)
    except DecodeError as refusal:
        error = refusal
    assert error is None or error.reason in set(Reason) - {Reason.INTERNAL}
