"""Which reports are meant, and in which order."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from fnmatch import fnmatchcase
from typing import Any, Literal

from sqlalchemy import CTE, ColumnElement, Connection, Table, UnaryExpression, func, or_, select

from anomalyd.reports.conditions import Condition, to_sql
from anomalyd.reports.report import SeenBy, Severity, Status
from anomalyd.reports.storage import tables as t

Group = Literal[
    "entity",
    "detector",
    "severity",
    "status",
    "seen_by",
    "run",
    "model",
    "cause",
    "day",
    "hour",
    "weekday",
    "hour of day",
]
_BY_ONSET = {
    "day": "%Y-%m-%d",
    "hour": "%Y-%m-%d %H:00",
    "weekday": "%A",
    "hour of day": "%H:00",
}
"""Groups by the time of the onset in UTC, and how they are written."""

_r = t.reports.c


@dataclass(frozen=True, slots=True)
class Selection:
    """Which reports: those that fulfil every condition given; an empty one is no condition.

    `entities` are names or shell patterns (case matters). `since` and `until` (event times, seconds since
    the epoch) select incidents that were going on at any moment of since <= t < until: a closed one goes on
    from its onset to the sample that closed it, an open one has no end yet. `min_score` and `max_score` bound
    the peak, both included. `cause` is a part of one of the causes (case does not matter).
    """

    entities: tuple[str, ...] = ()
    detectors: tuple[str, ...] = ()
    severities: tuple[Severity, ...] = ()
    statuses: tuple[Status, ...] = ()
    seen_by: tuple[SeenBy, ...] = ()
    since: float | None = None
    until: float | None = None
    min_score: float | None = None
    max_score: float | None = None
    run: int | None = None
    cause: str | None = None
    ids: tuple[str, ...] = ()
    where: Condition | None = None
    """A further condition, of any shape."""


@dataclass(frozen=True, slots=True)
class Summary:
    """A measure over some reports; the mean and so on are NaN where there are none."""

    count: int
    mean: float
    total: float
    least: float
    most: float
    median: float


class Order(StrEnum):
    """Which reports come first. LONGEST counts from the onset to the last anomalous sample; ENDED begins with
    what was closed last.
    """

    LATEST = "latest"
    EARLIEST = "earliest"
    WORST = "worst"
    MILDEST = "mildest"
    LONGEST = "longest"
    SHORTEST = "shortest"
    ENDED = "ended"


ORDERS: dict[Order, tuple[ColumnElement[Any] | UnaryExpression[Any], ...]] = {
    Order.LATEST: (_r.onset.desc(), _r.id),
    Order.EARLIEST: (_r.onset, _r.id),
    Order.WORST: (_r.peak.desc(), _r.onset.desc(), _r.id),
    Order.MILDEST: (_r.peak, _r.onset.desc(), _r.id),
    Order.SHORTEST: (_r.last - _r.onset, _r.onset.desc(), _r.id),
    Order.ENDED: (func.coalesce(_r.closed, 0.0).desc(), _r.id),
    Order.LONGEST: ((_r.last - _r.onset).desc(), _r.onset.desc(), _r.id),
}


def conditions(selection: Selection, connection: Connection) -> list[ColumnElement[bool]]:
    """Give the conditions of a selection, to hold together."""
    s = selection
    found: list[ColumnElement[bool]] = [
        column.in_(wanted)
        for column, wanted in (
            (_r.detector, s.detectors),
            (_r.severity, s.severities),
            (_r.status, s.statuses),
            (_r.seen_by, s.seen_by),
            (_r.id, s.ids),
        )
        if wanted
    ]
    if s.entities:
        known = connection.execute(select(_r.entity).distinct()).scalars()
        found.append(_r.entity.in_([name for name in known if _fits(name, s.entities)]))
    if s.since is not None:
        end = func.coalesce(_r.closed, _r.last)
        found.append(or_(_r.status == Status.OPEN, end >= s.since))
    if s.until is not None:
        found.append(_r.onset < s.until)
    if s.min_score is not None:
        found.append(_r.peak >= s.min_score)
    if s.max_score is not None:
        found.append(_r.peak <= s.max_score)
    if s.run is not None:
        found.append(_r.run == s.run)
    if s.where is not None:
        found.append(to_sql(s.where))
    if s.cause is not None:
        found.append(_r.causes.icontains(s.cause.replace("\n", " "), autoescape=True))
    return found


def group_column(by: Group) -> ColumnElement[Any]:
    """Give the column that a group is made of."""
    return _r.onset if by in _BY_ONSET else _r["causes" if by == "cause" else by]


def groups_of(value: Any, by: Group) -> tuple[str, ...]:
    """Name the groups that a value of that column is in: one for each cause, else one."""
    if by == "cause":
        return tuple(dict.fromkeys(value))
    if by in _BY_ONSET:
        return (datetime.fromtimestamp(value, UTC).strftime(_BY_ONSET[by]),)
    return (str(value),)


def each_value(column: ColumnElement[str]) -> CTE:
    """Give the different values of an indexed column as `value`, and one NULL at the end.

    It steps through the index from value to value. "SELECT DISTINCT" reads every row, and an entity has
    thousands.
    """
    found = select(func.min(column).label("value")).cte(recursive=True)
    following = select(func.min(column)).where(column > found.c.value).scalar_subquery()
    return found.union_all(select(following).where(found.c.value.is_not(None)))


def of_entities(
    s: Selection, table: Table, at: ColumnElement[float], connection: Connection
) -> list[ColumnElement[bool]]:
    """Give the conditions on a table of entities and detectors whose times are in `at`."""
    found: list[ColumnElement[bool]] = []
    if s.entities:
        known = connection.execute(select(table.c.entity).distinct()).scalars()
        found.append(table.c.entity.in_([name for name in known if _fits(name, s.entities)]))
    if s.detectors:
        found.append(table.c.detector.in_(s.detectors))
    if s.ids:
        kind = table.c.id.type.python_type  # the ids of words are numbers
        found.append(table.c.id.in_([kind(each) for each in s.ids]))
    if s.since is not None:
        found.append(at >= s.since)
    if s.until is not None:
        found.append(at < s.until)
    return found


def _fits(name: str, patterns: Sequence[str]) -> bool:
    return any(name == pattern or fnmatchcase(name, pattern) for pattern in patterns)
