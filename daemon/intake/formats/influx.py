"""Format `influx`: InfluxDB line protocol, one line or many in a message."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence

from anomalyd.daemon.config.config import InputConfig
from anomalyd.daemon.intake.formats.format import Format
from anomalyd.daemon.intake.parsing.fields import Fields, seconds_of
from anomalyd.daemon.intake.parsing.naming import Naming
from anomalyd.daemon.intake.parsing.parts import Parts
from anomalyd.daemon.intake.parsing.telegraf_counters import TELEGRAF_COUNTERS
from anomalyd.daemon.intake.wire_formats import line_protocol
from anomalyd.daemon.intake.wire_formats.line_protocol import BadLine, Field, Line
from anomalyd.daemon.stages import Reason, Record, Sample
from anomalyd.errors import DecodeError

# What is not UTF-8 is read as these (`surrogateescape`).
_NOT_UTF8 = re.compile("[\udc80-\udcff]")


class Influx(Format):
    """Decodes lines; the timestamp in s, ms, us or ns, and Kafka's where a line has none."""

    maps_names = True
    says_counters = False

    def __init__(self, config: InputConfig) -> None:
        super().__init__(config)
        self._fields = Fields(config)
        self._naming = Naming(config, self._fields, ("host",), TELEGRAF_COUNTERS)

    def decode(self, record: Record, now: float) -> tuple[Sequence[Sample], DecodeError | None]:
        """Decode a record; see `Format.decode`.

        Raises:
            DecodeError: nothing of the message can be used.

        """
        assert record.value is not None
        text = record.value.decode(errors="surrogateescape")
        all_utf8 = text.isascii() or _NOT_UTF8.search(text) is None
        parts = Parts(record, self._fields, now, b"\n".join)
        number, counted = 0, 0
        for line in line_protocol.lines(text):
            number, counted = (number or 1) + text.count("\n", counted, line.start), line.start
            parts.where, parts.holds = f"line {number}", lambda line=line: _bytes(text, line)
            try:
                if not isinstance(line, Line):
                    raise line.error if all_utf8 else _fault(text, line)
                self._add(parts, line if all_utf8 else _checked(text, line), record.timestamp)
            except DecodeError as error:
                parts.fault(error)
        if not number:
            raise DecodeError(Reason.EMPTY, "no lines")
        return parts.samples()

    def _add(self, parts: Parts, line: Line, kafka_time: float) -> None:
        series = self._naming.known(line.head)
        if series is None:
            series = self._naming.learn(line.head, *line_protocol.series(line.head))
        time = kafka_time if line.timestamp is None else seconds_of(line.timestamp)
        parts.add(series, time, line.fields if len(line.fields) == 1 else _each_once(line.fields))


def _bytes(text: str, line: Line | BadLine) -> bytes:
    return text[line.start : line.end].rstrip("\r\n").encode(errors="surrogateescape")


def _checked(text: str, line: Line) -> Line:
    """Refuse a line whose names are not UTF-8, and say which of its fields are not.

    Raises:
        DecodeError: the measurement or a tag is not.

    """
    if _NOT_UTF8.search(line.head):
        raise _not_utf8(line.head)
    if not _NOT_UTF8.search(text, line.start, line.end):
        return line
    fields: list[Field] = [
        (key, _not_utf8(key) if _NOT_UTF8.search(key) else value) for key, value in line.fields
    ]
    if not any(
        isinstance(value, DecodeError) for _, value in fields
    ):  # then it is in a text, of which none is used
        fields.append(("text", _not_utf8(text[line.start : line.end].rstrip())))
    return line._replace(fields=fields)


def _not_utf8(text: str) -> DecodeError:
    return DecodeError(Reason.SYNTAX, f"not UTF-8 text: {text.encode(errors='surrogateescape')[:80]!r}")


def _fault(text: str, line: BadLine) -> DecodeError:
    whole = text[line.start : line.end].rstrip()
    return _not_utf8(whole) if _NOT_UTF8.search(whole) else line.error


def _each_once(fields: list[Field]) -> list[Field]:
    """Put faults in the place of a field that stands twice: neither of its values is to be preferred."""
    counts = Counter(key for key, _ in fields)
    if len(counts) == len(fields):
        return fields
    twice = "field {!r} stands twice; each may stand once"
    return [
        (key, value if counts[key] == 1 else DecodeError(Reason.FIELD, twice.format(key[:60])))
        for key, value in fields
    ]
