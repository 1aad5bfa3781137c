"""Maps as nearly all producers send them: rows of one length, of whole numbers from 0 on and null.

Their JSON is read in half the time that cells of any kind take; everything else is left to `json_samples`.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from functools import lru_cache

import msgspec
import numpy as np
from numpy.typing import NDArray

from anomalyd.daemon.intake.parsing.faults import JSON_FAULTS

_MASKED = -1

_rows = msgspec.json.Decoder(list[list[int]]).decode


def plain_counts(text: bytes) -> NDArray[np.float32] | None:
    """Read a map (R, C), NaN for null; None where it is of another kind, or wrong, or all null.

    `text` is valid JSON.
    """
    if not text.startswith(b"[[") or b"-" in text:
        return None
    masked = b"null" in text
    if masked:
        text = text.replace(b"null", b"%d" % _MASKED)
    cells: list[int] = []
    try:
        rows = _rows(text)
        for row in rows:
            cells += row
        columns = len(rows[0])
        if not columns or any(len(row) != columns for row in rows):
            return None
        packed = _packer(len(cells))(*cells)
    except (*JSON_FAULTS, struct.error):
        return None
    whole = np.frombuffer(packed, dtype=np.int32).reshape(len(rows), columns)
    counts = whole.astype(np.float32)
    if masked:
        missing = whole == _MASKED
        if missing.all():
            return None
        counts[missing] = np.nan
    return counts


@lru_cache(maxsize=64)
def _packer(numbers: int) -> Callable[..., bytes]:
    """Give what writes so many whole numbers as they lie in memory."""
    return struct.Struct(f"={numbers}i").pack
