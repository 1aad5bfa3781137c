"""Format `npy`: a map as the bytes of `numpy.save`; entity, time, run and lumisection in Kafka headers."""

from __future__ import annotations

import io
import math
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from anomalyd.daemon.config.config import InputConfig
from anomalyd.daemon.intake.formats.format import Format
from anomalyd.daemon.intake.parsing.fields import Fields, seconds_or_text
from anomalyd.daemon.intake.parsing.histograms import COMPANIONS, counts_of
from anomalyd.daemon.stages import Reason, Record, Sample
from anomalyd.errors import DecodeError

# A map's header has some 120 bytes; numpy evaluates it as a literal, so a long one is not even looked at.
HEADER_BYTES = 1_000

_READERS = {
    (1, 0): np.lib.format.read_array_header_1_0,
    (2, 0): np.lib.format.read_array_header_2_0,
}


class NpyMap(Format):
    """Decodes an array (R, C) of any real number type; NaN is a masked cell. Never pickled."""

    grid_s = 0.0  # its messages are whole, unless they say so
    lateness_s = 0.0

    def __init__(self, config: InputConfig) -> None:
        super().__init__(config)
        self._fields = Fields(config)

    def decode(self, record: Record, now: float) -> tuple[Sequence[Sample], DecodeError | None]:
        """Decode a record; see `Format.decode`.

        Raises:
            DecodeError: the message cannot be used.

        """
        assert record.value is not None
        headers = _texts(record.headers)
        if "time" not in headers:
            raise DecodeError(Reason.TIME, "no Kafka header `time`: seconds since the epoch, or ISO 8601")
        return (
            Sample(
                entity=self._fields.entity(headers.get("entity"), record.key),
                time=self._fields.time(seconds_or_text(headers["time"]), now),
                topic=record.topic,
                partition=record.partition,
                offset=record.offset,
                map=self._counts(record.value, headers),
                run=_counter(headers, "run"),
                lumisection=_counter(headers, "lumisection"),
                exposure=_exposure(headers),
            ),
        ), None

    def _counts(self, value: bytes, headers: Mapping[str, str]) -> NDArray[np.float32]:
        """Read the map, or the map and what stands beside it, and make counts of them."""
        beside = headers.get("beside")
        if beside is None:
            return counts_of(self._map(value), {})
        if beside not in COMPANIONS:
            raise DecodeError(
                Reason.FIELD,
                f"Kafka header beside: {beside[:40]!r}; one of {', '.join(COMPANIONS)} is expected",
            )
        cells = self._map(value, both=beside)
        return counts_of(cells[0], {beside: cells[1]})

    def _map(self, value: bytes, both: str = "") -> NDArray[np.float32]:
        shape, fortran_order, dtype, start = _read_header(value[: _header_size(value)])
        wanted = 3 if both else 2
        if len(shape) == wanted - 1:
            shape = (*shape[:-1], 1, shape[-1])  # a histogram of one row
        if len(shape) != wanted or (both and shape[0] != 2):
            expected = f"(2, rows, columns), the map and its {both}," if both else "(rows, columns)"
            raise DecodeError(Reason.MAP, f"map: an array of shape {shape}; {expected} is expected")
        if dtype.kind not in "fiu":
            raise DecodeError(Reason.MAP, f"map: cells of type {dtype}; real numbers are expected")
        self._fields.map_size(*shape[-2:])
        size = math.prod(shape) * dtype.itemsize
        if len(value) - start != size:
            raise DecodeError(
                Reason.SYNTAX,
                f"map: {len(value) - start} bytes of data; {shape} cells of {dtype} are {size}",
            )
        cells = np.frombuffer(value, dtype, offset=start)
        cells = cells.reshape(shape, order="F" if fortran_order else "C")
        with np.errstate(over="ignore", invalid="ignore"):
            # An array of its own, since a view would keep the whole message alive; added to, so that no NaN
            # in it signals.
            floats: NDArray[np.float32] = np.add(cells, np.float32(0), dtype=np.float32, order="C")
        if float(np.fmax.reduce(np.abs(floats), axis=None)) == math.inf:
            infinite = np.argwhere(np.isinf(floats))
            *_, row, column = infinite[0]
            raise DecodeError(
                Reason.FIELD,
                f"map[{row}][{column}]: {cells[tuple(infinite[0])]} is not finite in float32; a masked "
                "cell is NaN",
            )
        return floats


def _header_size(value: bytes) -> int:
    """Say how many bytes of a file come before its cells, by its fixed first ones."""
    width = 2 if value[6:7] == b"\x01" else 4
    return min(8 + width + int.from_bytes(value[8 : 8 + width], "little"), HEADER_BYTES + 12)


@lru_cache(maxsize=256)  # of one producer they are all alike, and numpy evaluates each as Python
def _read_header(header: bytes) -> tuple[tuple[int, ...], bool, np.dtype[Any], int]:
    """Read shape, order and type of the cells, and where they begin."""
    stream = io.BytesIO(header)
    try:
        version = np.lib.format.read_magic(stream)
        return *_READERS[version](stream, max_header_size=HEADER_BYTES), stream.tell()
    except KeyError:
        raise DecodeError(Reason.SYNTAX, f"npy version {version}; 1.0 or 2.0 is expected") from None
    except Exception as error:  # numpy evaluates the header as a literal: whatever that may raise
        raise DecodeError(Reason.SYNTAX, f"not the bytes of numpy.save: {error}") from None


def _texts(headers: Sequence[tuple[str, bytes]]) -> Mapping[str, str]:
    try:
        return {name: value.decode() for name, value in headers if name in _HEADERS and value is not None}
    except UnicodeDecodeError:
        raise DecodeError(
            Reason.FIELD, f"the Kafka headers {', '.join(_HEADERS)} must be UTF-8 text"
        ) from None


_HEADERS = ("entity", "time", "run", "lumisection", "exposure", "beside")


def _counter(headers: Mapping[str, str], name: str) -> int | None:
    text = headers.get(name)
    if text is None:
        return None
    if not (text.isascii() and text.isdigit() and len(text) <= 10 and int(text) < 2**31):
        raise DecodeError(
            Reason.FIELD,
            f"Kafka header {name}: {text[:40]!r}; a whole number from 0 to 2147483647 is expected",
        )
    return int(text)


def _exposure(headers: Mapping[str, str]) -> float | None:
    text = headers.get("exposure")
    if text is None:
        return None
    exposure = seconds_or_text(text)
    if isinstance(exposure, str) or not exposure > 0:
        raise DecodeError(
            Reason.FIELD,
            f"Kafka header exposure: {text[:40]!r}; a number above 0 is expected; leave the "
            "header out where it is not known",
        )
    return exposure
