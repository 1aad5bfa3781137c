"""Times in a question: "last night", "since 14:00", "between 02:00 and 04:00 on 21 November"."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from typing import NamedTuple

from anomalyd.assistant.language.times.interval import Interval as Interval
from anomalyd.assistant.language.times.interval import date_of, next_month, seconds_of_day
from anomalyd.assistant.language.times.time_patterns import (
    AGO,
    APART,
    BOUND,
    CLOCK,
    DAY,
    FUTURE,
    MONTH,
    MONTHS,
    NEIGHBOURS,
    RULES,
    WEEKDAY,
    WEEKDAYS,
    rewritten,
)
from anomalyd.errors import QuestionError

_HOUR, _DAY = 3600.0, 86400.0
_SECONDS = {"s": 1.0, "m": 60.0, "h": _HOUR, "d": _DAY, "w": 7 * _DAY, "month": 30 * _DAY}
# What "last night", "this morning" mean is a convention; the answer always shows the hours it took.
_PARTS_OF_DAY = {
    "morning": (6, 12),
    "afternoon": (12, 18),
    "evening": (18, 24),
    "night": (20, 32),
    "early morning": (0, 6),
    "early hours": (0, 6),
    "small hours": (0, 6),
}
_NIGHT = _PARTS_OF_DAY["night"]
_SHIFT_STARTS = (7, 15, 23)
_NAMED_SHIFTS = {
    **dict.fromkeys(("early", "morning", "day"), 7),
    **dict.fromkeys(("late", "afternoon", "evening"), 15),
    "night": 23,
}


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
        """Find the times in lower-case `text`; give them and the text with `TIME0`, `TIME1` ... in their
        places.

        Raises:
            QuestionError: a time that does not exist (31 February, 25:00) or lies in the future.

        """
        if future := FUTURE.search(text):
            raise QuestionError(f"“{future[0]}” is in the future: it is {self.say(self.now)} now.")
        text = rewritten(text)
        found: list[Interval] = []
        for pattern, reader in RULES:
            while match := pattern.search(text):
                found.append(getattr(self, f"_{reader}")(match))
                text = f"{text[: match.start()]} TIME{len(found) - 1} {text[match.end() :]}"
        text = " ".join(text.split())
        text = BOUND.sub(lambda m: self._bounded(m, found), text)
        # "yesterday, after 14:00" is one time; "yesterday and today" are two.
        while match := NEIGHBOURS.search(text):
            one, other = int(match[1]), int(match[2])
            together = self.combine([found[one], found[other]])
            if together is None:
                raise QuestionError(
                    f"Two times that exclude each other: {self.say_interval(found[one])}, and "
                    f"{self.say_interval(found[other])}; name one, or ask to compare them."
                )
            found[one] = together
            text = f"{text[: match.start()]} TIME{one} {text[match.end() :]}"
        text = self._placed_apart(text, found)
        return [self._checked(self._settled(each)) for each in found], " ".join(text.split())

    def _placed_apart(self, text: str, found: list[Interval]) -> str:
        """Join a time of day to the day that is named elsewhere: "yesterday, on storage, between 02:00 and
        04:00".
        """
        numbers = [int(n) for n in re.findall(r"\bTIME([0-9]+)", text)]
        if len(numbers) != 2 or APART.search(text):
            return text
        one, other = numbers
        if found[one].floating is not found[other].floating and (
            together := self.combine([found[one], found[other]])
        ):
            found[one] = together
            text = text.replace(f"TIME{other}", " ")
        return text

    def shifted(self, interval: Interval, days: int) -> Interval:
        """Give the same interval so many days later; what reached to now ends as late in its day."""
        until = self.now if interval.until is None else interval.until
        since = until - _DAY if interval.since is None else interval.since
        if interval.until is None and since == self._at(self._today()):
            until = self._at(self._today() + timedelta(days=1))
        return self._checked(Interval(since + days * _DAY, until + days * _DAY))

    def combine(self, intervals: list[Interval]) -> Interval | None:
        """Give the interval that several say together ("yesterday", "after 14:00"); None if they disagree."""
        together = Interval(None, None)
        for interval in sorted(intervals, key=lambda i: i.floating):
            placed = interval.timed and not together.floating and together.since is not None
            if placed:
                interval = self._placed(interval, together)
            since = max((s for s in (together.since, interval.since) if s is not None), default=None)
            until = min((u for u in (together.until, interval.until) if u is not None), default=None)
            if placed and interval.since is not None and interval.until is not None:
                until = interval.until  # "yesterday between 22:00 and 02:00" ends today
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

    def _settled(self, interval: Interval) -> Interval:
        """Give times of day without a day the latest day on which they have begun."""
        at = interval.since if interval.since is not None else interval.until
        if not interval.floating or at is None or at <= self.now:
            return replace(interval, floating=False)
        since, until = interval.since, interval.until
        return Interval(None if since is None else since - _DAY, None if until is None else until - _DAY)

    def _bounded(self, match: re.Match[str], found: list[Interval]) -> str:
        """Read "since", "before" and so on in front of any time."""
        number = int(match[2])
        its = found[number]
        if match[1] in ("since", "starting", "from"):
            found[number] = Interval(its.since, None, its.floating)
        elif match[1] == "after":
            found[number] = Interval(its.until if its.until is not None else its.since, None, its.floating)
        elif match[1] in ("before", "prior to", "earlier than", "older than"):
            found[number] = Interval(None, its.since, its.floating)
        else:
            found[number] = Interval(None, its.until, its.floating)
        return f"TIME{number}"

    def _checked(self, interval: Interval) -> Interval:
        """Cut an interval at now, and refuse one that has not begun."""
        if interval.since is not None and interval.since > self.now:
            raise QuestionError(
                f"{self.say(interval.since)} is in the future: it is {self.say(self.now)} now."
            )
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
        if re.fullmatch(AGO, words):
            number, unit, _ = words.split()
            at = max(0.0, self.now - float(number) * _SECONDS[unit[0]])
            return _Moment(at, at)
        clock = re.search(rf"(?:^|[ t]){CLOCK}(?=$|[ ,])", words)
        named = re.search(rf"(?:^|(?<=[ ,])){DAY}", words)
        day = self._named_day(named[0]) if named else self._today()
        if clock is None:
            return _Moment(self._at(day), self._at(day + timedelta(days=1)))
        spoken = clock[0].lstrip(" t")
        zone = UTC if re.search(r"(?:utc|gmt|z)$", spoken) else self.zone
        at = self._at(day, seconds_of_day(spoken), zone)
        return _Moment(at, at, floating=named is None)

    def _named_day(self, words: str) -> date:
        """Read a day; one without a year is its latest that has begun."""
        today = self._today()
        if "yesterday" in words or words == "today":
            return today - timedelta(days=2 if "before" in words else 1 if "yesterday" in words else 0)
        if words.endswith("ago"):
            return today - timedelta(days=int(words.split()[0]) * (7 if "week" in words else 1))
        if dotted := re.fullmatch(r"([0-9]{1,2})\.([0-9]{1,2})\.([0-9]{4})?", words):
            this_year = int(dotted[3] or today.year)
            that = date_of(this_year, int(dotted[2]), int(dotted[1]), words)
            return that if that <= today or dotted[3] else date_of(this_year - 1, that.month, that.day, words)
        if ordinal := re.fullmatch(r"day-([0-9]{1,2})", words):
            number = int(ordinal[1])
            first = today.replace(day=1)
            if number > today.day:
                first = (first - timedelta(days=1)).replace(day=1)
            return date_of(first.year, first.month, number, words)
        if iso := re.fullmatch(r"([0-9]{4})-([0-9]{1,2})-([0-9]{1,2})", words):
            return date_of(int(iso[1]), int(iso[2]), int(iso[3]), words)
        if month := re.search(rf"\b{MONTH}\b", words):
            number = MONTHS.index(month[0][:3]) + 1
            year = re.search(r"[0-9]{4}$", words)
            day = int(re.findall(r"[0-9]{1,2}", words)[0])
            if year:
                return date_of(int(year[0]), number, day, words)
            # 29 February needs up to eight years back (1896 to 1904 had none).
            for back in range(9):
                try:
                    candidate = date(today.year - back, number, day)
                except ValueError:
                    continue
                if candidate <= today:
                    return candidate
            raise QuestionError(f"There is no “{words}”; name a day that exists.")
        named = re.search(WEEKDAY, words)
        assert named is not None
        weekday = WEEKDAYS.index(named[0][:3])
        if words.endswith("last week"):
            return today - timedelta(days=today.weekday() + 7 - weekday)
        back = (today.weekday() - weekday) % 7
        return today - timedelta(days=back or (7 if words.startswith(("last", "past", "previous")) else 0))

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
        if re.search(WEEKDAY, match[1]) and last.end < first.start < last.end + 7 * _DAY:
            first = first.moved(-7)  # "Monday to Wednesday", said on a Monday
        if last.end < first.start:
            raise QuestionError(f"“{match[0].strip()}” ends before it begins; name the earlier time first.")
        return Interval(first.start, last.end, floating)

    def _since(self, match: re.Match[str]) -> Interval:
        moment = self._read(match[2])
        return Interval(moment.end if match[1] == "after" else moment.start, None, moment.floating)

    def _before(self, match: re.Match[str]) -> Interval:
        moment = self._read(match[2])
        before = match[1] in ("before", "prior to", "earlier than", "older than")
        return Interval(None, moment.start if before else moment.end, moment.floating)

    def _part_of_day(self, match: re.Match[str]) -> Interval:
        """Read "this morning", "yesterday evening", "the night of 21 November"."""
        groups = match.groupdict()
        part, words = groups["part"], (groups.get("day") or "today").strip()
        day = self._today() if words in ("this", "today") else self._named_day(words)
        first, last = _PARTS_OF_DAY[part]
        # At 03:00 "this night" is the one that goes on.
        early = part == "night" and day == self._today() and self._hour() < 8
        return self._hours(day - timedelta(days=1) if early else day, first, last)

    def _edge_of_day(self, match: re.Match[str]) -> Interval:
        """Read "the first 3 hours of today", "the last hour of yesterday"."""
        unit = "month" if match[3].startswith("mo") else match[3][0]
        day, length = self._read(match[4]), float(match[2] or 1) * _SECONDS[unit]
        if match[1] == "first":
            return Interval(day.start, day.start + length)
        end = min(day.end, self.now)
        return Interval(end - length, end)

    def _last_night(self, match: re.Match[str]) -> Interval:
        return self._hours(self._today() - timedelta(days=1), *_NIGHT)

    def _nights_ago(self, match: re.Match[str]) -> Interval:
        return self._hours(self._today() - timedelta(days=int(match[1])), *_NIGHT)

    def _tonight(self, match: re.Match[str]) -> Interval:
        return self._hours(self._today() - timedelta(days=1 if self._hour() < 8 else 0), *_NIGHT)

    def _hour(self) -> float:
        at = datetime.fromtimestamp(self.now, self.zone)
        return at.hour + at.minute / 60

    def _weekend(self, match: re.Match[str]) -> Interval:
        today = self._today()
        saturday = today - timedelta(days=(today.weekday() - 5) % 7)
        on_it = today.weekday() >= 5
        if match[1] == "last" and on_it:
            saturday -= timedelta(days=7)
        return self._whole(saturday, saturday + timedelta(days=2))

    def _shift(self, match: re.Match[str]) -> Interval:
        """Shifts change at 07:00, 15:00 and 23:00."""
        hour, today = self._hour(), self._today()
        starts = [(today - timedelta(days=d), h) for d in (0, 1) for h in reversed(_SHIFT_STARTS)]
        begun = [(d, h) for d, h in starts if d < today or h <= hour]
        day, first = begun[0 if match[1] in ("this", "my", "our", "current", "the current") else 1]
        return self._hours(day, first, first + 8)

    def _named_shift(self, match: re.Match[str]) -> Interval:
        """Read "the night shift": the latest of that name which has begun."""
        first = _NAMED_SHIFTS[match[1]]
        day = self._today() - timedelta(days=0 if first <= self._hour() else 1)
        return self._hours(day, first, first + 8)

    def _year(self, match: re.Match[str]) -> Interval:
        year = int(match[1])
        return self._whole(date_of(year, 1, 1, match[0]), date_of(year + 1, 1, 1, match[0]))

    def _calendar_unit(self, match: re.Match[str]) -> Interval:
        today, back = self._today(), match[1] == "last"
        if match[2] == "week":
            first = today - timedelta(days=today.weekday() + 7 * back)
            return self._whole(first, first + timedelta(days=7))
        if match[2] == "year":
            return self._whole(date(today.year - back, 1, 1), date(today.year - back + 1, 1, 1))
        first = (today.replace(day=1) - timedelta(days=1 * back)).replace(day=1)
        return self._whole(first, next_month(first))

    def _rolling(self, match: re.Match[str]) -> Interval:
        unit = "month" if match[2].startswith("mo") else match[2][0]
        return Interval(max(0.0, self.now - float(match[1] or 1) * _SECONDS[unit]), None)

    def _instant(self, match: re.Match[str]) -> Interval:
        moment = self._read(match[2])
        # "at 03:00" is that minute; "around 03:00" and "2 hours ago" are no more exact than people mean them.
        if ago := re.search(r"(second|minute|hour)s? ago", match[2]):
            slack = _SECONDS[ago[1][0]] / 2
        elif match[1] in ("around", "about", "near"):
            slack = _HOUR / 2
        else:
            # "At midnight" without a day is the last one, whatever day is named elsewhere.
            floating = moment.floating and match[2] != "midnight"
            return Interval(moment.start, moment.start + 60.0, floating)
        return Interval(moment.start - slack, moment.end + slack, moment.floating)

    def _one_day(self, match: re.Match[str]) -> Interval:
        moment = self._read(match[1])
        return Interval(moment.start, moment.end)

    def _in_month(self, match: re.Match[str]) -> Interval:
        today, number = self._today(), MONTHS.index(match[1][:3]) + 1
        year = int(match[2]) if match[2] else today.year - (number > today.month)
        first = date_of(year, number, 1, match[0])
        return self._whole(first, next_month(first))
