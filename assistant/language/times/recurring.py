"""Times that come again: "on mondays", "at weekends", "every day from 02:00 to 04:00", "in the mornings"."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime, tzinfo

from anomalyd.assistant.language.times.interval import seconds_of_day
from anomalyd.assistant.language.times.time_patterns import CLOCK, WEEKDAYS

_HOUR, _DAY = 3600.0, 86_400.0
_WEEK = 7 * _DAY
_MONDAY = 4 * _DAY
"""The first Monday after the epoch, which was a Thursday."""
_NAMES = r"(?:mon|tues|wednes|thurs|fri|satur|sun)day"
_EVERY = r"(?:(?:on|at|in|of|during|for) )?(?:every|each|all|any)(?: single)?"
_AT = r"(?:(?:on|at|in|of|during|for|over) )?(?:the |all |all the )?"
_PARTS = {
    "early morning": (0, 6),
    "morning": (6, 12),
    "afternoon": (12, 18),
    "evening": (18, 24),
    "night": (20, 32),
}
_PART = "|".join(_PARTS)
_DAYS = (
    rf"(?:{_AT}(?P<plural>{_NAMES}s|weekends?(?<=s)|weekdays|working days|workdays)"
    rf"|{_EVERY} (?P<single>{_NAMES}|weekend|weekday|working day|workday)|on (?:a|an|any) (?P<some>weekend))"
)
_DAILY = (
    r"(?:every (?:single )?day|each day|all days|on (?:all|any|every) days?|of every day|daily"
    r"|day (?:by|after) day|every night|each night)"
)
_TOGETHER = r"(?:,? (?:taken |put |counted )?together)?"
_CLOCK = rf"(?:{CLOCK}|[0-9]{{1,2}}(?![0-9:]))"
_RANGE = rf"(?:between|from) (?P<first>{_CLOCK}) (?:and|to|until|till|-) (?P<last>{_CLOCK})"
_EDGES = r"(?<![\w./-])(?:{})(?![\w/-]|\.\w)"
_FORMS = tuple(
    re.compile(_EDGES.format(pattern))
    for pattern in (
        rf"{_DAYS},? {_RANGE}",
        rf"{_RANGE},? {_DAYS}",
        rf"{_RANGE},? {_DAILY}{_TOGETHER}",
        rf"{_DAILY},? {_RANGE}",
        rf"{_AT}(?P<plural>{_NAMES}) (?P<parts>{_PART})s|{_EVERY} (?P<single>{_NAMES}) (?P<part>{_PART})",
        rf"{_DAYS}{_TOGETHER}(?:, all of (?:them|those))?",
        rf"(?<![0-9] ){_AT}(?P<parts>{_PART})s(?! ago)|{_EVERY} (?P<part>{_PART})",
    )
)


@dataclass(frozen=True, slots=True)
class Cycle:
    """`length` seconds from `start` on (seconds after the epoch), again after each `period`."""

    start: float
    length: float
    period: float
    words: str


def recurring(text: str, now: float, zone: tzinfo) -> tuple[list[Cycle], str]:
    """Find the times that come again in lower-case `text`; give them, and the text with EVERY0, EVERY1 ...

    Their hours are those of the zone's clocks at `now` (seconds since the epoch), summer or winter time.
    """
    offset = datetime.fromtimestamp(now, zone).utcoffset()
    shift = -offset.total_seconds() if offset is not None else 0.0
    found: list[Cycle] = []

    def kept(match: re.Match[str]) -> str:
        before = len(found)
        found.extend(_cycles(match, shift))
        return f" {' or '.join(f'EVERY{k}' for k in range(before, len(found)))} "

    for pattern in _FORMS:
        text = pattern.sub(kept, text)
    return found, " ".join(text.split())


def _cycles(match: re.Match[str], shift: float) -> list[Cycle]:
    groups = match.groupdict()
    days = groups.get("plural") or groups.get("single") or groups.get("some")
    begin, length = _hours(groups)
    hours = f" from {_clock(begin)} to {_clock(begin + length)}" if length < _DAY else ""
    words = f"every {(days or 'day').removesuffix('s')}{hours}"
    if days is None:
        return [Cycle(begin + shift, length, _DAY, words)]
    first, many = _span(days)
    start = _MONDAY + first * _DAY + begin + shift
    if length == _DAY:
        return [Cycle(start, many * _DAY, _WEEK, words)]
    return [Cycle(start + k * _DAY, length, _WEEK, words) for k in range(many)]


def _span(days: str) -> tuple[int, int]:
    """Give the first day, counted from Monday, and how many they are."""
    if days.startswith("weekend"):
        return 5, 2
    if days.startswith("w") and not days.startswith("wed"):
        return 0, 5
    return WEEKDAYS.index(days[:3]), 1


def _hours(groups: dict[str, str | None]) -> tuple[float, float]:
    """Give when in a day it begins, and how long it goes on."""
    first, last = groups.get("first"), groups.get("last")
    if first and last:
        begin, end = _seconds(first), _seconds(last)
        return begin, (end - begin) % _DAY or _DAY
    part = groups.get("part") or groups.get("parts")
    if part:
        since, until = _PARTS[part]
        return since * _HOUR, (until - since) * _HOUR
    return 0.0, _DAY


def _seconds(words: str) -> float:
    return float(words) * _HOUR if words.isdigit() else float(seconds_of_day(words))


def _clock(seconds: float) -> str:
    minutes = int(seconds % _DAY) // 60
    return f"{minutes // 60:02}:{minutes % 60:02}"
