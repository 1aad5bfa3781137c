"""The wire format of a Prometheus remote write 1.0 request, read.

    WriteRequest: repeated TimeSeries timeseries = 1 (2 is reserved; 3 is metadata)
    TimeSeries:   repeated Label labels = 1; repeated Sample samples = 2 (3: exemplars, 4: histograms)
    Label:        string name = 1; string value = 2
    Sample:       double value = 1; int64 timestamp = 2 (milliseconds)

Read by hand rather than with classes of the package protobuf, at 45 % of their CPU on captured requests: the
labels can be left as bytes, which are the same in every request, so that a series is read once and then known
by them. A message is at most `message_bytes` long, lengths are checked before they are used, and nothing here
nests.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Iterator, Sequence

from anomalyd.daemon.stages import Reason
from anomalyd.errors import DecodeError

_DOUBLE = struct.Struct("<d")

# The tags, field number << 3 | wire type, of what is read.
_LENGTH_DELIMITED_1, _LENGTH_DELIMITED_2, _DOUBLE_1, _VARINT_2 = 0x0A, 0x12, 0x09, 0x10

# Remote write 2.0 has its strings in field 4 and its series in field 5.
_SYMBOLS_OF_2_0, _SERIES_OF_2_0 = 0x22, 0x2A


def series(message: bytes) -> Iterator[tuple[bytes, list[tuple[float | None, int]]]]:
    """Yield the time series of a WriteRequest: its labels as they lie there, and its (value, ms) samples.

    A NaN, such as the mark of a series that has ended, is no value: None.

    Raises:
        DecodeError: the bytes are no WriteRequest, or one of remote write 2.0.

    """
    try:
        at, end = 0, len(message)
        while at < end:
            tag, at = _varint(message, at)
            if tag == _LENGTH_DELIMITED_1:
                start, at = _span(message, at, end)
                yield _time_series(message, start, at)
            elif tag in (_SYMBOLS_OF_2_0, _SERIES_OF_2_0):
                raise DecodeError(
                    Reason.SYNTAX, "remote write 2.0; have the sender use prometheus.WriteRequest (1.0)"
                )
            else:
                at = _skip(message, tag, at, end)
    except IndexError:
        raise DecodeError(Reason.SYNTAX, "not a WriteRequest: it ends within a field") from None
    except ValueError as error:
        raise DecodeError(Reason.SYNTAX, f"not a WriteRequest: {error}") from None


def request(found: Sequence[tuple[bytes, list[tuple[float | None, int]]]]) -> bytes:
    """Make a WriteRequest of series as `series` yields them; a missing value is a NaN again."""
    out = bytearray()
    for labels_, samples in found:
        body = bytearray(labels_)
        for value, milliseconds in samples:
            sample = b"\x09" + _DOUBLE.pack(math.nan if value is None else value)
            sample += b"\x10" + _encoded(milliseconds % 2**64)
            body += b"\x12" + _encoded(len(sample)) + sample
        out += b"\x0a" + _encoded(len(body)) + body
    return bytes(out)


def _encoded(number: int) -> bytes:
    out = bytearray()
    while number > 127:
        out.append(number & 127 | 128)
        number >>= 7
    return bytes([*out, number])


def labels(raw: bytes) -> dict[str, str]:
    """Read the labels that `series` has left as bytes.

    Raises:
        DecodeError: they are no labels, or not UTF-8.

    """
    found: dict[str, str] = {}
    try:
        at, end = 0, len(raw)
        while at < end:
            start, at = _span(raw, at + 1, end)
            name, value = _label(raw, start, at)
            if name in found:
                raise ValueError(f"label {name[:60]!r} stands twice; each may stand once")
            found[name] = value
    except (IndexError, ValueError) as error:  # UnicodeDecodeError is a ValueError
        raise DecodeError(Reason.SYNTAX, f"labels {raw[:60]!r}: {error}") from None
    return found


def _time_series(message: bytes, at: int, end: int) -> tuple[bytes, list[tuple[float | None, int]]]:
    runs: list[bytes] = []
    samples: list[tuple[float | None, int]] = []
    while at < end:
        tag = message[at]
        if tag == _LENGTH_DELIMITED_1:
            first = at
            while at < end and message[at] == _LENGTH_DELIMITED_1:
                _, at = _span(message, at + 1, end)
            runs.append(message[first:at])
        elif tag == _LENGTH_DELIMITED_2:
            start, at = _span(message, at + 1, end)
            samples.append(_sample(message, start, at))
        else:
            tag, at = _varint(message, at)
            at = _skip(message, tag, at, end)
    return (runs[0] if len(runs) == 1 else b"".join(runs)), samples


def _sample(message: bytes, at: int, end: int) -> tuple[float | None, int]:
    value, milliseconds = 0.0, 0  # what is 0 is not sent
    while at < end:
        tag, at = _varint(message, at)
        if tag == _DOUBLE_1:
            if at + 8 > end:
                raise ValueError("a sample ends within its value")
            (value,) = _DOUBLE.unpack_from(message, at)
            at += 8
        elif tag == _VARINT_2:
            milliseconds, at = _varint(message, at)
        else:
            at = _skip(message, tag, at, end)
    if at > end:
        raise ValueError("a sample ends within a field")
    return None if math.isnan(value) else value, milliseconds - (milliseconds >> 63 << 64)


def _label(raw: bytes, at: int, end: int) -> tuple[str, str]:
    name = value = ""
    while at < end:
        tag, at = _varint(raw, at)
        if tag == _LENGTH_DELIMITED_1:
            start, at = _span(raw, at, end)
            name = raw[start:at].decode()
        elif tag == _LENGTH_DELIMITED_2:
            start, at = _span(raw, at, end)
            value = raw[start:at].decode()
        else:
            at = _skip(raw, tag, at, end)
    return name, value


def _span(message: bytes, at: int, end: int) -> tuple[int, int]:
    """Give where the bytes of a length-delimited field begin and end; its length stands at `at`."""
    length = message[at]
    at += 1
    if length >= 0x80:
        length, at = _varint(message, at - 1)
    if at + length > end:
        raise ValueError(f"a field of {length} bytes where {max(end - at, 0)} are left")
    return at, at + length


def _varint(message: bytes, at: int) -> tuple[int, int]:
    value = message[at]
    at += 1
    if value < 0x80:
        return value, at
    value &= 0x7F
    for shift in range(7, 70, 7):
        byte = message[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value & 0xFFFF_FFFF_FFFF_FFFF, at
    raise ValueError("a number of more than 64 bits")


def _skip(message: bytes, tag: int, at: int, end: int) -> int:
    """Give where a field ends that nobody here reads."""
    kind = tag & 7
    if kind == 0:
        at = _varint(message, at)[1]
    elif kind == 1:
        at += 8
    elif kind == 2:
        at = _span(message, at, end)[1]
    elif kind == 5:
        at += 4
    else:
        raise ValueError(f"a field of wire type {kind}")
    if at > end:
        raise ValueError("it ends within a field")
    return at
