"""What a condition is about, and how the conditions of a follow-up take the place of earlier ones."""

from __future__ import annotations

import re
from dataclasses import replace

from anomalyd.assistant.answers.context import Context
from anomalyd.assistant.language.times.interval import Interval
from anomalyd.assistant.understanding.question import Question
from anomalyd.assistant.understanding.reading import onset_within
from anomalyd.errors import QuestionError
from anomalyd.reports.conditions import (
    Acknowledged,
    AllOf,
    Among,
    AnyOf,
    Causes,
    Commented,
    Condition,
    During,
    Explained,
    Lumisections,
    Not,
    Recurring,
    Within,
)


def replaced(old: AllOf, new: tuple[Condition, ...]) -> AllOf:
    """Keep the old conditions but those that the new ones are about, too."""
    about = {subject_of(part) for part in new}
    return AllOf((*(part for part in old.parts if subject_of(part) not in about), *new))


def subject_of(condition: Condition) -> str:
    """Say what a condition is about: its column, its measure, time, cause."""
    match condition:
        case Among("id", _) | Among("entity", _):
            return "entity"
        case Among(column, _):
            return column
        case Within("onset" | "closed", _, _):
            return "time"
        case Within(measure, _, _):
            return measure
        case During() | Recurring():
            return "time"
        case Causes():
            return "cause"
        case Lumisections():
            return "lumisection"
        case Explained() | Acknowledged() | Commented():
            return type(condition).__name__
        case Not(part):
            return subject_of(part)
        case AllOf(parts) | AnyOf(parts):
            return subject_of(parts[0]) if parts else ""


def shifted(text: str, before: Question, context: Context) -> Question | None:
    """Read "and the day before?": the same, a day earlier."""
    match = re.fullmatch(
        r"(?:and |what about |how about |or )*(?:on |in |for )?the (day|week|night|hour|shift) "
        r"(before|after)(?: that)?|(?:and |what about )*the (previous|next|following) (day|week"
        r"|night)",
        text,
    )
    if match is None:
        return None
    unit, way = (
        (match[1], match[2]) if match[1] else (match[4], "before" if match[3] == "previous" else "after")
    )
    days = {"week": 7}.get(unit, 1) * (-1 if way == "before" else 1)
    place = next(
        (
            k
            for k, p in enumerate(before.where.parts)
            if subject_of(p) == "time" and isinstance(p, During | Within)
        ),
        None,
    )
    if place is None or unit in ("hour", "shift"):
        raise QuestionError("The question before named no day, so I don't know which one is meant; name it.")
    held = before.where.parts[place]
    if isinstance(held, During):
        since, until = held.since, held.until
    else:
        assert isinstance(held, Within)
        since, until = held.low, None if held.high == float("inf") else held.high
    moved = context.calendar.shifted(Interval(since, until), days)
    words = context.calendar.say_interval(moved)
    new: Condition = During(moved.since, moved.until, words)
    new = onset_within(new) if before.began else new
    parts = (*before.where.parts[:place], new, *before.where.parts[place + 1 :])
    return replace(before, where=AllOf(parts))
