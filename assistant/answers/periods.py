"""Days, hours and runs without incidents, and one incident of each group."""

from __future__ import annotations

import math
from datetime import datetime, timedelta
from itertools import pairwise

from anomalyd.assistant.answers.context import Context, interval_of, none_recorded, select
from anomalyd.assistant.answers.sentence import Result, Sentence, Told, line
from anomalyd.assistant.language.phrasing import counted, listed
from anomalyd.assistant.understanding.interpretation import ORDER_WORDS, by_words
from anomalyd.assistant.understanding.question import Question
from anomalyd.reports.conditions import AllOf, Among, Condition, During, Recurring, Within
from anomalyd.reports.queries import Order
from anomalyd.systems import system_of

MOST_PERIODS = 500
MOST_GROUPS = 100


def without(q: Question, context: Context) -> Told:
    """Tell which days or hours no such incident went on in, or in which runs none was."""
    if q.by == "run":
        return _runs_without(q, context)
    begin, end = _interval(q.where, context)
    if not math.isfinite(begin):
        return none_recorded(q.where, context)
    others = tuple(p for p in q.where.parts if not isinstance(p, During | Recurring))
    edges = _edges(begin, end, q.by or "day", context)
    if len(edges) > MOST_PERIODS:
        many = f"That would be {len(edges) - 1:,} {q.by}s, more than the {MOST_PERIODS} that I look through."
        return Told((Sentence(f"{many} Name a shorter time."),), known=False)
    free = [
        since
        for since, until in pairwise(edges)
        if not context.queries.exists(select(*others, During(since, until)))
        and context.queries.activity(since, until)
    ]
    form = "%Y-%m-%d" if q.by == "day" else "%Y-%m-%d %H:00"
    names = tuple(datetime.fromtimestamp(since, context.calendar.zone).strftime(form) for since in free)
    of = counted(len(edges) - 1, q.by or "day")
    during = f"{context.calendar.say(edges[0])} to {context.calendar.say(edges[-1])}"
    which = f": {listed(names, limit=20)}" if names else ""
    text = f"{len(names) or 'None'} of {of} ({during}) had data and no such incident going on{which}."
    return Told((Sentence(text),), result=Result(value=float(len(names)), names=names))


def _interval(where: AllOf, context: Context) -> tuple[float, float]:
    since, until = interval_of(where)
    first = since if since is not None else context.queries.summary(select(), "onset").least
    return first, until if until is not None else context.calendar.now


def _edges(begin: float, end: float, by: str, context: Context) -> list[float]:
    """Give the beginnings of the days or hours from `begin` to `end`, by the clocks, and the end."""
    step = timedelta(days=1) if by == "day" else timedelta(hours=1)
    at = datetime.fromtimestamp(begin, context.calendar.zone).replace(minute=0, second=0, microsecond=0)
    at = at.replace(hour=0) if by == "day" else at
    edges: list[float] = []
    while at.timestamp() < end and len(edges) <= MOST_PERIODS:
        edges.append(at.timestamp())
        at += step
    return [*edges, end]


def _runs_without(q: Question, context: Context) -> Told:
    known = [str(run) for run in context.names.runs]
    if not known:
        return Told((Sentence("I don't know: no run is known."),), known=False)
    had = dict(context.queries.tally(select(q.where), "run"))
    free = tuple(run for run in known if run not in had)
    which = f": {listed(free, limit=20)}" if free else ""
    text = f"{len(free) or 'None'} of {counted(len(known), 'run')} had no such incident{which}."
    return Told((Sentence(text),), result=Result(value=float(len(free)), names=free))


def one_of_each(q: Question, context: Context) -> Told:
    """Tell the first, worst, longest ... incident of each group."""
    by, order = q.by or "entity", q.order or Order.LATEST
    groups = _groups(by, q.where, context)
    if not groups:
        return none_recorded(q.where, context)
    reports = []
    for _, condition in groups[:MOST_GROUPS]:
        reports += context.reports(AllOf((*q.where.parts, condition)), order, 1)
    lines = [line(report, context.calendar) for report in reports]
    named = [
        Sentence(f"{name}: {told.text}" if by != "entity" else told.text, told.sources)
        for (name, _), told in zip(groups, lines, strict=False)
    ]
    more = f" The first {MOST_GROUPS} of {len(groups)}:" if len(groups) > MOST_GROUPS else ""
    head = Sentence(f"{ORDER_WORDS[order].capitalize()} of each {by_words(by)}.{more}", lines[0].sources)
    ids = tuple(report.incident.id for report in reports)
    return Told((head, *named), result=Result(value=float(len(ids)), reports=ids))


def _groups(by: str, where: AllOf, context: Context) -> list[tuple[str, Condition]]:
    """Give the groups that have incidents, by name, each with what selects it."""
    if by == "day":
        days = [name for name, _ in context.queries.tally(select(where), "day")]
        return [(day, _onset_on(day)) for day in sorted(days)]
    if by == "system" or by.startswith("level:"):
        members: dict[str, list[str]] = {}
        for entity, _ in context.queries.tally(select(where), "entity"):
            level = context.names.level(by.removeprefix("level:"), entity)
            name = system_of(entity) if by == "system" else level
            if name is not None:
                members.setdefault(name, []).append(entity)
        return [(name, Among("entity", tuple(those))) for name, those in sorted(members.items())]
    tally = context.queries.tally(select(where), by)  # type: ignore[arg-type]
    return [(name, Among(by, (int(name) if by == "run" else name,))) for name, _ in sorted(tally)]


def _onset_on(day: str) -> Condition:
    begin = datetime.fromisoformat(f"{day}T00:00:00+00:00").timestamp()
    return Within("onset", begin, begin + 86_400.0, open_high=True)
