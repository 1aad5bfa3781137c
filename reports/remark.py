"""What people write on reports, and what they say of the assistant's answers."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class RemarkKind(StrEnum):
    """What a remark is."""

    ACKNOWLEDGED = "acknowledged"
    """Somebody knows of it and cares for it."""
    COMMENT = "comment"
    REAL = "real"
    """It was a fault."""
    FALSE_ALARM = "false alarm"
    """There was nothing."""
    EXPECTED = "expected"
    """It was no fault: somebody worked there, a test ran."""


class AnswerVerdict(StrEnum):
    """What a user says of an answer."""

    RIGHT = "right"
    WRONG = "wrong"
    MISSING = "missing"
    """Something that is known was not told."""


@dataclass(frozen=True, slots=True)
class Remark:
    """A remark on a report; `recorded` is wall-clock time in seconds since the epoch."""

    report: str
    kind: RemarkKind
    who: str
    text: str
    recorded: float = 0.0
    id: int = 0


@dataclass(frozen=True, slots=True)
class AnswerFeedback:
    """What somebody said of an answer, with the question and how it was understood."""

    verdict: AnswerVerdict
    question: str
    understood: str
    answer: str
    who: str
    note: str = ""
    recorded: float = 0.0
    id: int = 0
