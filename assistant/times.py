"""Times in a question: "last night", "since 14:00", "between 02:00 and 04:00 on 21 November"."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from typing import NamedTuple

from anomalyd.errors import QuestionError

_HOUR, _DAY = 3600.0, 86400.0
_SECONDS = {"s": 1.0, "m": 60.0, "h": _HOUR, "d": _DAY, "w": 7 * _DAY, "month": 30 * _DAY}
_NUMBERS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "twelve")
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
# What "last night", "this morning" mean is a convention; the answer always shows the hours it took.
_PARTS_OF_DAY = {"morning": (6, 12), "afternoon": (12, 18), "evening": (18, 24)}
_NIGHT = (20, 32)

# Pieces of the patterns. Digits are [0-9]: \d would let in other alphabets' digits.
_month = (
    r"(?:jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?"
    r"|aug(?:ust)?|sept?(?:ember)?|oct(?:ober)?|nov(?:ember)?|dec(?:ember)?)"
)
_weekday = (
    r"(?:mon(?:day)?|tues?(?:day)?|wed(?:nesday)?|thu(?:rs(?:day)?)?|fri(?:day)?|sat(?:urday)?|sun(?:day)?)"
)
_day_number = r"[0-9]{1,2}(?:st|nd|rd|th)?"
_day = (
    r"(?:(?:the )?day before yesterday|today|yesterday|[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}"
    rf"|(?:the )?{_day_number}(?: of)? {_month}(?:,? [0-9]{{4}})?"
    rf"|{_month} (?:the )?{_day_number}(?:,? [0-9]{{4}})?"
    rf"|(?:last |this |past )?{_weekday}|[0-9]{{1,3}} days? ago)"
)
_clock = (
    r"(?:(?:[0-9]{1,2}:[0-9]{2}(?::[0-9]{2})?(?: ?[ap]m)?|[0-9]{1,2} ?[ap]m|noon|midnight)"
    r"(?: ?(?:utc|gmt|z)\b)?)"
)
_ago = r"(?:(?:[0-9]{1,6}|an?) (?:second|minute|hour)s? ago)"
_moment = rf"(?:{_day}(?:,? at |,? |t){_clock}|{_clock}(?:,? (?:on )?{_day})?|{_ago}|{_day}|now)"
_count = rf"(?:[0-9]{{1,6}}|an?|{'|'.join(_NUMBERS)})"
_unit = r"(?:s(?:ec(?:ond)?s?)?|m(?:in(?:ute)?s?)?|h(?:(?:ou)?rs?)?|d(?:ays?)?|w(?:eeks?)?|months?)"
_in = r"(?:(?:in|on|over|during|within|for|from|of) )?"


@dataclass(frozen=True, slots=True)
class Interval:
    """Event times from `since` up to, not including, `until`, in seconds since the epoch; None: open.

    `floating`: times of day whose day was not named; they move to the day that is named elsewhere.
    """

    since: float | None
    until: float | None
    floating: bool = False


class _Moment(NamedTuple):
    """A day (`end` is the next one's start) or an instant (`end` equals `start`)."""

    start: float
    end: float
    floating: bool = False

    def moved(self, days: int) -> _Moment:
        return _Moment(self.start + days * _DAY, self.end + days * _DAY, self.floating)


@dataclass(frozen=True, slots=True)
class Calendar:
    """What a time in words means at `now` (seconds since the epoch), where the clocks show `zone`."""

    now: float
    zone: tzinfo = UTC

    def say(self, when: float) -> str:
        """Say a time as `23 Nov 14:03:20 UTC`: seconds where there are any, the year where it is another."""
        at = datetime.fromtimestamp(when, self.zone)
        year = "" if at.year == self._today().year else f" {at.year}"
        clock = f"{at:%H:%M:%S}" if at.second else f"{at:%H:%M}"
        return f"{at.day} {at:%b}{year} {clock} {at:%Z}"

    def say_interval(self, interval: Interval) -> str:
        """Say an interval as `23 Nov 00:00 UTC to now`."""
        if interval.since is None and interval.until is None:
            return "any time"
        if interval.since is None:
            return f"before {self.say(interval.until or 0.0)}"
        end = "now" if interval.until is None else self.say(interval.until)
        return f"{self.say(interval.since)} to {end}"

    def find(self, text: str) -> tuple[list[Interval], str]:
        """Find the times in lower-case `text`; give them and the text without them.

        Raises:
            QuestionError: a time that does not exist (31 February, 25:00) or lies in the future.

        """
        if future := re.search(rf"\b(?:tomorrow|next (?:hour|night|day|week|month|year|{_weekday}))\b", text):
            raise QuestionError(f"“{future[0]}” is in the future: it is {self.say(self.now)} now.")
        found: list[Interval] = []
        for pattern, read in _RULES:
            while match := pattern.search(text):
                found.append(self._checked(read(self, match), match[0]))
                text = f"{text[: match.start()]} {text[match.end() :]}"
        return found, text

    def combine(self, intervals: list[Interval]) -> Interval | None:
        """Give the interval that several say together ("yesterday", "after 14:00"); None if they disagree."""
        days = sorted(intervals, key=lambda i: i.floating)
        together = Interval(None, None)
        for interval in days:
            if interval.floating and not together.floating and together.since is not None:
                interval = self._placed(interval, together)
            since = max((s for s in (together.since, interval.since) if s is not None), default=None)
            until = min((u for u in (together.until, interval.until) if u is not None), default=None)
            if since is not None and until is not None and since >= until:
                return None
            together = Interval(since, until, interval.floating)
        return together

    def _placed(self, interval: Interval, day: Interval) -> Interval:
        """Move an interval of times of day to the first such time in `day`."""
        at = interval.since if interval.since is not None else interval.until
        assert at is not None
        assert day.since is not None
        shift = -((at - day.since) // _DAY) * _DAY
        return Interval(
            None if interval.since is None else interval.since + shift,
            None if interval.until is None else interval.until + shift,
        )

    def _checked(self, interval: Interval, words: str) -> Interval:
        """Cut an interval at now, and refuse one that has not begun."""
        if interval.since is not None and interval.since > self.now:
            raise QuestionError(f"“{words.strip()}” is in the future: it is {self.say(self.now)} now.")
        if interval.until is not None and interval.until > self.now:
            return replace(interval, until=None)
        return interval

    # -- days and instants ---------------------------------------------------------------------

    def _today(self) -> date:
        return datetime.fromtimestamp(self.now, self.zone).date()

    def _at(self, day: date, seconds: float = 0.0, zone: tzinfo | None = None) -> float:
        midnight = datetime.combine(day, time(), zone or self.zone)
        return (midnight + timedelta(seconds=seconds)).timestamp()

    def _hours(self, day: date, first: float, last: float) -> Interval:
        return Interval(self._at(day, first * _HOUR), self._at(day, last * _HOUR))

    def _whole(self, first: date, last: date) -> Interval:
        """Give the days from `first` up to, not including, `last`."""
        return Interval(self._at(first), self._at(last))

    def _read(self, words: str) -> _Moment:
        """Read one moment: a day, a time of day, or both."""
        words = words.strip(" ,")
        if words == "now":
            return _Moment(self.now, self.now)
        if re.fullmatch(_ago, words):
            number, unit, _ = words.split()
            at = max(0.0, self.now - _number(number) * _SECONDS[unit[0]])
            return _Moment(at, at)
        clock = re.search(rf"(?:^|[ t]){_clock}(?=$|[ ,])", words)
        named = re.search(rf"(?:^|(?<=[ ,])){_day}", words)
        day = self._named_day(named[0]) if named else self._today()
        if clock is None:
            return _Moment(self._at(day), self._at(day + timedelta(days=1)))
        spoken = clock[0].lstrip(" t")
        zone = UTC if re.search(r"(?:utc|gmt|z)$", spoken) else self.zone
        at = self._at(day, _seconds_of_day(spoken), zone)
        return _Moment(at, at, floating=named is None)

    def _named_day(self, words: str) -> date:
        """Read a day; one without a year is its latest that has begun."""
        today = self._today()
        if "yesterday" in words or words == "today":
            return today - timedelta(days=2 if "before" in words else 1 if "yesterday" in words else 0)
        if words.endswith("ago"):
            return today - timedelta(days=int(words.split()[0]))
        if iso := re.fullmatch(r"([0-9]{4})-([0-9]{1,2})-([0-9]{1,2})", words):
            return _date(int(iso[1]), int(iso[2]), int(iso[3]), words)
        if month := re.search(rf"\b{_month}\b", words):
            number = _MONTHS.index(month[0][:3]) + 1
            year = re.search(r"[0-9]{4}$", words)
            day = int(re.findall(r"[0-9]{1,2}", words)[0])
            if year:
                return _date(int(year[0]), number, day, words)
            # 29 February needs up to eight years back (1896 to 1904 had none).
            for back in range(9):
                try:
                    candidate = date(today.year - back, number, day)
                except ValueError:
                    continue
                if candidate <= today:
                    return candidate
            raise QuestionError(f"There is no “{words}”; name a day that exists.")
        weekday = _WEEKDAYS.index(words.split()[-1][:3])
        back = (today.weekday() - weekday) % 7
        return today - timedelta(days=back or (7 if words.startswith(("last", "past")) else 0))

    # -- rules: what a match means --------------------------------------------------------------

    def _between(self, match: re.Match[str]) -> Interval:
        first, last = self._read(match[1]), self._read(match[2])
        if last.floating and not first.floating:
            first_day = datetime.fromtimestamp(first.start, self.zone).date()
            last = last.moved((first_day - self._today()).days)
        elif first.floating and not last.floating:
            last_day = datetime.fromtimestamp(last.start, self.zone).date()
            first = first.moved((last_day - self._today()).days)
            if first.start > last.end:
                first = first.moved(-1)
        if last.floating and last.end <= first.start:
            last = last.moved(1)
        floating = first.floating and last.floating
        if floating and first.start > self.now:
            first, last = first.moved(-1), last.moved(-1)
        if last.end < first.start:
            raise QuestionError(f"“{match[0].strip()}” ends before it begins; name the earlier time first.")
        return Interval(first.start, last.end, floating)

    def _since(self, match: re.Match[str]) -> Interval:
        moment = self._read(match[2])
        if moment.floating and moment.start > self.now:
            moment = moment.moved(-1)
        return Interval(moment.end if match[1] == "after" else moment.start, None, moment.floating)

    def _before(self, match: re.Match[str]) -> Interval:
        moment = self._read(match[2])
        if moment.floating and moment.start > self.now:
            moment = moment.moved(-1)
        return Interval(
            None, moment.start if match[1] in ("before", "prior to") else moment.end, moment.floating
        )

    def _part_of_day(self, match: re.Match[str]) -> Interval:
        day = self._today() - timedelta(days=1 if match[1] == "yesterday" else 0)
        return self._hours(day, *_PARTS_OF_DAY[match[2]])

    def _last_night(self, match: re.Match[str]) -> Interval:
        return self._hours(self._today() - timedelta(days=1), *_NIGHT)

    def _tonight(self, match: re.Match[str]) -> Interval:
        return self._hours(self._today(), *_NIGHT)

    def _calendar_unit(self, match: re.Match[str]) -> Interval:
        today, back = self._today(), match[1] == "last"
        if match[2] == "week":
            first = today - timedelta(days=today.weekday() + 7 * back)
            return self._whole(first, first + timedelta(days=7))
        if match[2] == "year":
            return self._whole(date(today.year - back, 1, 1), date(today.year - back + 1, 1, 1))
        first = (today.replace(day=1) - timedelta(days=1 * back)).replace(day=1)
        return self._whole(first, _next_month(first))

    def _rolling(self, match: re.Match[str]) -> Interval:
        unit = "month" if match[2].startswith("mo") else match[2][0]
        return Interval(max(0.0, self.now - _number(match[1] or "1") * _SECONDS[unit]), None)

    def _instant(self, match: re.Match[str]) -> Interval:
        moment = self._read(match[2])
        if moment.floating and moment.start > self.now:
            moment = moment.moved(-1)
        # "at 03:00" is that minute; "around 03:00" and "2 hours ago" are no more exact than people mean them.
        if ago := re.search(r"(second|minute|hour)s? ago", match[2]):
            slack = _SECONDS[ago[1][0]] / 2
        elif match[1] in ("around", "about", "near"):
            slack = _HOUR / 2
        else:
            return Interval(moment.start, moment.start + 60.0, moment.floating)
        return Interval(moment.start - slack, moment.end + slack, moment.floating)

    def _one_day(self, match: re.Match[str]) -> Interval:
        moment = self._read(match[1])
        return Interval(moment.start, moment.end)

    def _in_month(self, match: re.Match[str]) -> Interval:
        today, number = self._today(), _MONTHS.index(match[1][:3]) + 1
        year = int(match[2]) if match[2] else today.year - (number > today.month)
        first = _date(year, number, 1, match[0])
        return self._whole(first, _next_month(first))


def _number(words: str) -> float:
    """Read `3`, `three`, `an`."""
    if words in ("a", "an"):
        return 1.0
    if words.isdigit():
        return float(words)
    return 12.0 if words == "twelve" else float(_NUMBERS.index(words))


def _next_month(first: date) -> date:
    return (first + timedelta(days=31)).replace(day=1)


def _date(year: int, month: int, day: int, words: str) -> date:
    # Outside of these years no clock of this project ever was, and time zones overflow.
    if not 1970 <= year <= 2999:
        raise QuestionError(f"The year of “{words.strip()}” is not between 1970 and 2999.")
    try:
        return date(year, month, day)
    except ValueError:
        raise QuestionError(f"There is no “{words.strip()}”; name a day that exists.") from None


def _seconds_of_day(words: str) -> float:
    """Read `14:00`, `2 pm`, `noon`, `14:00:30 utc`, `24:00`."""
    spoken = re.sub(r" ?(?:utc|gmt|z)$", "", words)
    if spoken in ("noon", "midnight"):
        return 12 * _HOUR if spoken == "noon" else 0.0
    half = re.search(r"[ap]m$", spoken)
    numbers = [int(n) for n in re.findall(r"[0-9]+", spoken)]
    hour, minute, second = [*numbers, 0, 0][:3]
    if minute > 59 or second > 59 or (half and not 1 <= hour <= 12) or hour * 60 + minute > 24 * 60:
        raise QuestionError(f"There is no time “{words}”; say it as 14:05 or 2 pm.")
    if half:
        hour = hour % 12 + (12 if half[0] == "pm" else 0)
    return hour * _HOUR + minute * 60 + second


_Read = Callable[[Calendar, re.Match[str]], Interval]


def _rules() -> Iterator[tuple[re.Pattern[str], _Read]]:
    """Give the patterns in the order in which they are tried: the longer phrase before its parts."""
    edge, stop = r"(?<![\w:./-])", r"(?![\w:/-])"
    for pattern, read in (
        (rf"(?:between|from) ({_moment}),? (?:and|to|until|till) ({_moment})", Calendar._between),
        (rf"({_clock}) ?(?:-|–|to) ?({_clock})", Calendar._between),
        (rf"(since|after|starting(?: from)?) ({_moment})", Calendar._since),
        (
            rf"(from) ({_clock}(?:,? (?:on )?{_day})?|{_day}(?:,? at |,? |t){_clock})(?: on(?:wards?)?)?",
            Calendar._since,
        ),
        (rf"(?<!day )(before|prior to|until|till|up to|by) ({_moment})", Calendar._before),
        (rf"{_in}(this|yesterday) (morning|afternoon|evening)", Calendar._part_of_day),
        (rf"{_in}(?:last night|overnight)", Calendar._last_night),
        (rf"{_in}tonight", Calendar._tonight),
        (rf"(?<!the ){_in}(this|last) (week|month|year)", Calendar._calendar_unit),
        (rf"{_in}(?:the )?(?:last|past|previous) (?:({_count}) ?)?({_unit})", Calendar._rolling),
        (rf"({_in})({_day}(?:,? at |,? |t){_clock}|{_clock},? (?:on )?{_day}|{_ago})", Calendar._instant),
        (rf"(at|around|about|near) ({_clock}(?:,? (?:on )?{_day})?)", Calendar._instant),
        (rf"{_in}({_day})", Calendar._one_day),
        (rf"(?:in|during|for|of) ({_month})(?: ([0-9]{{4}}))?", Calendar._in_month),
    ):
        yield re.compile(edge + pattern + stop, re.ASCII), read


_RULES = tuple(_rules())
