"""Values of one message -> samples: one for each entity and time it tells of, whatever it is split into."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from anomalyd.daemon.intake.parsing.faults import Faults
from anomalyd.daemon.intake.parsing.fields import Fields
from anomalyd.daemon.intake.parsing.naming import Series
from anomalyd.daemon.stages import Reason, Record, Sample
from anomalyd.errors import DecodeError

MOST = 3.4e38  # detectors compute in float32, where more than this is infinite


@dataclass(slots=True)
class _Part:
    """What one sample is to hold."""

    values: dict[str, float | None] = field(default_factory=dict)
    counters: dict[str, int] = field(default_factory=dict)
    aside: dict[str, tuple[str, ...]] = field(default_factory=dict)


class Parts:
    """Gathers what one record says; what is bad is told, and the rest is used.

    `where` is the part that is being read, such as `line 3`, and `holds` gives what it holds; a fault is told
    with them. `joined` makes a message of several parts: that of the bad ones becomes the dead letter.
    """

    def __init__(
        self,
        record: Record,
        fields: Fields,
        now: float,
        joined: Callable[[Sequence[bytes]], bytes] | None = None,
    ) -> None:
        self.where = ""
        self.holds: Callable[[], bytes] | None = None
        self._joined = joined
        self._faults = Faults()
        self._record = record
        self._fields = fields
        self._now = now
        self._parts: dict[tuple[str, float], list[_Part]] = {}

    def fault(self, error: DecodeError) -> None:
        """Take what is wrong with the part that is being read."""
        self._faults.add(error, self.where, None if self.holds is None else self.holds())

    def add(
        self,
        series: Series,
        time: float | str,
        values: Iterable[tuple[str, object]],
        counters: Mapping[str, int] | None = None,
    ) -> None:
        """Take (field, value) of a series at a time.

        A bool counts 0 or 1, None is a missing value, a text is passed over, and a DecodeError is told. Where
        a metric comes twice the later one counts, and a number outdoes a missing value.

        Arguments:
            series: of which entity and metrics.
            time: seconds since the epoch, or ISO 8601.
            values: fields and what they hold.
            counters: field -> wrap bits of those that only count up; None asks the patterns.

        Raises:
            DecodeError: the time is out of range.

        """
        seconds = self._fields.time(time, self._now)
        key = (series.entity, seconds)
        parts = self._parts.get(key)
        if parts is None:
            parts = self._parts[key] = [_Part()]
        for key_, value in values:
            if type(value) is str:
                continue
            try:
                if isinstance(value, DecodeError):
                    raise value
                metric = series.metric(key_)
                if metric is None:
                    continue
                number = _number(value, metric.name)
            except DecodeError as error:
                self.fault(error)
                continue
            name = metric.name
            part = parts[0]
            if name in part.values and part.aside.get(name, ()) != series.aside:
                part = _other(parts, name, series.aside)
            if number is not None or name not in part.values:
                part.values[name] = number
            if series.aside:
                part.aside[name] = series.aside
            if counters is None:
                if metric.counts:
                    part.counters[name] = 0
            elif key_ in counters:
                part.counters[name] = counters[key_]

    def samples(self) -> tuple[Sequence[Sample], DecodeError | None]:
        """Give the samples and what was wrong with the rest; without values of interest there are none.

        Raises:
            DecodeError: nothing of the message can be used.

        """
        samples = []
        record = self._record
        for (entity, time), parts in self._parts.items():
            for part in parts:
                if not part.values:
                    continue
                try:
                    self._fields.metric_count(part.values)
                except DecodeError as error:
                    self._faults.add(error)
                    continue
                samples.append(
                    Sample(
                        entity,
                        time,
                        record.topic,
                        record.partition,
                        record.offset,
                        part.values,
                        partial=True,
                        counters=part.counters or None,
                        aside=part.aside or None,
                    )
                )
        told = self._faults.told(self._joined)
        if told is not None and not samples:
            raise told
        return samples, told


def _number(value: object, name: str) -> float | None:
    """Give the value as it is; whole numbers stay so, for a counter may need all its 64 bits.

    Beyond them they are floats: what is remembered of them could not be stored.
    """
    if type(value) is float or type(value) is int:
        if -MOST <= value <= MOST:
            return value if -(2**63) <= value < 2**64 else float(value)
        raise DecodeError(Reason.FIELD, f"{name}: {value!s:.40} is beyond ±{MOST:g}, the range of float32")
    if value is None or type(value) is bool:
        return None if value is None else float(value)
    raise DecodeError(
        Reason.FIELD, f"{name}: a number, true, false or text is expected, found {type(value).__name__}"
    )


def _other(parts: list[_Part], name: str, aside: tuple[str, ...]) -> _Part:
    """Find the part that holds a metric with these labels aside, or none of its name."""
    for part in parts:
        if name not in part.values or part.aside.get(name, ()) == aside:
            return part
    parts.append(_Part())
    return parts[-1]
