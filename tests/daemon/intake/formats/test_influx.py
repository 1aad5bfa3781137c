"""Format `influx`: line protocol, all of it, and what is refused."""

from __future__ import annotations

import re
import time
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from anomalyd.daemon.config.config import InputConfig
from anomalyd.daemon.intake.formats.registry import format_of
from anomalyd.daemon.intake.wire_formats.line_protocol import Line, lines, series
from anomalyd.daemon.stages import Reason, Record, Sample
from anomalyd.errors import DecodeError

NOW = 1_795_288_500.0
NS = 1_795_288_499_000_000_000


def decode(text: str | bytes, **settings: Any) -> tuple[Sequence[Sample], DecodeError | None]:
    value = text if isinstance(text, bytes) else text.encode()
    decoder = format_of(InputConfig(topic="t", format="influx", **settings))
    return decoder.decode(Record("t", 1, 7, NOW - 10, b"the key", value), NOW)


@pytest.mark.parametrize(
    ("value", "number"),
    [
        ("1", 1.0),
        ("-1.5", -1.5),
        ("+.5", 0.5),
        ("5.", 5.0),
        ("-1.25e+10", -1.25e10),
        ("1E-3", 0.001),
        ("3i", 3),
        ("-3i", -3),
        ("18446744073709551615u", 2**64 - 1),
        ("t", 1.0),
        ("True", 1.0),
        ("F", 0.0),
        ("false", 0.0),
    ],
)
def test_the_kinds_of_values(value: str, number: float) -> None:
    (sample,), error = decode(f"m,host=h f={value} {NS}")
    assert error is None
    assert (sample.entity, sample.time, sample.values) == ("h", NOW - 1, {"m.f": number})
    assert sample.partial


def test_a_counter_keeps_all_its_bits() -> None:
    (sample,), _ = decode(f"net,host=h bytes_recv={2**63 - 1}i,speed=-1i {NS}")
    assert sample.values == {"net.bytes_recv": 2**63 - 1, "net.speed": -1}
    assert sample.counters == {"net.bytes_recv": 0}


@pytest.mark.parametrize(
    "value", ["1.5i", "1e3u", "--1", "1_0", "nan", "inf", "x", "٣", "tru", "0x1", "", "1f"]
)
def test_what_no_value_is_takes_no_other_field_with_it(value: str) -> None:
    (sample,), error = decode(f"m,host=h before=1,bad={value},after=2 {NS}")
    assert sample.values == {"m.before": 1, "m.after": 2}
    assert error is not None
    assert error.reason == "field"
    assert re.match(rf"line 1: field 'bad': '{re.escape(value)}' is none of", str(error))


@pytest.mark.parametrize(
    ("line", "entity", "metric"),
    [
        (r"my\ disk,host=h,path=C:\dir f=1", "h", 'my disk.f{path="C:\\\\dir"}'),
        (r"m\,n,host=h f=1", "h", '"m,n".f'),
        (r"m,host=my\ host,a\ b=c\,d f=1", "my host", 'm.f{a b="c,d"}'),
        (r"m,host=h,a\=b=c\=d f\=g=1", "h", 'm."f=g"{"a=b"="c=d"}'),
        (r"m,host=h f\ g\,h=1", "h", 'm."f g,h"'),
        (r"m,host=h\,1 f=1", "h,1", "m.f"),
        ('m,host=h,q="x f=1', "h", 'm.f{q="\\"x"}'),
        ("mäß,host=h f=1", "h", "mäß.f"),
    ],
)
def test_escapes(line: str, entity: str, metric: str) -> None:
    (sample,), error = decode(line)
    assert error is None
    assert (sample.entity, list(sample.values or ())) == (entity, [metric])


@pytest.mark.parametrize(
    "text",
    [
        '""',
        '"a b,c=d"',
        r'"say \"x=1, y=2\" "',
        r'"a\\"',
        '"two\nlines, x=1"',
        '"back\\\nslash"',
        '"# no comment"',
    ],
)
def test_texts_are_passed_over_whatever_they_hold(text: str) -> None:
    (sample,), error = decode(f"m,host=h a=1,text={text},b=2 {NS}\nm,host=h text={text},c=3i {NS}")
    assert error is None
    assert sample.values == {"m.a": 1, "m.b": 2, "m.c": 3}


def test_nothing_but_texts_is_no_fault() -> None:
    assert decode(f'system,host=h uptime_format=" 0:39" {NS}') == ([], None)


def test_lines_comments_and_blanks() -> None:
    text = f"# first\n\n  \t\nm,host=h a=1 {NS}\r\n# second, x=1\n  m,host=g a=1   {NS}  \nm,host=h b=2 {NS}"
    samples, error = decode(text)
    assert error is None
    assert [(s.entity, s.values) for s in samples] == [("h", {"m.a": 1, "m.b": 2}), ("g", {"m.a": 1})]


@pytest.mark.parametrize("end", ["", " ", "\n", " \r\n", "\n\n# end"])
def test_without_a_timestamp_kafka_s_counts(end: str) -> None:
    (sample,), error = decode(f"m,host=h a=1{end}")
    assert error is None
    assert sample.time == NOW - 10


@pytest.mark.parametrize("unit", [1, 10**3, 10**6, 10**9])
def test_timestamps_in_any_unit(unit: int) -> None:
    (sample,), _ = decode(f"m,host=h a=1 {int(NOW - 1) * unit}")
    assert sample.time == NOW - 1


@pytest.mark.parametrize(
    ("text", "reason", "said"),
    [
        (b"\xff", "syntax", "UTF-8"),
        ("# nothing", "empty", "no lines"),
        (" \n \n", "empty", "no lines"),
        ("m", "syntax", "a measurement, its tags"),
        ("m,host=h", "syntax", "a measurement, its tags"),
        ("m,host=h ", "syntax", "a field"),
        ("m,host=h a", "syntax", "a field"),
        ("m,host=h =1", "syntax", "a field"),
        ("m,host=h a=1,", "syntax", "a field"),
        ("m,host=h a=1,,b=2", "syntax", "a field"),
        ('m,host=h a="open', "syntax", "a field"),
        ('m,host=h a=1"', "syntax", "a field"),
        ("m,host=h a=1 b=2", "syntax", "whole number"),
        ("m,host=h a=1 1.5", "syntax", "whole number"),
        ("m,host=h a=1 123456789012345678901", "syntax", "whole number"),
        (",host=h a=1", "syntax", "measurement"),
        ("m,host a=1", "syntax", "tags: ',host'"),
        ("m,host= a=1", "syntax", "tags"),
        ("m,=h a=1", "syntax", "tags"),
        ("m, host=h a=1", "syntax", "tags|whole"),
        ("m a=1", "entity", "no label host"),
        (f"m,host=h a=1 {NS * 10}", "clock", "from now"),
        ("m,host=h a=1 -1", "clock", "past_s"),
        ("m,host=h a=1e39", "field", r"m\.a: 1e\+39 is beyond"),
        ("m,host=h a=1e999", "field", r"m\.a: inf is beyond"),
        ("m,host=h a=" + "9" * 5000 + "i", "field", "is none of"),
        ("m,host=h a\x07=1", "metrics", "control"),
    ],
)
def test_what_is_refused(text: str | bytes, reason: str, said: str) -> None:
    with pytest.raises(DecodeError) as caught:
        decode(text)
    assert caught.value.reason == reason, str(caught.value)
    assert re.search(said, str(caught.value)), str(caught.value)


def test_a_bad_line_takes_no_other_with_it() -> None:
    samples, error = decode(f'm,host=h a=1 {NS}\n\nbad\nm,host=h t="\n",b=2 {NS}\nm c=3\nm,host=h d=4 {NS}')
    assert [s.values for s in samples] == [{"m.a": 1, "m.b": 2, "m.d": 4}]
    assert error is not None
    assert re.fullmatch("line 3: .*; line 6: no entity.*", str(error))
    assert error.reason == "syntax"


def test_a_text_of_a_line_that_is_of_no_use_is_not_read_as_a_line() -> None:
    samples, error = decode(f'm t="\nm,host=forged a=1 {NS}\n",b=2 {NS}\nm,host=h a=1 {NS}')
    assert [s.entity for s in samples] == ["h"]
    assert "line 1: no entity" in str(error)


ESCAPED = str.maketrans({",": r"\,", " ": r"\ ", "=": r"\="})
names = st.text(st.sampled_from('ab,= "ü#{}'), min_size=1, max_size=6).filter(lambda n: n == n.strip())
numbers = st.integers(-(2**63), 2**63 - 1) | st.floats(-3e38, 3e38) | st.booleans()
texts = st.text(st.sampled_from('ab,= "\\\n#'), max_size=8)


def encode(value: float | str) -> str:
    if isinstance(value, str):
        return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
    return str(value) if isinstance(value, bool | float) else f"{value}i"


@given(
    names.filter(lambda n: not n.startswith("#")),
    st.dictionaries(names, names, max_size=3),
    st.lists(st.tuples(names, numbers | texts), min_size=1, max_size=4),
    st.none() | st.integers(0, 2**63 - 1),
)
def test_a_line_comes_back_as_it_went(
    measurement: str, tags: dict[str, str], fields: list[tuple[str, Any]], timestamp: int | None
) -> None:
    head = ",".join(
        [measurement.translate(ESCAPED)]
        + [f"{k.translate(ESCAPED)}={v.translate(ESCAPED)}" for k, v in tags.items()]
    )
    body = ",".join(f"{key.translate(ESCAPED)}={encode(value)}" for key, value in fields)
    text = f"{head} {body}" + ("" if timestamp is None else f" {timestamp}")
    expected = [(key, "" if isinstance(value, str) else value) for key, value in fields]
    for line in lines(f"{text}\n{text}"):
        assert isinstance(line, Line)
        assert series(line.head) == (measurement, tags)
        assert (line.fields, line.timestamp) == (expected, timestamp)
        assert [type(v) for _, v in line.fields] == [type(v) for _, v in expected]


@given(st.text(st.sampled_from('m,host=h \\"\n\r1i.e+-tf#'), max_size=60))
def test_any_text_gives_samples_or_a_reason(text: str) -> None:
    try:
        _, error = decode(text)
    except DecodeError as refusal:
        error = refusal
    assert error is None or error.reason in set(Reason) - {Reason.INTERNAL}


@pytest.mark.parametrize(
    "text",
    ["m,host=h " + 'a="\\' * 100_000, "\\" * 400_000, "m " * 200_000, 'x y="\n' * 80_000, "#\n" * 200_000],
)
def test_no_text_takes_long(text: str) -> None:
    begin = time.process_time()
    with pytest.raises(DecodeError):
        decode(text)
    assert time.process_time() - begin < 5  # read once: below 0.5; again and again: minutes
