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
    exemplar = field(3, b"\x09" + bytes(8))
    name = field(1, UNKNOWN + field(1, b"__name__") + field(7, b"x") + field(2, b"a"))
    value = field(2, UNKNOWN + b"\x09" + struct.pack("<d", 4.0) + b"\x10" + varint(MS))
    series = field(1, exemplar + name + UNKNOWN + value + label("instance", "i"))
    metadata = field(3, b"\x08\x01" + field(2, b"a") + field(4, b"help"))
    (sample,), error = decode(metadata + UNKNOWN + series + metadata)
    assert error is None
    assert (sample.entity, sample.values) == ("i", {"a": 4.0})


@pytest.mark.parametrize(
    "request_", [b"", field(3, b"\x08\x01"), time_series("a"), time_series("a", field(3, b""))]
)
def test_a_request_of_no_samples_is_no_fault(request_: bytes) -> None:
    assert decode(request_) == ([], None)


@pytest.mark.parametrize(
    ("request_", "reason", "text"),
    [
        (b"\x0a", "syntax", "not a WriteRequest"),
        (b"\x0a\x05a", "syntax", "not a WriteRequest"),
        (b"\x80" * 11, "syntax", "not a WriteRequest"),
        (b"\x0b", "syntax", "not a WriteRequest"),
        (b"\x09\x01", "syntax", "not a WriteRequest"),
        (field(1, b"\x12\x03\x09\x00\x00") + bytes(20), "syntax", "not a WriteRequest"),
        (field(1, b"\x12\x02\x10\x80") + field(3, b""), "syntax", "not a WriteRequest"),
        (field(1, b"\x0a\x7f" + bytes(3)) + bytes(200), "syntax", "not a WriteRequest"),
        (time_series("a", point(1))[:-1], "syntax", "not a WriteRequest"),
        (field(5, b"\x0a\x02\x01\x02" + point(1)), "syntax", "labels_refs: .* each one of the symbols"),
        (field(4, b"a") + field(5, b"\x0a\x01\x00" + point(1)), "syntax", "labels_refs: names and values"),
        (field(4, b"\xff") + field(5, b"\x0a\x02\x00\x00" + point(1)), "syntax", "labels b'.xff"),
        (field(4, b"a") + field(5, b"\x0a\x04\x00\x00\x00\x00" + point(1)), "syntax", "'a' stands twice"),
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


# A label called `host` would name the entity where `instance` is no address.
words = st.text(st.characters(categories=("L", "N", "P", "S")), min_size=1, max_size=40).filter(
    lambda word: word not in ("name", "host")
)
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


# Written with the classes that protoc makes of the specification's own `io.prometheus.write.v2`, with
# metadata: a gauge, a counter that is not called so (with an exemplar), a gauge called `_total`, a native
# histogram, and a gauge histogram of custom buckets.
VERSION_2 = bytes.fromhex(
    "220022085f5f6e616d655f5f220a6e6f64655f6c6f6164312208696e7374616e636522076e313a3931303022036a6f6222046e6f6465"
    "2210316d206c6f616420617665726167652e22136e6f64655f766d737461745f70676661756c74220874726163655f6964220361626322"
    "136b7562655f7265706c696361735f746f74616c220b7270635f7365636f6e6473220c525043206c6174656e63792e22077365636f6e64"
    "73220c71756575655f6c656e6774682a200a06010203040506121009000000000000f83f10ac8aa2fc9f342a04080218072a3b0a060108"
    "03040506121009000000000024fe4010ac8aa2fc9f3422140a02090a11000000000000f03f18ac8aa2fc9f342a02080130ec85e5fb9f34"
    "2a1e0a06010b03040506121009000000000000084010ac8aa2fc9f342a0208022a3e0a06010c030405061a2c080a190000000000803940"
    "299d978ccf08ba5b2530015a0210025a0408021001620304040178ac8aa2fc9f342a060803180d200e2a6c0a06010f030405061a5e1100"
    "0000000000104019000000000000204020695a0210046a20000000000000f03f000000000000f03f000000000000f03f000000000000f0"
    "3f700378ac8aa2fc9f34820118000000000000f03f000000000000004000000000000010402a020804"
)

# The same histogram in 1.0, written by the package remote-pb2.
HISTOGRAM_OF_1 = bytes.fromhex(
    "0a5c0a170a085f5f6e616d655f5f120b7270635f7365636f6e64730a130a08696e7374616e636512076e313a39313030222c080a190000"
    "000000803940299d978ccf08ba5b2530015a0210025a0408021001620304040178ac8aa2fc9f34"
)


def test_version_2_tells_types_and_histograms() -> None:
    (sample,), error = decode(VERSION_2)
    assert error is None
    assert (sample.entity, sample.time) == ("n1:9100", NOW - 0.5)
    assert sample.values is not None
    assert {n: v for n, v in sample.values.items() if "quantile" not in n} == {
        "node_load1": 1.5,
        "node_vmstat_pgfault": 123456,
        "kube_replicas_total": 3,
        "rpc_seconds_count": 10,
        "rpc_seconds_sum": 25.5,
        "queue_length_count": 4,
        "queue_length_sum": 8,
    }
    assert set(sample.counters or {}) == {"node_vmstat_pgfault", "rpc_seconds_count", "rpc_seconds_sum"}
    quantiles = {n: v for n, v in sample.values.items() if "quantile" in n}
    assert quantiles == {  # of 1 at 0, 2 in (1/2, 1], 4 in (1, 2] and 3 in (4, 8]; of 1 in each custom bucket
        "rpc_seconds{quantile=0.5}": pytest.approx(1 + 2 / 4),
        "rpc_seconds{quantile=0.95}": pytest.approx(4 + 4 * 2.5 / 3),
        "rpc_seconds{quantile=0.99}": pytest.approx(4 + 4 * 2.9 / 3),
        "queue_length{quantile=0.5}": 2,
        "queue_length{quantile=0.95}": 4,
        "queue_length{quantile=0.99}": 4,
    }


def test_version_1_tells_histograms_alike() -> None:
    (one,), _ = decode(HISTOGRAM_OF_1)
    (two,), _ = decode(VERSION_2)
    assert one.values is not None
    assert two.values is not None
    assert one.values == {n: v for n, v in two.values.items() if n.startswith("rpc_seconds")}


def test_a_histogram_that_has_ended_is_missing() -> None:
    stale = b"\x08\x01\x19" + struct.pack("<d", STALE) + b"\x78" + varint(MS)
    (sample,), error = decode(time_series("h", field(4, stale)))
    assert error is None
    assert sample.values == {"h_count": None, "h_sum": None}


def test_spans_that_say_more_than_there_is_end() -> None:
    wide = field(11, b"\x10" + varint(2**32 - 1)) + field(12, b"\x02")
    histogram = b"\x08\x01\x19" + struct.pack("<d", 1.5) + wide + b"\x78" + varint(MS)
    (sample,), error = decode(time_series("h", field(4, histogram)))
    assert error is None
    assert (sample.values or {})["h{quantile=0.5}"] == pytest.approx(0.75)


def test_a_bad_series_of_version_2_is_told_in_version_1() -> None:
    bad = field(5, b"\x0a\x04\x01\x02\x03\x04" + point(float("inf")))
    good = field(5, b"\x0a\x04\x01\x05\x03\x04" + point(1))
    symbols = b"".join(field(4, s) for s in (b"", b"__name__", b"a", b"instance", b"i", b"b"))
    (sample,), error = decode(symbols + bad + good)
    assert sample.values == {"b": 1}
    assert error is not None
    assert error.where == "series 0"
    assert error.broken == compressed(time_series("a", point(float("inf"))))


def test_counters_of_the_configuration_outdo_the_types() -> None:
    (sample,), _ = decode(VERSION_2, counters=["kube_*"])
    assert set(sample.counters or {}) == {"kube_replicas_total"}
