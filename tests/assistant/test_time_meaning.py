"""Times in words: what they mean at a given moment, in a given zone."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from anomalyd.assistant.language.times.time_meaning import Calendar, Interval
from anomalyd.errors import QuestionError


def at(text: str) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()


MONDAY = at("2026-11-23T15:00")

EXPRESSIONS = (
    ("today", "2026-11-23", None),
    ("yesterday", "2026-11-22", "2026-11-23"),
    ("the day before yesterday", "2026-11-21", "2026-11-22"),
    ("last night", "2026-11-22T20:00", "2026-11-23T08:00"),
    ("this morning", "2026-11-23T06:00", "2026-11-23T12:00"),
    ("this afternoon", "2026-11-23T12:00", None),
    ("yesterday evening", "2026-11-22T18:00", "2026-11-23"),
    ("in the last hour", "2026-11-23T14:00", None),
    ("last hour", "2026-11-23T14:00", None),
    ("in the last 3 days", "2026-11-20T15:00", None),
    ("during the past two weeks", "2026-11-09T15:00", None),
    ("over the last 90 min", "2026-11-23T13:30", None),
    ("in the last 24h", "2026-11-22T15:00", None),
    ("last week", "2026-11-16", "2026-11-23"),
    ("in the last week", "2026-11-16T15:00", None),
    ("this week", "2026-11-23", None),
    ("last month", "2026-10-01", "2026-11-01"),
    ("this year", "2026-01-01", None),
    ("since 14:00", "2026-11-23T14:00", None),
    ("since 16:00", "2026-11-22T16:00", None),  # today's has not come: yesterday's
    ("since midnight", "2026-11-23", None),
    ("since yesterday", "2026-11-22", None),
    ("since Saturday", "2026-11-21", None),
    ("since monday", "2026-11-23", None),
    ("since last monday", "2026-11-16", None),
    ("since 2 hours ago", "2026-11-23T13:00", None),
    ("since 2026-11-21T19:06", "2026-11-21T19:06", None),
    ("after 21 November", "2026-11-22", None),
    ("before 14:00", None, "2026-11-23T14:00"),
    ("until 21 November", None, "2026-11-22"),
    ("before 21 November", None, "2026-11-21"),
    ("between 02:00 and 04:00", "2026-11-23T02:00", "2026-11-23T04:00"),
    ("between 22:00 and 02:00", "2026-11-22T22:00", "2026-11-23T02:00"),
    ("between 16:00 and 17:00", "2026-11-22T16:00", "2026-11-22T17:00"),
    ("between 2 am and 4 pm yesterday", "2026-11-22T02:00", "2026-11-22T16:00"),
    ("yesterday between 02:00 and 04:00", "2026-11-22T02:00", "2026-11-22T04:00"),
    ("yesterday, on storage, between 23:00 and 01:00", "2026-11-22T23:00", "2026-11-23T01:00"),
    ("from 21 November to 22 November", "2026-11-21", "2026-11-23"),
    ("between 21 November at 22:00 and 02:00", "2026-11-21T22:00", "2026-11-22T02:00"),
    ("02:00-04:00", "2026-11-23T02:00", "2026-11-23T04:00"),
    ("on 21 November", "2026-11-21", "2026-11-22"),
    ("on November 21st", "2026-11-21", "2026-11-22"),
    ("on 24 November", "2025-11-24", "2025-11-25"),  # this year's has not come
    ("on 29 February", "2024-02-29", "2024-03-01"),
    ("on 2026-11-21", "2026-11-21", "2026-11-22"),
    ("on Sunday", "2026-11-22", "2026-11-23"),
    ("3 days ago", "2026-11-20", "2026-11-21"),
    ("2 hours ago", "2026-11-23T12:30", "2026-11-23T13:30"),
    ("yesterday between 22:00 and 02:00", "2026-11-22T22:00", "2026-11-23T02:00"),
    ("between 10 pm yesterday and 2 am", "2026-11-22T22:00", "2026-11-23T02:00"),
    ("between midnight and 6 this morning", "2026-11-23", "2026-11-23T06:00"),
    ("since midnight until 6 this morning", "2026-11-23", "2026-11-23T06:00"),
    ("in the last hour and a half", "2026-11-23T13:30", None),
    ("the night before last", "2026-11-21T20:00", "2026-11-22T08:00"),
    ("saturday night", "2026-11-21T20:00", "2026-11-22T08:00"),
    ("since yesterday evening", "2026-11-22T18:00", None),
    ("monday to wednesday", "2026-11-16", "2026-11-19"),
    ("on the 21st", "2026-11-21", "2026-11-22"),
    ("last shift", "2026-11-23T07:00", "2026-11-23T15:00"),
    ("friday between 8 and 10 am", "2026-11-20T08:00", "2026-11-20T10:00"),
    ("around noon", "2026-11-23T11:30", "2026-11-23T12:30"),
    ("at 03:00", "2026-11-23T03:00", "2026-11-23T03:01"),
    ("on 21 November at 19:06", "2026-11-21T19:06", "2026-11-21T19:07"),
    ("in October", "2026-10-01", "2026-11-01"),
    ("in December", "2025-12-01", "2026-01-01"),
)


@pytest.mark.parametrize(("words", "since", "until"), EXPRESSIONS, ids=[e[0] for e in EXPRESSIONS])
def test_expression(words: str, since: str | None, until: str | None) -> None:
    calendar = Calendar(MONDAY)
    found, rest = calendar.find(f"how many incidents {words.lower()}")
    (place,) = re.findall(r"TIME([0-9]+)", rest)
    together = found[int(place)]
    assert together.since == (at(since) if since else None)
    assert together.until == (at(until) if until else None)


@pytest.mark.parametrize("words", [e[0] for e in EXPRESSIONS if "storage" not in e[0]])
def test_nothing_of_an_expression_is_left_over(words: str) -> None:
    _, rest = Calendar(MONDAY).find(f"how many incidents {words.lower()}")
    assert re.sub(r"TIME[0-9]+|,", " ", rest).split() == ["how", "many", "incidents"]


@pytest.mark.parametrize(
    ("now", "words", "since", "until"),
    [
        ("2026-11-23T00:00", "today", "2026-11-23", None),
        ("2026-11-23T00:00", "yesterday", "2026-11-22", "2026-11-23"),
        ("2026-11-23T00:00", "since midnight", "2026-11-23", None),
        ("2026-11-23T00:00:01", "since 23:59", "2026-11-22T23:59", None),
        ("2026-11-23T03:00", "last night", "2026-11-22T20:00", None),
        ("2026-11-23T03:00", "tonight", "2026-11-22T20:00", None),
        ("2026-11-23T03:00", "between 22:00 and 02:00", "2026-11-22T22:00", "2026-11-23T02:00"),
        ("2026-11-23T01:00", "between 22:00 and 02:00", "2026-11-22T22:00", None),
        ("2027-01-01T00:30", "on 31 december", "2026-12-31", "2027-01-01"),
        ("2027-01-01T00:30", "last month", "2026-12-01", "2027-01-01"),
    ],
)
def test_around_midnight(now: str, words: str, since: str, until: str | None) -> None:
    (found,), _ = Calendar(at(now)).find(words)
    assert (found.since, found.until) == (at(since), at(until) if until else None)


def test_days_are_those_of_the_zone() -> None:
    paris = Calendar(at("2026-11-23T23:30"), timezone(timedelta(hours=1)))
    (today,), _ = paris.find("today")
    assert today.since == at("2026-11-23T23:00")
    (clock,), _ = paris.find("since 00:10")
    assert clock.since == at("2026-11-23T23:10")
    (utc,), _ = paris.find("since 23:10 utc yesterday")
    assert utc.since == at("2026-11-23T23:10")
    assert paris.say(at("2026-11-23T23:10")) == "24 Nov 00:10 UTC+01:00"


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ("on 31 february", "no “31 february”"),
        ("on 2026-13-40", "no “2026-13-40”"),
        ("at 25:00", "no time"),
        ("since 13 pm", "no time"),
        ("on 1 may 1066", "1970"),
        ("since 2027-01-01", "in the future"),
        ("tomorrow", "in the future"),
        ("between 22 november and 20 november", "ends before it begins"),
    ],
)
def test_impossible_times_are_refused(words: str, says: str) -> None:
    with pytest.raises(QuestionError, match=says):
        Calendar(MONDAY).find(words)


def test_days_that_disagree_are_no_interval() -> None:
    calendar = Calendar(MONDAY)
    found, _ = calendar.find("more today than yesterday")
    assert len(found) == 2
    assert calendar.combine(found) is None


def test_words_that_are_no_times_are_left_alone() -> None:
    text = "why did node17 and host/mon3 march to 14 incidents with score above 3.5 in run 321909"
    assert Calendar(MONDAY).find(text) == ([], text)


def test_times_are_said_with_their_year_only_where_it_is_another() -> None:
    calendar = Calendar(MONDAY)
    assert calendar.say(at("2026-11-21T19:06:05")) == "21 Nov 19:06:05 UTC"
    assert calendar.say(at("2025-11-21T19:06")) == "21 Nov 2025 19:06 UTC"
    assert calendar.say_interval(Interval(at("2026-11-23"), None)) == "23 Nov 00:00 UTC to now"


PIECES = """
    since between and from to last past the 3 99 999999 0 hours days week at on 14:00 24:00 24:30 2pm 0am noon
    midnight 31 february 2026-02-30 9999-12-31 0000-01-01 21 november 1970 2999 ago yesterday today this
    morning monday before until around night month year utc
"""
_pieces = st.sampled_from(PIECES.split())


@settings(deadline=None)
@given(st.lists(_pieces, max_size=8).map(" ".join) | st.text(max_size=40), st.floats(0, 3e10))
def test_any_words_at_any_time_give_intervals_or_a_question_error(words: str, now: float) -> None:
    calendar = Calendar(now)
    try:
        found, _ = calendar.find(words.lower())
    except QuestionError:
        return
    for interval in found:
        calendar.say_interval(interval)
        if interval.since is not None:
            assert interval.since <= now
        if interval.since is not None and interval.until is not None:
            assert interval.since < interval.until <= now
    calendar.combine(found)
