"""What comes out of a golden run as text that is the same on every machine, and compared as such.

Scores and what follows from them are written with five digits. On machines of one type all runs give the
same text. Another processor adds up in another order, which shows in the seventh digit of a float32, and more
where two numbers that are nearly the same are subtracted: `difference` lets that pass, and says what else
differs. Whole numbers, times, names and words are the same everywhere.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import fields, is_dataclass
from typing import Any

import numpy as np

_DIGITS = 5


def plain(thing: Any) -> Any:
    if is_dataclass(thing) and not isinstance(thing, type):
        return {field.name: plain(getattr(thing, field.name)) for field in fields(thing)}
    if isinstance(thing, Mapping):
        return {str(name): plain(each) for name, each in thing.items()}
    if isinstance(thing, np.ndarray):
        return _array(thing)
    if isinstance(thing, list | tuple):
        return [plain(each) for each in thing]
    if isinstance(thing, float):
        return thing if abs(thing) >= 1e8 or not np.isfinite(thing) else float(number(thing))
    if isinstance(thing, bytes):
        return len(thing)
    return thing


def number(value: float | None) -> str:
    """Five digits of a measured value, all of a time."""
    if value is None:
        return "-"
    return repr(float(value)) if abs(value) >= 1e8 else f"{value:.{_DIGITS}g}"


def _array(array: Any) -> list[str]:
    """The rows of an array, each as one text; what is small beside the largest is rounded as coarsely."""
    array = np.atleast_1d(array)
    finite = np.abs(array[np.isfinite(array)])
    if array.dtype == np.float64 and finite.size and finite.max() >= 1e8:
        return [" ".join(repr(float(x)) for x in array)]
    largest = float(finite.max()) if finite.size and finite.max() > 0 else 1.0
    decimals = int(_DIGITS - 2 - np.floor(np.log10(largest)))
    rounded = np.round(array.astype(np.float64), decimals) + 0.0  # no -0
    if not rounded.size:
        return []
    rows = rounded.reshape(-1, rounded.shape[-1])
    return [" ".join(f"{x:.{_DIGITS}g}" for x in row) for row in rows]


_NUMBERS = re.compile(r"(-?\d+(?:\.\d+)?(?:e[+-]?\d\d+)?)")


def difference(found: str, recorded: str, tolerance: float = 1e-3) -> str | None:
    """Name the first line that is not the same; None if all are, but for the rounding of measured numbers."""
    if found == recorded:
        return None
    ours, theirs = found.splitlines(), recorded.splitlines()
    for number, (one, other) in enumerate(zip(ours, theirs, strict=False), start=1):
        if one != other and not _alike(_NUMBERS.split(one), _NUMBERS.split(other), tolerance):
            return f"line {number}:\n  found    {one[:2000]}\n  recorded {other[:2000]}"
    return None if len(ours) == len(theirs) else f"{len(ours)} lines found, {len(theirs)} recorded"


def _alike(ours: Sequence[str], theirs: Sequence[str], tolerance: float) -> bool:
    return len(ours) == len(theirs) and all(
        one == other or (k % 2 == 1 and _close(one, other, tolerance))
        for k, (one, other) in enumerate(zip(ours, theirs, strict=True))
    )


def _close(one: str, other: str, tolerance: float) -> bool:
    a, b = float(one), float(other)
    # Whole numbers are counted, and those of many digits are times.
    if {".", "e"}.isdisjoint(one + other) or max(abs(a), abs(b)) >= 1e6:
        return False
    last_place = 10.0 ** -max(_decimals(one), _decimals(other))
    return abs(a - b) <= max(1.001 * last_place, tolerance * max(abs(a), abs(b)))


def _decimals(text: str) -> int:
    mantissa, _, exponent = text.partition("e")
    return len(mantissa.partition(".")[2]) - int(exponent or 0)


def near_a_threshold(output: Mapping[str, str]) -> list[str]:
    """Scores that another processor might see on the other side of a threshold: of alerts, of severities.

    A case that has any is to be given other input.
    """
    found = []
    for report in json.loads(output["reports.json"])["reports"]:
        scores = [text for point in report["points"] for text in point.split()[1:] if text != "-"]
        found += [f"{report['id']}: {s}" for s in scores if abs(float(s) - 1) < 2e-3]
        peak = report["incident"]["peak"]
        found += [f"{report['id']}: peak {peak}" for level in (2, 5) if abs(peak / level - 1) < 2e-3]
    return found
