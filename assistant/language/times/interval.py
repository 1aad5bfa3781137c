"""An interval of event times, and days and times of day as numbers."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date, timedelta

from anomalyd.errors import QuestionError

HOUR = 3600.0


@dataclass(frozen=True, slots=True)
class Interval:
    """Event times from `since` up to, not including, `until`, in seconds since the epoch; None: open.

    `floating`: times of day whose day was not named; they move to the day that is named elsewhere.
    """

    since: float | None
    until: float | None
    floating: bool = False

    @property
    def timed(self) -> bool:
        """Say whether it is of times of day that wait for a day."""
        return self.floating and (self.since is not None or self.until is not None)


def next_month(first: date) -> date:
    """Give the first day of the month after one that begins at `first`."""
    return (first + timedelta(days=31)).replace(day=1)


def date_of(year: int, month: int, day: int, words: str) -> date:
    """Give a date that was said in `words`; a QuestionError if there is none such."""
    # Outside of these years no clock of this project ever was, and time zones overflow.
    if not 1970 <= year <= 2999:
        raise QuestionError(f"The year of “{words.strip()}” is not between 1970 and 2999.")
    try:
        return date(year, month, day)
    except ValueError:
        raise QuestionError(f"There is no “{words.strip()}”; name a day that exists.") from None


def seconds_of_day(words: str) -> float:
    """Read `14:00`, `2 pm`, `noon`, `14:00:30 utc`, `24:00`."""
    spoken = re.sub(r" ?(?:utc|gmt|z)$", "", words)
    if spoken in ("noon", "midday", "midnight"):
        return 0.0 if spoken == "midnight" else 12 * HOUR
    half = re.search(r"[ap]m$", spoken)
    numbers = [int(n) for n in re.findall(r"[0-9]+", spoken)]
    hour, minute, second = [*numbers, 0, 0][:3]
    if minute > 59 or second > 59 or (half and not 1 <= hour <= 12) or hour * 60 + minute > 24 * 60:
        raise QuestionError(f"There is no time “{words}”; say it as 14:05 or 2 pm.")
    if half:
        hour = hour % 12 + (12 if half[0] == "pm" else 0)
    return hour * HOUR + minute * 60 + second
