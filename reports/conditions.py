"""Conditions on reports as a tree of and, or and not, and the SQL they become, always with bound
parameters.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import ColumnElement, and_, false, func, not_, or_, select, true

from anomalyd.reports.remark import RemarkKind
from anomalyd.reports.report import Status
from anomalyd.reports.storage import tables as t

_r = t.reports.c
_duration = _r.last - _r.onset
_end = func.coalesce(_r.closed, _r.last)

MEASURES: dict[str, ColumnElement[Any]] = {
    "peak": _r.peak,
    "autoencoder": _r.autoencoder,
    "classical": _r.classical,
    "duration": _duration,
    "samples": _r.samples,
    "run": _r.run,
    "onset": _r.onset,
    "last": _r.last,
    "closed": _r.closed,
    "first_lumisection": _r.first_lumisection,
    "last_lumisection": _r.last_lumisection,
}
"""What can be bounded or averaged; durations from onset to the last anomalous sample, in seconds."""


@dataclass(frozen=True, slots=True)
class Among:
    """A column (entity, severity, status, seen_by, detector, model, run, id, sample_kind) has one of
    `values`.
    """

    column: str
    values: tuple[Any, ...]
    words: str = field(default="", compare=False)


@dataclass(frozen=True, slots=True)
class Within:
    """A measure lies between `low` and `high`; `open_low`, `open_high`: not on the bound itself."""

    measure: str
    low: float = -math.inf
    high: float = math.inf
    open_low: bool = False
    open_high: bool = False
    words: str = field(default="", compare=False)


@dataclass(frozen=True, slots=True)
class Causes:
    """One of the causes has this part (case does not matter)."""

    part: str
    words: str = field(default="", compare=False)


@dataclass(frozen=True, slots=True)
class During:
    """It went on at some moment of since <= t < until (event times, seconds; None: open)."""

    since: float | None = None
    until: float | None = None
    words: str = field(default="", compare=False)


@dataclass(frozen=True, slots=True)
class Recurring:
    """It went on at some moment of a time that comes again: `length` seconds from `start` (event time) on,
    and again every `period` seconds; with `began`, it began then.
    """

    start: float
    length: float
    period: float
    words: str = field(default="", compare=False)
    began: bool = field(default=False, compare=False)


@dataclass(frozen=True, slots=True)
class Lumisections:
    """It touches lumisections `first` to `last`, both included."""

    first: int
    last: int
    words: str = field(default="", compare=False)


@dataclass(frozen=True, slots=True)
class Explained:
    """At least one explanation is stored."""

    words: str = field(default="", compare=False)


@dataclass(frozen=True, slots=True)
class Acknowledged:
    """Somebody said that it is known; `who`: this person did, "" anybody."""

    words: str = field(default="", compare=False)
    who: str = ""


@dataclass(frozen=True, slots=True)
class Commented:
    """Somebody commented on it; `who`: this person did, "" anybody."""

    words: str = field(default="", compare=False)
    who: str = ""


@dataclass(frozen=True, slots=True)
class AllOf:
    """Every one holds; of none, always."""

    parts: tuple[Condition, ...] = ()


@dataclass(frozen=True, slots=True)
class AnyOf:
    """At least one holds; of none, never."""

    parts: tuple[Condition, ...] = ()


@dataclass(frozen=True, slots=True)
class Not:
    """It does not hold."""

    part: Condition


Leaf = Among | Within | Causes | During | Recurring | Lumisections | Explained | Acknowledged | Commented
Condition = Leaf | AllOf | AnyOf | Not


def to_sql(condition: Condition) -> ColumnElement[bool]:
    """Write a condition as SQL."""
    match condition:
        case AllOf(parts):
            return and_(true(), *(to_sql(each) for each in parts))
        case AnyOf(parts):
            return or_(false(), *(to_sql(each) for each in parts))
        case Not(part):
            # What is NULL fulfils no condition, so it fulfils the opposite.
            return not_(func.coalesce(to_sql(part), false()))
        case Among(column, values):
            return _r[column].in_(values)
        case Causes(part):
            return _r.causes.icontains(part.replace("\n", " "), autoescape=True)
        case Lumisections(first, last):
            end = func.coalesce(_r.last_lumisection, _r.first_lumisection)
            return and_(_r.first_lumisection <= last, end >= first)
        case Explained():
            return _r.id.in_(select(t.explanations.c.report))
        case Acknowledged() | Commented():
            r = t.remarks.c
            acknowledged = isinstance(condition, Acknowledged)
            kind = RemarkKind.ACKNOWLEDGED if acknowledged else RemarkKind.COMMENT
            of_kind = select(r.report).where(r.kind == kind)
            return _r.id.in_(of_kind.where(r.who == condition.who) if condition.who else of_kind)
        case During(since, until):
            bounds: list[ColumnElement[bool]] = [true()]
            if since is not None:
                bounds.append(or_(_r.status == Status.OPEN, _end >= since))
            if until is not None:
                bounds.append(_r.onset < until)
            return and_(*bounds)
        case Recurring():
            return _recurring(condition)
        case Within():
            return _within(condition)


def _recurring(c: Recurring) -> ColumnElement[bool]:
    since = _r.onset - c.start
    into = since - c.period * func.floor(since / c.period)  # how far into its period it began
    begun = into < c.length
    return begun if c.began else or_(begun, into + (_end - _r.onset) >= c.period)


def _within(c: Within) -> ColumnElement[bool]:
    column = MEASURES[c.measure]
    bounds: list[ColumnElement[bool]] = [column.is_not(None)]
    if c.low > -math.inf:
        bounds.append(column > c.low if c.open_low else column >= c.low)
    if c.high < math.inf:
        bounds.append(column < c.high if c.open_high else column <= c.high)
    return and_(*bounds)
