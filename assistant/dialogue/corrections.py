"""What may be changed of a question as it was understood: for each chip, other readings of it.

A person who is misunderstood corrects the part that is wrong, and need not say everything again.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from anomalyd.assistant.understanding.interpretation import chips
from anomalyd.assistant.understanding.question import Ask, Question, Target
from anomalyd.assistant.understanding.reading import onset_within
from anomalyd.reports.conditions import AllOf, Among, Condition, During, Not, Within
from anomalyd.reports.report import SeenBy, Severity, Status

_SEEN = {
    SeenBy.BOTH: "seen by both detectors",
    SeenBy.AUTOENCODER: "seen only by the autoencoder",
    SeenBy.CLASSICAL: "seen only by the classical detector",
}
_REPORTS = frozenset({Ask.COUNT, Ask.LIST, Ask.GROUPS})


@dataclass(frozen=True, slots=True)
class Correction:
    """Another reading of one chip: in words for a button, and the whole question with it."""

    words: str
    question: Question


@dataclass(frozen=True, slots=True)
class Chip:
    """A part of a question as it was understood, and what it could be instead."""

    words: str
    corrections: tuple[Correction, ...] = ()


def correctable(question: Question) -> tuple[Chip, ...]:
    """Give the chips of a question, each with other readings of it; the first is what is asked."""
    said = chips(question)
    parts = question.where.parts
    asked = Chip(said[0], tuple(Correction(chips(other)[0], other) for other in _asks(question)))
    if question.sides or question.whole is not None:
        return (asked, *(Chip(words) for words in said[1:]))  # its conditions belong to the sides
    return (asked, *(Chip(words, tuple(_parts(question, parts, k))) for k, words in enumerate(said[1:])))


def _asks(question: Question) -> Iterator[Question]:
    """Give other things that may be asked under the same conditions."""
    if question.ask not in _REPORTS or question.each or question.none is not None:
        return
    plain = replace(question, limit=None, nth=None, ranked=False, order=None, by=None)
    for other in (
        replace(plain, ask=Ask.COUNT, target=Target.INCIDENTS),
        replace(plain, ask=Ask.LIST, target=Target.INCIDENTS),
        replace(plain, ask=Ask.LIST, target=Target.ENTITIES),
        replace(plain, ask=Ask.GROUPS, target=Target.INCIDENTS, by="severity"),
    ):
        if chips(other)[0] != chips(question)[0]:
            yield other


def _parts(question: Question, parts: tuple[Condition, ...], k: int) -> Iterator[Correction]:
    """Give the question with another condition in one place, and without it."""
    for condition in (*_others(parts[k]), None):
        kept = tuple(c for c in (*parts[:k], condition, *parts[k + 1 :]) if c is not None)
        changed = replace(question, where=AllOf(kept))
        yield Correction("leave it out" if condition is None else chips(changed)[k + 1], changed)


def _others(condition: Condition) -> Iterator[Condition]:
    match condition:
        case Not(part):
            yield part
        case Among("severity", values):
            every = list(Severity)
            for at, severity in enumerate(every):
                if (severity,) != values:
                    yield Among("severity", (severity,), f"severity {severity}")
                worse = tuple(every[at:])
                if 1 < len(worse) < len(every) and worse != values:
                    yield Among("severity", worse, f"severity {' or '.join(worse)}")
            yield Not(condition)
        case Among("status", values):
            other = Status.CLOSED if values == (Status.OPEN,) else Status.OPEN
            yield Among("status", (other,), str(other))
        case Among("seen_by", values):
            for seen, words in _SEEN.items():
                if (seen,) != values:
                    yield Among("seen_by", (seen,), words)
        case Among("entity", _):
            yield Not(condition)
        case During():
            yield onset_within(condition)
        case Within("onset", low, high):
            since, until = (None if abs(at) == float("inf") else at for at in (low, high))
            yield During(since, until, condition.words.removeprefix("began "))
        case _:
            return
