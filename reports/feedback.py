"""An operator's word: what a person said of an entity, and what came of it."""

from __future__ import annotations

from dataclasses import dataclass

from anomalyd.verdict import Verdict


@dataclass(frozen=True, slots=True)
class OperatorFeedback:
    """What somebody said of an entity, for one detector.

    It holds for event times `since` to `until`, in seconds since the epoch; until it is `applied`, `since`
    None leaves the beginning to the daemon and `until` is None. `recorded` and `applied` are wall-clock
    times. `outcome` says what came of it, empty while it waits.
    """

    id: int
    detector: str
    entity: str
    word: Verdict
    who: str
    reason: str
    since: float | None
    until: float | None
    recorded: float
    applied: float | None
    outcome: str


@dataclass(frozen=True, slots=True)
class AppliedFeedback:
    """That a word was applied: for which event times (None: nothing was scored yet), and what came of it."""

    id: int
    since: float | None
    until: float | None
    outcome: str
