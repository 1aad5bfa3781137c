"""The formats: what they read, what they refuse and why, and that no bytes whatever do anything else."""

from __future__ import annotations

import io
import json
import pickle
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from anomalyd.daemon.config.config import InputConfig, Limits
from anomalyd.daemon.intake.formats.registry import FORMATS, format_of
from anomalyd.daemon.intake.parsing.fields import Fields, seconds_of
from anomalyd.daemon.stages import Reason, Record, Sample
from anomalyd.errors import ConfigError, DecodeError

NOW = 1_795_288_500.0
TIME = NOW - 0.5
DOCUMENT = (Path(__file__).parents[4] / "docs" / "formats.md").read_text()


def record(value: bytes, key: bytes | None = None, **headers: str) -> Record:
    return Record("t", 1, 7, NOW, key, value, tuple((k, v.encode()) for k, v in headers.items()))


def decode(value: Any, key: bytes | None = None, **settings: Any) -> Sample:
    """Decode one JSON message that is good."""
    raw = value if isinstance(value, bytes) else json.dumps(value).encode()
    samples, error = format_of(InputConfig(topic="t", **settings)).decode(record(raw, key), NOW)
    assert error is None
    (sample,) = samples
    return sample


def refused(value: Any, **settings: Any) -> DecodeError:
    """Decode one JSON message that is bad."""
    raw = value if isinstance(value, bytes) else json.dumps(value).encode()
    with pytest.raises(DecodeError) as caught:
        format_of(InputConfig(topic="t", **settings)).decode(record(raw), NOW)
    return caught.value


def npy(array: Any, **settings: Any) -> bytes:
    stream = io.BytesIO()
    np.save(stream, array, **settings)
    return stream.getvalue()


def vector(**fields: Any) -> dict[str, Any]:
    return {"entity": "e", "time": TIME, "values": {"cpu": 1.0}} | fields


def test_a_vector() -> None:
    sample = decode({"entity": "node17", "time": TIME, "values": {"a": 1, "b": -2.5, "c": None}, "x": [1]})
    assert (sample.entity, sample.time, sample.values) == ("node17", TIME, {"a": 1.0, "b": -2.5, "c": None})
    assert (sample.topic, sample.partition, sample.offset) == ("t", 1, 7)
    assert (sample.map, sample.run, sample.lumisection, sample.partial) == (None, None, None, False)
    assert decode(vector(partial=True)).partial


def test_a_map_with_masked_cells() -> None:
    cells = [[1, None, None], [3, 4, 5]]
    sample = decode({"entity": "e", "time": TIME, "run": 3, "lumisection": 4, "map": cells})
    assert sample.map is not None
    assert (sample.map.dtype, sample.run, sample.lumisection) == (np.float32, 3, 4)
    np.testing.assert_array_equal(sample.map, [[1, np.nan, np.nan], [3, 4, 5]])


def test_rows_of_a_chamber_differ_and_those_of_others_are_refused_by_number() -> None:
    rows = [[5] * (50 - (k > 7)) for k in range(12)]
    found = decode({"entity": "DT/W0/MB1/S01", "time": TIME, "map": rows}).map
    assert found is not None
    assert np.isnan(found[8:, 49]).all()
    assert np.isfinite(found[:8]).all()
    with pytest.raises(DecodeError, match=r"^map: row 1 has 1 cell, others have 2; .* is null$"):
        decode({"entity": "e", "time": TIME, "map": [[1, 2], [3]]})


@pytest.mark.parametrize(
    ("name", "meant"),
    [("trials", "denominator"), ("errors", "variance"), ("weights", "sumw2"), ("entrees", "entries")],
)
def test_a_companion_under_another_name_is_refused_with_what_was_meant(name: str, meant: str) -> None:
    wrong = {"entity": "e", "time": TIME, "map": [[1, 2], [3, 4]], name: [[5, 6], [7, 8]]}
    with pytest.raises(DecodeError, match=f"^{name}: .* did you mean '{meant}'"):
        decode(wrong)
    # Beside a good one in a message only the bad one is lost; what has another shape is passed over.
    good = {"entity": "f", "time": TIME, "map": [[1, 2], [3, 4]], "tags": ["a", "b", "c"], "detector": "DT"}
    assert decode(good).entity == "f"
    both = record(json.dumps([wrong, good]).encode())
    samples, told = format_of(InputConfig(topic="t")).decode(both, NOW)
    assert [sample.entity for sample in samples] == ["f"]
    assert name in str(told)


@pytest.mark.parametrize("cells", [[[1e17, 0]], [[3.4e38, 0]]])
def test_counts_that_cannot_be_squared_are_refused(cells: list[list[float]]) -> None:
    with pytest.raises(DecodeError, match=r"^map\[0\]\[0\]: .* more than 1e\+16 counts"):
        decode({"entity": "e", "time": TIME, "map": cells})
    with pytest.raises(DecodeError, match="1e\\+16"):
        decode({"entity": "e", "time": TIME, "map": cells, "sumw2": [[1, 1]]})


def test_cells_of_a_map_are_whole_numbers_or_floats_as_they_are_written() -> None:
    """Both are counts, side by side in one message."""
    text = b'{"entity":"e","time":%r,"map":[[1,2.0,3e2,null],[16777216,0,-0,9007199254740993]]}' % TIME
    np.testing.assert_array_equal(decode(text).map, [[1, 2, 300, np.nan], [2**24, 0, 0, 2**53]])


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("2026-11-21T19:06:00Z", 1795287960.0),
        ("2026-11-21T20:06:00.25+01:00", 1795287960.25),
        ("20261121T190600Z", 1795287960.0),
    ],
)
def test_times_in_words(text: str, seconds: float) -> None:
    assert decode(vector(time=text)).time == seconds


def test_the_entity_is_the_messages_or_the_inputs_or_the_key() -> None:
    nameless = {"time": TIME, "values": {"a": 1}}
    assert decode(nameless, key=b"key").entity == "key"
    assert decode(nameless, key=b"key", entity="input").entity == "input"
    assert decode(nameless | {"entity": "own"}, key=b"key", entity="input").entity == "own"
    assert refused(nameless).reason == Reason.ENTITY
    with pytest.raises(DecodeError, match="not UTF-8"):
        format_of(InputConfig(topic="t")).decode(record(json.dumps(nameless).encode(), b"\xff"), NOW)


@pytest.mark.parametrize(
    ("message", "reason", "text"),
    [
        (b"{", "syntax", "not JSON"),
        (b"\xff", "syntax", "not JSON"),
        (b'{"entity": "\xff", "time": 1, "values": {}}', "syntax", "not JSON"),
        (b'{"time": 1, "values": {"a": NaN}}', "syntax", "not JSON"),
        (b'{"time": 1, "values": {"a": Infinity}}', "syntax", "not JSON"),
        (b'{"x": ' + b"[" * 100_000, "syntax", "not JSON"),
        (b"3", "field", "object"),
        (b"[]", "empty", "without elements"),
        ({"entity": "e", "values": {"a": 1}}, "field", "missing field `time`"),
        ({"entity": "e", "time": TIME}, "field", "either values"),
        (vector(map=[[1]]), "field", "not both"),
        (vector(values=None, map=[[1]], partial=True), "field", "partial: a map"),
        (vector(values={"worse": 1e39, "bad": True}), "field", r"\$\.values\.worse"),
        (vector(values={"bad": "1"}), "field", r"\$\.values\.bad"),
        (vector(values={"bad": 1e39}), "field", r"\$\.values\.bad"),
        (b'{"time": 1, "values": {"a": 1e999}}', "field", "out of range"),
        (vector(values={}), "metrics", "0 metrics"),
        (vector(values={"": 1}), "metrics", "metric name ''"),
        (vector(values={"a\nb": 1}), "metrics", "control"),
        (vector(values={"a\0": 1}), "metrics", "control"),
        (vector(entity=""), "entity", "0 characters"),
        (vector(entity="a\x1b[31m"), "entity", "control"),
        (vector(entity="a\x9b"), "entity", "control"),
        (vector(entity=5), "field", r"\$\.entity"),
        (vector(time=True), "field", r"\$\.time"),
        (vector(time="2026-11-21T19:06:00"), "time", "no time zone; add Z"),
        (vector(time="2026-11-21"), "time", "no time zone"),
        (vector(time="yesterday"), "time", "ISO 8601"),
        (vector(time="9999-12-31T23:59:59-23:59"), "clock", "from now"),
        (vector(time=TIME * 1000), "clock", "milliseconds"),
        (vector(time=NOW + 301), "clock", r"\+301 s from now"),
        (vector(time=NOW - 31_536_001), "clock", "past_s"),
        (vector(run=-1), "field", r"\$\.run"),
        (vector(run=2**31), "field", r"\$\.run"),
        (vector(lumisection=1.5), "field", r"\$\.lumisection"),
        (vector(values=None, map=[]), "map", "0 x 0"),
        (vector(values=None, map=[[], []]), "map", "2 x 0"),
        (vector(values=None, map=[[1, 2], [3, "x"]]), "field", r"\$\.map\[1\]\[1\]"),
        (vector(values=None, map=[[1e39]]), "field", r"\$\.map\[0\]\[0\]"),
        (vector(values=None, map=[[1, 10**400]]), "field", r"\$\.map\[0\]\[1\]"),
    ],
)
def test_what_json_refuses(message: Any, reason: str, text: str) -> None:
    error = refused(message)
    assert error.reason == reason, str(error)
    assert re.search(text, str(error)), str(error)


@pytest.mark.parametrize(
    ("limits", "good", "bad", "reason"),
    [
        ({"metrics": 2}, vector(values={"a": 1, "b": 1}), vector(values={"a": 1, "b": 1, "c": 1}), "metrics"),
        ({"name_length": 3}, vector(values={"abc": 1}), vector(values={"abcd": 1}), "metrics"),
        ({"name_length": 3}, vector(entity="abc"), vector(entity="abcd"), "entity"),
        (
            {"cells": 4},
            vector(values=None, map=[[1, 1], [1, None]]),
            vector(values=None, map=[[1, 1, 1], [1, 1, 1]]),
            "map",
        ),
        ({"future_s": 5.0}, vector(time=NOW + 5), vector(time=NOW + 5.1), "clock"),
        ({"past_s": 5.0}, vector(time=NOW - 5), vector(time=NOW - 5.1), "clock"),
    ],
)
def test_limits_are_kept_to_the_last(limits: dict[str, Any], good: Any, bad: Any, reason: str) -> None:
    assert decode(good, limits=Limits(**limits))
    error = refused(bad, limits=Limits(**limits))
    assert error.reason == reason
    assert any(name in str(error) for name in limits)


def test_a_metric_seen_before_does_not_let_too_many_through() -> None:
    decoder = format_of(InputConfig(topic="t", limits=Limits(metrics=1)))
    for name in "ab":
        decoder.decode(record(json.dumps(vector(values={name: 1})).encode()), NOW)
    with pytest.raises(DecodeError, match="2 metrics"):
        decoder.decode(record(json.dumps(vector(values={"a": 1, "b": 1})).encode()), NOW)


def test_names_that_never_repeat_are_not_remembered_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("anomalyd.daemon.intake.parsing.fields.REMEMBERED", 10)
    fields = Fields(InputConfig(topic="t"))
    for i in range(100):
        fields.metrics({f"m{i}": 1})
        assert fields.entity(f"e{i}", None) == f"e{i}"
    assert len(fields._metrics) <= 11
    assert len(fields._entities) <= 11


def test_a_bad_element_takes_no_other_with_it() -> None:
    elements = [vector(entity=f"e{i}") for i in range(6)]
    elements[2] = vector(values={"a": "x"})  # of the wrong type
    elements[4] = vector(time="yesterday")  # of the right type, and yet no time
    samples, error = format_of(InputConfig(topic="t")).decode(record(json.dumps(elements).encode()), NOW)
    assert [s.entity for s in samples] == ["e0", "e1", "e3", "e5"]
    assert error is not None
    assert error.reason == "field"
    assert re.search(r"element 2: .*values\.a.*; element 4: time", str(error))
    del elements[2]
    samples, error = format_of(InputConfig(topic="t")).decode(record(json.dumps(elements).encode()), NOW)
    assert [s.entity for s in samples] == ["e0", "e1", "e3", "e5"]
    assert error is not None
    assert str(error).startswith("element 3: time")


def test_an_array_of_nothing_good_is_refused_in_a_few_words() -> None:
    error = refused([{"time": "x"}] * 1000)
    assert "element 9" in str(error)
    assert "element 10" not in str(error)
    assert str(error).endswith("and 990 more")


@pytest.mark.parametrize("dtype", ["f4", "f8", ">f8", "i4", "u1", "f2"])
@pytest.mark.parametrize("order", ["C", "F"])
def test_a_numpy_map(dtype: str, order: Any) -> None:
    array = np.asarray([[1, 2, 3], [4, 5, 6]], dtype=dtype, order=order)
    message = record(npy(array), entity="e", time=str(TIME), run="3", lumisection="4")
    (sample,), error = format_of(InputConfig(topic="t", format="npy")).decode(message, NOW)
    assert error is None
    assert (sample.entity, sample.time, sample.run, sample.lumisection) == ("e", TIME, 3, 4)
    assert sample.map is not None
    assert sample.map.dtype == np.float32
    assert sample.map.flags.writeable
    assert sample.map.base is None
    np.testing.assert_array_equal(sample.map, array)


def test_a_numpy_map_keeps_nan_and_takes_the_key_and_iso_times() -> None:
    message = record(npy([[1.0, np.nan]]), key=b"key", time="2026-11-21T19:06:00Z")
    (sample,), _ = format_of(InputConfig(topic="t", format="npy")).decode(message, NOW)
    assert (sample.entity, sample.time) == ("key", 1795287960.0)
    np.testing.assert_array_equal(sample.map, [[1.0, np.nan]])


class _Bomb:
    def __reduce__(self) -> Any:
        raise AssertionError("unpickled")


def _claiming(shape: str, data: bytes = b"") -> bytes:
    header = f"{{'descr': '<f4', 'fortran_order': False, 'shape': {shape}}}".encode()
    return b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header + data


@pytest.mark.parametrize(
    ("value", "headers", "reason"),
    [
        (b"{}", {}, "syntax"),
        (pickle.dumps([[1.0]]), {}, "syntax"),
        (npy(np.array([[{"a": 1}]], dtype=object), allow_pickle=True), {}, "map"),
        (npy([[1.0, 2.0]])[:-1], {}, "syntax"),
        (npy([[1.0, 2.0]]) + b"x", {}, "syntax"),
        (npy(1.0), {}, "map"),
        (npy([[-1.0, 2.0]]), {}, "map"),
        (npy([[0.5, 2.0]]), {}, "map"),
        (npy([[np.nan, np.nan]]), {}, "map"),
        (npy([[1.0, 2.0]]), {"beside": "weights"}, "field"),
        (npy([[1.0, 2.0]]), {"beside": "entries"}, "map"),
        (npy([[1.0, 2.0]]), {"exposure": "-1"}, "field"),
        (npy([[True]]), {}, "map"),
        (npy([[1j]]), {}, "map"),
        (npy([["a"]]), {}, "map"),
        (npy([[np.inf]]), {}, "field"),
        (npy([[1e300]]), {}, "field"),
        (npy(np.zeros((0, 5))), {}, "map"),
        (_claiming("(1000000000, 1000000000)"), {}, "map"),
        (_claiming("(-1, -1)", b"1234"), {}, "map"),
        (_claiming("(" * 400), {}, "syntax"),
        (_claiming("(1, 1)" + " " * 5000, b"1234"), {}, "syntax"),
        (b"\x93NUMPY\x03\x00" + bytes(20), {}, "syntax"),
        (npy([[1.0]]), {"time": ""}, "time"),
        (npy([[1.0]]), {"time": "nan"}, "time"),
        (npy([[1.0]]), {"time": "1"}, "clock"),
        (npy([[1.0]]), {"run": "-1"}, "field"),
        (npy([[1.0]]), {"run": "9" * 5000}, "field"),
        (npy([[1.0]]), {"lumisection": "1.5"}, "field"),
        (npy([[1.0]]), {"entity": ""}, "entity"),
    ],
)
def test_what_npy_refuses(value: bytes, headers: dict[str, str], reason: str) -> None:
    message = record(value, **({"entity": "e", "time": str(TIME)} | headers))
    with pytest.raises(DecodeError) as caught:
        format_of(InputConfig(topic="t", format="npy")).decode(message, NOW)
    assert caught.value.reason == reason, str(caught.value)


def test_npy_wants_a_time() -> None:
    with pytest.raises(DecodeError, match="no Kafka header `time`"):
        format_of(InputConfig(topic="t", format="npy")).decode(record(npy([[1.0]]), entity="e"), NOW)


def test_an_unknown_format_is_refused_with_those_that_are_known() -> None:
    with pytest.raises(ConfigError, match="unknown format 'xml'; known: json, npy"):
        format_of(InputConfig(topic="t", format="xml"))


@pytest.mark.parametrize(
    "setting", [{"entity_label": "x"}, {"metric_labels": []}, {"metrics": ["a"]}, {"counters": []}]
)
def test_a_setting_that_a_format_has_no_use_for_is_refused(setting: dict[str, Any]) -> None:
    for name, kind in FORMATS.items():
        if kind.maps_names:
            assert format_of(InputConfig(topic="t", format=name, **setting))
        else:
            with pytest.raises(ConfigError, match=f"t: {next(iter(setting))} is of no use.*'{name}'.*influx"):
                format_of(InputConfig(topic="t", format=name, **setting))


names = st.text(st.characters(categories=("L", "N", "P", "S")), min_size=1, max_size=20)
numbers = st.floats(-3e38, 3e38) | st.integers(-(2**70), 2**70)
times = st.floats(NOW - 3e7, NOW + 300)


@given(names, times, st.dictionaries(names, numbers | st.none(), min_size=1, max_size=10), st.booleans())
def test_a_vector_comes_back_as_it_went(
    entity: str, time: float, values: dict[str, float | None], partial: bool
) -> None:
    sample = decode({"entity": entity, "time": time, "values": values, "partial": partial})
    assert (sample.entity, sample.time, sample.partial) == (entity, time, partial)
    assert sample.values == {k: None if v is None else float(v) for k, v in values.items()}


cells = st.integers(0, 2**24)


@given(
    st.integers(1, 6)
    .flatmap(lambda n: st.lists(st.lists(cells | st.none(), min_size=n, max_size=n), min_size=1, max_size=6))
    .filter(lambda rows: any(c is not None for row in rows for c in row))
)
def test_a_map_comes_back_as_it_went(rows: list[list[float | None]]) -> None:
    sample = decode({"entity": "e", "time": TIME, "map": rows})
    assert sample.map is not None
    assert sample.map.shape == (len(rows), len(rows[0]))
    for out, row in zip(sample.map, rows, strict=True):
        assert [None if np.isnan(c) else float(c) for c in out] == row


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=10),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.sampled_from(["entity", "time", "values", "map", "run", "partial", "x"]), inner)
    ),
    max_leaves=12,
)
mangled = st.builds(
    lambda value, at, byte: value[:at] + bytes([byte]) + value[at + 1 :],
    st.sampled_from([json.dumps([vector()] * 2).encode(), npy([[1.0, 2.0]])]),
    st.integers(0, 150),
    st.integers(0, 255),
)


@pytest.mark.parametrize("name", FORMATS)
@given(st.binary(max_size=60) | json_values.map(lambda v: json.dumps(v).encode()) | mangled)
def test_any_bytes_give_samples_or_a_reason(name: str, value: bytes) -> None:
    message = record(value, key=b"k", time=str(TIME))
    try:
        samples, error = format_of(InputConfig(topic="t", format=name)).decode(message, NOW)
    except DecodeError as refusal:
        error, samples = refusal, []
    # Of other producers' messages there may be nothing of interest, such as texts only.
    assert samples or error or FORMATS[name].maps_names
    assert error is None or error.reason in set(Reason) - {Reason.INTERNAL}
    for sample in samples:
        assert (sample.values is None) is not (sample.map is None)


@pytest.mark.parametrize(
    ("timestamp", "seconds"),
    [
        (0, 0.0),
        (-(10**11) + 1, -(1e11 - 1)),
        (10**11 - 1, 1e11 - 1),  # the year 5138, in s
        (10**11, 1e8),  # 1973, in ms
        (10**14 - 1, 1e11 - 1e-3),
        (10**14, 1e8),
        (10**17 - 1, 1e11),
        (10**17, 1e8),
        (1_795_288_499_500_000_000, TIME),
    ],
)
def test_the_unit_of_a_time_is_told_by_its_size(timestamp: int, seconds: float) -> None:
    assert seconds_of(timestamp) == pytest.approx(seconds, rel=1e-12)


def example(name: str, language: str) -> list[str]:
    """The code blocks of a language in the section of a format."""
    section = DOCUMENT.partition(f"\n## `{name}`\n")[2].partition("\n## ")[0]
    return re.findall(rf"```{language}\n(.*?)```", section, re.DOTALL)


def test_the_examples_of_the_document_are_read() -> None:
    examples = example("json", "json")
    assert len(examples) == 3
    decoder = format_of(InputConfig(topic="t"))
    read = [decoder.decode(record(text.encode()), NOW) for text in examples]
    assert [len(samples) for samples, _ in read] == [1, 1, 2]
    assert not any(error for _, error in read)
    assert read[1][0][0].map is not None
    assert np.isnan(read[1][0][0].map[[1, 2], [1, 2]]).all()


def test_the_numpy_example_of_the_document_is_read() -> None:
    (text,) = example("npy", "python")
    told: dict[str, Any] = {}
    exec(text, told)
    message = Record("t", 0, 0, NOW, None, told["value"], tuple(told["headers"]))
    (sample,), _ = format_of(InputConfig(topic="t", format="npy")).decode(message, NOW)
    assert (sample.entity, sample.run, sample.lumisection) == ("DT/W-2/MB1/S04", 321909, 12)


@pytest.mark.parametrize(
    ("name", "language", "entity", "values", "counters"),
    [
        (
            "telegraf-json",
            "json",
            "wn042.example.org",
            {
                "net.bytes_recv{interface=eth0}": 4257881224,
                "net.err_in{interface=eth0}": 0,
                "net.speed{interface=eth0}": -1,
            },
            {"net.bytes_recv{interface=eth0}", "net.err_in{interface=eth0}"},
        ),
        (
            "influx",
            "text",
            "wn042.example.org",
            {
                "cpu.usage_idle{cpu=cpu0}": 97.5,
                "cpu.usage_user{cpu=cpu0}": 2.5,
                "system.load1": 1.56,
                "system.n_cpus": 2,
            },
            set(),
        ),
        ("prometheus", "python", "node17:9100", {"node_load1": 1.5}, set()),
        (
            "collectd",
            "json",
            "wn043.example.org",
            {
                "interface.if_octets.rx{plugin_instance=eth0}": 692438.86,
                "interface.if_octets.tx{plugin_instance=eth0}": 11205.48,
                "memory.memory{type_instance=used}": 860299264,
            },
            set(),
        ),
    ],
)
def test_the_examples_of_other_producers_give_what_the_document_says(
    name: str, language: str, entity: str, values: dict[str, float], counters: set[str]
) -> None:
    (text,) = example(name, language)
    value = text.encode()
    if language == "python":
        told: dict[str, Any] = {}
        exec(text, told)
        value = told["value"]
    (sample,), error = format_of(InputConfig(topic="t", format=name)).decode(record(value), NOW)
    assert error is None
    assert (sample.entity, sample.values, set(sample.counters or ())) == (entity, values, counters)
    assert sample.partial
    section = DOCUMENT.partition(f"\n## `{name}`\n")[2].partition("\n## ")[0]
    assert all(f"`{metric}`" in section for metric in [entity, *values])


def test_the_document_names_every_reason() -> None:
    for reason in Reason:
        assert f"| `{reason}` |" in DOCUMENT
