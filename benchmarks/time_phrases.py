"""Times in words, read by the assistant's calendar, timefhuman and dateparser: how many each gets right.

    pip install timefhuman dateparser; python benchmarks/time_phrases.py [--failures]

It is Wednesday, 25 November 2026, 15:00. What each phrase means was written by hand: from when to when, as
day and hour ("25T06" is 06:00 on the 25th; "-" is open: any time before, or up to now). A library that gives
one moment is right where that is the beginning of what is meant, be it an instant or a whole day.
"""

from __future__ import annotations

import re
import sys
from datetime import UTC, datetime, timedelta
from typing import Any

from anomalyd.assistant.language.spelling import plain
from anomalyd.assistant.language.times.time_meaning import Calendar
from anomalyd.errors import QuestionError

NOW = datetime(2026, 11, 25, 15, tzinfo=UTC)
PHRASES = """
today | 25 | -
yesterday | 24 | 25
the day before yesterday | 23 | 24
two days ago | 23 | 24
3 days ago | 22 | 23
on monday | 23 | 24
monday | 23 | 24
last monday | 23 | 24
this monday | 23 | 24
tuesday | 24 | 25
on tue | 24 | 25
sunday | 22 | 23
saturday night | 21T20 | 22T08
last friday | 20 | 21
fri | 20 | 21
thursday | 19 | 20
last night | 24T20 | 25T08
overnight | 24T20 | 25T08
during the night | 24T20 | 25T08
the night before last | 23T20 | 24T08
two nights ago | 23T20 | 24T08
this morning | 25T06 | 25T12
early this morning | 25T00 | 25T06
yesterday morning | 24T06 | 24T12
yesterday afternoon | 24T12 | 24T18
yesterday evening | 24T18 | 25T00
monday morning | 23T06 | 23T12
sunday evening | 22T18 | 23T00
this afternoon | 25T12 | -
the last hour | 25T14 | -
in the past hour | 25T14 | -
the last 2 hours | 25T13 | -
last two hours | 25T13 | -
past 3 hours | 25T12 | -
in the last 30 minutes | 25T14:30 | -
the last half hour | 25T14:30 | -
the last hour and a half | 25T13:30 | -
within the last 24 hours | 24T15 | -
last 24h | 24T15 | -
the last 48 hours | 23T15 | -
the last day | 24T15 | -
the last 3 days | 22T15 | -
the past week | 18T15 | -
in the last 7 days | 18T15 | -
the last couple of hours | 25T13 | -
the past few hours | 25T12 | -
last 90 minutes | 25T13:30 | -
last 5 min | 25T14:55 | -
since yesterday | 24 | -
since monday | 23 | -
since midnight | 25 | -
since noon | 25T12 | -
since 14:00 | 25T14 | -
since 9 am | 25T09 | -
since 9am yesterday | 24T09 | -
since yesterday 18:00 | 24T18 | -
since sunday | 22 | -
since 20 November | 20 | -
since this morning | 25T06 | -
since last night | 24T20 | -
since 3 days ago | 22 | -
after 14:00 | 25T14 | -
after yesterday noon | 24T12 | -
before yesterday | - | 24
before 8 am | - | 25T08
before noon yesterday | - | 24T12
until 6 this morning | - | 25T06
up to noon | - | 25T12
between 2 and 4 am | 25T02 | 25T04
between 02:00 and 04:00 | 25T02 | 25T04
from 2 to 4 pm yesterday | 24T14 | 24T16
yesterday between 14:00 and 16:00 | 24T14 | 24T16
yesterday between 22:00 and 02:00 | 24T22 | 25T02
yesterday from 22:00 to 02:00 | 24T22 | 25T02
between midnight and 6 this morning | 25 | 25T06
between 10 pm yesterday and 2 am | 24T22 | 25T02
between 23:30 yesterday and 00:30 today | 24T23:30 | 25T00:30
from 22:00 to 02:00 | 24T22 | 25T02
23:00 to 01:00 last night | 24T23 | 25T01
from 11 last night to 1 | 24T23 | 25T01
between noon and 2 pm | 25T12 | 25T14
between midnight and three | 25 | 25T03
from midnight to noon | 25 | 25T12
monday to wednesday | 23 | -
from monday to tuesday | 23 | 25
between monday and tuesday | 23 | 25
from saturday to sunday | 21 | 23
between 20 and 22 November | 20 | 23
from 20 November to 22 November | 20 | 23
2026-11-20 to 2026-11-22 | 20 | 23
on 20 November | 20 | 21
on November 20 | 20 | 21
Nov 20 | 20 | 21
20 Nov 2026 | 20 | 21
2026-11-20 | 20 | 21
on the 20th | 20 | 21
20.11.2026 | 20 | 21
the 20th of November | 20 | 21
on the 3rd | 3 | 4
at 14:00 | 25T14 | 25T14:01
at 3 am | 25T03 | 25T03:01
yesterday at 14:30 | 24T14:30 | 24T14:31
at noon yesterday | 24T12 | 24T12:01
2026-11-20 14:00 | 20T14 | 20T14:01
2026-11-20T14:00 | 20T14 | 20T14:01
around 3 am | 25T02:30 | 25T03:30
around noon | 25T11:30 | 25T12:30
around midnight | 24T23:30 | 25T00:30
2 hours ago | 25T12:30 | 25T13:30
an hour ago | 25T13:30 | 25T14:30
30 minutes ago | 25T14:29:30 | 25T14:30:30
last week | 16 | 23
this week | 23 | -
last month | O1 | 1
this month | 1 | -
last weekend | 21 | 23
this weekend | 21 | 23
in October | O1 | 1
in october 2026 | O1 | 1
in november | 1 | -
in 2026 | Y | -
this year | Y | -
the last shift | 25T07 | 25T15
the previous shift | 25T07 | 25T15
this shift | 25T15 | -
the night shift | 24T23 | 25T07
half past eleven last night | 24T23:30 | 24T23:31
at half past two | 25T02:30 | 25T02:31
quarter to 3 this morning | 25T02:45 | 25T02:46
at 6 in the morning | 25T06 | 25T06:01
at 10 last night | 24T22 | 24T22:01
at 2 last night | 25T02 | 25T02:01
the first 3 hours of today | 25 | 25T03
the last hour of yesterday | 24T23 | 25
the first hour of yesterday | 24 | 24T01
the morning of 20 November | 20T06 | 20T12
the night of 20 November | 20T20 | 21T08
20 November in the evening | 20T18 | 21
today before noon | 25 | 25T12
today after 10 | 25T10 | -
yesterday after 20:00 | 24T20 | 25
yesterday until noon | 24 | 24T12
from yesterday 20:00 to today 08:00 | 24T20 | 25T08
a fortnight ago | 11 | 12
a week ago | 18 | 19
two weeks ago | 11 | 12
last tuesday night | 24T20 | 25T08
in the small hours | 25 | 25T06
at midnight | 25 | 25T00:01
today so far | 25 | -
from 08:00 on | 25T08 | -
from yesterday 18:00 on | 24T18 | -
until midnight | - | 25
"""


def _at(written: str) -> datetime | None:
    if written == "-":
        return None
    if written == "Y":
        return datetime(2026, 1, 1, tzinfo=UTC)
    day, _, clock = written.partition("T")
    month, number = (10, int(day[1:])) if day.startswith("O") else (11, int(day))
    hour, minute, second = ([*map(int, filter(None, clock.split(":"))), 0, 0, 0])[:3]
    return datetime(2026, month, number, hour, minute, second, tzinfo=UTC)


def _calendar(phrase: str) -> tuple[datetime | None, datetime | None] | None:
    try:
        found, text = Calendar(NOW.timestamp()).find(plain(phrase))
    except QuestionError:
        return None
    places = re.findall(r"\bTIME([0-9]+)", text)
    if len(places) != 1:
        return None
    ends = (found[int(places[0])].since, found[int(places[0])].until)
    since, until = (None if at is None else datetime.fromtimestamp(at, UTC) for at in ends)
    return since, until


def _timefhuman(phrase: str) -> tuple[datetime | None, datetime | None] | None:
    from timefhuman import tfhConfig, timefhuman

    config = tfhConfig(now=NOW.replace(tzinfo=None))
    return _interval(timefhuman(phrase, config=config))


def _dateparser(phrase: str) -> tuple[datetime | None, datetime | None] | None:
    from dateparser.search import search_dates

    settings: Any = {"RELATIVE_BASE": NOW.replace(tzinfo=None), "PREFER_DATES_FROM": "past"}
    found = search_dates(phrase, languages=["en"], settings=settings) or []
    moments = [moment for _, moment in found]
    return _interval(tuple(moments) if len(moments) == 2 else moments)


def _interval(found: Any) -> tuple[datetime | None, datetime | None] | None:
    """Take what a library gives for an interval: two moments, or one with its length left open."""
    while isinstance(found, list) and len(found) == 1:
        found = found[0]
    if isinstance(found, timedelta):
        found = NOW - found
    if isinstance(found, tuple) and len(found) == 2:
        first, last = (_moment(each) for each in found)
        return (first, last) if first and last else None
    moment = _moment(found)
    whole_day = moment is not None and not isinstance(found, datetime)
    return None if moment is None else (moment, moment + timedelta(days=1) if whole_day else None)


def _moment(found: Any) -> datetime | None:
    if not isinstance(found, datetime):
        if not hasattr(found, "year"):
            return None
        found = datetime(found.year, found.month, found.day)
    return found.replace(tzinfo=UTC)


def _right(
    got: tuple[datetime | None, datetime | None] | None, since: datetime | None, until: datetime | None
) -> bool:
    if got is None:
        return False
    if got[0] == since and got[1] == until:
        return True
    moment = (
        since is not None and until is not None and until - since in (timedelta(minutes=1), timedelta(days=1))
    )
    middle = since is not None and until is not None and until - since == timedelta(hours=1)
    lone = got[1] is None and got[0] is not None
    return lone and ((moment and got[0] == since) or (middle and got[0] == since + timedelta(minutes=30)))  # type: ignore[operator]


def main() -> None:
    """Print how many of the phrases each reads rightly."""
    rows = [[part.strip() for part in line.split("|")] for line in PHRASES.strip().splitlines()]
    for name, read in (("calendar", _calendar), ("timefhuman", _timefhuman), ("dateparser", _dateparser)):
        right, failed = 0, []
        for phrase, since, until in rows:
            try:
                got = read(phrase)
            except ImportError:
                print(f"{name}: not installed")
                break
            except Exception as error:  # a library that stumbles has not read it
                got, failed = None, [*failed, f"{phrase}: {type(error).__name__}"]
            if _right(got, _at(since), _at(until)):
                right += 1
            else:
                failed.append(f"{phrase}: {got}")
        else:
            print(f"{name}: {right} of {len(rows)}")
            if "--failures" in sys.argv:
                print(*(f"  {each}" for each in failed), sep="\n")


if __name__ == "__main__":
    main()
