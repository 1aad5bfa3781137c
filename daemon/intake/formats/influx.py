"""Format `influx`: InfluxDB line protocol, one line or many in a message."""

from __future__ import annotations

from collections.abc import Sequence

from anomalyd.daemon.config.config import InputConfig
from anomalyd.daemon.intake.formats import line_protocol
from anomalyd.daemon.intake.formats.fields import Fields, seconds_of
from anomalyd.daemon.intake.formats.format import Format
from anomalyd.daemon.intake.formats.line_protocol import Line
from anomalyd.daemon.intake.formats.naming import Naming
from anomalyd.daemon.intake.formats.parts import Parts
from anomalyd.daemon.intake.formats.telegraf_counters import TELEGRAF_COUNTERS
from anomalyd.daemon.stages import Reason, Record, Sample
from anomalyd.errors import DecodeError


class Influx(Format):
    """Decodes lines; the timestamp in s, ms, us or ns, and Kafka's where a line has none."""

    maps_names = True

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
        try:
            text = record.value.decode()
        except UnicodeDecodeError as error:
            raise DecodeError(Reason.SYNTAX, f"not UTF-8 text: {error}") from None
        parts = Parts(record, self._fields, now)
        number, counted = 0, 0
        for line in line_protocol.lines(text):
            start = line.start if isinstance(line, Line) else line[0]
            number, counted = (number or 1) + text.count("\n", counted, start), start
            parts.where = f"line {number}"
            try:
                if isinstance(line, Line):
                    self._add(parts, line, record.timestamp)
                else:
                    parts.fault(line[1])
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
        parts.add(series, time, line.fields)
