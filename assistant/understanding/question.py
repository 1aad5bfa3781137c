"""The typed question: what is asked, of what, under which conditions."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from anomalyd.reports.conditions import AllOf, Condition, Within
from anomalyd.reports.queries import Order


class Ask(StrEnum):
    """What is asked."""

    COUNT = "number"
    LIST = "list"
    GROUPS = "number per group"
    AGGREGATE = "statistic"
    SHARE = "share"
    COMPARE = "comparison"
    CASE = "one incident"
    EXISTS = "whether there are any"
    FINE = "health"
    ONGOING = "whether it goes on"
    DATA = "data received"
    KNOWN = "what is watched"
    QUIET = "who had none"
    WHY_NOT = "why not flagged"
    FLAGS = "quality flags"
    MAINTENANCE = "maintenance"
    FEEDBACK = "what operators said"
    ADAPTATIONS = "what detectors adapted to"
    REMARKS = "what people wrote on incidents"
    HELP = "what can be asked"


class Target(StrEnum):
    """What is counted or listed."""

    INCIDENTS = "incidents"
    ENTITIES = "entities"
    RUNS = "runs"


class Aspect(StrEnum):
    """What is asked about one incident."""

    SUMMARY = "what it was"
    WHY = "why it was flagged"
    START = "when it started"
    SINCE = "since when it goes on"
    END = "when it ended"
    DURATION = "how long it lasted"
    SCORE = "its score"
    PEAK_TIME = "when it was worst"
    SEEN_BY = "who saw it"
    MODEL = "the model that saw it"
    LUMISECTION = "its lumisections"
    RUN = "its run"
    SEVERITY = "its severity"
    SAMPLES = "its anomalous samples"
    ENTITY = "where it was"
    STATUS = "whether it is over"
    WHO = "who did it"
    OTHERS = "what else went on then"


@dataclass(frozen=True, slots=True)
class Side:
    """One side of a comparison."""

    words: str
    where: Condition
    mean_of: tuple[Condition, ...] = ()
    """Instead of all at once: the mean of these, as of seven days for "usual"."""


ALL = AllOf()
LEDGER = frozenset({Ask.MAINTENANCE, Ask.FEEDBACK, Ask.ADAPTATIONS, Ask.REMARKS})
"""What people and detectors did, rather than what was found."""


@dataclass(frozen=True, slots=True)
class Question:
    """A question, wholly understood.

    `where`: the conditions, by its parts. `nth`: the second, third ... in `order`. `by`: severity, status,
    seen_by, detector, run, cause, day, hour, weekday, hour of day, entity, or a level of names such as wheel;
    of a list, one of each. `having`: a bound on the `statistic` over the incidents of an entity.
    `fewest`, `most`: bounds of the number of incidents of an entity (or a run). `each`: conditions of which
    an entity must have an incident each; of one incident, what is asked of it. `none`: one of which it must
    have none. `also`: further aspects. `whole`: of a share, what is divided by. `now`: what goes on now comes
    first. `people`: whose words, remarks or flags. `word`: what was said (broken, normal), the kind of
    remark, or the flag. `coming`: what is planned, within `span` if that is given. `factor`, `sign` (">",
    "<", "="): the comparison asked for; "" is none.
    """

    ask: Ask
    where: AllOf = ALL
    target: Target = Target.INCIDENTS
    aspect: Aspect = Aspect.SUMMARY
    order: Order | None = None
    nth: int | None = None
    limit: int | None = None
    by: str | None = None
    ranked: bool = False
    least: bool = False
    measure: str = "duration"
    statistic: str = "mean"
    fewest: int = 1
    most: int | None = None
    each: tuple[Condition, ...] = ()
    none: Condition | None = None
    having: Within | None = None
    also: tuple[Aspect, ...] = ()
    sides: tuple[Side, ...] = ()
    factor: float = 1.0
    sign: str = ""
    whole: AllOf | None = None
    began: bool = False
    negated: bool = False
    now: bool = False
    people: tuple[str, ...] = ()
    word: str = ""
    coming: bool = False
    span: tuple[float, float] | None = None
