"""From cues and conditions to the typed question."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace

from anomalyd.assistant.language.systems import INCIDENTS
from anomalyd.assistant.understanding.asking.entity_intents import (
    data,
    grouped,
    known,
    models,
    quiet,
    ranked_entities,
)
from anomalyd.assistant.understanding.asking.figures import (
    bounded,
    highest_of_each,
    one_of_each,
    periods_without,
)
from anomalyd.assistant.understanding.cues import by_of, collective, recurrence
from anomalyd.assistant.understanding.question import Ask, Aspect, Question
from anomalyd.assistant.understanding.reading import Reading, of_time, onset_within, order_of, several
from anomalyd.assistant.understanding.scope import Scoped
from anomalyd.reports.conditions import Among, AnyOf, During, Within
from anomalyd.reports.queries import Order
from anomalyd.reports.report import Status

_ASPECTS = {
    "WHY": Aspect.WHY,
    "SINCE": Aspect.SINCE,
    "PEAKTIME": Aspect.PEAK_TIME,
    "END": Aspect.END,
    "ENDED": Aspect.END,
    "START": Aspect.START,
    "DURATION": Aspect.DURATION,
    "SEENBY": Aspect.SEEN_BY,
    "MODEL": Aspect.MODEL,
    "LUMISECTION": Aspect.LUMISECTION,
    "SEVERITY": Aspect.SEVERITY,
    "SAMPLES": Aspect.SAMPLES,
    "SCORE": Aspect.SCORE,
}
_BY_ITSELF = {
    Aspect.WHY: Order.WORST,
    Aspect.SCORE: Order.WORST,
    Aspect.SUMMARY: Order.WORST,
    Aspect.SEVERITY: Order.WORST,
    Aspect.PEAK_TIME: Order.WORST,
}
"""Which of several incidents is meant where nothing says so; else the latest. The others are named."""


def decide(r: Reading) -> Question | None:
    """Give the typed question, None where the cues go together in no way that is known."""
    for rule in _RULES:
        before = set(r.cues.used)
        question = rule(r)
        if question is not None:
            return _began(r, question)
        r.cues.used = before
    return None


def _began(r: Reading, question: Question) -> Question | None:
    """Where what began is asked for, times select by onset."""
    if "BEGAN" not in r.cues or question.began or "BEGAN" in r.cues.used:
        return question
    if question.ask in (Ask.FINE, Ask.DATA, Ask.KNOWN):
        return question
    parts = question.where.parts
    if question.order in (Order.EARLIEST, Order.LATEST) and not any(isinstance(p, During) for p in parts):
        r.cues.take("BEGAN")  # the first and the latest are so by their onset
        return question
    if not any(of_time(p) or (isinstance(p, AnyOf) and all(map(of_time, p.parts))) for p in parts):
        return question
    r.cues.take("BEGAN")
    return replace(question, where=replace(question.where, parts=tuple(map(onset_within, parts))), began=True)


# -- rules, in the order in which they are tried ---------------------------------------------------


def _help(r: Reading) -> Question | None:
    return Question(Ask.HELP) if r.cues.take("HELP") and not r.scope.parts else None


def _flags(r: Reading) -> Question | None:
    """The quality of a run: good is what its flags say, not whether something is open now."""
    of_run = r.dimension("RUN") and {"WELL", "ILL"} & set(r.cues.found)
    if not ("FLAGS" in r.cues or (of_run and "EXISTS" in r.cues)):
        return None
    r.cues.take("FLAGS", "WELL", "ILL", "EXISTS", "SHOW", "RUNS")
    return r.question(Ask.FLAGS) if r.dimension("RUN") else None


def _why_not(r: Reading) -> Question | None:
    if not r.cues.take("WHYNOT"):
        return None
    r.cues.take("NEVER", "EXISTS")
    return r.question(Ask.WHY_NOT)


def _aggregate(r: Reading) -> Question | None:
    statistic = next(
        (s for c, s in (("MEDIAN", "median"), ("AVERAGE", "mean"), ("SUM", "sum")) if r.cues.take(c)), None
    )
    total = "HOWMANY" in r.cues and re.search(r"\btotal\b", r.cues.words("HOWMANY")) and "DURATION" in r.cues
    if statistic is None and total:
        statistic = "sum"
        r.cues.take("HOWMANY")
    if statistic is None:
        return None
    if re.search(r"\b(?:than|above|below|over|under) (?:the )?_(?:AVERAGE|MEDIAN)_", r.text):
        return None
    if (ranked := _ranked_by(r, statistic)) is not None:
        return ranked
    if "BY" in r.cues and r.cues.found.keys() & {"SCORE", "DURATION", "SAMPLES"}:
        measure = "peak" if r.cues.take("SCORE") else "duration" if r.cues.take("DURATION") else "samples"
        r.cues.take("BY", "SAMPLES")
        by = by_of(r.cues.words("BY"))
        if by in ("day", "hour", "system") or by.startswith("level:"):
            return None
        return r.question(Ask.AGGREGATE, measure=measure, by=by, statistic=statistic)
    if "BY" in r.cues:
        r.cues.take("BY", "HOWMANY")
        return r.question(Ask.AGGREGATE, measure="count", by=by_of(r.cues.words("BY")), statistic=statistic)
    if statistic == "sum" and re.search("time|duration|length", r.cues.words("SUM")):
        r.cues.take("DURATION")
        measure = "duration"
    elif r.cues.take("SCORE"):
        measure = "peak"
    elif r.cues.take("SAMPLES"):
        measure = "samples"
    elif (
        r.cues.take("DURATION")
        or "mttr" in r.cues.words("AVERAGE")
        or re.search(r"\b(?:time to|long|last|lasts|lasted|take|takes)\b", r.text)
    ):
        measure = "duration"
    else:
        return None
    r.cues.text = re.sub(r"\btime to (?:_GONE_|recover\w*|recovery|repair|resolution)", " ", r.cues.text)
    if "GONE" in r.cues and "recover" in r.cues.words("GONE"):
        r.cues.take("GONE")
    r.cues.take("GOINGON", "EXISTS", "SHOW", "ILL")
    if statistic == "sum" and "HOWMANY" in r.cues and "total" in r.cues.words("HOWMANY"):
        r.cues.take("HOWMANY")
    return r.question(Ask.AGGREGATE, measure=measure, statistic=statistic)


_BY_STATISTIC = re.compile(
    r"(?P<rank>_WORST_|_MILDEST_) (?P<head>ENT[0-9]+|_ENTITIES_) by (?:the )?_(?:SUM|AVERAGE|MEDIAN)_"
    r"(?: (?:of |the |incident |incidents |_SCORE_|_DURATION_|time|duration|score))*"
)


def _ranked_by(r: Reading, statistic: str) -> Question | None:
    """Read "top 3 hosts by total duration": entities, ordered by a statistic of their incidents."""
    match = _BY_STATISTIC.search(r.text)
    if match is None:
        return None
    measure = "peak" if r.cues.take("SCORE") else "duration"
    least = match["rank"] == "_MILDEST_"
    limit = r.cues.number("MILDEST" if least else "WORST") or 1
    r.cues.take("DURATION", "WORST", "MILDEST", "SHOW", "ENTITIES")
    r.cues.text = r.text.replace(match[0], match["head"], 1)
    return r.question(
        Ask.AGGREGATE,
        measure=measure,
        by="entity",
        statistic=statistic,
        ranked=True,
        least=least,
        limit=limit,
    )


def _status(r: Reading) -> Question | None:
    """Whether something goes on, has recovered, is fine."""
    ill, well = "ILL" in r.cues, "WELL" in r.cues
    if "SINCE" in r.cues:
        return None
    asked = "EXISTS" in r.cues
    if asked and r.past and not (ill or well) and re.search(r"\bgoing on\b", r.said):
        r.scope = r.without("STAT")  # "was something going on between 1 and 5": then, not now
        return None
    present = re.match(r"_EXISTS_", r.text) and re.match(r"is|are|has|have|any", r.cues.words("EXISTS"))
    going = r.cues.take("GOINGON") if (asked or "STAT" in r.text) and "HOWMANY" not in r.cues else False
    open_ = any(c == Among("status", (Status.OPEN,)) for _, c in r.scope.parts)
    if asked and not ill and not well and (going or open_ or "GONE" in r.cues) and "HOWMANY" not in r.cues:
        gone = r.cues.take("GONE")
        r.cues.take("EXISTS", "ENTITIES", "BEGAN")
        order, _, nth = order_of(r)
        r.scope = r.without("STAT")
        return r.question(Ask.ONGOING, order=order, nth=nth, negated=gone)
    if not (ill or well):
        return None
    if not (
        asked or re.match(r"(?:what|_WELL_|how|all|everything|and |.*, _EXISTS_|.*_WELL_$|.*_ILL_$)", r.text)
    ):
        return None
    if r.cues.found.keys() & {"HOWMANY", "WHY", "START", "DURATION"} or collective(r.text, r.atoms):
        return None
    going = r.cues.take("GOINGON") or going
    r.cues.take("ILL", "WELL", "EXISTS", "ENTITIES", "SHOW", "GONE")
    if going and ill and present:
        return r.question(Ask.ONGOING)
    return r.question(Ask.FINE, negated=ill and not well)


def _since(r: Reading) -> Question | None:
    """Since when something is broken: only of what goes on."""
    if not r.cues.take("SINCE"):
        return None
    r.cues.take("ILL", "GOINGON", "LATEST", "DURATION")
    r.scope = r.without("STAT")
    return r.question(Ask.CASE, aspect=Aspect.SINCE, order=Order.LATEST)


def _case(r: Reading) -> Question | None:
    """One incident, or one aspect of it."""
    aspects = [(name, aspect) for name, aspect in _ASPECTS.items() if name in r.cues]
    if "RUNS" in r.cues and (
        {"LATEST", "WORST", "LONGEST", "EARLIEST", "NTHLAST"} & set(r.cues.found) or r.dimension("ID")
    ):
        aspects.append(("RUNS", Aspect.RUN))
    also: tuple[Aspect, ...] = ()
    if (
        "SCORE" in r.cues
        and len(aspects) > 1
        and re.search(r"_SCORE_.*\band\b.*_[A-Z]+_|_[A-Z]+_.*\band\b.*_SCORE_", r.text)
    ):
        also = tuple(a for n, a in aspects if n != "SCORE")
        r.cues.take(*(n for n, _ in aspects))
        aspects = [a for a in aspects if a[0] == "SCORE"]
    elif "SCORE" in r.cues and len(aspects) > 1:
        aspects = [a for a in aspects if a[0] != "SCORE"]
        r.cues.take("SCORE")
    if r.cues.found.keys() & {"HOWMANY", "RECUR", "BY", "MOSTOFTEN"}:
        return None
    if len(aspects) > 1 and aspects[0][0] in ("START", "END", "DURATION"):
        r.cues.take(aspects[0][0])  # "in which lumisection did it start"
        aspects = aspects[1:]
    if aspects and aspects[0][0] == "START" and "BEGAN" in r.cues:
        first = "first" in r.cues.words("BEGAN")
        r.cues.take("BEGAN", "ILL")
        if first:
            r.cues.take("START", "EXISTS", "SHOW")
            return r.question(Ask.CASE, aspect=Aspect.START, order=Order.EARLIEST)
    if len(aspects) > 1 and {a[0] for a in aspects} == {"START", "ENDED"}:
        return None
    if aspects:
        _, aspect = aspects[0]
        r.cues.take(*(a[0] for a in aspects[:1]))
        r.cues.take("SHOW", "EXISTS", "GOINGON", "ILL", "ENTITIES")
        order, _, nth = order_of(r)
        when = (Aspect.START, Aspect.END, Aspect.DURATION)
        if aspect in when and not _of_incident(r):
            return None  # "when does my shift end"
        if order is None and nth is None and not r.scope.parts:
            # Of what was told last, or of nothing that is known.
            return r.question(Ask.CASE, aspect=aspect, also=also)
        _of_a_run(r, aspect)
        now = order is None and nth is None and re.search(r"\b(?:is|are)\b", r.asked) is not None
        if (
            aspect is Aspect.WHY
            and re.search(r"what (?:was|went|had)", r.cues.words("WHY"))
            and not r.dimension("ENT")
        ):
            return r.question(Ask.LIST, order=order)  # "what was wrong yesterday"
        return r.question(
            Ask.CASE,
            aspect=aspect,
            order=order or _BY_ITSELF.get(aspect),
            nth=nth,
            also=also,
            now=now or r.now,
        )
    return None


def _of_a_run(r: Reading, aspect: Aspect) -> None:
    """Of "the latest run with a critical incident" leave out what was in no run."""
    if aspect is Aspect.RUN and not r.dimension("ENT") and not r.dimension("ID"):
        taken = Within("run", low=0.0, words="in a run")
        r.scope = Scoped((*r.scope.parts, ("RUN", taken)), r.scope.unused)


def _of_incident(r: Reading) -> bool:
    """Say whether what is asked is asked of incidents, and not of a time alone."""
    return (
        not r.scope.parts
        or any(d != "TIME" for d, _ in r.scope.parts)
        or re.search(INCIDENTS, r.asked) is not None
    )


def _exists(r: Reading) -> Question | None:
    """Whether there were any; or whether one incident is so."""
    if "EXISTS" not in r.cues or r.cues.found.keys() & {"HOWMANY", "WHY", "BY", "DURATION", "START", "SCORE"}:
        return None
    about = rf"{INCIDENTS}|any(?:thing|one|body)?|something|ever"
    if not r.scope.parts and not re.search(rf"\b(?:{about})\b", f"{r.text} {r.cues.words('EXISTS')}"):
        return None
    r.cues.take("EXISTS", "ENTITIES", "GOINGON", "ILL", "NEVER")
    if {"LATEST", "WORST", "LONGEST", "EARLIEST", "NTHLAST"} & set(r.cues.found):
        order, _, nth = order_of(r)
        verify = [p for p in r.scope.parts if p[0] in ("SEEN", "SEV", "STAT", "SCORE", "SPAN")]
        if not verify:
            return None
        dimension = verify[-1][0]
        aspect = {
            "SEEN": Aspect.SEEN_BY,
            "SEV": Aspect.SEVERITY,
            "STAT": Aspect.STATUS,
            "SCORE": Aspect.SCORE,
        }
        r.scope = r.without(dimension)
        asked = aspect.get(dimension, Aspect.DURATION)
        return r.question(Ask.CASE, aspect=asked, order=order, nth=nth, each=(verify[-1][1],))
    fewest, most = recurrence(r.cues.words("RECUR")) if r.cues.take("RECUR") else (1, None)
    return r.question(Ask.EXISTS, fewest=fewest, most=most, negated="NEVER" in r.cues)


def _count(r: Reading) -> Question | None:
    if not r.cues.take("HOWMANY"):
        return None
    r.cues.take("SHOW", "EXISTS")
    _still(r)
    if "GONE" in r.cues:
        return None
    return r.question(Ask.COUNT)


def _still(r: Reading) -> None:
    """ "Still", "ongoing" select what is open; "there" and the like change nothing."""
    words = r.cues.words("GOINGON")
    says_open = re.search(r"still|persist|continu|ongoing|happening|lasting", words)
    if r.dimension("TIME") and re.search(r"\b(?:was|were|had) still\b", r.asked):
        says_open = None  # "were still on at noon": then, not now
    if r.cues.take("GOINGON") and says_open and not r.dimension("STAT"):
        opened = Among("status", (Status.OPEN,), "open")
        r.scope = Scoped((*r.scope.parts, ("STAT", opened)), r.scope.unused)


def _listed(r: Reading) -> Question | None:
    """Incidents, or the one of an order."""
    r.cues.take("SHOW")
    _still(r)
    order, limit, nth = order_of(r)
    if r.dimension("ID") or nth is not None:
        return r.question(Ask.CASE, aspect=Aspect.SUMMARY, order=order, nth=nth)
    if order is not None and limit is None and not several(r):
        limit = 1
    if order is Order.EARLIEST:
        # The first of a time is the first that began in it.
        r.scope = Scoped(tuple((d, onset_within(c)) for d, c in r.scope.parts), r.scope.unused)
    if limit == 1:
        return r.question(Ask.CASE, aspect=Aspect.SUMMARY, order=order)
    if r.now and not r.dimension("STAT"):
        now = Among("status", (Status.OPEN,), "open")
        r.scope = Scoped((*r.scope.parts, ("STAT", now)), r.scope.unused)
    if (
        not r.scope.parts
        and order is None
        and not re.search(rf"\b(?:happen\w*|going|{INCIDENTS}|_SHOW_ (?:everything|all))", r.text)
    ):
        return None
    return r.question(Ask.LIST, order=order, limit=limit)


_RULES: tuple[Callable[[Reading], Question | None], ...] = (
    _help,
    _flags,
    _why_not,
    bounded,
    highest_of_each,
    _aggregate,
    periods_without,
    quiet,
    data,
    known,
    models,
    one_of_each,
    grouped,
    ranked_entities,
    _since,
    _status,
    _case,
    _exists,
    _count,
    _listed,
)
