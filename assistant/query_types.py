"""What can be asked of the reports: one frozen class for each kind of question."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from anomalyd.reports.queries import Group, Order, Selection


class Aspect(StrEnum):
    """What is asked about one incident."""

    SUMMARY = "what it was"
    WHY = "why it was flagged"
    START = "when it started"
    END = "when it ended"
    DURATION = "how long it lasted"
    SCORE = "its score"
    SEEN_BY = "who saw it"
    MODEL = "the model that saw it"
    LUMISECTION = "its lumisections"


@dataclass(frozen=True, slots=True)
class HowMany:
    """How many incidents. `new`: only those that began within the interval."""

    selection: Selection
    new: bool = False


@dataclass(frozen=True, slots=True)
class HowManyEntities:
    """How many different entities had incidents."""

    selection: Selection


@dataclass(frozen=True, slots=True)
class PerGroup:
    """How many incidents per day, entity, severity ...; `ranked`: the fullest days first."""

    selection: Selection
    by: Group
    limit: int = 24
    ranked: bool = False


@dataclass(frozen=True, slots=True)
class Compare:
    """How many incidents in each of several selections; `words` says what sets them apart."""

    selections: tuple[Selection, ...]
    words: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Which:
    """Which incidents. `new`: only those that began within the interval."""

    selection: Selection
    order: Order = Order.LATEST
    limit: int = 5
    new: bool = False


@dataclass(frozen=True, slots=True)
class WhichEntities:
    """Which entities had (at least so many) incidents, most first."""

    selection: Selection
    limit: int = 10
    at_least: int = 1


@dataclass(frozen=True, slots=True)
class WithoutIncident:
    """Which of the `entities` (all if empty) sent data but had no incident."""

    selection: Selection


@dataclass(frozen=True, slots=True)
class WhichRuns:
    """Which runs had incidents."""

    selection: Selection


@dataclass(frozen=True, slots=True)
class MeanDuration:
    """How long incidents lasted on average, among those that are over."""

    selection: Selection


@dataclass(frozen=True, slots=True)
class AboutOne:
    """One aspect of one incident: the first of the selection in this order."""

    selection: Selection
    aspect: Aspect
    order: Order = Order.LATEST


@dataclass(frozen=True, slots=True)
class IsFine:
    """Whether all is well: no open incident, and data arriving. With an interval: whether it was."""

    selection: Selection


@dataclass(frozen=True, slots=True)
class StillGoingOn:
    """Whether something still goes on."""

    selection: Selection


@dataclass(frozen=True, slots=True)
class LatestData:
    """When data last came, from whom."""

    selection: Selection


@dataclass(frozen=True, slots=True)
class Known:
    """What is watched: the entities, and the detectors that watch them."""

    selection: Selection = field(default_factory=Selection)


@dataclass(frozen=True, slots=True)
class WhyNot:
    """Why something was not flagged: nothing is kept of samples that opened no incident."""

    selection: Selection


@dataclass(frozen=True, slots=True)
class Command:
    """Something to do rather than to answer: it is declined."""

    verb: str
    selection: Selection = field(default_factory=Selection)


@dataclass(frozen=True, slots=True)
class Help:
    """What can be asked."""

    selection: Selection = field(default_factory=Selection)


Ask = (
    HowMany
    | HowManyEntities
    | PerGroup
    | Compare
    | Which
    | WhichEntities
    | WithoutIncident
    | WhichRuns
    | MeanDuration
    | AboutOne
    | IsFine
    | StillGoingOn
    | LatestData
    | Known
    | WhyNot
    | Command
    | Help
)
