"""From cues and conditions to the typed question."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, replace

from anomalyd.assistant.understanding.atoms import Atom
from anomalyd.assistant.understanding.cues import Cues, by_of, collective, nth_of, recurrence
from anomalyd.assistant.understanding.question import Ask, Aspect, Question, Target
from anomalyd.assistant.understanding.scope import Scoped, as_set
from anomalyd.assistant.understanding.vocabulary import ORDERS
from anomalyd.reports.conditions import Among, AnyOf, Condition, During, Within
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


@dataclass
class Reading:
    """A question between its text and its type."""

    cues: Cues
    scope: Scoped
    atoms: dict[str, Atom]
    now: bool = False

    @property
    def text(self) -> str:
        """What is left: placeholders, marks of cues, other words."""
        return " ".join(self.cues.text.split())

    def question(self, ask: Ask, **more: object) -> Question:
        """Make a question under the conditions read."""
        return Question(ask, self.scope.condition, **more)  # type: ignore[arg-type]

    def dimension(self, name: str) -> bool:
        """Say whether there is a condition of a dimension."""
        return any(d.rstrip("|") == name for d, _ in self.scope.parts)

    def without(self, *dimensions: str) -> Scoped:
        """Leave out the conditions of some dimensions."""
        return Scoped(tuple(p for p in self.scope.parts if p[0] not in dimensions), self.scope.unused)


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
    if not any(isinstance(p, During) or (isinstance(p, AnyOf) and all(isinstance(e, During) for e in p.parts)) for p in parts):
        return question
    r.cues.take("BEGAN")
    return replace(question, where=replace(question.where, parts=tuple(map(onset_within, parts))), began=True)


def onset_within(condition: Condition) -> Condition:
    """Make "went on during" to "began within"."""
    if isinstance(condition, AnyOf):
        return AnyOf(tuple(map(onset_within, condition.parts)))
    if not isinstance(condition, During):
        return condition
    low = float("-inf") if condition.since is None else condition.since
    high = float("inf") if condition.until is None else condition.until
    return Within("onset", low, high, open_high=True, words=f"began {condition.words}")


def _order(r: Reading) -> tuple[Order | None, int | None, int | None]:
    """Give order, number and place of what is asked for."""
    nth, from_last = nth_of(r.cues)
    r.cues.take("NTHLAST", "NTH")
    order = next((order for name, order in ORDERS.items() if name in r.cues), None)
    if from_last:
        return Order.LATEST, None, nth
    if nth is not None and order is Order.EARLIEST and "WORST" in r.cues:
        order = Order.WORST
    limit = None
    for name in ORDERS:
        if name in r.cues and ORDERS[name] is order:
            r.cues.take(name)
            limit = r.cues.number(name)
    return order, limit, nth


def _several(r: Reading) -> bool:
    """Say whether an order is of several ("the worst incidents")."""
    return re.search(r"_[A-Z]+_ (?:SEV[0-9]+ |STAT[0-9]+ |ENT[0-9]+ )*(?:\w+s)\b(?<!\bis)(?<!\bwas)(?<!\bhas)", r.text) is not None and (
        re.search(r"\b(?:incidents|alerts|alarms|anomalies|problems|faults|issues|reports|ones|cases|detections|failures)\b", r.text) is not None
    )


# -- rules, in the order in which they are tried ---------------------------------------------------


def _help(r: Reading) -> Question | None:
    return Question(Ask.HELP) if r.cues.take("HELP") and not r.scope.parts else None


def _why_not(r: Reading) -> Question | None:
    if not r.cues.take("WHYNOT"):
        return None
    r.cues.take("NEVER", "EXISTS")
    return r.question(Ask.WHY_NOT)


def _aggregate(r: Reading) -> Question | None:
    statistic = next((s for c, s in (("MEDIAN", "median"), ("AVERAGE", "mean"), ("SUM", "sum")) if r.cues.take(c)), None)
    total = "HOWMANY" in r.cues and re.search(r"\btotal\b", r.cues.words("HOWMANY")) and "DURATION" in r.cues
    if statistic is None and total:
        statistic = "sum"
        r.cues.take("HOWMANY")
    if statistic is None:
        return None
    if "BY" in r.cues:
        r.cues.take("BY", "HOWMANY")
        return r.question(Ask.AGGREGATE, measure="count", by=by_of(r.cues.words("BY")), statistic=statistic)
    if r.cues.take("SCORE"):
        measure = "peak"
    elif r.cues.take("SAMPLES"):
        measure = "samples"
    elif r.cues.take("DURATION") or "mttr" in r.cues.words("AVERAGE") or re.search(r"\b(?:time to|long|last|lasts|lasted|take|takes)\b", r.text):
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


def _quiet(r: Reading) -> Question | None:
    """Which entities had none."""
    if "NEVER" not in r.cues:
        return None
    if collective(r.text, r.atoms) is None and not r.cues.take("ENTITIES"):
        if r.dimension("ENT") and (r.cues.take("EXISTS")):
            r.cues.take("NEVER")
            return r.question(Ask.EXISTS, negated=True)
        return None
    r.cues.take("NEVER", "SHOW", "HOWMANY")
    return r.question(Ask.QUIET, target=Target.ENTITIES)


def _data(r: Reading) -> Question | None:
    if not r.cues.take("DATA"):
        return None
    r.cues.take("START", "LATEST", "EXISTS", "SHOW", "ENTITIES", "GOINGON", "DURATION", "SINCE", "WELL", "HOWMANY")
    return r.question(Ask.DATA)


def _known(r: Reading) -> Question | None:
    lone = re.fullmatch(r"_HOWMANY_ (?:different |of the )?(?:ENT[0-9]+|_ENTITIES_)(?: are)?(?: there)?(?: do we have)?(?: in total)?", r.text)
    if not r.cues.take("KNOWN") and not lone:
        return None
    counting = r.cues.take("HOWMANY")
    r.cues.take("SHOW", "ENTITIES", "EXISTS", "RUNS", "HELP")
    return r.question(Ask.KNOWN, target=Target.ENTITIES, statistic="count" if counting else "list")


def _grouped(r: Reading) -> Question | None:
    """Numbers per group, and which group has the most."""
    level = re.search(r"(?:which|what|_HOWMANY_) (day|date|hour|severity|detector|run|wheel|station|sector|rack|supermodule|depth|crate|system)s?\b", r.text)
    ranked = "MOSTOFTEN" in r.cues or "LEASTOFTEN" in r.cues
    if "BY" not in r.cues and not (level and (ranked or "WORST" in r.cues)):
        return None
    by = by_of(r.cues.words("BY")) if r.cues.take("BY") else by_of(level[1] if level else "")
    if level and "RUNS" in r.cues:
        r.cues.take("RUNS")
    least = "LEASTOFTEN" in r.cues
    r.cues.take("MOSTOFTEN", "LEASTOFTEN", "HOWMANY", "SHOW", "EXISTS", "SEVERITY", "ENTITIES")
    _, limit, _ = _order(r)
    if level:
        r.cues.text = re.sub(rf"\b{level[1]}s?\b", " ", r.cues.text)
    return r.question(Ask.GROUPS, by=by, ranked=ranked or bool(level), least=least, limit=limit)


def _ranked_entities(r: Reading) -> Question | None:
    """Which entities had most, so many, or any."""
    which = collective(r.text, r.atoms)
    runs = "RUNS" in r.cues and not ({"LATEST", "WORST", "LONGEST", "EARLIEST", "NTHLAST"} & set(r.cues.found))
    # "which incidents did the worst host have" is two questions
    if which is None and not runs and "ENTITIES" not in r.cues and "RECUR" not in r.cues and "MOSTOFTEN" not in r.cues and "LEASTOFTEN" not in r.cues:
        return None
    if r.cues.found.keys() & {"WHY", "SCORE", "START", "END", "ENDED", "DURATION", "SEENBY", "MODEL", "LUMISECTION"}:
        return None
    single = {"LATEST", "LONGEST", "EARLIEST", "MILDEST", "SHORTEST", "NTHLAST"} & set(r.cues.found)
    worst = "WORST" in r.cues and re.search(r"_WORST_ (?:SEV[0-9]+ )?(?:incident|alert|alarm|anomaly|problem|fault|issue|one\b|_SCORE_|score)", r.text)
    if (single or worst) and "MOSTOFTEN" not in r.cues:
        return _place_of(r) if which or "ENTITIES" in r.cues else None
    r.cues.take("ENTITIES", "SHOW", "EXISTS")
    target = Target.RUNS if r.cues.take("RUNS") else Target.ENTITIES
    fewest, most = recurrence(r.cues.words("RECUR")) if r.cues.take("RECUR") else (1, None)
    ranked = r.cues.take("MOSTOFTEN") | r.cues.take("LEASTOFTEN")
    least = "LEASTOFTEN" in r.cues
    _, limit, _ = _order(r)
    number = re.search(r"\b([0-9]{1,3})\b(?= (?:_[A-Z]+_ |SEV[0-9]+ )*ENT)", r.text)
    if limit is None and number:
        limit = int(number[1])
        r.cues.text = r.text.replace(number[0], " ", 1)
    if ranked and limit is None and re.search(r"\b(?:which|what) (?:is|was|ENT[0-9]+ (?:is|was|has|had) _MOST)", r.text) and least:
        limit = 1
    each: tuple[Condition, ...] = ()
    if r.cues.take("BOTHDAYS") or re.search(r"TIME[0-9]+ and also TIME", r.text):
        each = next((c.parts for _, c in r.scope.parts if isinstance(c, AnyOf) and len(c.parts) == 2), ())
        if not each:
            return None
        r.scope = Scoped(tuple(p for p in r.scope.parts if getattr(p[1], "parts", None) != each), r.scope.unused)
    ask = Ask.COUNT if r.cues.take("HOWMANY") and not ranked else Ask.LIST
    return r.question(
        ask, target=target, fewest=fewest, most=most, ranked=ranked or limit is not None, least=least, limit=limit, each=each
    )


def _place_of(r: Reading) -> Question | None:
    """Which host had the worst incident."""
    r.cues.take("ENTITIES", "SHOW", "SCORE")
    order, _, nth = _order(r)
    return r.question(Ask.CASE, aspect=Aspect.ENTITY, order=order, nth=nth)


def _status(r: Reading) -> Question | None:
    """Whether something goes on, has recovered, is fine."""
    ill, well = "ILL" in r.cues, "WELL" in r.cues
    if "SINCE" in r.cues:
        return None
    asked = "EXISTS" in r.cues
    present = re.match(r"_EXISTS_", r.text) and re.match(r"is|are|has|have|any", r.cues.words("EXISTS"))
    going = r.cues.take("GOINGON") if (asked or "STAT" in r.text) and "HOWMANY" not in r.cues else False
    open_ = any(c == Among("status", (Status.OPEN,)) for _, c in r.scope.parts)
    if asked and not ill and not well and (going or open_ or "GONE" in r.cues) and "HOWMANY" not in r.cues:
        gone = r.cues.take("GONE")
        r.cues.take("EXISTS", "ENTITIES", "BEGAN")
        order, _, nth = _order(r)
        r.scope = r.without("STAT")
        return r.question(Ask.ONGOING, order=order, nth=nth, negated=gone)
    if not (ill or well):
        return None
    if not (asked or re.match(r"(?:what|_WELL_|how|all|everything|and |.*, _EXISTS_|.*_WELL_$|.*_ILL_$)", r.text)) :
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
    if "RUNS" in r.cues and ({"LATEST", "WORST", "LONGEST", "EARLIEST", "NTHLAST"} & set(r.cues.found) or r.dimension("ID")):
        aspects.append(("RUNS", Aspect.RUN))
    if "SCORE" in r.cues and len(aspects) > 1:
        aspects = [a for a in aspects if a[0] != "SCORE"]
        r.cues.take("SCORE")
    if r.cues.found.keys() & {"HOWMANY", "RECUR", "BY", "MOSTOFTEN"}:
        return None
    if len(aspects) > 1 and aspects[0][0] in ("START", "END", "DURATION"):
        r.cues.take(aspects[0][0])  # "in which lumisection did it start"
        aspects = aspects[1:]
    if aspects and aspects[0][0] == "START" and "BEGAN" in r.cues:
        r.cues.take("BEGAN")
    if len(aspects) > 1 and {a[0] for a in aspects} == {"START", "ENDED"}:
        return None
    if aspects:
        name, aspect = aspects[0]
        r.cues.take(*(a[0] for a in aspects[:1]))
        r.cues.take("SHOW", "EXISTS", "GOINGON", "ILL", "ENTITIES")
        order, _, nth = _order(r)
        if name == "SCORE" and order is None and nth is None and not r.scope.parts and "what" in r.text:
            order = Order.WORST
        return r.question(Ask.CASE, aspect=aspect, order=order or _BY_ITSELF.get(aspect), nth=nth)
    return None


def _exists(r: Reading) -> Question | None:
    """Whether there were any; or whether one incident is so."""
    if "EXISTS" not in r.cues or r.cues.found.keys() & {"HOWMANY", "WHY", "BY", "DURATION", "START", "SCORE"}:
        return None
    r.cues.take("EXISTS", "ENTITIES", "GOINGON", "ILL", "NEVER")
    if {"LATEST", "WORST", "LONGEST", "EARLIEST", "NTHLAST"} & set(r.cues.found):
        order, _, nth = _order(r)
        verify = [p for p in r.scope.parts if p[0] in ("SEEN", "SEV", "STAT", "SCORE", "SPAN")]
        if not verify:
            return None
        dimension = verify[-1][0]
        aspect = {"SEEN": Aspect.SEEN_BY, "SEV": Aspect.SEVERITY, "STAT": Aspect.STATUS, "SCORE": Aspect.SCORE}
        r.scope = r.without(dimension)
        return r.question(Ask.CASE, aspect=aspect.get(dimension, Aspect.DURATION), order=order, nth=nth)
    fewest, most = recurrence(r.cues.words("RECUR")) if r.cues.take("RECUR") else (1, None)
    return r.question(Ask.EXISTS, fewest=fewest, most=most, negated="NEVER" in r.cues)


def _count(r: Reading) -> Question | None:
    if not r.cues.take("HOWMANY"):
        return None
    r.cues.take("SHOW", "EXISTS", "GOINGON")
    if "GONE" in r.cues:
        return None
    return r.question(Ask.COUNT)


def _listed(r: Reading) -> Question | None:
    """Incidents, or the one of an order."""
    r.cues.take("SHOW", "GOINGON")
    order, limit, nth = _order(r)
    if r.dimension("ID") or nth is not None:
        return r.question(Ask.CASE, aspect=Aspect.SUMMARY, order=order, nth=nth)
    if order is not None and limit is None and not _several(r):
        limit = 1
    if limit == 1:
        return r.question(Ask.CASE, aspect=Aspect.SUMMARY, order=order)
    if r.now and not r.dimension("STAT"):
        now = Among("status", (Status.OPEN,), "open")
        r.scope = Scoped((*r.scope.parts, ("STAT", now)), r.scope.unused)
    if not r.scope.parts and order is None and not re.search(r"\b(?:what|which|_SHOW_|happen\w*|incidents|alerts|alarms|all|reports|anomalies)", r.text):
        return None
    return r.question(Ask.LIST, order=order, limit=limit)


_RULES: tuple[Callable[[Reading], Question | None], ...] = (
    _help,
    _why_not,
    _aggregate,
    _quiet,
    _data,
    _known,
    _grouped,
    _ranked_entities,
    _since,
    _status,
    _case,
    _exists,
    _count,
    _listed,
)


def entity_set(question: Question) -> Among | None:
    """Give the entities that a question is about, None where it names none."""
    sets = (as_set(part) for part in question.where.parts)
    return next((each for each in sets if each is not None and each.column == "entity"), None)
