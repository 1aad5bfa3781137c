"""A Prometheus remote write request, 1.0 or 2.0, read with protobuf.

    1.0  prometheus.WriteRequest          timeseries = 1, labels in each
    2.0  io.prometheus.write.v2.Request   symbols = 4, timeseries = 5, labels as references to symbols

Both share no field number, so one message reads either. Labels and symbols are declared as bytes, which they
are on the wire, too: a series that was seen before is known by them, and a byte that is not UTF-8 spoils one
series only. Declared as messages of text, labels take protobuf twice the CPU.

Sources: Prometheus remote write specifications 1.0 and 2.0.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from google.protobuf.message import DecodeError as NotProtobuf

from anomalyd.daemon.intake.wire_formats.protobuf_classes import Fields, Kind, message_classes
from anomalyd.daemon.stages import Reason
from anomalyd.errors import DecodeError

_BUCKETS = {
    f"{sign}_{what}": (first + number, kind, True)
    for sign, first in (("negative", 8), ("positive", 11))
    for number, (what, kind) in enumerate(
        (("spans", "Span"), ("deltas", Kind.TYPE_SINT64), ("counts", Kind.TYPE_DOUBLE))
    )
}

_MESSAGES: dict[str, Fields] = {
    "Label": {"name": (1, Kind.TYPE_BYTES, False), "value": (2, Kind.TYPE_BYTES, False)},
    "Sample": {"value": (1, Kind.TYPE_DOUBLE, False), "timestamp": (2, Kind.TYPE_INT64, False)},
    "Span": {"offset": (1, Kind.TYPE_SINT32, False), "length": (2, Kind.TYPE_UINT32, False)},
    "Histogram": {
        "count_int": (1, Kind.TYPE_UINT64, False),
        "count_float": (2, Kind.TYPE_DOUBLE, False),
        "sum": (3, Kind.TYPE_DOUBLE, False),
        "schema": (4, Kind.TYPE_SINT32, False),
        "zero_count_int": (6, Kind.TYPE_UINT64, False),
        "zero_count_float": (7, Kind.TYPE_DOUBLE, False),
        **_BUCKETS,
        "reset_hint": (14, Kind.TYPE_UINT32, False),
        "timestamp": (15, Kind.TYPE_INT64, False),
        "custom_values": (16, Kind.TYPE_DOUBLE, True),
    },
    "Metadata": {"type": (1, Kind.TYPE_UINT32, False)},
    "Series1": {
        "labels": (1, Kind.TYPE_BYTES, True),
        "samples": (2, "Sample", True),
        "histograms": (4, "Histogram", True),
    },
    "Series2": {
        "labels_refs": (1, Kind.TYPE_UINT32, True),
        "samples": (2, "Sample", True),
        "histograms": (3, "Histogram", True),
        "metadata": (5, "Metadata", False),
    },
    "Request": {
        "of_1_0": (1, "Series1", True),
        "symbols": (4, Kind.TYPE_BYTES, True),
        "of_2_0": (5, "Series2", True),
    },
}
"""What is read of each message."""


_CLASS = message_classes("anomalyd.remote_write", _MESSAGES)

_Key = tuple[bytes, ...]


class TimeSeries(NamedTuple):
    """One series: its labels as they lie there, and what it says.

    `key`: of 1.0 its labels, of 2.0 their names and values in turns; the same labels give the same key.
    `samples` and `histograms` are protobuf's; `type`: 0 where it is not told, 1 a counter, 2 a gauge.
    `symbolised`: it is of 2.0.
    """

    key: _Key
    samples: Any
    histograms: Any
    type: int
    symbolised: bool
    message: Any

    def labels(self) -> dict[str, str]:
        """Read the labels.

        Raises:
            DecodeError: they are no labels, not UTF-8, or one stands twice.

        """
        try:
            found: dict[str, str] = {}
            for raw_name, raw_value in self._pairs():
                name = raw_name.decode()
                if name in found:
                    raise ValueError(f"label {name[:60]!r} stands twice; each may stand once")
                found[name] = raw_value.decode()
        except (ValueError, NotProtobuf) as error:  # UnicodeDecodeError is a ValueError
            raise DecodeError(Reason.SYNTAX, f"labels {b' '.join(self.key)[:60]!r}: {error}") from None
        return found

    def alone(self) -> bytes:
        """Make a request of this series alone; several, one behind the other, are one request.

        One of 2.0 becomes one of 1.0, which needs no symbols, unless its labels cannot be found.
        """
        request = _CLASS["Request"]
        if not self.symbolised or len(self.key) % 2:
            field = "of_2_0" if self.symbolised else "of_1_0"
            return bytes(request(**{field: [self.message]}).SerializeToString())
        labels = [_CLASS["Label"](name=n, value=v).SerializeToString() for n, v in self._pairs()]
        series = _CLASS["Series1"](labels=labels, samples=self.samples, histograms=self.histograms)
        return bytes(request(of_1_0=[series]).SerializeToString())

    def _pairs(self) -> Iterator[tuple[bytes, bytes]]:
        if not self.symbolised:
            return map(_pair, self.key)
        if len(self.key) % 2:
            raise ValueError("labels_refs: names and values in turns are expected, each one of the symbols")
        return zip(self.key[::2], self.key[1::2], strict=True)


def read(message: bytes) -> Iterator[TimeSeries]:
    """Give the series of a request.

    Raises:
        DecodeError: the bytes are no request.

    """
    try:
        request = _CLASS["Request"].FromString(message)
    except NotProtobuf as error:
        raise DecodeError(Reason.SYNTAX, f"not a WriteRequest: {error!s:.200}") from None
    return _series(request)


def _series(request: Any) -> Iterator[TimeSeries]:
    for series in request.of_1_0:
        yield TimeSeries(tuple(series.labels), series.samples, series.histograms, 0, False, series)
    symbols = list(request.symbols)
    for series in request.of_2_0:
        try:
            key = tuple([symbols[reference] for reference in series.labels_refs])
        except IndexError:
            key = (b"beyond the symbols",)  # no pairs, as `labels` will say
        yield TimeSeries(key, series.samples, series.histograms, series.metadata.type, True, series)


def _pair(raw: bytes) -> tuple[bytes, bytes]:
    label = _CLASS["Label"].FromString(raw)
    return label.name, label.value
