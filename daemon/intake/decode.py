"""Record -> Sample, or a dead letter that says why not."""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence

import msgspec

from anomalyd.daemon.config.config import InputConfig
from anomalyd.daemon.intake.formats.canary import is_canary
from anomalyd.daemon.intake.formats.recognise import recognised
from anomalyd.daemon.intake.formats.registry import format_of
from anomalyd.daemon.intake.parsing.faults import Faults
from anomalyd.daemon.intake.parsing.masks import Masks
from anomalyd.daemon.intake.wire_formats.encodings import UTF8_MARK, encoding_hint
from anomalyd.daemon.intake.wire_formats.json_text import json_lines
from anomalyd.daemon.stages import DeadLetter, Reason, Record, Sample
from anomalyd.errors import DecodeError

log = logging.getLogger(__name__)

_LOOKS = 100
"""Bad messages of a topic that are held against other formats: that costs a hundred times the decoding."""

_Decode = Callable[[Record, float], tuple[Sequence[Sample], DecodeError | None]]

_OTHER_FORMAT = (Reason.EMPTY, Reason.SYNTAX, Reason.FIELD, Reason.TIME, Reason.METRICS)


class Decoder:
    """Decodes the records of all inputs, each by its topic's format.

    Arguments:
        inputs: the topics and their formats and limits.
        clock: wall clock, seconds since the epoch; read once a call of `decode`.

    Raises:
        ConfigError: an input of a format that does not exist, or a file of masks that cannot be used.

    """

    def __init__(self, inputs: Sequence[InputConfig], *, clock: Callable[[], float] = time.time) -> None:
        self._inputs = {i.topic: (format_of(i).decode, i.limits.message_bytes) for i in inputs}
        self._formats = {i.topic: i.format for i in inputs}
        self._masks = {i.topic: Masks.read(i.masks) for i in inputs if i.masks is not None}
        self._looked: Counter[str] = Counter()
        self._clock = clock

    def decode(self, records: Iterable[Record]) -> tuple[list[Sample], list[DeadLetter]]:
        """Decode records; samples come in the records' order.

        A message of several samples of which some are bad gives the good ones and one dead letter. No record
        raises anything: a fault of a decoder gives a dead letter of reason `internal`. Canaries are
        passed over.
        """
        samples: list[Sample] = []
        dead: list[DeadLetter] = []
        inputs, now = self._inputs, self._clock()
        for record in records:
            if record.headers and is_canary(record):
                continue
            decode, most = inputs[record.topic]
            value = record.value
            try:
                if not value:
                    raise DecodeError(Reason.EMPTY, "a message without a value")
                if len(value) > most:
                    raise DecodeError(
                        Reason.TOO_LARGE,
                        f"{len(value)} bytes; {most} (inputs.limits.message_bytes) are allowed",
                    )
                found, error = _read(decode, record, now)
            except DecodeError as whole:
                dead.append(DeadLetter(record, whole.reason, str(whole) + self._hint(record, whole.reason)))
            except Exception as fault:
                log.exception("decoder fault at %s/%d/%d", record.topic, record.partition, record.offset)
                dead.append(DeadLetter(record, Reason.INTERNAL, f"{type(fault).__name__}: {fault}"))
            else:
                if (masks := self._masks.get(record.topic)) is not None:
                    for sample in found:
                        if sample.map is not None:
                            masks.apply(sample.entity, sample.map)
                samples += found
                if error is not None:
                    dead.append(DeadLetter(record, error.reason, str(error), error.broken, error.where))
        return samples, dead

    def _hint(self, record: Record, reason: str) -> str:
        """Say of a message that is plainly something else what; looks at the first few of a topic."""
        if reason not in _OTHER_FORMAT or self._looked[record.topic] >= _LOOKS:
            return ""
        self._looked[record.topic] += 1
        if record.value and (hint := encoding_hint(record.value)):
            return f"; {hint}"
        other = recognised(record)
        if other is None or other == self._formats[record.topic]:
            return ""
        return f"; it is a message of the format {other!r}: set it as inputs.format of this topic"


def _read(decode: _Decode, record: Record, now: float) -> tuple[Sequence[Sample], DecodeError | None]:
    """Decode a record without a byte order mark; where that fails, JSON documents line by line."""
    value = record.value
    assert value is not None
    if value.startswith(UTF8_MARK):
        value = value.removeprefix(UTF8_MARK)
        record = msgspec.structs.replace(record, value=value)
    try:
        return decode(record, now)
    except DecodeError:
        lines = json_lines(value)
        if not lines:
            raise
    samples: list[Sample] = []
    faults = Faults()
    for number, line in enumerate(lines, 1):
        try:
            found, error = decode(msgspec.structs.replace(record, value=line), now)
        except DecodeError as whole:
            found, error = (), whole
        samples += found
        if error is not None:
            faults.add(error, f"line {number}", line if error.broken is None else error.broken)
    told = faults.told(b"\n".join)
    if told is not None and not samples:
        raise told
    return samples, told
