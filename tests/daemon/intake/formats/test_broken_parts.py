"""One bad part of a message: the others are used, the fault names it, and the dead letter holds it alone."""

from __future__ import annotations

import json
import struct
from typing import Any

import cramjam
import pytest

from anomalyd.daemon.config.config import InputConfig
from anomalyd.daemon.intake.decode import Decoder
from anomalyd.daemon.intake.wire_formats.json_text import elements, members
from anomalyd.daemon.intake.wire_formats.write_request import read
from anomalyd.daemon.kafka.messages import dead_letter_entry
from anomalyd.daemon.stages import DeadLetter, Record, Sample

NOW = 1_795_288_500.0


def decoded(value: bytes, format_: str, **settings: Any) -> tuple[list[Sample], list[DeadLetter]]:
    config = InputConfig(topic="t", format=format_, **settings)
    return Decoder([config], clock=lambda: NOW).decode([Record("t", 0, 3, NOW, b"k", value)])


def names(samples: list[Sample]) -> set[str]:
    return {name for sample in samples for name in sample.values or ()}


def vector(entity: str, values: str = '{"a": 1}') -> bytes:
    return b'{"entity": "%s", "time": %d, "values": %s}' % (entity.encode(), NOW, values.encode())


def value_list(name: str, value: str = "5") -> bytes:
    return (
        b'{"values":[%s],"dstypes":["gauge"],"dsnames":["value"],"time":%d,"interval":10.0,"host":"h",'
        b'"plugin":"%s","plugin_instance":"","type":"x","type_instance":""}'
        % (value.encode(), NOW, name.encode())
    )


@pytest.mark.parametrize(
    ("lines", "used", "bad"),
    [
        (
            [b"cpu,host=a usage=1", b"win_svc,host=b,n=Syst\xe8me state=4i", b"mem,host=c used=5i"],
            {"cpu.usage", "mem.used"},
            1,
        ),
        ([b"cpu,host=a usage=1,t\xe9=2", b"mem,host=c used=5i"], {"cpu.usage", "mem.used"}, 0),
        ([b"mem,host=c used=5i", b'svc,host=a state=1,name="Syst\xe8me"'], {"svc.state", "mem.used"}, 1),
        ([b"m\xff,host=a x=1", b"mem,host=c used=5i"], {"mem.used"}, 0),
        ([b"\xff\xfe", b"mem,host=c used=5i"], {"mem.used"}, 0),
    ],
)
def test_a_byte_that_is_no_utf8_in_line_protocol(lines: list[bytes], used: set[str], bad: int) -> None:
    samples, (letter,) = decoded(b"\n".join(lines), "influx")
    assert names(samples) == used
    assert (letter.reason, letter.where, letter.broken) == ("syntax", f"line {bad + 1}", lines[bad])
    assert f"line {bad + 1}: not UTF-8" in letter.text


@pytest.mark.parametrize(
    "bad",
    [
        b'{"entity": "b", "time": 1795288500, "values": {"x": NaN}}',
        b'{"entity": "b\xff", "time": 1795288500, "values": {"x": 1}}',
        b'{"entity": "b", "time": , "values": {"x": 1}}',
        b'{"entity": "b", "time": 1795288500, "values": {"x": 1\xe9}}',
        b'{"entity": "b", "time": 1795288500, "values": {"x": 1, "x": 2}}',
        b'{"entity": "b", "entity": "c", "time": 1795288500, "values": {"x": 1}}',
        b'{"entity": "b", "time": 1795288500, "values": {"x": [}}',
        b'{"entity": "b", "time": 1795288500, "values": {"x": 1}',
        b"nonsense",
        b"-Infinity",
    ],
)
def test_a_bad_element_of_a_json_array(bad: bytes) -> None:
    samples, (letter,) = decoded(b"[" + vector("a") + b", " + bad + b",\n" + vector("c") + b"]", "json")
    assert {"a"} <= {s.entity for s in samples} <= {"a", "c"}
    assert letter.text.startswith("element 1: ")
    assert letter.where == "element 1"
    assert letter.broken is not None
    assert letter.broken.startswith(b"[" + bad)
    if bad.count(b"{") == bad.count(b"}"):
        assert (len(samples), letter.broken) == (2, b"[" + bad + b"]")


@pytest.mark.parametrize(
    ("bad", "said"),
    [
        (b"NaN", "give null"),
        (b"-Infinity", "give null"),
        (b"1e999", "values.mem"),
        (b'"high"', "values.mem"),
        (b"true", "values.mem"),
        (b"[1]", "values.mem"),
        (b"3.5e38", "values.mem"),
        (b"\xff", "values.mem"),
    ],
)
def test_a_bad_value_of_a_json_vector(bad: bytes, said: str) -> None:
    """One metric that is no number takes no other with it, alone or in an array."""
    whole = b'{"entity": "b", "time": 1795288500, "values": {"cpu": 1, "mem": %s, "swap": null}}' % bad
    broken = b'{"entity":"b","time":1795288500,"values":{"mem":%s}}' % bad
    samples, (letter,) = decoded(whole, "json")
    assert [s.values for s in samples] == [{"cpu": 1.0, "swap": None}]
    assert (letter.where, letter.broken) == ("values", broken)
    assert said in letter.text
    assert "mem" in letter.text
    samples, (letter,) = decoded(b"[" + vector("a") + b"," + whole + b"]", "json")
    assert [s.entity for s in samples] == ["a", "b"]
    assert (letter.where, letter.broken) == ("element 1", b"[" + broken + b"]")


def test_a_name_that_is_no_text_takes_no_other_metric_with_it() -> None:
    samples, (letter,) = decoded(
        b'{"entity": "b", "time": 1795288500, "values": {"cpu": 1, "m\xe8m": 2}}', "json"
    )
    assert [s.values for s in samples] == [{"cpu": 1.0}]
    assert "is no text" in letter.text


def test_a_bad_value_hides_no_key_that_stands_twice() -> None:
    message = b'{"entity": "b", "time": 1795288500, "values": {"cpu": 1, "cpu": 2, "mem": NaN}}'
    samples, (letter,) = decoded(message, "json")
    assert samples == []
    assert "stands twice" in letter.text


@pytest.mark.parametrize("value", ["NaN", "1e", "Infinity", "\xff", ""])
def test_a_bad_value_of_a_collectd_list(value: str) -> None:
    bad = value_list("b", value)
    samples, (letter,) = decoded(
        b"[" + value_list("a") + b"," + bad + b"," + value_list("c") + b"]", "collectd"
    )
    assert names(samples) == {"a.x", "c.x"}
    assert (letter.where, letter.broken) == ("element 1", b"[" + bad + b"]")


@pytest.mark.parametrize("value", [b"NaN", b"\xff", b"nan", b"-", b"1,,"])
def test_a_bad_field_of_telegraf_json(value: bytes) -> None:
    metric = b'{"fields":{"good":1,"bad":%s},"name":"m","tags":{"host":"h"},"timestamp":1795288500}'
    samples, (letter,) = decoded(metric % value, "telegraf-json")
    assert "m.good" in names(samples)
    assert letter.broken is None  # it is the whole message
    other = (metric % b"3").replace(b'"m"', b'"n"')
    batch = b'{"metrics": [%s, %s, %s]}' % (metric % b"2", metric % value, other)
    samples, (letter,) = decoded(batch, "telegraf-json")
    assert names(samples) == {"m.good", "m.bad", "n.good", "n.bad"}
    assert letter.where == "metrics[1]"
    assert letter.broken == b'{"metrics":[' + metric % value + b"]}"


@pytest.mark.parametrize("name", [b"bad\xff", b"bad\\ud800", b"\xe8", b"bad\\x"])
def test_a_field_of_telegraf_json_whose_name_is_no_text(name: bytes) -> None:
    metric = b'{"fields":{"good":1,"%s":2},"name":"m","tags":{"host":"h"},"timestamp":1795288500}' % name
    samples, (letter,) = decoded(metric, "telegraf-json")
    assert names(samples) == {"m.good"}
    assert "fields: the name" in letter.text
    samples, (letter,) = decoded(b"[%s, %s]" % (metric, metric.replace(name, b"c")), "telegraf-json")
    assert names(samples) == {"m.good", "m.c"}
    assert letter.where == "metrics[0]"


def text(number: int, raw: bytes) -> bytes:
    return bytes([number << 3 | 2, len(raw)]) + raw


def time_series(name: str, value: float, *labels: tuple[str, str]) -> bytes:
    """A series of remote write 1.0, as a request of its own; requests one behind the other are one."""
    told = [("__name__", name), ("instance", "n1:9100"), *labels]
    raw = b"".join(text(1, text(1, k.encode()) + text(2, v.encode())) for k, v in told)
    milliseconds = b"\x10\x88\xe7\xa1\xfc\x9f\x34"  # 1795288495 s
    return text(1, raw + text(2, b"\x09" + struct.pack("<d", value) + milliseconds))


@pytest.mark.parametrize("value", [float("inf"), float("-inf"), 1e39])
def test_a_bad_sample_of_remote_write(value: float) -> None:
    bad = time_series("b", value)
    whole = time_series("a", 1.0) + bad + time_series("c", 3.0)
    samples, (letter,) = decoded(bytes(cramjam.snappy.compress_raw(whole)), "prometheus")
    assert names(samples) == {"a", "c"}
    assert letter.where == "series 1"
    assert letter.broken is not None
    assert bytes(cramjam.snappy.decompress_raw(letter.broken)) == bad


def test_several_bad_series_are_one_request() -> None:
    bad = time_series("b", float("inf")) + time_series("c", float("-inf"))
    samples, (letter,) = decoded(
        bytes(cramjam.snappy.compress_raw(time_series("a", 1.0) + bad)), "prometheus"
    )
    assert names(samples) == {"a"}
    assert letter.where == "series 1, series 2"
    assert letter.broken is not None
    assert [s.labels()["__name__"] for s in read(bytes(cramjam.snappy.decompress_raw(letter.broken)))] == [
        "b",
        "c",
    ]


def test_the_dead_letter_says_which_part_it_holds() -> None:
    _, (letter,) = decoded(b"cpu,host=a usage=1\nbad\nmem,host=c used=5i\nworse", "influx")
    entry = dead_letter_entry(letter, "dead")
    headers = dict(entry.headers)
    assert entry.value == b"bad\nworse"
    assert headers["anomalyd-part"] == b"line 2, line 4"
    assert headers["anomalyd-offset"] == b"3"
    whole = dead_letter_entry(decoded(b"bad", "influx")[1][0], "dead")
    assert whole.value == b"bad"
    assert "anomalyd-part" not in dict(whole.headers)


@pytest.mark.parametrize(
    ("value", "format_", "said"),
    [
        (b'{"entity": "a", "time": 1795288500, "values": {"x": 1, "x": 2}}', "json", "key 'x' stands twice"),
        (
            b'{"entity": "a", "time": 1795288500, "time": 1, "values": {"x": 1}}',
            "json",
            "key 'time'",
        ),
        (b'{"entity" : "a", "time": 1795288500, "values": {"x\\u0061": 1, "xa": 2}}', "json", "key 'xa'"),
        (b"m,host=a,host=b x=1", "influx", "tag 'host' stands twice"),
        (b"m,host=a x=1,x=2", "influx", "field 'x' stands twice"),
        (
            b'{"fields":{"x":1,"x":2},"name":"m","tags":{"host":"h"},"timestamp":1795288500}',
            "telegraf-json",
            "key 'x' stands twice",
        ),
        (
            b'{"fields":{"x":1},"name":"m","tags":{"host":"h","host":"i"},"timestamp":1795288500}',
            "telegraf-json",
            "key 'host' stands twice",
        ),
        (
            b"[" + value_list("a").replace(b'"host":"h"', b'"host":"h","host":"i"') + b"]",
            "collectd",
            "key 'host'",
        ),
        (
            b"["
            + value_list("a", "5,6")
            .replace(b'"gauge"', b'"gauge","gauge"')
            .replace(b'"dsnames":["value"]', b'"dsnames":["rx","rx"]')
            + b"]",
            "collectd",
            "dsnames: 'rx' stands twice",
        ),
    ],
)
def test_what_stands_twice_is_refused(value: bytes, format_: str, said: str) -> None:
    samples, (letter,) = decoded(value, format_)
    assert samples == []
    assert said in letter.text


def test_a_label_twice_is_refused_and_its_neighbours_used() -> None:
    twice, good = time_series("a", 1.0, ("instance", "n1:9100")), time_series("b", 1.0)
    samples, (letter,) = decoded(bytes(cramjam.snappy.compress_raw(twice + good)), "prometheus")
    assert names(samples) == {"b"}
    assert "label 'instance' stands twice" in letter.text


def test_further_keys_and_keys_within_texts_are_no_fault() -> None:
    value = b'{"entity": "a\\":", "note": {"x": "\\":", "y": 1}, "time": 1795288500, "values": {"x": 1}}'
    samples, dead = decoded(value, "json")
    assert (len(samples), dead) == (1, [])
    nested = value_list("a").replace(b'"host"', b'"meta":{"host":1},"host"')
    assert decoded(b"[" + nested + b"]", "collectd")[1] == []


@pytest.mark.parametrize(
    "name",
    [
        "%\u00a0temps processeur",
        "\u3000",
        "soft\u00adhyphen",
        "zero\u200djoiner",
        "Prozessorzeit (%)",
        "العربية",
        "\ufeffbom",
        "a\u2028b",
        " at the ends ",
    ],
)
def test_any_name_but_control_characters(name: str) -> None:
    metric = {"fields": {name: 12.5}, "name": "win_cpu", "tags": {"host": name}, "timestamp": NOW}
    (sample,), dead = decoded(json.dumps(metric).encode(), "telegraf-json")
    assert dead == []
    assert (sample.entity, sample.values) == (name, {f"win_cpu.{name}": 12.5})
    message = {"entity": name, "time": NOW, "values": {name: 1}}
    assert decoded(json.dumps(message, ensure_ascii=False).encode(), "json")[1] == []


@pytest.mark.parametrize("name", ["a\u0000", "a\u001b[31m", "a\u0085b", "a\u007f", "tab\t"])
def test_control_characters_in_names_are_refused(name: str) -> None:
    message = {"entity": name, "time": NOW, "values": {"a": 1}}
    assert decoded(json.dumps(message).encode(), "json")[1][0].reason == "entity"


@pytest.mark.parametrize("name", ["@align", "@presence", "@told", "@"])
def test_no_name_is_reserved(name: str) -> None:
    samples, dead = decoded(vector(name), "json")
    assert ([s.entity for s in samples], dead) == ([name], [])


def test_arrays_and_objects_are_split_whatever_they_hold() -> None:
    assert elements(b' [1, "a,]", {"b": [2, 3]} , NaN ] ') == [b"1", b'"a,]"', b'{"b": [2, 3]}', b"NaN"]
    assert elements(b"{}") == elements(b"[]") == elements(b"") == []
    assert elements(b'[{"a": 1}, {"b": ') == [b'{"a": 1}', b'{"b":']
    assert elements(b'[{"a": 1]}, {"b": 2}, {"c": 3}]') == [b'{"a": 1]}', b'{"b": 2}', b'{"c": 3}']
    assert members(b'{"a" : [1, 2], "b:": NaN}') == {b'"a"': b"[1, 2]", b'"b:"': b"NaN"}
    assert members(b"[1]") == {}
