"""Format `json`: metric vectors and maps as JSON, one object or an array of them in a message."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Annotated, Any

import msgspec
import numpy as np
from msgspec import Meta
from numpy.typing import NDArray

from anomalyd.daemon.config.config import InputConfig
from anomalyd.daemon.intake.formats.format import Format
from anomalyd.daemon.intake.parsing.beside_map import refuse_unknown_lists
from anomalyd.daemon.intake.parsing.faults import JSON_FAULTS, Faults, json_array, json_fault
from anomalyd.daemon.intake.parsing.fields import Fields
from anomalyd.daemon.intake.parsing.histograms import COMPANIONS, counts_of
from anomalyd.daemon.intake.parsing.plain_maps import plain_counts
from anomalyd.daemon.intake.wire_formats.encodings import keys_of
from anomalyd.daemon.intake.wire_formats.json_text import elements, json_object, members, refuse_twice
from anomalyd.daemon.stages import Reason, Record, Sample
from anomalyd.detectors.maps.geometries.known import may_be_ragged
from anomalyd.errors import DecodeError

# Detectors compute in float32, where more than this is infinite. JSON itself has no NaN and no Infinity.
Number = Annotated[float, Meta(ge=-3.4e38, le=3.4e38)]
# A whole number that is read as one takes a third of the time; what a map counts is nearly always one.
Cell = Annotated[int, Meta(ge=-(2**63), le=2**63 - 1)] | Number
Exposure = Annotated[float, Meta(gt=0, le=3.4e38)]
Counter = Annotated[int, Meta(ge=0, le=2**31 - 1)]  # what every SQL database calls an integer


class Element(msgspec.Struct, gc=False):
    """One JSON object. Further fields are for other readers and are passed over."""

    time: float | str
    entity: str | None = None
    values: dict[str, Number | None] | None = None
    map: list[list[Cell | None] | Cell | None] | None = None
    denominator: list[list[Number | None] | Number | None] | None = None
    entries: list[list[Number | None] | Number | None] | None = None
    sumw2: list[list[Number | None] | Number | None] | None = None
    variance: list[list[Number | None] | Number | None] | None = None
    exposure: Exposure | None = None
    run: Counter | None = None
    lumisection: Counter | None = None
    partial: bool = False


class _MapUnread(Element, gc=False):
    """The same with the map as it was written."""

    map: msgspec.Raw = msgspec.Raw(b"")  # type: ignore[assignment]


class JsonSamples(Format):
    """Decodes `{"entity", "time", "values" or "map", ...}`, or an array of them."""

    grid_s = 0.0  # its messages are whole, unless they say so
    lateness_s = 0.0

    def __init__(self, config: InputConfig) -> None:
        super().__init__(config)
        self._fields = Fields(config)
        self._decode = msgspec.json.Decoder(Element | list[Element]).decode
        self._decode_map = msgspec.json.Decoder(_MapUnread).decode

    def decode(self, record: Record, now: float) -> tuple[Sequence[Sample], DecodeError | None]:
        """Decode a record; see `Format.decode`.

        Raises:
            DecodeError: nothing of the message can be used.

        """
        assert record.value is not None
        if (plain := self._plain_map(record, record.value, now)) is not None:
            return (plain,), None
        try:
            message = self._decode(record.value)
        except JSON_FAULTS as error:
            if found := elements(record.value):
                return self._elements(record, found, now)
            kept = _without_bad_numbers(record.value, _described(record.value, error))
            faults = Faults()
            for fault in kept.faults:
                faults.add(fault, "values", kept.broken)
            return (self._sample(record, kept.element, now),), faults.told(b"".join)
        if isinstance(message, Element):
            _refuse_misread(record.value, message)
            return (self._sample(record, message, now),), None
        keys = sum(map(_keys, message))
        further = record.value.count(b'":') != keys and any(each.map is not None for each in message)
        try:
            refuse_twice(record.value, keys)
        except DecodeError:
            further = True
        if further:
            return self._elements(record, elements(record.value), now)
        return self._elements(record, message, now)

    def _plain_map(self, record: Record, value: bytes, now: float) -> Sample | None:
        """Decode a message that is one map as nearly all are (`plain_maps`); None where it is not."""
        if b'"map"' not in value:
            return None
        try:
            element = self._decode_map(value)
        except JSON_FAULTS:
            return None
        counts = plain_counts(bytes(element.map))
        if counts is None or any(getattr(element, name) is not None for name in COMPANIONS):
            return None
        _refuse_misread(value, element)
        return self._sample(record, element, now, counts)

    def _sample(
        self, record: Record, element: Any, now: float, counts: NDArray[np.float32] | None = None
    ) -> Sample:
        values, rows = element.values, element.map
        if (values is None) is (rows is None):
            raise DecodeError(
                Reason.FIELD, "give either values (metrics) or map (rows of cells), and not both"
            )
        if values is not None:
            self._fields.metrics(values)
        elif element.partial:
            raise DecodeError(Reason.FIELD, "partial: a map always comes whole; only values come in parts")
        if counts is not None:
            self._fields.map_size(*counts.shape)
        elif rows is not None:
            counts = self._counts(element, rows, record.key)
        return Sample(
            self._fields.entity(element.entity, record.key),
            self._fields.time(element.time, now),
            record.topic,
            record.partition,
            record.offset,
            values,
            counts,
            element.run,
            element.lumisection,
            element.partial,
            exposure=element.exposure,
        )

    def _counts(self, element: Any, rows: list[Any], key: bytes | None) -> NDArray[np.float32]:
        """Read a map and what stands beside it, and make counts of them."""
        given = {n: x for n in COMPANIONS if (x := getattr(element, n)) is not None}
        for name, some in {"map": rows, **given}.items():
            widths = [len(row) for row in some if type(row) is list]
            if len(set(widths)) > 1 and not may_be_ragged(self._fields.entity(element.entity, key), widths):
                raise DecodeError(Reason.MAP, f"{name}: {_ragged(widths)}")
        return counts_of(self._map(rows), {n: self._map(x) for n, x in given.items()})

    def _map(self, rows: list[Any]) -> NDArray[np.float32]:
        """Rows to (R, C) with NaN for null and behind the end of a ragged row; numbers alone are one row."""
        if not any(type(row) is list for row in rows):
            rows = [rows] if rows else rows
        elif not all(type(row) is list for row in rows):
            raise DecodeError(Reason.MAP, "map: rows and single numbers; give rows of cells, or one row")
        widths = list(map(len, rows))
        columns = max(widths, default=0)
        self._fields.map_size(len(rows), columns)
        # All in one piece takes half the time of row by row; null becomes NaN.
        flat = np.fromiter(chain.from_iterable(rows), dtype=np.float32, count=sum(widths))
        if min(widths) == columns:
            return flat.reshape(len(rows), columns)
        cells = np.full((len(rows), columns), np.nan, dtype=np.float32)
        cells[np.arange(columns) < np.array(widths)[:, None]] = flat
        return cells

    def _elements(
        self, record: Record, found: Sequence[Any], now: float
    ) -> tuple[Sequence[Sample], DecodeError | None]:
        """Decode the elements of an array each by itself, so that a bad one takes no other with it."""
        if not found:
            raise DecodeError(Reason.EMPTY, "an array without elements")
        assert record.value is not None
        samples: list[Sample] = []
        faults = Faults()
        raws: list[bytes] = []
        for index, element in enumerate(found):
            try:
                kept = _read(element) if isinstance(element, bytes) else _Kept(element)
                samples.append(self._sample(record, kept.element, now))
                for fault in kept.faults:
                    faults.add(fault, f"element {index}", kept.broken)
            except DecodeError as error:
                raws = raws or elements(record.value)
                faults.add(error, f"element {index}", raws[index])
        told = faults.told(json_array)
        if told is not None and not samples:
            raise told
        return samples, told


def _ragged(widths: list[int]) -> str:
    usual = max(set(widths), key=lambda w: (widths.count(w), w))
    row = next(r for r, width in enumerate(widths) if width != usual)
    has = f"{widths[row]} cell{'s' if widths[row] != 1 else ''}"
    return (
        f"row {row} has {has}, others have {usual}; give as many in each: a cell that is masked, "
        "or is not there, is null"
    )


def _refuse_misread(raw: bytes, element: Element) -> None:
    """Refuse an object in which a key stands twice, or whose map has a companion that nobody reads.

    Raises:
        DecodeError: the text names it.

    """
    keys = _keys(element)
    refuse_twice(raw, keys)
    if element.map is None or raw.count(b'":') == keys:
        return
    try:
        message = msgspec.json.decode(raw)
    except JSON_FAULTS:  # in what is passed over
        return
    refuse_unknown_lists(message, Element.__struct_fields__)


_NO_JSON = re.compile(rb"[\[,]\s*(NaN|-?Infinity)\s*[\],]")
"""A cell as Python's `json.dumps` writes what is not finite."""

_element_decoder = msgspec.json.Decoder(Element)


@dataclass(frozen=True, slots=True)
class _Kept:
    """What was read of an element: of a vector its good numbers, and an element of the bad ones alone."""

    element: Any
    faults: tuple[DecodeError, ...] = ()
    broken: bytes = b""


def _read(raw: bytes) -> _Kept:
    """Read one element of an array.

    Raises:
        DecodeError: nothing of it can be used.

    """
    try:
        element = _element_decoder.decode(raw)
    except JSON_FAULTS as error:
        return _without_bad_numbers(raw, _described(raw, error))
    _refuse_misread(raw, element)
    return _Kept(element)


def _without_bad_numbers(raw: bytes, fault: DecodeError) -> _Kept:
    """Keep of a vector the metrics whose values are numbers or null, as a NaN takes no other metric with it.

    Raises:
        DecodeError: `fault`, unless no more is wrong than values of some metrics.

    """
    given = members(raw)
    values = members(given.get(b'"values"', b""))
    wrong = {key: said for key, text in values.items() if (said := _wrong_with(key, text)) is not None}
    good = {key: text for key, text in values.items() if key not in wrong}
    if not good or not wrong:
        raise fault
    try:
        element = _element_decoder.decode(json_object({**given, b'"values"': json_object(good)}))
    except JSON_FAULTS:
        raise fault from None
    refuse_twice(raw, _keys(element) + len(wrong))
    bad = json_object({key: values[key] for key in wrong})
    return _Kept(element, tuple(wrong.values()), json_object({**given, b'"values"': bad}))


def _wrong_with(key: bytes, value: bytes) -> DecodeError | None:
    try:
        name = msgspec.json.decode(key, type=str)
    except JSON_FAULTS as error:
        shown = key.decode(errors="backslashreplace")
        return DecodeError(Reason.SYNTAX, f"values: the name {shown:.60} is no text: {error}")
    if value in (b"NaN", b"Infinity", b"-Infinity"):
        said = f"values.{name:.60}: {value.decode()} is not JSON; give null where there is no value"
        return DecodeError(Reason.SYNTAX, said)
    try:
        msgspec.json.decode(value, type=Number | None)
    except JSON_FAULTS as error:
        fault = json_fault(error)
        return DecodeError(fault.reason, f"values.{name:.60}: {fault}")
    return None


def _keys(element: Element) -> int:
    """Count the keys that were read: those of the object, and those of its values."""
    given = (
        element.entity,
        element.map,
        element.run,
        element.lumisection,
        element.exposure,
        element.denominator,
        element.entries,
        element.sumw2,
        element.variance,
    )
    keys = 1 + len(given) - given.count(None) + element.partial
    return keys if element.values is None else keys + 1 + len(element.values)


def _described(value: bytes, error: Exception) -> DecodeError:
    """Say what is wrong, with the path of the field: `$.map[3][2]`, `$.values.cpu`."""
    fault = json_fault(error)
    if fault.reason == Reason.SYNTAX and (word := _NO_JSON.search(value)):
        return DecodeError(fault.reason, f"{fault}; {word[1].decode()} is not JSON, a masked cell is null")
    if str(fault).endswith("`$.exposure`"):
        return DecodeError(fault.reason, f"{fault}; leave it out where it is not known")
    if "missing field" in str(fault) and (keys := keys_of(value)):
        return DecodeError(fault.reason, f"{fault}; there are: {', '.join(sorted(keys))[:200]}")
    if "`$.values[...]`" in str(fault):  # msgspec does not say which
        name = next((n for n, v in _values(value).items() if not _is_number(v)), None)
        if name is not None:
            return DecodeError(fault.reason, str(fault).replace("`$.values[...]`", f"`$.values.{name[:60]}`"))
    return fault


def _values(value: bytes) -> dict[str, Any]:
    try:
        values: Any = msgspec.json.decode(value)["values"]
    except JSON_FAULTS:
        return {}
    return values if isinstance(values, dict) else {}


def _is_number(value: Any) -> bool:
    try:
        msgspec.convert(value, Number | None)
    except msgspec.ValidationError:
        return False
    return True
