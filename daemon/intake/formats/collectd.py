"""Format `collectd`: what collectd's plugin write_kafka sends with `Format JSON`, arrays of value lists.

A value of the types `derive` and `counter` is either what was counted so far (`StoreRates false`) or, which
is write_kafka's default, the rate; the message does not say which. But what was counted so far is a whole
number that is always known, and a rate is neither. So these values are taken for counters until their host
has sent one that cannot be: a fraction, or null, which is what collectd sends at its start.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from anomalyd.daemon.config.config import InputConfig
from anomalyd.daemon.intake.formats.format import Format
from anomalyd.daemon.intake.parsing.faults import JSON_FAULTS, json_array, json_fault
from anomalyd.daemon.intake.parsing.fields import REMEMBERED, Fields
from anomalyd.daemon.intake.parsing.naming import Naming, Series
from anomalyd.daemon.intake.parsing.parts import Parts
from anomalyd.daemon.intake.wire_formats.json_text import elements, members, refuse_twice
from anomalyd.daemon.stages import Reason, Record, Sample
from anomalyd.errors import DecodeError

_KEYS = 10  # of a value list: those below, and `interval`


class ValueList(msgspec.Struct, gc=False):
    """The values of one identifier at one time. Further fields (interval, meta) are passed over."""

    values: list[int | float | None]
    dstypes: list[str]
    dsnames: list[str]
    time: float
    host: str
    plugin: str
    type: str
    plugin_instance: str = ""
    type_instance: str = ""


class Collectd(Format):
    """Decodes value lists: the metric `plugin.type.dsname`, its labels the two instances."""

    maps_names = True

    def __init__(self, config: InputConfig) -> None:
        super().__init__(config)
        self._fields = Fields(config)
        self._naming = Naming(config, self._fields, ("host",), ())
        self._split = msgspec.json.Decoder(list[msgspec.Raw]).decode
        self._decode = msgspec.json.Decoder(ValueList).decode
        self._sends_rates: set[str] = set()

    def decode(self, record: Record, now: float) -> tuple[Sequence[Sample], DecodeError | None]:
        """Decode a record; see `Format.decode`.

        Raises:
            DecodeError: nothing of the message can be used.

        """
        assert record.value is not None
        try:
            found: Sequence[bytes] = list(map(bytes, self._split(record.value)))
        except JSON_FAULTS as error:
            # A value list that stands alone is one, too.
            found = elements(record.value) or ([record.value] if members(record.value) else [])
            if not found:
                raise json_fault(error) from None
        if not found:
            raise DecodeError(Reason.EMPTY, "an array without value lists")
        parts = Parts(record, self._fields, now, json_array)
        for index, raw in enumerate(found):
            parts.where, parts.holds = f"element {index}", lambda raw=raw: raw
            try:
                self._add(parts, self._value_list(raw))
            except DecodeError as error:
                parts.fault(error)
        return parts.samples()

    def _value_list(self, raw: bytes) -> ValueList:
        try:
            found = self._decode(raw)
        except JSON_FAULTS as error:
            raise json_fault(error) from None
        refuse_twice(raw, _KEYS)
        if not len(found.values) == len(found.dstypes) == len(found.dsnames):
            raise DecodeError(
                Reason.FIELD,
                f"values, dstypes and dsnames have {len(found.values)}, {len(found.dstypes)} and "
                f"{len(found.dsnames)} elements; one of each for each value is expected",
            )
        if len(set(found.dsnames)) < len(found.dsnames):
            twice = next(name for name in found.dsnames if found.dsnames.count(name) > 1)
            raise DecodeError(Reason.FIELD, f"dsnames: {twice[:60]!r} stands twice; each may stand once")
        return found

    def _add(self, parts: Parts, found: ValueList) -> None:
        key = (found.host, found.plugin, found.plugin_instance, found.type, found.type_instance)
        series = self._naming.known(key) or self._learn(key, found)
        # collectd's own name for the only value of a type says nothing.
        fields = ["" if name == "value" else name for name in found.dsnames]
        counters = None if self.config.counters is not None else self._counters(series, found, fields)
        parts.add(series, found.time, zip(fields, found.values, strict=True), counters)

    def _learn(self, key: tuple[str, ...], found: ValueList) -> Series:
        labels = {
            "host": found.host,
            "plugin_instance": found.plugin_instance,
            "type_instance": found.type_instance,
        }
        return self._naming.learn(key, f"{found.plugin}.{found.type}", labels)

    def _counters(self, series: Series, found: ValueList, fields: Sequence[str]) -> Mapping[str, int]:
        if series.entity in self._sends_rates:
            return {}
        counters: dict[str, int] = {}
        for field, kind, value in zip(fields, found.dstypes, found.values, strict=True):
            if kind not in ("derive", "counter"):
                continue
            if type(value) is not int:
                if len(self._sends_rates) >= REMEMBERED:
                    self._sends_rates.clear()
                self._sends_rates.add(series.entity)
                return {}
            # A `counter` that falls has wrapped around, after 32 bits where it fits into them: collectd's
            # own rule. A `derive` does not wrap.
            counters[field] = 0 if kind == "derive" else 32 if value < 2**32 else 64
        return counters
