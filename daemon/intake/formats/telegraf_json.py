"""Format `telegraf-json`: what Telegraf writes with `data_format = "json"`, one metric or a batch of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from anomalyd.daemon.config.config import InputConfig
from anomalyd.daemon.intake.formats.format import Format
from anomalyd.daemon.intake.parsing.faults import JSON_FAULTS, json_array, json_fault
from anomalyd.daemon.intake.parsing.fields import Fields, stamp_of
from anomalyd.daemon.intake.parsing.naming import Naming
from anomalyd.daemon.intake.parsing.parts import Parts
from anomalyd.daemon.intake.parsing.telegraf_counters import TELEGRAF_COUNTERS
from anomalyd.daemon.intake.wire_formats.json_text import (
    elements,
    json_object,
    label_text,
    members,
    refuse_twice,
)
from anomalyd.daemon.stages import Reason, Record, Sample
from anomalyd.errors import DecodeError

_FIELDS = ("name", "tags", "fields", "timestamp")


class Message(msgspec.Struct, gc=False):
    """One metric (`name`, `tags`, `fields`, `timestamp`), or a batch of them (`metrics`)."""

    name: str = ""
    tags: dict[str, str] | None = None
    fields: dict[str, Any] | None = None
    timestamp: int | float | str | None = None
    metrics: list[msgspec.Raw] | None = None


class TelegrafJson(Format):
    """Decodes Telegraf's JSON; `timestamp` in s, ms, us or ns (`json_timestamp_units`), or ISO 8601."""

    maps_names = True
    says_counters = False

    def __init__(self, config: InputConfig) -> None:
        super().__init__(config)
        self._fields = Fields(config)
        self._naming = Naming(config, self._fields, ("host",), TELEGRAF_COUNTERS)
        self._decode = msgspec.json.Decoder(Message).decode

    def decode(self, record: Record, now: float) -> tuple[Sequence[Sample], DecodeError | None]:
        """Decode a record; see `Format.decode`.

        Raises:
            DecodeError: nothing of the message can be used.

        """
        assert record.value is not None
        parts = Parts(record, self._fields, now, _batch)
        message = self._message(record.value)
        if message.metrics is None:
            self._add(parts, message)
            return parts.samples()
        if not message.metrics:
            raise DecodeError(Reason.EMPTY, "metrics: a batch without metrics")
        for index, raw in enumerate(message.metrics):
            parts.where, parts.holds = f"metrics[{index}]", lambda raw=raw: bytes(raw)
            try:
                self._add(parts, self._message(raw))
            except DecodeError as error:
                parts.fault(error)
        return parts.samples()

    def _message(self, raw: bytes | msgspec.Raw) -> Message:
        try:
            message = self._decode(raw)
        except JSON_FAULTS as error:
            return _piecewise(bytes(raw), json_fault(error))
        if message.metrics is None:
            keys = len(_FIELDS) + len(message.tags or ()) + len(message.fields or ())
            refuse_twice(bytes(raw), keys)
        return message

    def _add(self, parts: Parts, metric: Message) -> None:
        if not metric.name or metric.fields is None:
            raise DecodeError(
                Reason.FIELD, "name, tags, fields and timestamp are expected, or metrics (a batch of them)"
            )
        if metric.timestamp is None:
            raise DecodeError(Reason.TIME, "no timestamp: s, ms, us or ns since the epoch, or ISO 8601")
        tags = metric.tags or {}
        key = (metric.name, *tags.items())
        series = self._naming.known(key) or self._naming.learn(key, metric.name, tags)
        parts.add(series, stamp_of(metric.timestamp), metric.fields.items())


def _piecewise(raw: bytes, fault: DecodeError) -> Message:
    """Read what can be read of a message that is no JSON, or holds a bad number: its parts by themselves.

    Raises:
        DecodeError: `fault`, unless no more is wrong than values of fields, or metrics of a batch.

    """
    given = members(raw)
    batch = elements(raw) or elements(given.get(b'"metrics"', b""))
    if batch:
        return Message(metrics=list(map(msgspec.Raw, batch)))
    fields: dict[str, Any] = {}
    try:
        rest = {k: v for k, v in given.items() if k not in (b'"fields"', b'"tags"')}
        message = _decode_rest(json_object(rest))
        tags, were_texts = _tags(given.get(b'"tags"', b"{}"))
        for key, value in members(given.get(b'"fields"', b"")).items():
            try:
                name = msgspec.json.decode(key, type=str)
            except JSON_FAULTS as error:  # a byte or an escape that is no text
                shown = key.decode(errors="backslashreplace")
                fields[shown] = DecodeError(
                    Reason.SYNTAX, f"fields: the name {shown:.60} is no text: {error}"
                )
            else:
                fields[name] = _value(name, value)
    except JSON_FAULTS:
        raise fault from None
    bad = sum(isinstance(value, DecodeError) for value in fields.values())
    if bad == len(fields):
        raise fault
    if not bad and were_texts:
        fields[""] = fault  # something between the fields
    return msgspec.structs.replace(message, tags=tags, fields=fields)


def _tags(raw: bytes) -> tuple[dict[str, str], bool]:
    """Read tags that others than Telegraf may send as numbers; the second says whether all were texts.

    Raises:
        DecodeError: one is an object or an array.

    """
    found = msgspec.json.decode(raw, type=dict[str, Any])
    tags = {name: text for name, value in found.items() if (text := label_text(name, value)) is not None}
    return tags, all(isinstance(value, str) for value in found.values())


_decode_rest = msgspec.json.Decoder(Message).decode


def _value(name: str, raw: bytes) -> Any:
    try:
        return msgspec.json.decode(raw)
    except JSON_FAULTS as error:
        fault = json_fault(error)
        return DecodeError(fault.reason, f"fields.{name[:60]}: {fault}")


def _batch(metrics: Sequence[bytes]) -> bytes:
    """Make a batch of metrics that may each be anything but JSON."""
    return b'{"metrics":' + json_array(metrics) + b"}"
