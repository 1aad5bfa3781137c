r"""InfluxDB line protocol, read: `measurement,tag=value,... field=value,... timestamp`.

A backslash takes their meaning from a comma, a space and an equals sign; before anything else it stands for
itself. A quoted string, in which it does so before `"` and `\`, may hold line breaks. See InfluxDB's "Line
protocol reference".
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

from anomalyd.daemon.stages import Reason
from anomalyd.errors import DecodeError

# Possessive (`++`), so that no text makes the matcher try anything twice.
_BLANK = re.compile(r"(?:[ \t\r\n]++|#[^\n]*+)*+")
_HEAD = re.compile(r"((?:[^ \\\n]|\\[^\n])++) ++")
_FIELD = re.compile(
    r"""(?P<key> (?: [^,=\ \\\n] | \\[^\n] )++ ) =
        (?: (?P<number> [-+]? (?: [0-9]++\.?[0-9]*+ | \.[0-9]++ ) (?:[eE][-+]?[0-9]++)? ) (?P<suffix> [iu]? )
          | (?P<true> t|T|true|True|TRUE )
          | (?P<false> f|F|false|False|FALSE )
          | (?P<text> "(?:[^"\\]|\\.)*+" )
          | (?P<bad> [^,"\ \n]*+ )
        ) (?= [,\ \r\n] | \Z )""",
    re.VERBOSE | re.DOTALL,
)
_END = re.compile(r" *+(-?[0-9]{1,20}+)? *+\r?(?:\n|\Z)")
_MEASUREMENT = re.compile(r"(?:[^,\\]|\\.)++")
_TAG = re.compile(r",((?:[^,=\\]|\\.)++)=((?:[^,\\]|\\.)++)")
_ESCAPED = re.compile(r"\\([,= ])")


Field = tuple[str, float | bool | str | DecodeError]
"""Its key, and a number, a bool, "" for any text, or what is wrong with it."""


class Line(NamedTuple):
    """One line: where it begins and ends, its head (measurement and tags as they stand), and the rest."""

    start: int
    end: int
    head: str
    fields: list[Field]
    timestamp: int | None


class BadLine(NamedTuple):
    """A line that cannot be read: where it begins and ends, and what is wrong."""

    start: int
    end: int
    error: DecodeError


def lines(text: str) -> Iterator[Line | BadLine]:
    """Read the lines of a text; of one that cannot be read, say where it begins and what is wrong."""
    at = _blank(text, 0)
    while at < len(text):
        try:
            line: Line | BadLine = _line(text, at)
        except DecodeError as error:
            line = BadLine(at, text.find("\n", at) + 1 or len(text), error)
        yield line
        at = _blank(text, line.end)


def series(head: str) -> tuple[str, dict[str, str]]:
    """Give the measurement and the tags of a line's head.

    Raises:
        DecodeError: the tags are not `,key=value,...`.

    """
    found = _MEASUREMENT.match(head)
    if found is None:
        raise DecodeError(Reason.SYNTAX, f"{head[:60]!r}: a measurement is expected before the tags")
    measurement, at = _plain(found[0]), found.end()
    tags: dict[str, str] = {}
    while at < len(head):
        tag = _TAG.match(head, at)
        if tag is None:
            raise DecodeError(Reason.SYNTAX, f"tags: {head[at : at + 60]!r}: `,key=value` is expected")
        key = _plain(tag[1])
        if key in tags:
            raise DecodeError(Reason.SYNTAX, f"tag {key[:60]!r} stands twice; each may stand once")
        tags[key] = _plain(tag[2])
        at = tag.end()
    return measurement, tags


def _line(text: str, start: int) -> Line:
    head = _HEAD.match(text, start)
    if head is None:
        raise _expected(text, start, "a measurement, its tags, a space and its fields")
    fields: list[Field] = []
    at = head.end() - 1
    while at == head.end() - 1 or text[at : at + 1] == ",":
        field = _FIELD.match(text, at + 1)
        if field is None:
            raise _expected(text, at + 1, "a field, key=value,")
        fields.append((_plain(field["key"]), _value(field)))
        at = field.end()
    end = _END.match(text, at)
    if end is None:
        raise _expected(text, at, "a whole number of s, ms, us or ns, and the end of the line,")
    return Line(start, end.end(), head[1], fields, None if end[1] is None else int(end[1]))


def _value(field: re.Match[str]) -> float | bool | str | DecodeError:
    kind = field.lastgroup
    if kind == "text":
        return ""
    if kind == "suffix":
        try:
            return int(field["number"]) if field["suffix"] else float(field["number"])
        except ValueError:  # 1.5i
            pass
    elif kind != "bad":
        return kind == "true"
    return DecodeError(
        Reason.FIELD,
        f"field {field['key'][:60]!r}: {field[0][len(field['key']) + 1 :][:40]!r} is none of "
        '1.5, 3i, 3u, true, false, "text"',
    )


def _blank(text: str, at: int) -> int:
    found = _BLANK.match(text, at)
    assert found is not None  # it matches nothing, too
    return found.end()


def _plain(text: str) -> str:
    return _ESCAPED.sub(r"\1", text) if "\\" in text else text


def _expected(text: str, at: int, what: str) -> DecodeError:
    return DecodeError(Reason.SYNTAX, f"{text[at : at + 60]!r}: {what} is expected")
