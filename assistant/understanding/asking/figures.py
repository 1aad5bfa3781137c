"""Questions on figures over groups: one incident of each, a mean above a bound, periods without any."""

from __future__ import annotations

import re

from anomalyd.assistant.understanding.cues import by_of, collective
from anomalyd.assistant.understanding.question import Ask, Question, Target
from anomalyd.assistant.understanding.reading import Reading, order_of
from anomalyd.assistant.understanding.scope import Scoped
from anomalyd.reports.conditions import Within

_STATISTICS = (("AVERAGE", "mean"), ("MEDIAN", "median"), ("SUM", "sum"))
_PERIOD = re.compile(
    r"(?:which|what|_HOWMANY_|_SHOW_|^)(?: (?:of )?(?:the|these))? ?\b(?P<period>days?|hours?|runs?|_RUNS_)\b"
)


def bounded(r: Reading) -> Question | None:
    """Which entities have a figure over all of their incidents that is above or below a bound."""
    statistic = next((s for cue, s in _STATISTICS if cue in r.cues), None)
    which = collective(r.text, r.atoms)
    in_total = re.search(
        r"\btotal (?:of )?SPAN[0-9]|SPAN[0-9]+ (?:in (?:all|total)|altogether|overall)\b", r.asked
    )
    if statistic is None and in_total:
        statistic = "sum"
    if statistic is None or "BY" in r.cues or not (which or "ENTITIES" in r.cues):
        return None
    bounds = [p for p in r.scope.parts if p[0] in ("SCORE", "SPAN")]
    if len(bounds) != 1 or not isinstance(bounds[0][1], Within):
        return None
    if statistic == "sum" and bounds[0][0] == "SCORE":
        return None
    r.cues.take("AVERAGE", "MEDIAN", "SUM", "SCORE", "DURATION", "ENTITIES", "SHOW", "EXISTS", "ILL")
    r.scope = Scoped(tuple(p for p in r.scope.parts if p is not bounds[0]), r.scope.unused)
    counting = r.cues.take("HOWMANY") and re.search(r"how many|number|count", r.cues.words("HOWMANY"))
    ask = Ask.COUNT if counting else Ask.LIST
    bound = bounds[0][1]
    return r.question(
        ask, target=Target.ENTITIES, having=bound, statistic=statistic, measure=bound.measure, none=r.none
    )


def one_of_each(r: Reading) -> Question | None:
    """Read "the worst incident of each severity", "the first of every host"."""
    if "BY" not in r.cues or r.cues.found.keys() & {
        "HOWMANY",
        "SCORE",
        "DURATION",
        "MOSTOFTEN",
        "LEASTOFTEN",
    }:
        return None
    held = set(r.cues.used)
    order, limit, nth = order_of(r)
    by = by_of(r.cues.words("BY"))
    if (
        order is None
        or limit is not None
        or nth is not None
        or by in ("hour", "hour of day", "weekday", "cause")
    ):
        r.cues.used = held
        return None
    r.cues.take("BY", "SHOW", "ENTITIES", "RUNS", "SEVERITY", "BEGAN")
    if (named := re.search(r"ENT[0-9]+", r.cues.words("BY"))) and not r.dimension("ENT"):
        r.scope = Scoped((*r.scope.parts, ("ENT", r.atoms[named[0]].condition)), r.scope.unused)
    return r.question(Ask.LIST, by=by, order=order)


def periods_without(r: Reading) -> Question | None:
    """Read "days without criticals", "how many hours yesterday had no incident": periods, not entities."""
    period = _PERIOD.search(r.text)
    if period is None or "BY" in r.cues or not ("NEVER" in r.cues or r.none is not None):
        return None
    if collective(r.text, r.atoms) is not None:
        return None
    by = "run" if "run" in period["period"].lower() else period["period"].rstrip("s")
    counting = r.cues.take("HOWMANY")
    r.cues.take("NEVER", "SHOW", "EXISTS", "ENTITIES", "RUNS")
    r.cues.text = re.sub(r"\b(?:days?|hours?|runs?)\b", " ", r.cues.text, count=1)
    if r.none is not None:
        r.scope = Scoped((*r.scope.parts, ("NONE", r.none)), r.scope.unused)
    target = Target.RUNS if by == "run" else Target.ENTITIES
    return r.question(Ask.QUIET, target=target, by=by, statistic="count" if counting else "list")


_BY_SCORE = re.compile(
    r"_WORST_ (?P<one>ENT[0-9]+|_ENTITIES_) by (?:the )?(?:highest |peak |max\w* |top )*_?SCORE_?"
    r"|(?P<n>[0-9]{1,3}) (?P<other>ENT[0-9]+|_ENTITIES_) (?:(?:with|of|having) )?(?:the )?_WORST_"
    r"(?: scores?| _SCORE_)?"
)


def highest_of_each(r: Reading) -> Question | None:
    """Read "the 3 hosts with the highest scores", "the highest score per severity"."""
    if r.cues.found.keys() & {"HOWMANY", "AVERAGE", "MEDIAN", "SUM"}:
        return None
    if "BY" in r.cues and "SCORE" in r.cues and r.cues.found.keys() & {"WORST", "MILDEST"}:
        by = by_of(r.cues.words("BY"))
        if by in ("severity", "status", "seen_by", "detector", "run", "model", "entity"):
            statistic = "max" if r.cues.take("WORST") else "min"
            r.cues.take("BY", "SCORE", "MILDEST", "SHOW")
            return r.question(Ask.AGGREGATE, measure="peak", by=by, statistic=statistic)
        return None
    match = _BY_SCORE.search(r.text)
    if match is None:
        return None
    limit = int(match["n"]) if match["n"] else r.cues.number("WORST")
    if limit is None:
        return None
    r.cues.take("WORST", "SCORE", "SHOW", "ENTITIES")
    r.cues.text = r.text.replace(match[0], match["one"] or match["other"], 1)
    return r.question(Ask.AGGREGATE, measure="peak", by="entity", statistic="max", ranked=True, limit=limit)
