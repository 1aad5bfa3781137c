"""Which format a message is in, by trying: for messages in a topic of another, and for `anomalyd init`."""

from __future__ import annotations

from anomalyd.daemon.config.config import InputConfig, Limits
from anomalyd.daemon.intake.formats.format import Format
from anomalyd.daemon.intake.formats.registry import FORMATS, format_of
from anomalyd.daemon.stages import Record

_NOBODY = "?"

_ANY_TIME = Limits(past_s=1e11, future_s=1e11)


def recognised(record: Record) -> str | None:
    """Name the format that reads most of a message; None where none reads any of it."""
    best, most = None, 0
    for name in FORMATS:
        values = _values_read(_decoder(name, record.topic), record)
        if values > most:
            best, most = name, values
    return best


def _decoder(name: str, topic: str) -> Format:
    config = InputConfig(topic=topic, format=name, limits=_ANY_TIME)
    # Only the formats that do not take the message key for it need an entity here.
    return format_of(config.model_copy(update={"entity": _NOBODY}))


def _values_read(decoder: Format, record: Record) -> int:
    if not record.value:
        return 0
    try:
        samples, _ = decoder.decode(record, record.timestamp)
    except Exception:  # whatever a format that is only tried does with it, it is no message of that format
        return 0
    # A line without a timestamp, of nobody: any text with a word, a space and an equals sign is one.
    return sum(
        len(sample.values or ()) + (sample.map is not None)
        for sample in samples
        if sample.entity != _NOBODY or sample.time != record.timestamp
    )
