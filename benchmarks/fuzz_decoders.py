"""Any bytes through every decoder: nothing but `DecodeError` comes out, and what is decoded can be used.

Inputs are good messages of each format, damaged: bits, bytes, numbers and pieces; values of a JSON message;
fields of a protobuf one before it is compressed. Headers and keys are damaged, too, and what comes
out is checked as the intake would use it. Prints what became of them by format, the slowest and the memory.

    python benchmarks/fuzz_decoders.py --inputs 1000000 --seed 1
"""

from __future__ import annotations

import argparse
import copy
import io
import json
import math
import random
import resource
import struct
import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import cramjam
import numpy as np

from anomalyd.daemon.config.config import InputConfig, Limits
from anomalyd.daemon.intake.decode import Decoder
from anomalyd.daemon.intake.formats.format import Format
from anomalyd.daemon.intake.formats.recognise import recognised
from anomalyd.daemon.intake.formats.registry import FORMATS, format_of
from anomalyd.daemon.kafka.messages import dead_letter_entry
from anomalyd.daemon.stages import DeadLetter, Reason, Record, Sample
from anomalyd.errors import DecodeError

NOW = 1_795_288_500.0
_MESSAGE_BYTES = 65_536
_LIMITS = Limits(message_bytes=_MESSAGE_BYTES, cells=10_000, metrics=500)

_TOKENS = (
    *(b"", b"\x00", b"\xff", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\n", b"\r\n", b"\\", b'"', b"'", b","),
    *(b"=", b" ", b"{", b"}", b"[", b"]", b":", b"null", b"true", b"NaN", b"-Infinity", b"1e999", b"-0.0"),
    *(
        b"1e-400",
        b"9223372036854775808",
        b"18446744073709551616",
        b"-1",
        b"0x10",
        b"1_000",
        b"1" * 400,
        b"1" * 5_000,
    ),
    *(b"[" * 2_000, b'{"a":' * 500, b"\\ud800", b"\\u0000", b'"values":{}', b'"time":"9999-12-31T23:59:60Z"'),
    *(b"\x80" * 11, b"\xff" * 9 + b"\x01", b"1795288500", b"1795288500000000000", b"i", b"u", b"t"),
)
"""What has broken parsers before: ends of types, of numbers, of Unicode, of nesting and of varints."""

_VALUES: tuple[Any, ...] = (
    *(
        None,
        True,
        False,
        0,
        -1,
        0.0,
        -0.0,
        1e39,
        -1e308,
        5e-324,
        2**31,
        2**53 + 1,
        2**63,
        2**64,
        10**400,
        10**4_200,
    ),
    *("", " ", "\x00", "\ud7ff", "ä" * 300, "1", "nan", "1e5", "2026-11-29T10:00:00Z", "9999-99-99"),
    *([], {}, [[]], [None], {"": None}, [1, "a"], {"a": {"b": []}}, NOW, NOW * 1000, NOW * 1e9),
)


def _json(value: Any) -> bytes:
    return json.dumps(value).encode()


def _npy(array: Any) -> bytes:
    stream = io.BytesIO()
    np.save(stream, array, allow_pickle=False)
    return stream.getvalue()


def _otlp(kind: str, point: dict[str, Any], **about: Any) -> bytes:
    at = {"timeUnixNano": str(int(NOW * 1e9)), "startTimeUnixNano": str(int((NOW - 60) * 1e9))}
    attributes = [{"key": "code", "value": {"stringValue": "200"}}]
    metric = {"name": "m", kind: {"dataPoints": [{"attributes": attributes, **at, **point}], **about}}
    resource = {"attributes": [{"key": "host.name", "value": {"stringValue": "n1"}}]}
    return _json({"resourceMetrics": [{"resource": resource, "scopeMetrics": [{"metrics": [metric]}]}]})


def _otlp_messages() -> list[bytes]:
    found = [
        _otlp("gauge", {"asDouble": 36.5}),
        _otlp("sum", {"asInt": "5"}, aggregationTemporality=2, isMonotonic=True),
        _otlp(
            "histogram",
            {"count": "4", "sum": 6.5, "bucketCounts": ["1", "2", "1"], "explicitBounds": [1.0, 2.0]},
            aggregationTemporality=2,
        ),
        _otlp(
            "exponentialHistogram",
            {
                "count": "4",
                "sum": 6.5,
                "scale": 1,
                "zeroCount": "1",
                "positive": {"bucketCounts": ["1", "2"]},
            },
            aggregationTemporality=1,
        ),
        _otlp("summary", {"count": "4", "sum": 6.5, "quantileValues": [{"quantile": 0.5, "value": 1.0}]}),
    ]
    return [*found, *(_protobuf_of(each) for each in found)]


def _protobuf_of(text: bytes) -> bytes:
    from google.protobuf import json_format
    from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest

    return bytes(json_format.Parse(text, ExportMetricsServiceRequest()).SerializeToString())


def _field(number: int, body: bytes) -> bytes:
    """A length-delimited field of protobuf, of fewer than 128 bytes."""
    return bytes([number << 3 | 2, len(body)]) + body


def _series(name: bytes, *values: float) -> bytes:
    labels = ((b"__name__", name), (b"instance", b"i"))
    milliseconds = b"\x10" + _varint(int(NOW * 1000) - 500)
    samples = (_field(2, b"\x09" + struct.pack("<d", value) + milliseconds) for value in values)
    return _field(1, b"".join(_field(1, _field(1, n) + _field(2, v)) for n, v in labels) + b"".join(samples))


def _varint(number: int) -> bytes:
    return bytes([number]) if number < 128 else bytes([number & 127 | 128]) + _varint(number >> 7)


def _write_request() -> bytes:
    return _series(b"up", 1.0) + _series(b"x_total", 2.0, math.nan)


_VALUE_LIST = {
    **{
        "values": [5, 6],
        "dstypes": ["derive", "gauge"],
        "dsnames": ["rx", "tx"],
        "time": NOW,
        "interval": 10.0,
    },
    **{"host": "h", "plugin": "interface", "plugin_instance": "eth0", "type": "if", "type_instance": ""},
}

GOOD: dict[str, list[bytes]] = {
    "json": [
        _json({"entity": "e", "time": NOW, "values": {"a": 1.5, "b": None}, "partial": True}),
        _json(
            [{"entity": "e", "time": NOW, "values": {"a": 1}}, {"entity": "f", "time": NOW, "map": [[1, 2]]}]
        ),
        _json({"entity": "e", "time": "2026-11-21T19:06:00Z", "map": [[1, None], [3, 4]], "run": 3}),
    ],
    "npy": [
        _npy(np.arange(12, dtype=np.float32).reshape(3, 4)),
        _npy(np.ones((2, 3, 4))),
        _npy(np.arange(5, dtype="<u2")),
    ],
    "telegraf-json": [
        _json(
            {"metrics": [{"fields": {"usage": 1.5}, "name": "cpu", "tags": {"host": "a"}, "timestamp": NOW}]}
        ),
        _json(
            {
                "fields": {"bytes_recv": 5},
                "name": "net",
                "tags": {"host": "a", "interface": "e"},
                "timestamp": NOW,
            }
        ),
    ],
    "influx": [
        b'cpu,host=a,cpu=cpu0 usage_user=1.5,n=3i,on=true,s="x y" 1795288500000000000\nmem,host=a used=5u',
        b"cpu\\ a,host=a\\=b x=1 1795288500",
    ],
    "prometheus": [_write_request()],
    "collectd": [_json([_VALUE_LIST]), _json(_VALUE_LIST)],
    "prometheus-json": [
        _json(
            {
                **{"timestamp": "2026-11-21T19:06:00Z", "value": "5.5", "name": "node_load1"},
                "labels": {"__name__": "node_load1", "instance": "n1:9100"},
            }
        )
    ],
    "otlp": _otlp_messages(),
}
"""Good messages of each format."""

_HEADERS = {"entity": b"e", "time": b"1795288500", "run": b"3", "lumisection": b"7", "exposure": b"1.5"}


def damaged(value: bytes, chance: random.Random) -> bytes:
    """Damage bytes in one to six places."""
    out = bytearray(value)
    for _ in range(chance.choice((1, 1, 1, 2, 3, 6))):
        at = chance.randrange(len(out) + 1)
        match chance.randrange(7):
            case 0 if at < len(out):
                out[at] ^= 1 << chance.randrange(8)
            case 1 if at < len(out):
                out[at] = chance.randrange(256)
            case 2:
                del out[at : at + chance.choice((1, 2, 8, 64))]
            case 3:
                out[at:at] = chance.choice(_TOKENS)
            case 4:
                out[at : at + chance.randrange(1, 9)] = chance.choice(_TOKENS)
            case 5:
                piece = out[at : at + chance.randrange(1, 40)]
                out[at:at] = piece * chance.choice((1, 2, 20))
            case _:
                out[at : at + 8] = chance.choice((struct.pack("<d", math.inf), bytes(8), b"\xff" * 8))
    return bytes(out[: 2 * _MESSAGE_BYTES])


def damaged_json(value: bytes, chance: random.Random) -> bytes:
    """Put another value, or another name, somewhere into a JSON message."""
    document = json.loads(value)
    for _ in range(chance.choice((1, 1, 2, 4))):
        places = list(_places(document))
        if not places:
            break
        inside, name = chance.choice(places)
        if isinstance(inside, dict) and chance.random() < 0.3:
            inside[str(chance.choice(_VALUES))] = inside.pop(name)
        elif chance.random() < 0.1:
            del inside[name]
        else:
            inside[name] = copy.deepcopy(chance.choice(_VALUES))
    return _json(document)


def _places(document: Any) -> Any:
    pairs = document.items() if isinstance(document, dict) else enumerate(document)
    for name, value in pairs:
        yield document, name
        if isinstance(value, dict | list):
            yield from _places(value)


def made(name: str, chance: random.Random) -> Record:
    """Make one record of a format, damaged somewhere."""
    value = chance.choice(GOOD[name])
    if name == "prometheus":
        value = bytes(cramjam.snappy.compress_raw(damaged(value, chance)))
        if chance.random() < 0.3:
            value = damaged(value, chance)
    elif value[:1] in b"{[" and chance.random() < 0.5:
        value = damaged_json(value, chance)
    elif chance.random() < 0.02:
        value = chance.randbytes(chance.randrange(1, 300))
    elif chance.random() < 0.9:
        value = damaged(value, chance)
    headers = _HEADERS
    if chance.random() < 0.2:
        which = chance.choice([*_HEADERS, "beside"])
        headers = {**headers, which: damaged(_HEADERS.get(which, b"errors"), chance)}
    key = chance.choice((None, b"key", b"", b"\xff\xfe"))
    return Record("t", 0, 7, NOW, key, value, tuple(headers.items()))


@dataclass
class Seen:
    """What became of a format's inputs; `faults` should stay empty."""

    outcomes: Counter[str] = field(default_factory=Counter)
    slowest_s: float = 0.0
    slowest: bytes = b""
    faults: list[str] = field(default_factory=list)


def check_sample(sample: Sample) -> None:
    """See that a sample can be used by all that follows.

    Raises:
        AssertionError: it cannot; the text says why.

    """
    assert 0 < len(sample.entity) <= _LIMITS.name_length, "entity"
    assert min(sample.entity.encode()) >= 32, "entity's text"
    assert NOW - _LIMITS.past_s <= sample.time <= NOW + _LIMITS.future_s, "time"
    assert (sample.values is None) != (sample.map is None), "either values or a map"
    if sample.values is not None:
        assert 0 < len(sample.values) <= _LIMITS.metrics, "number of metrics"
        assert all(v is None or math.isfinite(v) for v in sample.values.values()), "a value"
        assert all(min(name.encode()) >= 32 for name in sample.values), "a name"
    if sample.map is not None:
        assert (sample.map.dtype, sample.map.ndim) == (np.float32, 2), "map"
        assert 0 < sample.map.size <= _LIMITS.cells, "cells"
        assert not np.isinf(sample.map).any(), "a cell"
    assert not set(sample.counters or ()) - set(sample.values or ()), "counters"


def try_one(decoder: Format, record: Record, seen: Seen) -> None:
    """Decode one record, and note what became of it."""
    begun = time.process_time()
    try:
        samples, error = decoder.decode(record, NOW)
        for sample in samples:
            check_sample(sample)
        outcome = "samples" if error is None else "partly"
        if not samples:
            outcome = "nothing" if error is None else "refused"
    except DecodeError as refusal:
        error, outcome = refusal, "refused"
    except Exception as fault:
        seen.faults.append(f"{type(fault).__name__}: {fault}: {record.value!r:.300} {record.headers}")
        error, outcome = None, "fault"
    took = time.process_time() - begun
    if took > seen.slowest_s:
        seen.slowest_s, seen.slowest = took, record.value or b""
    seen.outcomes[outcome] += 1
    if error is not None:
        try:
            Reason(error.reason)
            letter = DeadLetter(record, error.reason, str(error), error.broken, error.where)
            dead_letter_entry(letter, "dead")
            if seen.outcomes["refused"] % 50 == 0:
                recognised(record)
        except Exception as fault:
            seen.faults.append(f"its dead letter: {type(fault).__name__}: {fault}: {record.value!r:.300}")


def fuzz(
    formats: Sequence[str], inputs: int, seed: int, told: Callable[[str], None] = print
) -> dict[str, Seen]:
    """Try so many inputs, the formats in turn."""
    decoders = {name: format_of(InputConfig(topic="t", format=name, limits=_LIMITS)) for name in formats}
    # As the daemon would take them: it must refuse what is too long before any decoder sees it.
    whole = {
        name: Decoder([InputConfig(topic="t", format=name, limits=_LIMITS)], clock=lambda: NOW)
        for name in formats
    }
    chance, found = random.Random(seed), {name: Seen() for name in formats}
    for number in range(inputs):
        name = formats[number % len(formats)]
        record = made(name, chance)
        if not record.value or len(record.value) > _MESSAGE_BYTES:
            _, letters = whole[name].decode([record])
            found[name].outcomes["refused" if len(letters) == 1 else "fault"] += 1
            continue
        try_one(decoders[name], record, found[name])
        if (number + 1) % 100_000 == 0:
            most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
            told(f"{number + 1} inputs, {most:.0f} MiB at most")
    return found


def main() -> int:
    """Print what became of all inputs; 1 if any did what it must not."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--inputs", type=int, default=1_000_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("formats", nargs="*", help=f"of {', '.join(FORMATS)}; all if left out")
    given = parser.parse_args()
    found = fuzz(given.formats or list(FORMATS), given.inputs, given.seed)
    for name, seen in found.items():
        outcomes = ", ".join(f"{count} {what}" for what, count in seen.outcomes.most_common())
        print(f"{name:16} {outcomes}; slowest {1000 * seen.slowest_s:.1f} ms: {len(seen.slowest)} bytes")
        for fault in seen.faults[:5]:
            print("   ", fault)
    return int(any(seen.faults for seen in found.values()))


if __name__ == "__main__":
    sys.exit(main())
