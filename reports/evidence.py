"""Arrays as bytes and back: one safetensors blob, whose metadata holds the rest as JSON. Never pickle."""

from __future__ import annotations

import json
import math
import zlib
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load, save

from anomalyd.errors import StoreError
from anomalyd.reports.json_values import without_nan
from anomalyd.reports.report import Cause, Direction, Evidence
from anomalyd.total import Total

_STATE = "state."
_ARRAYS = (
    *("values", "expectation", "error", "contribution", "history_times", "history"),
    *("width", "lead_times", "lead"),
)
_NUMBERS = ("onset", "score")
_TEXTS = ("detector", "model")

_COMPRESSED = b"zlib"
"""What compressed arrays begin with. As the length of a header it would be 1.6 GB: there is none."""

_LEVEL = 6


def encode(evidence: Evidence) -> bytes:
    """Turn evidence into bytes.

    Raises:
        StoreError: an array of a type that safetensors does not know (text, objects, complex numbers).

    """
    arrays = {name: getattr(evidence, name) for name in _ARRAYS}
    arrays |= {_STATE + name: array for name, array in evidence.state.items()}
    about: dict[str, Any] = {"time": float(evidence.time), "features": list(evidence.features)}
    about |= {name: _number(getattr(evidence, name)) for name in _NUMBERS}
    about |= {name: getattr(evidence, name) for name in _TEXTS}
    about["causes"] = [
        {name: _number(value) if isinstance(value, float) else value for name, value in asdict(cause).items()}
        for cause in evidence.causes
    ]
    if evidence.total is not None:
        about["total"] = without_nan(asdict(evidence.total))
    return _pack(arrays, json.dumps(about))


def decode(blob: bytes) -> Evidence:
    """Give the evidence that `encode` was given.

    Raises:
        StoreError: the bytes are damaged.

    """
    arrays, text = _unpack(blob)
    try:
        about = json.loads(text)
        # What earlier versions wrote holds less.
        held: dict[str, Any] = {name: arrays[name] for name in _ARRAYS if name in arrays}
        held |= {name: _float(about[name]) for name in _NUMBERS if name in about}
        held |= {name: str(about[name]) for name in _TEXTS if name in about}
        return Evidence(
            time=float(about["time"]),
            features=tuple(about["features"]),
            state={n.removeprefix(_STATE): a for n, a in arrays.items() if n.startswith(_STATE)},
            **held,
            causes=tuple(map(_cause, about.get("causes", ()))),
            total=_total(about["total"]) if "total" in about else None,
        )
    except (ValueError, KeyError, TypeError) as error:
        raise StoreError(
            f"stored evidence is damaged: {error!r}; restore the database from a copy"
        ) from error


def _cause(about: Mapping[str, Any]) -> Cause:
    numbers = {name: _float(about[name]) for name in ("started", "expected", "seen", "sigmas", "share")}
    return Cause(str(about["name"]), str(about["group"]), Direction(about["direction"]), **numbers)


def _total(about: Mapping[str, Any]) -> Total:
    seen, expected, otherwise = (_float(about[name]) for name in ("seen", "expected", "otherwise"))
    return Total(seen, expected, str(about["against"]), otherwise, bool(about["leads"]))


def _number(value: float) -> float | None:
    """Give a number for JSON, which knows no NaN."""
    return float(value) if math.isfinite(value) else None


def _float(value: float | None) -> float:
    return math.nan if value is None else float(value)


def encode_array(array: NDArray[Any]) -> bytes:
    """Turn one array into bytes.

    Raises:
        StoreError: as `encode`.

    """
    return _pack({"values": array}, "{}")


def decode_array(blob: bytes) -> NDArray[Any]:
    """Give the array that `encode_array` was given.

    Raises:
        StoreError: the bytes are damaged.

    """
    arrays, _ = _unpack(blob)
    if "values" not in arrays:
        raise StoreError("a stored array is damaged: it has no values; restore the database from a copy")
    return arrays["values"]


def _pack(arrays: Mapping[str, NDArray[Any]], text: str) -> bytes:
    # safetensors writes the buffer as it lies in memory: a transposed view would come back scrambled.
    solid = {name: np.asarray(array, order="C") for name, array in arrays.items()}
    try:
        return _COMPRESSED + zlib.compress(save(solid, metadata={"json": text}), _LEVEL)
    except (SafetensorError, KeyError, ValueError, TypeError) as error:
        types = ", ".join(f"{name} {array.dtype}" for name, array in solid.items())
        raise StoreError(
            f"arrays cannot be stored ({types}): {error}; only numbers and booleans can"
        ) from error


def _unpack(blob: bytes) -> tuple[dict[str, NDArray[Any]], str]:
    try:
        if blob.startswith(_COMPRESSED):
            blob = zlib.decompress(blob[len(_COMPRESSED) :])
        # Copied, because `load` gives views that cannot be written and torch warns of those.
        arrays = {name: array.copy() for name, array in load(blob).items()}
        # The first 8 bytes are the length of the JSON header; `load` has just checked it.
        header = json.loads(blob[8 : 8 + int.from_bytes(blob[:8], "little")])
        return arrays, header["__metadata__"]["json"]
    except (SafetensorError, zlib.error, ValueError, KeyError, TypeError) as error:
        raise StoreError(f"a stored array is damaged: {error}; restore the database from a copy") from error
