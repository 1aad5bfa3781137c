"""An adaptation: what a detector changed of what it holds for normal, and how that is taken back."""

from __future__ import annotations

import hashlib
from collections.abc import Collection
from dataclasses import dataclass

UNDOABLE = 20
"""Adaptations of one entity and detector that keep the state before them: each may hold megabytes, and who
would go back further trains again."""


@dataclass(frozen=True, slots=True)
class Adapted:
    """An adaptation as a step leaves it in the store.

    `id` is a deterministic function of what happened, so that seeing it again keeps it once. `model`: the
    version that the state belongs to. `time`: event time in seconds since the epoch. `what`: a short stable
    word. `text`: what was assumed. `before`: the entity's state before it, as bytes.
    """

    id: str
    detector: str
    entity: str
    model: str
    time: float
    what: str
    text: str
    before: bytes


@dataclass(frozen=True, slots=True)
class Adaptation:
    """An adaptation as it is kept and read.

    The first fields are those of `Adapted`. `undoable`: the state before it is still kept. `undo_asked` and
    `undone` are wall-clock times in seconds since the epoch, None if it was not. `undo_outcome` says what
    came of the request, empty while it waits.
    """

    id: str
    detector: str
    entity: str
    model: str
    time: float
    what: str
    text: str
    recorded: float
    undoable: bool
    undo_asked: float | None
    undo_by: str
    undo_reason: str
    undone: float | None
    undo_outcome: str


@dataclass(frozen=True, slots=True)
class AnsweredUndo:
    """What came of a request to undo an adaptation.

    `taken_back` names the adaptations that were undone: the one asked for and those after it; none if it
    could not be undone, and `outcome` says why.
    """

    id: str
    outcome: str
    taken_back: tuple[str, ...] = ()


def adaptation_id(detector: str, entity: str, time: float, what: str, members: Collection[str]) -> str:
    """Name an adaptation by what happened; `members` are the models whose state it changed."""
    cause = "\x1f".join([detector, entity, repr(time), what, *sorted(members)])
    # 64 bits, as the ids of reports.
    return hashlib.sha256(cause.encode()).hexdigest()[:16]
