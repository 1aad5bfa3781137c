"""Questions on entities and groups: which had most, which had none, what is watched, numbers per group."""

from __future__ import annotations

import re

from anomalyd.assistant.language.systems import INCIDENTS
from anomalyd.assistant.understanding.cues import by_of, collective, recurrence
from anomalyd.assistant.understanding.question import Ask, Aspect, Question, Target
from anomalyd.assistant.understanding.reading import Reading, onset_within, order_of
from anomalyd.assistant.understanding.scope import Scoped
from anomalyd.reports.conditions import Among, AnyOf, Condition, Not, Within
from anomalyd.reports.queries import Order
from anomalyd.reports.report import Status


def quiet(r: Reading) -> Question | None:
    """Which entities had none."""
    alarmed = re.search(
        rf"\b(?:alarm(?:ed)?|flagged|{INCIDENTS})(?: TIME[0-9]+| RUN[0-9]+)* (?:and|but|, "
        rf")",
        r.asked,
    )
    first = isinstance(r.none, Within)
    beside = {d for d, c in r.scope.parts if _column(c) == _column(r.none)} if r.none is not None else set()
    but_not = alarmed is not None or bool(beside)  # "affected in run 1 but not in run 2"
    if (
        r.none is not None
        and "RUNS" not in r.cues
        and not isinstance(r.none, Not)
        and not _others(r)
        and not (but_not or first)
    ):
        r.cues.take("NEVER", "SHOW", "HOWMANY", "ENTITIES", "EXISTS")
        r.scope = Scoped((*r.scope.parts, ("NONE", r.none)), r.scope.unused)
        return r.question(Ask.QUIET, target=Target.ENTITIES)
    if "NEVER" not in r.cues:
        return None
    if collective(r.text, r.atoms) is None and not r.cues.take("ENTITIES"):
        if r.dimension("ENT") and (r.cues.take("EXISTS")):
            r.cues.take("NEVER")
            return r.question(Ask.EXISTS, negated=True)
        return None
    r.cues.take("NEVER", "SHOW", "HOWMANY", "EXISTS")
    return r.question(Ask.QUIET, target=Target.ENTITIES)


def _column(condition: Condition) -> str:
    return getattr(condition, "column", type(condition).__name__)


def _others(r: Reading) -> bool:
    """Say whether there are conditions on incidents beside time and entity."""
    return any(d not in ("ENT", "TIME", "RUN") for d, _ in r.scope.parts)


def data(r: Reading) -> Question | None:
    """What was received, and when."""
    if not r.cues.take("DATA"):
        return None
    r.cues.take(
        "START", "LATEST", "EXISTS", "SHOW", "ENTITIES", "GOINGON", "DURATION", "SINCE", "WELL", "HOWMANY"
    )
    return r.question(Ask.DATA)


def known(r: Reading) -> Question | None:
    """What is watched."""
    lone = re.fullmatch(
        r"_HOWMANY_ (?:different |of the )?(?:ENT[0-9]+|_ENTITIES_)(?: are)?(?: there| _GOINGON_)?"
        r"(?: do we have)?(?: in total)?",
        r.text,
    )
    if r.cues.take("DETECTORS"):
        return r.question(Ask.KNOWN, statistic="detectors")
    if not r.cues.take("KNOWN") and not lone:
        return None
    counting = r.cues.take("HOWMANY")
    r.cues.take("SHOW", "ENTITIES", "EXISTS", "RUNS", "HELP", "GOINGON")
    return r.question(Ask.KNOWN, target=Target.ENTITIES, statistic="count" if counting else "list")


def models(r: Reading) -> Question | None:
    """Which models there are: those at work, or those that saw the incidents meant."""
    if (
        not re.search(r"models|versions", r.cues.words("MODEL"))
        or r.dimension("ID")
        or r.cues.found.keys() & {"LATEST", "WORST", "LONGEST", "EARLIEST", "BY"}
    ):
        return None
    r.cues.take("MODEL")
    at_work = re.search(
        r"\b(?:at work|in use|in production|deployed|live|active|running|loaded|used|use|there)\b", r.asked
    )
    r.cues.text = re.sub(
        r"\b(?:at work|in use|in production|deployed|loaded|behind|versions?)\b", " ", r.cues.text
    )
    r.cues.take("SHOW", "HOWMANY", "EXISTS", "ENTITIES", "GOINGON")
    if at_work and not (r.dimension("ENT") or r.dimension("TIME")):
        r.scope = r.without("STAT")
        return r.question(Ask.KNOWN, statistic="models")
    return r.question(Ask.GROUPS, by="model")


def grouped(r: Reading) -> Question | None:
    """Numbers per group, and which group has the most."""
    level = re.search(
        r"(?:which|what|_HOWMANY_) (hour-of-day|weekday|blamed-metric|blamed-cause|day|date|hour|severity"
        r"|detector|run|wheel|station|sector|rack"
        r"|supermodule|depth|crate|system)s?\b",
        r.text,
    )
    ranked = "MOSTOFTEN" in r.cues or "LEASTOFTEN" in r.cues
    if "BY" not in r.cues and not (level and (ranked or "WORST" in r.cues)):
        return None
    by = by_of(r.cues.words("BY")) if r.cues.take("BY") else by_of(level[1] if level else "")
    if level and "RUNS" in r.cues:
        r.cues.take("RUNS")
    if (named := re.search(r"ENT[0-9]+", r.cues.words("BY"))) and not r.dimension("ENT"):
        r.scope = Scoped((*r.scope.parts, ("ENT", r.atoms[named[0]].condition)), r.scope.unused)
    if "blamed-metric" in r.asked:  # maps have regions, no metrics
        r.scope = Scoped(
            (*r.scope.parts, ("KIND", Among("sample_kind", ("vector",), "metrics"))), r.scope.unused
        )
    least = "LEASTOFTEN" in r.cues
    r.cues.take("MOSTOFTEN", "LEASTOFTEN", "HOWMANY", "SHOW", "EXISTS", "SEVERITY", "ENTITIES")
    _, limit, _ = order_of(r)
    if level:
        r.cues.text = re.sub(rf"\b{level[1]}s?\b", " ", r.cues.text)
        if ranked and limit is None and not re.search(rf"\b{level[1]}s\b", r.asked):
            limit = 1  # "which severity", not "which days"
    return r.question(Ask.GROUPS, by=by, ranked=ranked or bool(level), least=least, limit=limit)


def ranked_entities(r: Reading) -> Question | None:
    """Which entities had most, so many, or any."""
    which = collective(r.text, r.atoms)
    if not _asks_entities(r, which) or _counts_incidents(r):
        return None
    single = {"LATEST", "LONGEST", "EARLIEST", "MILDEST", "SHORTEST", "NTHLAST"} & set(r.cues.found)
    worst = "WORST" in r.cues and re.search(
        r"_WORST_ (?:SEV[0-9]+ )?(?:incident|alert|alarm|anomaly|problem|fault|issue|one\b|_SCORE_|score)",
        r.text,
    )
    worst = worst or re.search(r"ENT[0-9]+ (?:is|was|got|went|did|had|has|have) (?:the )?_WORST_", r.text)
    if (single or worst) and "MOSTOFTEN" not in r.cues:
        return place_of(r) if which or "ENTITIES" in r.cues else None
    if r.cues.take("ILL", "GOINGON") or r.now:
        _only_open(r)
    r.cues.take("ENTITIES", "SHOW", "EXISTS")
    if r.dimension("ID"):
        return place_of(r)
    target = Target.RUNS if r.cues.take("RUNS") else Target.ENTITIES
    fewest, most = recurrence(r.cues.words("RECUR")) if r.cues.take("RECUR") else (1, None)
    ranked = r.cues.take("MOSTOFTEN") | r.cues.take("LEASTOFTEN")
    least = "LEASTOFTEN" in r.cues
    _, limit, nth = order_of(r)
    if nth is not None:
        return None  # "the second most frequent"
    text = r.text
    number = re.search(r"\b([0-9]{1,3})\b(?= (?:_[A-Z]+_ |SEV[0-9]+ )*(?:ENT|_ENTITIES_))", text)
    if limit is None and number:
        limit = int(number[1])
        r.cues.text = r.text.replace(number[0], " ", 1)
    if ranked and limit is None and _one_asked(r, which):
        limit = 1
    each: tuple[Condition, ...] = ()
    if _asks_each(r):
        each = _taken_each(r)
        if not each:
            return None
    ask = Ask.COUNT if r.cues.take("HOWMANY") and not ranked else Ask.LIST
    return r.question(
        ask,
        target=target,
        fewest=fewest,
        most=most,
        ranked=ranked or limit is not None,
        least=least,
        limit=limit,
        each=each,
        none=r.none,
    )


_OF_ONE_INCIDENT = frozenset(
    ("WHY", "SCORE", "START", "END", "ENDED", "DURATION", "SEENBY", "MODEL", "LUMISECTION")
)
"""What is asked of an incident, not of an entity."""


def _asks_entities(r: Reading, which: str | None) -> bool:
    """Say whether entities or runs are asked for: "which incidents did the worst host have" is not that."""
    runs = "RUNS" in r.cues and not (
        {"LATEST", "WORST", "LONGEST", "EARLIEST", "NTHLAST"} & set(r.cues.found)
    )
    asked = {"ENTITIES", "RECUR", "MOSTOFTEN", "LEASTOFTEN"} & set(r.cues.found)
    if which is None and not runs and not asked:
        return False
    if re.match(r"_EXISTS_ (?:the |any |all |some |of )*ENT[0-9]+ ", r.text) and "ENTITIES" not in r.cues:
        return False  # "were the hosts affected" is yes or no
    if "RECUR" in r.cues and "EXISTS" in r.cues and which is None and "ENTITIES" not in r.cues:
        return False
    return not (r.cues.found.keys() & _OF_ONE_INCIDENT)


def _counts_incidents(r: Reading) -> bool:
    """Say whether incidents are counted: "on Monday the hosts had how many critical incidents"."""
    return re.search(rf"{INCIDENTS} _HOWMANY_ *$", r.text) is not None or (
        re.search(rf"(?<!by )_HOWMANY_ (?:of |the |all |new )*(?:[A-Z]+[0-9]+ )*{INCIDENTS}\b", r.text)
        is not None
    )


def _asks_each(r: Reading) -> bool:
    """Say whether each of two conditions must hold of the same entity, not of the same incident."""
    return bool(
        r.cues.take("BOTHDAYS")
        or re.search(
            rf"(?:TIME|SEV|SEEN|CAUSE|RUN)[0-9]+(?: {INCIDENTS})? and also (?:with |had |in |on |_[A-Z]+_ )*"
            r"(?:TIME|SEV|SEEN|CAUSE|RUN)",
            r.text,
        )
    )


def _taken_each(r: Reading) -> tuple[Condition, ...]:
    """Take the two conditions out of the scope; none if there are not two."""
    each = next((c.parts for _, c in r.scope.parts if isinstance(c, AnyOf) and len(c.parts) == 2), ())
    kept = tuple(p for p in r.scope.parts if getattr(p[1], "parts", None) != each)
    if each:
        r.scope = Scoped(kept, r.scope.unused)
    return each


def _one_asked(r: Reading, which: str | None) -> bool:
    """Say whether one is asked for: "which host", "who", "what alarms most often"."""
    words = r.cues.words("ENTITIES") or (r.atoms[which].words if which else r.cues.words("RUNS"))
    if re.search(r"\b(?:which|what|one|_MOSTOFTEN_|_LEASTOFTEN_) of (?:the |these |our )*ENT[0-9]+", r.text):
        return True  # "which of the hosts alarms most", "the noisiest of the hosts"
    one = re.fullmatch(r"(?:who|what|which one|our .*[^s])", words) is not None or (
        bool(words) and not words.rstrip().endswith(("s", "ies", "all", "boxes"))
    )
    return one


def _only_open(r: Reading) -> None:
    """Where what is bad now is asked for, and no time is named, take what is open."""
    if not r.dimension("TIME") and not r.dimension("STAT"):
        opened = Among("status", (Status.OPEN,), "open")
        r.scope = Scoped((*r.scope.parts, ("STAT", opened)), r.scope.unused)


def place_of(r: Reading) -> Question | None:
    """Which host had the worst incident."""
    r.cues.take("ENTITIES", "SHOW", "SCORE")
    order, _, nth = order_of(r)
    if order is Order.EARLIEST:
        r.scope = Scoped(tuple((d, onset_within(c)) for d, c in r.scope.parts), r.scope.unused)
    return r.question(Ask.CASE, aspect=Aspect.ENTITY, order=order, nth=nth)
