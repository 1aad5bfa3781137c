"""The format of canaries: like any sample in the topic, marked by a header of its own.

They are known by the header alone, whatever a topic's format is: no entity's name can collide with theirs,
and whoever else reads the topic can pass them over. The header holds JSON of everything but the measurement.
That is the value: JSON of a metric vector, or the cells of a map as little-endian float32.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec
import numpy as np
from numpy.typing import NDArray

from anomalyd.daemon.stages import Record
from anomalyd.reports.step import CanaryKind

HEADER = "anomalyd-canary"

_CELL = np.dtype("<f4")


class _About(msgspec.Struct, frozen=True):
    detector: str
    kind: CanaryKind
    like: str
    sent: float
    shape: tuple[int, int] | None = None


class Canary(msgspec.Struct, frozen=True):
    """A synthetic sample for one detector, in the place of the next one of the entity `like`.

    `sent`: wall clock, seconds since the epoch. Either metric `values` or a `map` (R, C).
    """

    detector: str
    kind: CanaryKind
    like: str
    sent: float
    values: Mapping[str, float | None] | None = None
    map: NDArray[np.float32] | None = None


def is_canary(record: Record) -> bool:
    """Say whether a record is a canary, also a damaged one."""
    return any(name == HEADER for name, _ in record.headers)


def encode_canary(canary: Canary) -> tuple[bytes, list[tuple[str, bytes]]]:
    """Give value and headers of the record."""
    if canary.map is None:
        shape, value = None, msgspec.json.encode(canary.values)
    else:
        rows, columns = canary.map.shape
        shape, value = (rows, columns), canary.map.astype(_CELL).tobytes()
    about = _About(canary.detector, canary.kind, canary.like, canary.sent, shape)
    return value, [(HEADER, msgspec.json.encode(about))]


def decode_canary(record: Record) -> Canary | None:
    """Read a canary; None where it is damaged: it counts as missed then."""
    about = dict(record.headers)[HEADER]
    value = record.value or b""
    try:
        told = msgspec.json.decode(about, type=_About)
        if told.shape is None:
            values = msgspec.json.decode(value, type=dict[str, float | None])
            return Canary(told.detector, told.kind, told.like, told.sent, values=values)
        cells = np.frombuffer(value, _CELL).reshape(told.shape).astype(np.float32)
    except (msgspec.MsgspecError, ValueError):  # numpy's, of a shape that does not fit
        return None
    if min(told.shape) <= 0:
        return None
    return Canary(told.detector, told.kind, told.like, told.sent, map=cells)
