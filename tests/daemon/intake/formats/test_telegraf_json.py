"""Format `telegraf-json`: single metrics and batches, times in any unit, and what is refused."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from anomalyd.daemon.config.config import InputConfig, Limits
from anomalyd.daemon.intake.formats.registry import format_of
from anomalyd.daemon.stages import Record, Sample
from anomalyd.errors import DecodeError

NOW = 1_795_288_500.0


def metric(**changes: Any) -> dict[str, Any]:
    return {"name": "m", "tags": {"host": "h"}, "fields": {"a": 1, "b": 2.5}, "timestamp": NOW - 1} | changes


def decode(message: Any, **settings: Any) -> tuple[Sequence[Sample], DecodeError | None]:
    raw = message if isinstance(message, bytes) else json.dumps(message).encode()
    decoder = format_of(InputConfig(topic="t", format="telegraf-json", **settings))
    return decoder.decode(Record("t", 1, 7, NOW, b"the key", raw), NOW)


def test_a_metric_is_a_part_of_its_host() -> None:
    (sample,), error = decode(metric())
    assert error is None
    assert (sample.entity, sample.time, sample.values) == ("h", NOW - 1, {"m.a": 1, "m.b": 2.5})
    assert (sample.topic, sample.partition, sample.offset, sample.partial) == ("t", 1, 7, True)
    assert sample.counters is None


@pytest.mark.parametrize("unit", [1, 10**3, 10**6, 10**9])
def test_timestamps_in_any_unit(unit: int) -> None:
    (sample,), _ = decode(metric(timestamp=int(NOW - 1) * unit))
    assert sample.time == NOW - 1


def test_a_timestamp_in_words() -> None:
    (sample,), _ = decode(metric(timestamp="2026-11-21T19:06:00+00:00"))
    assert sample.time == 1795287960.0


def test_a_batch_is_one_part_for_each_host_and_time() -> None:
    batch = [
        metric(),
        metric(name="n"),
        metric(tags={"host": "other"}),
        metric(timestamp=NOW - 2),
        metric(name="net", fields={"bytes_sent": 5}),
    ]
    samples, error = decode({"metrics": batch})
    assert error is None
    assert {(s.entity, s.time): set(s.values or ()) for s in samples} == {
        ("h", NOW - 1): {"m.a", "m.b", "n.a", "n.b", "net.bytes_sent"},
        ("other", NOW - 1): {"m.a", "m.b"},
        ("h", NOW - 2): {"m.a", "m.b"},
    }
    assert [s.counters for s in samples] == [{"net.bytes_sent": 0}, None, None]


def test_what_a_field_may_hold() -> None:
    (sample,), error = decode(
        metric(fields={"yes": True, "no": False, "gone": None, "text": "x", "big": 2**64})
    )
    assert error is None
    assert sample.values == {"m.yes": 1.0, "m.no": 0.0, "m.gone": None, "m.big": 2**64}


def test_a_counter_keeps_all_its_bits() -> None:
    (sample,), _ = decode(metric(name="net", fields={"bytes_recv": 2**64 - 1}))
    assert sample.values == {"net.bytes_recv": 2**64 - 1}
    assert sample.counters == {"net.bytes_recv": 0}


@pytest.mark.parametrize(
    ("first", "second", "kept"), [(1, 2, 2), (1, None, 1), (None, 2, 2), (None, None, None)]
)
def test_told_twice_the_later_counts_and_a_number_outdoes_null(first: Any, second: Any, kept: Any) -> None:
    (sample,), _ = decode({"metrics": [metric(fields={"a": first}), metric(fields={"a": second})]})
    assert sample.values == {"m.a": kept}


@pytest.mark.parametrize("fields", [{}, {"text": "x"}])
def test_nothing_but_texts_is_no_fault(fields: dict[str, Any]) -> None:
    assert decode(metric(fields=fields)) == ([], None)


def test_nothing_that_is_wanted_is_no_fault() -> None:
    assert decode(metric(), ignore_metrics=["m.*"]) == ([], None)


@pytest.mark.parametrize(
    ("message", "reason", "text"),
    [
        (b"{", "syntax", "not JSON"),
        (b"\xff", "syntax", "not JSON"),
        (b'{"x": ' + b"[" * 100_000, "syntax", "not JSON"),
        (b'{"name": "m", "fields": {"a": NaN}, "timestamp": 1}', "syntax", "not JSON"),
        (b'{"name": "m", "fields": {"a": 1e999}, "timestamp": 1}', "field", "out of range"),
        (b"[]", "field", "object"),
        ({}, "field", "name, tags, fields and timestamp"),
        (metric(fields=None), "field", "name, tags"),
        (metric(tags={"host": [5]}), "field", "label 'host': an array"),
        (metric(tags={}), "entity", "no label host"),
        (metric(tags={"host": "a\nb"}), "entity", "control"),
        (metric(timestamp=None), "time", "no timestamp"),
        (metric(timestamp=True), "field", r"\$\.timestamp"),
        (metric(timestamp="now"), "time", "ISO 8601"),
        (metric(timestamp="2026-11-21T19:06:00"), "time", "no time zone"),
        (metric(timestamp=NOW + 301), "clock", "future_s"),
        (metric(timestamp=0), "clock", "past_s"),
        (metric(timestamp=10**30), "clock", "from now"),
        (metric(fields={"a": [1]}), "field", r"m\.a: .*found list"),
        (metric(fields={"a": 1e39}), "field", r"m\.a: 1e\+39 is beyond"),
        (metric(fields={"a": -(10**300)}), "field", r"m\.a: -10+ is beyond"),
        (metric(fields={"a\0": 1}), "metrics", "control"),
        ({"metrics": []}, "empty", "without metrics"),
        ({"metrics": [3]}, "field", r"metrics\[0\]"),
    ],
)
def test_what_is_refused(message: Any, reason: str, text: str) -> None:
    with pytest.raises(DecodeError) as caught:
        decode(message)
    assert caught.value.reason == reason, str(caught.value)
    assert re.search(text, str(caught.value)), str(caught.value)


def test_too_many_metrics_of_one_host_are_refused_and_the_other_is_used() -> None:
    batch = {"metrics": [metric(), metric(name="n"), metric(tags={"host": "other"})]}
    (sample,), error = decode(batch, limits=Limits(metrics=3))
    assert sample.entity == "other"
    assert error is not None
    assert error.reason == "metrics"
    assert "4 metrics" in str(error)


def test_a_bad_part_takes_no_other_with_it() -> None:
    batch = [metric(), {"name": 5}, metric(name="n", fields={"good": 1, "bad": {}}), metric(tags={})]
    (sample,), error = decode({"metrics": batch})
    assert sample.values == {"m.a": 1, "m.b": 2.5, "n.good": 1}
    assert error is not None
    assert error.reason == "field"
    assert re.fullmatch(r"metrics\[1\]: .*; metrics\[2\]: n\.bad: .*; metrics\[3\]: no entity.*", str(error))


def test_nothing_good_is_told_in_a_few_words() -> None:
    with pytest.raises(DecodeError) as caught:
        decode({"metrics": [{}] * 1000})
    assert str(caught.value).endswith("and 990 more")
    assert len(str(caught.value)) < 2000


names = st.text(st.characters(categories=("L", "N", "P", "S")), min_size=1, max_size=10)
values = (
    st.none() | st.booleans() | st.integers(-(2**64), 2**64) | st.floats(-3e38, 3e38) | st.text(max_size=5)
)


@given(names, names, st.dictionaries(names, values, max_size=8), st.integers(int(NOW) - 10**6, int(NOW)))
def test_a_metric_comes_back_as_it_went(name: str, host: str, fields: dict[str, Any], time: int) -> None:
    samples, error = decode(metric(name=name, tags={"host": host}, fields=fields, timestamp=time))
    assert error is None
    numbers = [None if v is None else float(v) for v in fields.values() if not isinstance(v, str)]
    if not numbers:
        assert not samples
        return
    (sample,) = samples
    assert (sample.entity, sample.time) == (host, time)
    assert sample.values is not None
    assert [None if v is None else float(v) for v in sample.values.values()] == numbers
