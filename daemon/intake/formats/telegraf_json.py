"""Format `telegraf-json`: what Telegraf writes with `data_format = "json"`, one metric or a batch of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from anomalyd.daemon.config.config import InputConfig
from anomalyd.daemon.intake.formats.faults import JSON_FAULTS, json_fault
from anomalyd.daemon.intake.formats.fields import Fields, seconds_of
from anomalyd.daemon.intake.formats.format import Format
from anomalyd.daemon.intake.formats.naming import Naming
from anomalyd.daemon.intake.formats.parts import Parts
from anomalyd.daemon.intake.formats.telegraf_counters import TELEGRAF_COUNTERS
from anomalyd.daemon.stages import Reason, Record, Sample
from anomalyd.errors import DecodeError


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
        parts = Parts(record, self._fields, now)
        message = self._message(record.value)
        if message.metrics is None:
            self._add(parts, message)
            return parts.samples()
        if not message.metrics:
            raise DecodeError(Reason.EMPTY, "metrics: a batch without metrics")
        for index, raw in enumerate(message.metrics):
            parts.where = f"metrics[{index}]"
            try:
                self._add(parts, self._message(raw))
            except DecodeError as error:
                parts.fault(error)
        return parts.samples()

    def _message(self, raw: bytes | msgspec.Raw) -> Message:
        try:
            return self._decode(raw)
        except JSON_FAULTS as error:
            raise json_fault(error) from None

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
        at = metric.timestamp
        parts.add(series, at if isinstance(at, str) else seconds_of(at), metric.fields.items())
