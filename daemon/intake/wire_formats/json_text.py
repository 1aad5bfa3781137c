"""JSON that a decoder refuses, or reads too leniently: its parts one by one, and keys that stand twice."""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Mapping
from typing import Any

from anomalyd.daemon.stages import Reason
from anomalyd.errors import DecodeError

# A string is passed over as one, so that no bracket within it counts (possessive: no byte is tried twice).
_TOKEN = re.compile(rb'"(?:[^"\\]|\\.)*+"|[\[\]{},]', re.DOTALL)
_BETWEEN_OBJECTS = re.compile(rb"(?<=\})\s*,\s*(?=\{)")
_KEY = re.compile(rb'\s*("(?:[^"\\]|\\.)*+")\s*:', re.DOTALL)
_SPACED = re.compile(rb'"\s+:')
_CLOSES = {b"]": b"[", b"}": b"{"}


def elements(value: bytes) -> list[bytes]:
    """Split an array into its elements by the brackets alone, whatever the elements hold.

    One that breaks off, or whose brackets do not close, is split between its objects. What is no array, or
    several of them in lines, has no elements.
    """
    return _split(value, b"[")


def members(value: bytes) -> dict[bytes, bytes]:
    """Split an object into its members, key (as it stands, with its quotes) -> value, whatever they hold."""
    found: dict[bytes, bytes] = {}
    for piece in _split(value, b"{"):
        key = _KEY.match(piece)
        if key is not None:
            found[key[1]] = piece[key.end() :].strip()
    return found


def json_lines(value: bytes) -> list[bytes]:
    """Split JSON documents that stand one a line; none where there is but one, or lines that are none."""
    lines = [stripped for line in value.splitlines() if (stripped := line.strip())]
    whole = all(line[:1] + line[-1:] in (b"{}", b"[]") for line in lines)
    return lines if len(lines) > 1 and whole else []


def json_object(given: Mapping[bytes, bytes]) -> bytes:
    """Make an object of the members that `members` gave."""
    return b"{" + b",".join(key + b":" + value for key, value in given.items()) + b"}"


def refuse_twice(value: bytes, keys: int) -> None:
    """Refuse JSON in which a key of an object stands twice: the second would silently win.

    Arguments:
        value: JSON that was decoded.
        keys: how many it gave. Where as many stand in it nothing more is looked at, which is nearly always.

    Raises:
        DecodeError: a key stands twice; the text names it.

    """
    # Each key stands before a colon; where quotes stand before as many, these are the keys.
    if value.count(b'":') != keys or _SPACED.search(value) is not None:
        # A number of thousands of digits, or depth, is none of our business here: it was decoded.
        with contextlib.suppress(ValueError, RecursionError):
            json.loads(value, object_pairs_hook=_no_key_twice)


def label_text(name: str, value: object) -> str | None:
    """Give a tag or label that is no text as text; null is none.

    Raises:
        DecodeError: it is an object or an array.

    """
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int | float):
        return f"{value:g}" if isinstance(value, float) else str(value)
    what = "an object" if isinstance(value, dict) else "an array"
    raise DecodeError(Reason.FIELD, f"label {name[:60]!r}: {what}; a text is expected")


def _no_key_twice(pairs: list[tuple[str, Any]]) -> None:
    seen: set[str] = set()
    for key, _ in pairs:
        if key in seen:
            raise DecodeError(Reason.FIELD, f"key {key[:60]!r} stands twice; each may stand once")
        seen.add(key)


def _split(value: bytes, opening: bytes) -> list[bytes]:
    text = value.strip()
    if not text.startswith(opening):
        return []
    opened: list[bytes] = []
    pieces: list[bytes] = []
    start, at = 1, 0
    for token in _TOKEN.finditer(text):
        mark = token[0]
        if mark in (b"[", b"{"):
            opened.append(mark)
        elif mark in _CLOSES:
            if opened.pop() != _CLOSES[mark]:
                break
            if not opened:
                at = token.end()
                pieces.append(text[start : token.start()])
                break
        elif mark == b"," and len(opened) == 1:
            pieces.append(text[start : token.start()])
            start = token.end()
    if at != len(text):  # it breaks off, or a bracket too many or too few stands in it
        if json_lines(value):
            return []
        pieces = _BETWEEN_OBJECTS.split(text[1:].removesuffix(b"]")) if opening == b"[" else pieces
    return [stripped for piece in pieces if (stripped := piece.strip())]
