"""What the fields of a sample may hold, whatever the format: names, times, map sizes."""

from __future__ import annotations

import hashlib
import logging
import math
import re
from collections.abc import Mapping, Sequence
from datetime import datetime

from anomalyd.daemon.config.config import InputConfig
from anomalyd.daemon.stages import Reason
from anomalyd.errors import DecodeError

_log = logging.getLogger(__name__)

# Names seen to be good, so that each is looked at once; forgotten when a producer never repeats itself.
REMEMBERED = 100_000

_HASH = 16  # hexadecimal digits: among a million names the chance that two share them is 3e-8

# Control characters, and halves of surrogate pairs, which no text can be encoded with. Whatever else Unicode
# has is allowed: counters of Windows are called "%\u00a0temps processeur".
_NOT_ALLOWED = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff]")


_UNITS = (("milliseconds", 1e3), ("microseconds", 1e6), ("nanoseconds", 1e9))


class Fields:
    """Checks fields against the limits of one input. All methods raise DecodeError, none returns a fault."""

    def __init__(self, config: InputConfig) -> None:
        self._entity = config.entity
        self._limits = config.limits
        self._entities: dict[str | bytes, str] = {}
        self._metrics: set[str] = set()
        self._topic = config.topic
        self._shortens = False

    def entity(self, given: str | None, key: bytes | None) -> str:
        """Give the entity: the one the message names, else the input's, else the message key."""
        named = given if given is not None else self._entity if self._entity is not None else key
        known = self._entities.get(named)  # type: ignore[arg-type]  # None is never there
        if known is not None:
            return known
        if named is None:
            raise DecodeError(
                Reason.ENTITY, "no entity: give it in the message, as the message key, or as inputs.entity"
            )
        try:
            name = named if isinstance(named, str) else named.decode()
        except UnicodeDecodeError:
            raise DecodeError(
                Reason.ENTITY, f"entity: the message key {named[:40]!r} is not UTF-8 text"
            ) from None
        self._check_name(name, "entity", Reason.ENTITY)
        if len(self._entities) >= REMEMBERED:
            self._entities.clear()
        self._entities[named] = name
        return name

    def labelled_entity(self, given: str | None, labels: Sequence[str]) -> str:
        """Give the entity of a format that names it by a label: that label's value, else the input's."""
        if given is None and self._entity is None:
            raise DecodeError(
                Reason.ENTITY,
                f"no entity: there is no label {' or '.join(labels)}; say which label names it "
                "(inputs.entity_label), or name it (inputs.entity)",
            )
        return self.entity(None if given is None else self._short(given, "entity", Reason.ENTITY), None)

    def time(self, given: float | str, now: float) -> float:
        """Give the event time in seconds since the epoch, from seconds or ISO 8601 with a time zone."""
        seconds = given if isinstance(given, float) else self._parse_time(given)
        # Written so that NaN is refused, too.
        if not now - self._limits.past_s <= seconds <= now + self._limits.future_s:
            away = f"{seconds - now:+.0f}" if abs(seconds - now) < 1e12 else f"{seconds - now:+.3g}"
            unit = next((u for u, n in _UNITS if 0.5 * n * now < seconds < 2 * n * now), None)
            hint = f"; it looks like {unit}: give seconds" if unit else ""
            raise DecodeError(
                Reason.CLOCK,
                f"time: {given!r} is {away} s from now; -{self._limits.past_s:g} to "
                f"+{self._limits.future_s:g} s (inputs.limits.past_s, future_s) are allowed{hint}",
            )
        return seconds

    def metrics(self, values: Mapping[str, object]) -> None:
        """Check the names of a metric vector, and how many there are."""
        if not self._metrics.issuperset(values):
            for name in values:
                self.metric_name(name)
            if len(self._metrics) >= REMEMBERED:
                self._metrics.clear()
            self._metrics.update(values)
        self.metric_count(values)

    def metric_name(self, name: str) -> None:
        """Check the name of a metric."""
        self._check_name(name, "values: metric name", Reason.METRICS)

    def short_metric_name(self, name: str) -> str:
        """Check the name of a metric, and cut one that is too long.

        It ends with a hash of the whole then, so that it stays the same for ever, and no other's.
        """
        return self._short(name, "values: metric name", Reason.METRICS)

    def metric_count(self, values: Mapping[str, object]) -> None:
        """Check how many metrics a vector has."""
        if not 0 < len(values) <= self._limits.metrics:
            raise DecodeError(
                Reason.METRICS,
                f"values: {len(values)} metrics; 1 to {self._limits.metrics} (inputs.limits.metrics) "
                "are allowed",
            )

    def map_size(self, rows: int, columns: int) -> None:
        """Check the size of a map, before memory is taken for it."""
        if rows <= 0 or columns <= 0:
            raise DecodeError(
                Reason.MAP,
                f"map: {rows} x {columns} cells; send rows of one cell at least, null where it is masked, "
                "or no message of an element without cells",
            )
        if rows * columns > self._limits.cells:
            raise DecodeError(
                Reason.MAP,
                f"map: {rows} x {columns} cells; 1 to {self._limits.cells} (inputs.limits.cells) are "
                "allowed; raise the limit, or send wider bins",
            )

    def _parse_time(self, text: str) -> float:
        seconds = seconds_or_text(text)
        if isinstance(seconds, float):
            return seconds
        try:
            moment = datetime.fromisoformat(text.upper())  # RFC 3339 allows t and z
            if moment.tzinfo is not None:
                return moment.timestamp()
        except (ValueError, OverflowError) as error:
            why = "" if "isoformat" in str(error) else f": {error}"
            raise DecodeError(
                Reason.TIME,
                f"time: {text[:60]!r} is neither seconds since the epoch nor an ISO 8601 time{why}",
            ) from None
        raise DecodeError(Reason.TIME, f"time: {text!r} has no time zone; add Z or an offset such as +01:00")

    def _short(self, name: str, what: str, reason: Reason) -> str:
        longest = self._limits.name_length
        if len(name) <= longest or longest <= _HASH + 1:
            self._check_name(name, what, reason)
            return name
        self._check_characters(name, what, reason)
        short = name[: longest - _HASH - 1] + "~" + hashlib.sha256(name.encode()).hexdigest()[:_HASH]
        if not self._shortens:
            self._shortens = True
            _log.warning(
                "%s: names of more than %d characters (inputs.limits.name_length) are shortened, as %s "
                "to %s; inputs.metric_labels says which labels belong to a name",
                *(self._topic, longest, name, short),
            )
        return short

    def _check_name(self, name: str, what: str, reason: Reason) -> None:
        if not 0 < len(name) <= self._limits.name_length:
            raise DecodeError(
                reason,
                f"{what} {name[:60]!r} has {len(name)} characters; 1 to {self._limits.name_length} "
                "(inputs.limits.name_length) are allowed",
            )
        self._check_characters(name, what, reason)

    @staticmethod
    def _check_characters(name: str, what: str, reason: Reason) -> None:
        if (bad := _NOT_ALLOWED.search(name)) is not None:
            raise DecodeError(
                reason, f"{what} {name[:60]!r}: no control characters are allowed, as {bad[0]!r}"
            )


def seconds_of(timestamp: float) -> float:
    """Give seconds since the epoch, from a time in s, ms, us or ns: told apart by its size.

    Read as seconds, 1e11 is the year 5138; read as milliseconds, it is 1973. So for the other units. A whole
    number beyond all floats is infinite.
    """
    size = abs(timestamp)
    if size < 1e11:
        return float(timestamp)
    try:
        return timestamp / (1e3 if size < 1e14 else 1e6 if size < 1e17 else 1e9)
    except OverflowError:
        return math.inf if timestamp > 0 else -math.inf


def stamp_of(given: float | str) -> float | str:
    """Give seconds of a number, or the text of one, in s, ms, us or ns; any other text as it is."""
    read = seconds_or_text(given) if isinstance(given, str) else given
    return read if isinstance(read, str) else seconds_of(read)


def seconds_or_text(text: str) -> float | str:
    """Read a time that is only there as text, such as a header: a number is seconds."""
    try:
        seconds = float(text)
    except ValueError:
        return text
    return seconds if math.isfinite(seconds) else text
