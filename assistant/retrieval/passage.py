"""What is searched, and what is found."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class SourceKind(StrEnum):
    """Where a passage comes from."""

    REPORT = "report"
    WORD = "word"
    """What an operator said of an entity: normal or broken, and why."""
    COMMENT = "comment"
    ADAPTATION = "adaptation"
    MAINTENANCE = "maintenance"
    FLAG = "flag"
    """Quality flags of lumisections of a run that a person set."""
    FEEDBACK = "feedback"
    """What users said of answers."""
    MODEL = "model"
    """A model card."""
    DOCUMENT = "document"
    """The documentation, or the user's own."""


@dataclass(frozen=True, slots=True)
class Passage:
    """A text that may answer a question, short enough to be read at once.

    `id` names it within its kind: a report's id, "runbook.md#disks". `title` is a name for people. `since`
    and `until` are event times in seconds since the epoch: a text of since <= t < until; `until` None goes
    on, `since` None holds at any time. `entity` None: it is about no entity of its own. `gist` says the same
    in fewer words, for the encoder; empty: title and text.
    """

    kind: SourceKind
    id: str
    title: str
    text: str
    entity: str | None = None
    since: float | None = None
    until: float | None = None
    gist: str = ""


@dataclass(frozen=True, slots=True)
class Filters:
    """Which passages are searched: those that fulfil every condition given; an empty one is no condition.

    `entities` are exact names; a passage about no entity passes. `since` and `until` take what holds at any
    moment of since <= t < until.
    """

    kinds: tuple[SourceKind, ...] = ()
    entities: tuple[str, ...] = ()
    since: float | None = None
    until: float | None = None
    ids: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Hit:
    """A passage that was found.

    `score` orders the hits of one question. `cosine` (-1 to 1) can be compared between questions; `lexical`
    is BM25 as a share of the best one's (0 to 1).
    """

    passage: Passage
    score: float
    cosine: float
    lexical: float
