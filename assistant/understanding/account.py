"""A second look at a typed question, that knows nothing of how it was read: what its words demand of it.

The rules that make a typed question take words as they go, and one that is taken may still be lost: "and in
total?" is no question about today. So each word that carries a meaning demands that the typed question has a
place for it; where it has none, the question counts as not understood.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import fields, is_dataclass

from anomalyd.assistant.language.systems import INCIDENTS, LEVEL_WORDS
from anomalyd.assistant.understanding.atoms import PLACEHOLDER, Atom
from anomalyd.assistant.understanding.question import LEDGER, Ask, Aspect, Question, Target
from anomalyd.reports.conditions import AllOf, Among, AnyOf, Condition, During, Leaf, Not, Recurring, Within
from anomalyd.reports.queries import Order

_OTHER = LEDGER | {Ask.HELP, Ask.FLAGS, Ask.DATA, Ask.KNOWN}
"""What is asked of other things than incidents, by a grammar of its own."""
_STATE = frozenset({Ask.FINE, Ask.ONGOING})


def unaccounted(text: str, typed: Question, atoms: Mapping[str, Atom]) -> tuple[str, ...]:
    """Give the words of `text` (with placeholders for `atoms`) that the typed question has no place for."""
    if typed.ask in _OTHER:
        return ()
    text = f" {' '.join(text.split())} "
    lost = [
        match[0].strip()
        for pattern, holds, unless in _DEMANDS
        if (match := pattern.search(text)) and not holds(typed) and not (unless and unless.search(text))
    ]
    lost += [match[0] for match in _RANGE.finditer(text)]
    held = tuple(_leaves(typed))
    for name in PLACEHOLDER.finditer(text):
        if name[0] in atoms and not _kept(atoms[name[0]].condition, held):
            lost.append(_said(atoms[name[0]]))
    numbers = set(_numbers(typed))
    lost += [n[0] for n in _NUMBER.finditer(text) if float(n[0]) not in numbers]
    if (head := _HEAD.search(text)) and len(getattr(atoms[head[1]].condition, "values", "")) > 1:
        lost += [] if _of_entities(typed) else [atoms[head[1]].words or head[0].strip()]
    return tuple(dict.fromkeys(lost))


def _leaves(typed: Question) -> Iterator[Leaf]:
    """Give every single condition of a typed question."""
    roots: list[Condition] = [typed.where, *(side.where for side in typed.sides), *typed.each]
    roots += [c for c in (typed.none, typed.whole, typed.having) if c is not None]
    roots += [c for side in typed.sides for c in side.mean_of]
    while roots:
        match roots.pop():
            case AllOf(parts) | AnyOf(parts):
                roots.extend(parts)
            case Not(part):
                roots.append(part)
            case leaf:
                yield leaf


def _kept(condition: Condition, held: tuple[Leaf, ...]) -> bool:
    """Say whether a condition that was named is among those held, be it narrowed or moved to the onset."""
    match condition:
        case AllOf(parts) | AnyOf(parts):
            return all(_kept(part, held) for part in parts)
        case Not(part):
            return _kept(part, held)
        case Among(column, values):
            same = [c for c in held if isinstance(c, Among) and c.column == column]
            return any(set(c.values) & set(values) for c in same)
        case During(since, until):
            bounds = {b for b in (since, until) if b is not None}
            return any(bounds & _bounds(c) for c in held) or not bounds
        case _:
            return condition in held


def _bounds(condition: Leaf) -> set[float]:
    if isinstance(condition, During):
        return {b for b in (condition.since, condition.until) if b is not None}
    return {condition.low, condition.high} if isinstance(condition, Within) else set()


def _said(atom: Atom) -> str:
    return atom.words or str(getattr(atom.condition, "words", "")) or atom.dimension.lower()


def _numbers(value: object) -> Iterator[float]:
    """Give every number within a typed question."""
    if isinstance(value, int | float) and math.isfinite(value):
        yield float(value)
    elif isinstance(value, tuple):
        for each in value:
            yield from _numbers(each)
    elif is_dataclass(value):
        for each in fields(value):
            number = getattr(value, each.name)
            yield from _numbers(number)
            if each.name == "fewest" and number > 1:
                yield float(number - 1)  # "more than 3" is 4 at least
            if each.name == "most" and number is not None:
                yield float(number + 1)


def _has(typed: Question, *columns: str) -> bool:
    """Say whether there is a condition on one of these columns or measures."""
    return any(
        getattr(leaf, "column", getattr(leaf, "measure", type(leaf).__name__)) in columns
        for leaf in _leaves(typed)
    )


def _of_one(q: Question) -> set[Aspect]:
    """Give every aspect that is asked of one incident, the first and the further ones."""
    return {q.aspect, *q.also}


def _ordered(*orders: Order) -> Callable[[Question], bool]:
    return lambda q: q.order in orders


def _asks(
    *asks: Ask, aspects: tuple[Aspect, ...] = (), orders: tuple[Order, ...] = ()
) -> Callable[[Question], bool]:
    return lambda q: (
        q.ask in asks or (q.ask is Ask.CASE and _of_one(q) & set(aspects) != set()) or q.order in orders
    )


def _of_entities(q: Question) -> bool:
    return (
        q.target is Target.ENTITIES
        or q.ask in (Ask.QUIET, Ask.SHARE, Ask.COMPARE, *_STATE)
        or q.by is not None
        or (q.ask is Ask.CASE and Aspect.ENTITY in _of_one(q))
    )


def _ranked(q: Question) -> bool:
    return q.ranked or q.order is not None or q.nth is not None


def _negates(q: Question) -> bool:
    def negative(c: Condition) -> bool:
        match c:
            case Not():
                return True
            case AllOf(parts) | AnyOf(parts):
                return any(map(negative, parts))
            case Among("status" | "seen_by" | "severity", _) | Within():
                return True  # "not open" is closed, "not by the classical test" is by the other alone
            case _:
                return False

    roots = (q.where, *(side.where for side in q.sides), *q.each)
    return (
        q.negated
        or q.none is not None
        or q.most is not None
        or q.whole is not None
        or q.ask in (Ask.QUIET, Ask.WHY_NOT, *_STATE)
        or any(map(negative, roots))
    )


def _compares(q: Question) -> bool:
    bound = any(isinstance(leaf, Within) for leaf in _leaves(q))
    return q.ask is Ask.COMPARE or bound or q.fewest > 1 or q.most is not None or _has(q, "severity")


def _timeless(q: Question) -> bool:
    def timed(leaf: Leaf) -> bool:
        return isinstance(leaf, During | Recurring) or (
            isinstance(leaf, Within) and leaf.measure in ("onset", "closed")
        )

    return not any(map(timed, _leaves(q)))


def _of_names(q: Question) -> bool:
    """Say whether incidents of several entities are asked for: "node1 to node5: never critical, which?"."""
    return any(isinstance(c, Among) and c.column == "entity" and len(c.values) > 1 for c in q.where.parts)


def _never(q: Question) -> bool:
    """Say of every question that it has no place for something: what people own is in no report."""
    return False


def _nowhere(q: Question) -> bool:
    """Say the same of what is in no report, whatever else is asked."""
    return False


_DURATIONS = (Aspect.DURATION, Aspect.SINCE, Aspect.END)
_WHENS = (Aspect.START, Aspect.END, Aspect.SINCE, Aspect.PEAK_TIME, Aspect.LUMISECTION)
_VERDICTS = (Ask.EXISTS, Ask.COMPARE, Ask.QUIET, *_STATE)
_COUNTS = (Ask.COUNT, Ask.SHARE, Ask.GROUPS, Ask.COMPARE, Ask.AGGREGATE, Ask.QUIET)
_GROUP = (
    r"(?:severit(?:y|ies)|status|days?|hours?|entit(?:y|ies)|detectors?|runs?|systems?|witness"
    rf"|{LEVEL_WORDS})"
)
_HOW = (
    r"many|much|often|frequently|long|bad|serious|severe|critical|high|strong|anomalous|strange|is|are"
    r"|was|were"
    r"|did|does|do|come|about|has|have|late|far|well|healthy|broken"
)
_BIG = r"(?:biggest|largest|highest|greatest|top|noisiest|busiest)"
_SMALL = r"(?:lowest|mildest|smallest|weakest|fewest|quietest)"

_TABLE: tuple[tuple[str, Callable[[Question], bool]], ...] = (
    # Which one, and in which order.
    (r"longest", lambda q: q.order is Order.LONGEST or q.statistic == "max"),
    (r"shortest|briefest|quickest", _ordered(Order.SHORTEST)),
    (
        r"worst|severest|most (?:severe|serious|anomalous)",
        lambda q: _ranked(q) or Aspect.PEAK_TIME in _of_one(q),
    ),
    (_BIG, lambda q: _ranked(q) or q.statistic == "max"),
    (
        _SMALL,
        lambda q: (
            q.statistic == "min" or q.order in (Order.MILDEST, Order.SHORTEST) or (q.ranked and q.least)
        ),
    ),
    (r"oldest|earliest", _ordered(Order.EARLIEST)),
    (r"newest|latest|most recent(?:ly)?", _ordered(Order.LATEST)),
    (r"(?<!at )(?<!the )most(?= *$| often| frequent| INC)|the most|most (?:often|frequent(?:ly)?)", _ranked),
    # How much of it.
    (r"average|mean(?= |$)(?! to)|median|mttr", lambda q: q.ask is Ask.AGGREGATE or q.having is not None),
    (r"percentage|per ?cent|share|fraction|proportion|%", _asks(Ask.SHARE)),
    (r"(?:per|for each|for every|broken down|break ?down|grouped by|split)(?= )", lambda q: q.by is not None),
    (rf"by (?:the )?{_GROUP}", lambda q: q.by is not None or q.order is not None or q.ranked),
    (
        r"(?:more|fewer|less|higher|lower|longer|shorter|worse|better|quieter|busier) .*than"
        r"|compared?|comparison|versus|twice as|double",
        _compares,
    ),
    (r"(?:in total|in all|all in all|altogether|overall|of all time)", _timeless),
    (
        r"(?:once|twice|several times|repeatedly|recurring)",
        lambda q: q.fewest > 1 or q.most is not None or q.factor != 1,
    ),
    # Negations.
    (
        r"(?:not|never|neither|nor|without|except|excluding|nothing|none|nobody|unless|apart from"
        r"|other than)",
        _negates,
    ),
    (
        r"(?:never|none of (?:them|these|those)|without an?y?|free of)(?! .*(?:acknowledge|comment|explan))",
        lambda q: (
            q.none is not None
            or q.ask in (Ask.QUIET, Ask.WHY_NOT, Ask.EXISTS, Ask.SHARE, *_STATE)
            or (q.target is Target.INCIDENTS and q.ask in (Ask.COUNT, Ask.LIST) and not _of_names(q))
        ),
    ),
    # Properties.
    (
        r"(?:warnings?|errors?|criticals?)",
        lambda q: _has(q, "severity") or q.by == "severity" or Aspect.SEVERITY in _of_one(q),
    ),
    (
        r"(?:autoencoder|classical)",
        lambda q: (
            _has(q, "seen_by", "autoencoder", "classical")
            or q.by == "seen_by"
            or Aspect.SEEN_BY in _of_one(q)
        ),
    ),
    (
        r"(?:only|just|alone|solely|exclusive(?:ly)?)(?= .*(?:autoencoder|classical))"
        r"|(?:autoencoder|classical) .*(?:alone|only|exclusively)",
        lambda q: (
            any(isinstance(c, Among) and c.column == "seen_by" and len(c.values) == 1 for c in _leaves(q))
            or q.ask is Ask.CASE
        ),
    ),
    (
        r"(?:still|open|ongoing|unresolved)",
        lambda q: (
            _has(q, "status", "During", "Recurring", "onset")
            or q.ask in _STATE
            or q.now
            or not _of_one(q).isdisjoint((Aspect.SINCE, Aspect.STATUS))
        ),
    ),
    (
        r"(?:closed|resolved|ended|recovered)",
        lambda q: (
            _has(q, "status", "closed")
            or q.ask in _STATE
            or not _of_one(q).isdisjoint((*_DURATIONS, Aspect.STATUS))
        ),
    ),
    # What is asked.
    (
        rf"(?:how many|(?<!by )(?<!by the )number of)(?= (?:different |of )?(?:\w+ )?{INCIDENTS})",
        lambda q: q.ask in _COUNTS,
    ),
    (
        r"how (?:many|often|frequently)|(?<!by )(?<!by the )number of",
        lambda q: q.ask in _COUNTS or q.ranked or Aspect.SAMPLES in _of_one(q),
    ),
    (
        r"how long|durations?|how much time",
        lambda q: (
            Aspect.DURATION in _of_one(q)
            or (q.aspect in _DURATIONS and not q.also)
            or (q.measure == "duration" and q.ask is Ask.AGGREGATE)
            or q.order in (Order.LONGEST, Order.SHORTEST)
            or _has(q, "duration")
        ),
    ),
    (r"since when|since what time", _asks(aspects=(*_DURATIONS[1:], Aspect.START))),
    (r"until when", lambda q: Aspect.END in _of_one(q)),
    (
        r"(?:when|what time|which moment) .*(?:peak(?:ed)?|its (?:worst|peak|maximum|highest))",
        lambda q: Aspect.PEAK_TIME in _of_one(q),
    ),
    (r"^ *(?:when|(?:at )?what time|at which moment)", _asks(aspects=_WHENS)),
    (r"why", lambda q: q.ask is Ask.WHY_NOT or Aspect.WHY in _of_one(q)),
    (r"where", lambda q: _of_entities(q) or q.ask in (Ask.COUNT, Ask.LIST, Ask.SHARE)),
    (
        r"(?:which|what) runs?(?= (?!ENT|SEV))|in how many runs|number of runs",
        lambda q: q.target is Target.RUNS or Aspect.RUN in _of_one(q) or q.by == "run",
    ),
    (r"(?:which|what) models?", lambda q: q.by == "model" or Aspect.MODEL in _of_one(q)),
    (r"(?:seen|noticed|found|flagged|detected|reported) by (?:the )?TIME[0-9]+", _nowhere),
    (
        r"(?:what|who|which|anything|something) else|(?:which|what) (?:are the )?others?",
        lambda q: Aspect.OTHERS in _of_one(q),
    ),
    (r"too (?:many|much|few|little|long|often|high)", _nowhere),
    (r"(?:also|including|even|plus) (?:those|the ones)", _nowhere),
    (rf"how (?!(?:{_HOW})\b)[a-z]+ (?:is|are|was|were)(?= )", _nowhere),
    (r"what caused|(?:which|what) metrics?(?= caused)", lambda q: Aspect.WHY in _of_one(q)),
    (r"(?:do|does|did) (?:we|they|i) (?:have|own|buy)", _never),
    (
        r"^ *(?:is|are|was|were|did|does|do|has|have|had|any|anything)(?! (?:it|that) )",
        lambda q: (
            q.ask in _VERDICTS
            or (
                q.ask is Ask.CASE
                and (q.each != () or not _of_one(q).isdisjoint((Aspect.SEEN_BY, Aspect.STATUS)))
            )
        ),
    ),
)
_UNLESS: Mapping[Callable[[Question], bool], re.Pattern[str]] = {
    _timeless: re.compile(r"\bTIME[0-9]"),
    _never: re.compile(rf"\b{INCIDENTS}\b|\btrouble"),
}
"""Where these words are there, too, a demand is none: "yesterday in total", "did we have any incidents"."""
_DEMANDS = tuple(
    (re.compile(rf"(?<![\w./-])(?:{pattern})(?![\w-])"), holds, _UNLESS.get(holds))
    for pattern, holds in _TABLE
)
_RANGE = re.compile(r"\b(ENT|LS|RUN|SCORE|SPAN)[0-9]+ (?:to|through|until|till|-|\.\.+) (?:the )?\1[0-9]+\b")
_NUMBER = re.compile(
    r"(?<![\w./-])[0-9]+(?![\w/]|\.\w)(?! (?:of |the )*(?:detectors|tests|methods|days|of them|\w+ around)\b)"
)
_HEAD = re.compile(
    rf"^ *(?:(?:which|what|list|show|name|give me)(?: the| all| of the| other)* )?(ENT[0-9]+)"
    rf"(?: (?:ENT|RUN|TIME)[0-9]+| in| of)* (?:with|without|that|which|having|who|had"
    rf"|have)(?! (?:\w+ )?{INCIDENTS}\b.*\bhow)\b"
)
