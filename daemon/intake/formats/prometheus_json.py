"""Format `prometheus-json`: what prometheus-kafka-adapter writes as JSON, one sample a message."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import msgspec

from anomalyd.daemon.config.config import InputConfig
from anomalyd.daemon.intake.formats.format import Format
from anomalyd.daemon.intake.formats.prometheus import PROMETHEUS_COUNTERS
from anomalyd.daemon.intake.parsing.faults import JSON_FAULTS, json_array, json_fault
from anomalyd.daemon.intake.parsing.fields import Fields, stamp_of
from anomalyd.daemon.intake.parsing.instances import PROMETHEUS_ENTITY, entity_labels
from anomalyd.daemon.intake.parsing.naming import Naming
from anomalyd.daemon.intake.parsing.parts import Parts
from anomalyd.daemon.intake.wire_formats.json_text import elements, label_text, refuse_twice
from anomalyd.daemon.stages import Reason, Record, Sample
from anomalyd.errors import DecodeError

_DIGITS = 20  # of 2^64


class Message(msgspec.Struct, gc=False):
    """One sample of one series; the value is a text, so that it may be NaN, and loses no digit."""

    timestamp: str | int | float
    value: str | float | None
    labels: dict[str, Any]
    name: str = ""


class PrometheusJson(Format):
    """Decodes one sample, or an array of them; the metric is `name`, or the label `__name__`."""

    maps_names = True
    says_counters = False

    def __init__(self, config: InputConfig) -> None:
        super().__init__(config)
        self._fields = Fields(config)
        self._naming = Naming(config, self._fields, PROMETHEUS_ENTITY, PROMETHEUS_COUNTERS)
        self._decode = msgspec.json.Decoder(Message).decode

    def decode(self, record: Record, now: float) -> tuple[Sequence[Sample], DecodeError | None]:
        """Decode a record; see `Format.decode`.

        Raises:
            DecodeError: nothing of the message can be used.

        """
        assert record.value is not None
        parts = Parts(record, self._fields, now, json_array)
        if not record.value.lstrip().startswith(b"["):
            self._add(parts, record.value)
            return parts.samples()
        found = elements(record.value)
        if not found:
            raise DecodeError(Reason.EMPTY, "an array without samples")
        for index, raw in enumerate(found):
            parts.where, parts.holds = f"element {index}", lambda raw=raw: raw
            try:
                self._add(parts, raw)
            except DecodeError as error:
                parts.fault(error)
        return parts.samples()

    def _add(self, parts: Parts, raw: bytes) -> None:
        try:
            message = self._decode(raw)
        except JSON_FAULTS as error:
            raise json_fault(error) from None
        refuse_twice(raw, 4 + len(message.labels))
        labels = message.labels
        if not all(type(value) is str for value in labels.values()):
            labels = {n: text for n, value in labels.items() if (text := label_text(n, value)) is not None}
        name = message.name or labels.get("__name__", "")
        if not name:
            raise DecodeError(Reason.METRICS, f"neither name nor a label __name__: {labels!s:.100}")
        key = (name, *labels.items())
        series = self._naming.known(key)
        if series is None:
            own = {label: value for label, value in labels.items() if label != "__name__"}
            series = self._naming.learn(key, name, own, entity_labels(self.config, own))
        parts.add(series, stamp_of(message.timestamp), (("", _number(message.value, name)),))


def _number(value: str | float | None, name: str) -> float | DecodeError | None:
    """Read Go's spelling of a number; NaN, the mark of a series that has ended, is no value."""
    if value is None:
        return None
    # Python would take an underscore, and digits of any script, too.
    if isinstance(value, str) and (not value.isascii() or "_" in value):
        return _no_number(value, name)
    try:
        number = float(value)
    except ValueError:
        return _no_number(str(value), name)
    if math.isnan(number):
        return None
    # A counter may need all its 64 bits.
    return int(value) if isinstance(value, str) and value.isdecimal() and len(value) <= _DIGITS else number


def _no_number(value: str, name: str) -> DecodeError:
    return DecodeError(Reason.FIELD, f"{name}: value {value[:40]!r} is no number")
