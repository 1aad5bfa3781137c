"""What was found: an incident, its evidence, its explanation, and the report that holds them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray

from anomalyd.total import Total


def _nothing() -> NDArray[np.float32]:
    return np.zeros(0, dtype=np.float32)


class Severity(StrEnum):
    """How bad an incident is, by the detector's alert policy; the members are in rising order."""

    WARNING = "warning"
    ERROR = "error"
    CRITICAL = "critical"


class SeenBy(StrEnum):
    """Which of the two detectors that run side by side saw it."""

    BOTH = "both"
    AUTOENCODER = "autoencoder"
    CLASSICAL = "classical"


class Status(StrEnum):
    """Whether an incident still goes on."""

    OPEN = "open"
    CLOSED = "closed"


@dataclass(frozen=True, slots=True)
class Incident:
    """Consecutive anomalous samples of one entity, as one detector pair sees them.

    Times are event times in seconds since the epoch. `id` is a deterministic function of detector, entity and
    onset. `last` is the last anomalous sample; `closed` the sample that closed it. `autoencoder` and
    `classical` are each one's highest calibrated score (above 1 is an alert), `peak` the higher of the two at
    `peak_time`. `causes`: the metrics or regions most to blame at the peak, worst first.
    """

    id: str
    detector: str
    entity: str
    sample_kind: str
    severity: Severity
    status: Status
    onset: float
    last: float
    closed: float | None
    samples: int
    peak: float
    peak_time: float
    autoencoder: float
    classical: float
    seen_by: SeenBy
    causes: tuple[str, ...]
    model: str
    run: int | None = None
    first_lumisection: int | None = None
    last_lumisection: int | None = None
    source: str = ""
    """`topic/partition/offset` of the record that began it."""


class Direction(StrEnum):
    """What a metric or a region does that it should not."""

    ABOVE = "above"
    BELOW = "below"
    SWINGS = "swings"
    STUCK = "stuck"
    MISSING = "missing"


LEADING_CAUSES = 3
"""Causes that are named in a report's text: more are not read at 3 a.m.; the attribution has them all."""

_TOLD_APART = 2
"""Rows from which of two change points one was clearly the first."""


@dataclass(frozen=True, slots=True)
class Cause:
    """One metric that is to blame, in numbers.

    `group`: the part of the host it belongs to; `started`: event time at which it began to depart; `expected`
    before that, `seen` at the explained sample, both in the metric's unit; `sigmas`: seen less expected in
    usual widths; `share` of the blame of all metrics, in [0, 1].
    """

    name: str
    group: str
    direction: Direction
    started: float
    expected: float
    seen: float
    sigmas: float
    share: float


@dataclass(frozen=True, slots=True)
class Evidence:
    """The sample of an incident that is explained, as it was scored: enough to explain and draw it again.

    `...` is (F,) or (R, C). NaN: missing metric, masked cell, or behind the end of a ragged row.

    `detector` ("autoencoder" or "classical") is the one of the pair whose `score` it is, `model` the version.
    `expectation` is what was expected before the incident's `onset`: it was frozen then and stays; `width` is
    the usual scatter, `error` the sample's departure in such widths. (For maps all three are the detector's.)
    `contribution` is what the detector holds against each metric or cell; `causes` ranks the metrics; `total`
    is of a map whose counts as a whole raised the score.

    `state` is what the pair remembered before the rows of `lead` (l, ...) at `lead_times` (l,), which came
    just before the sample: scored after them, it scores the same again. `history` (h, F) at `history_times`
    (h,) is the course from well before the onset, the sample and what came after it included; older rows are
    thinned out (empty for maps).
    """

    time: float
    features: tuple[str, ...]
    values: NDArray[np.float32]
    expectation: NDArray[np.float32]
    error: NDArray[np.float32]
    contribution: NDArray[np.float32]
    history_times: NDArray[np.float64]
    history: NDArray[np.float32]
    state: Mapping[str, NDArray[Any]] = field(default_factory=dict)
    onset: float = math.nan
    detector: str = "autoencoder"
    model: str = ""
    score: float = math.nan
    width: NDArray[np.float32] = field(default_factory=_nothing)
    lead_times: NDArray[np.float64] = field(default_factory=lambda: np.zeros(0))
    lead: NDArray[np.float32] = field(default_factory=_nothing)
    causes: tuple[Cause, ...] = ()
    total: Total | None = None

    @property
    def until(self) -> float:
        """The event time up to which its course is known."""
        return max(self.time, float(self.history_times[-1])) if len(self.history_times) else self.time

    @property
    def first_mover(self) -> Cause | None:
        """The leading cause that departed two rows or more before all others; None: nobody can tell."""
        named = sorted(self.causes[:LEADING_CAUSES], key=lambda cause: cause.started)
        if len(named) < 2 or math.isnan(named[0].started + named[1].started):
            return None
        first, second = named[0].started, named[1].started
        between = (self.history_times >= first) & (self.history_times < second)
        return named[0] if np.count_nonzero(between) >= _TOLD_APART else None


@dataclass(frozen=True, slots=True)
class Explanation:
    """Why: one method's attribution (shape of the evidence's values) of the sample at `evidence_time`."""

    method: str
    evidence_time: float
    values: NDArray[np.float32]
    seconds: float
    complete: bool


@dataclass(frozen=True, slots=True)
class Provenance:
    """What a report was made with, beside its model (whose version ends with a hash of its content).

    `code`: the version of anomalyd; `configuration`: a hash of the settings that what is found depends on;
    `until`: `topic/partition/offset` of the last record that it speaks of, as `Incident.source` is of the
    first. Empty: not known, for it was made before this was kept.
    """

    code: str = ""
    configuration: str = ""
    until: str = ""


@dataclass(frozen=True, slots=True)
class Report:
    """One incident as it is kept and read: without the arrays, which are fetched when somebody looks.

    `narrative` says it in plain sentences. `explained_by` names the methods whose explanation is stored;
    `explain_error` says why there is none. `revision` counts the changes since it was opened. `adaptations`
    names what its detector adapted to while it went on: assumptions that an operator may undo.
    """

    incident: Incident
    narrative: str
    revision: int
    explained_by: tuple[str, ...]
    explain_error: str
    recorded: float
    """Wall-clock time of the first record, seconds since the epoch."""
    adaptations: tuple[str, ...] = ()
    provenance: Provenance = Provenance()
