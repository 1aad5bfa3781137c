"""Questions that build on what was asked before: "why?", "and the chambers?", "the second one"."""

from __future__ import annotations

import re
from dataclasses import replace

from anomalyd.assistant.answers.context import Context
from anomalyd.assistant.dialogue.ellipsis import APART, headless, named_beside, stands
from anomalyd.assistant.dialogue.places import NEEDS, moved, placed_in_list, side_of_ledger, sort_order
from anomalyd.assistant.dialogue.session import Session
from anomalyd.assistant.language.interval import Interval
from anomalyd.assistant.language.spelling import plain
from anomalyd.assistant.understanding.interpretation import condition_words
from anomalyd.assistant.understanding.question import LEDGER, Ask, Aspect, Question, Side, Target
from anomalyd.assistant.understanding.reading import onset_within
from anomalyd.assistant.understanding.understand import Understood, understand
from anomalyd.errors import QuestionError
from anomalyd.reports.conditions import (
    Acknowledged,
    AllOf,
    Among,
    AnyOf,
    Causes,
    Commented,
    Condition,
    During,
    Explained,
    Lumisections,
    Not,
    Within,
)

_ONE = r"(?:it|its|this|that|this one|that one|the (?:incident|one|alert|alarm|anomaly|problem|case|report))"
_THEM = (
    r"(?:such(?: incidents| ones| alerts)?|them|they|those|these|the ones|these ones|those ones"
    r"|their|which of them)"
)
_LEAD = re.compile(
    r"^(?:ok |okay |so |then |hm+ |oh )*(?:,? ?)(?:and|what about|how about|same (?:for|on|with"
    r"|question for)|the same (?:for|on|with)|but|or|also|now)\b[ ,]*"
    r"(?:what about|how about|the same for|for|then)? ?"
)
_EVERYTHING = re.compile(
    r"(?:please )?(?:show|list|give me|tell me|print)(?: me)?(?: all| everything| all of "
    r"(?:them|those|these)| the (?:others|rest))"
)
_AFFECTED = re.compile(r"(?:and )?(?:which (?:ones )?|who )(?:were|are|was) (?:affected|hit|concerned)")
_NARROW = re.compile(
    r"^(?:(?:and|but|ok|now|show|list|give me|only) )*(?:only|just|without|excluding|except|not"
    r"|minus|those|the ones|which of (?:them|those|these)|how many of (?:them|those|these)"
    r"|(?:how many|which|are any|is any|were any|any) (?:of (?:them|those|these)))\b"
)
_FRAGMENT = re.compile(
    r"(?:[a-z][\w+.-]*(?:/[\w+.-]+)+|[a-z][\w+.-]*[0-9]|(?:on|in|at|per|by|during|between|for|from|with"
    r"|without|of) (?:\S+ ?){1,5}|[a-z]+|\S+ only"
    r"|(?:\S+ ){1,2}only)"
)


def follow_up(question: str, session: Session, context: Context) -> tuple[Question | None, Understood] | None:
    """Understand a question that builds on the last one; None if it stands for itself.

    Raises:
        QuestionError: it builds on something, and nothing was asked before; or as `understand`.

    """
    text = plain(question)
    before = session.question
    if before is not None and _EVERYTHING.fullmatch(text):
        return _all(before, session)
    if before is not None and _AFFECTED.fullmatch(text):
        who = Question(Ask.LIST, before.where, target=Target.ENTITIES)
        return who, Understood(who)
    other = side_of_ledger(text, before) or moved(text, session) or sort_order(text, before)
    placed = other if other is not None else placed_in_list(text, session)
    if placed is not None:
        return placed, Understood(placed)
    one = re.search(rf"(?<![\w-]){_ONE}(?![\w-])", text)
    if one and named_beside(text, one.start(), one.end()):
        one = None
    them = re.search(rf"(?<![\w-]){_THEM}(?![\w-])", text)
    lead = _LEAD.match(text)
    narrow = _NARROW.match(text)
    bare = re.fullmatch(
        r"(?:and |but |so )?(?:why(?: (?:was|is|did)(?: (?:that|it|this))?(?: flagged)?)?|how come"
        r"|who saw (?:it|that|them)|when|since when|how long|how bad|which ones?|which were they"
        r"|what were they"
        r"|where|on (?:which|what) (?:hosts?|machines?|nodes?|chambers?|runs?|entities|days?)(?: "
        r"were they| was it)?|which (?:hosts?|machines?|nodes?|chambers?|runs?|entities"
        r"|detectors?|days?)|how many|and how many|how many (?:are|were) (?:left|remaining|there)|the day "
        r"(?:before|after)"
        r"|show (?:me )?(?:them|it|those|more|all)|list (?:them|those)|tell me more|more|explain"
        r"|details|still|is it over|what was the (?:cause|reason|score)|the (?:cause|reason|score))",
        text,
    )
    without_head = before is not None and before.ask not in APART and headless(text, context)
    if not (
        lead
        or narrow
        or bare
        or them
        or _fragment(text, before)
        or (one and not stands(text))
        or without_head
    ):
        return None
    if before is None:
        # "Those that lasted", "the ones of yesterday" stand for themselves.
        points_on = re.sub(
            r"\b(?:(?:those|these|the ones)(?: that)?|(?:both|all|any|one|which|neither|none) of them)(?= "
            r"|$)",
            " ",
            text,
        )
        if (narrow or them) and re.search(
            rf"(?<![\w-])(?:it|its|{_ONE}|{_THEM})(?![\w-])", points_on
        ) is None:
            return None
        if them or bare or lead or narrow or re.search(r"\b(?:it|its|that one|this one)\b", text):
            if (lead or bare or narrow) is None and not re.search(
                rf"(?<![\w-])(?:it|its|{_THEM})(?![\w-])", text
            ):
                return None
            raise QuestionError(NEEDS)
        return None
    return _built(text, session, before, context, bool(one), bool(them or narrow))


def _fragment(text: str, before: Question | None) -> bool:
    """Say whether a text is no sentence of its own, but more on the one before: "on the hosts", "errors"."""
    return (
        before is not None and _FRAGMENT.fullmatch(text) is not None and text not in ("help", "hello", "hi")
    )


def _all(before: Question, session: Session) -> tuple[Question, Understood]:
    asked = Ask.LIST if before.ask in (Ask.COUNT, Ask.EXISTS, Ask.FINE, Ask.ONGOING, Ask.CASE) else before.ask
    question = replace(before, ask=asked, limit=200)
    return question, Understood(question)


_IN_TOTAL = (
    r"(?:and |but )*(?:how many )?(?:is (?:it|that) |are (?:they|those) |were there )?"
    r"(?:in total|in all|all in all|altogether|all together|overall|ever|of all time|at all times)"
)


def _built(
    text: str, session: Session, before: Question, context: Context, one: bool, them: bool
) -> tuple[Question | None, Understood]:
    """Read what is new, and keep of the last question what is left open."""
    shifted = _shifted(text, before, context)
    if shifted is not None:
        return shifted, Understood(shifted)
    if against := re.fullmatch(
        r"(?:and |now )*compare (?:that|it|this|them|those) (?:with|to|and|against) (.+)", text
    ):
        read = understand(against[1], context.queries, context.names, context.calendar)
        other = _replaced(before.where, read.question.where.parts) if read.question else None
        return (_compared((before.where, other)) if other else None), read
    if re.fullmatch(_IN_TOTAL, text):
        whole = replace(
            before, where=AllOf(tuple(p for p in before.where.parts if _about(p) != "time")), began=False
        )
        return whole, Understood(whole)
    stripped = re.sub(r"\bhow many (?:are|were) (?:left|remaining|there)$", "how many", _LEAD.sub("", text))
    stripped = re.sub(
        r"\b(?:of|on|in|by|for|with|from|among) (?:it|this|that|them|those|these|the (?:ones"
        r"|incident|one))(?= |$)",
        "",
        stripped,
    )
    stripped = re.sub(
        r"^(?:only |just |show |list )*(?:those|these|the ones|them|that|they|it)(?: that| which| "
        r"were| are| with| where| who)*\b",
        "incidents ",
        stripped,
    )
    stripped = re.sub(
        r"\b(?:did|does|has|have|had|is|was|are|were|do) (?:it|this|that|they|them|those|these|the "
        r"(?:incident|one|alert|alarm|anomaly|problem))\b",
        lambda m: m[0].split()[0],
        stripped,
    )
    stripped = re.sub(
        r"\b(?:saw|see|caused|triggered|flagged|about|explain|show|list|which were|what were) (?:it"
        r"|this|that|them|those|these|they)\b",
        lambda m: " ".join(m[0].split()[:-1]),
        stripped,
    )
    stripped = re.sub(r"\b(?:its|their)\b", "the", stripped)
    stripped = re.sub(r"\b(?:it|them|they|that one|this one|these ones|those ones)\b", " ", stripped).strip(
        " ,"
    )
    read = understand(stripped or "incidents", context.queries, context.names, context.calendar)
    if read.question is None and read.unused:
        return None, read
    return _joined(text, stripped, read, session, before, context, one, them), read


def _joined(
    text: str,
    stripped: str,
    read: Understood,
    session: Session,
    before: Question,
    context: Context,
    one: bool,
    them: bool,
) -> Question | None:
    new = read.question or Question(Ask.LIST)
    parts = tuple(new.where.parts)
    narrowing = (
        them
        or re.match(
            r"(?:and |but )*(?:only|just|without|excluding|except|not|minus|how many of|which of|no)\b", text
        )
        is not None
    )
    where = (
        AllOf((*before.where.parts, *_new_parts(parts, before.where.parts)))
        if narrowing
        else _replaced(before.where, parts)
    )
    where = AllOf(tuple(map(onset_within, where.parts))) if before.began and not narrowing else where
    counts = new.ask is Ask.COUNT and new.target is Target.INCIDENTS
    if before.target is not Target.INCIDENTS and them and counts:
        return replace(before, ask=Ask.COUNT, where=where, limit=None, ranked=False)
    if new.ask in LEDGER:
        if not parts and session.result.reports and before.ask in (Ask.CASE, Ask.ONGOING):
            chosen = session.result.reports[0]
            told = context.queries.report(chosen).incident
            one_of: Condition = Among("entity", (told.entity,), told.entity)
            where = AllOf((Among("id", (chosen,), f"report {chosen}"), one_of))
        return replace(new, where=where)
    of_one = before.ask is Ask.CASE and session.result.reports and not (parts and not one)
    if of_one and new.ask in (Ask.LIST, Ask.GROUPS) and new.target is not Target.INCIDENTS:
        aspect = Aspect.RUN if new.target is Target.RUNS else Aspect.ENTITY
        return _about_last(Question(Ask.CASE, aspect=aspect), session, before)
    asks_case = new.ask is Ask.CASE or read.cues & {
        "WHY",
        "SEENBY",
        "START",
        "END",
        "DURATION",
        "SCORE",
        "MODEL",
        "LUMISECTION",
        "SINCE",
        "ENDED",
        "SEVERITY",
    }
    if new.ask is Ask.CASE and new.aspect is not Aspect.SUMMARY and not parts:
        return _about_last(new, session, before)
    if asks_case and new.ask is Ask.CASE:
        if before.ask is Ask.CASE and new.aspect is Aspect.SUMMARY and new.order is None:
            return replace(before, where=where)
        return replace(new, where=where)
    if new.ask is Ask.EXISTS and one and before.ask in (Ask.CASE, Ask.ONGOING) and session.result.reports:
        chosen = session.result.reports[0]
        return replace(new, where=AllOf((Among("id", (chosen,), f"report {chosen}"), *parts)))
    if (
        new.ask in (Ask.COUNT, Ask.GROUPS, Ask.AGGREGATE, Ask.EXISTS, Ask.QUIET, Ask.SHARE)
        or new.target is not Target.INCIDENTS
    ):
        return replace(new, where=where, whole=before.where if new.ask is Ask.SHARE else None)
    if new.ask in (Ask.FINE, Ask.ONGOING):
        if not parts and before.ask is Ask.CASE and session.result.reports:
            where = AllOf((Among("id", session.result.reports[:1], f"report {session.result.reports[0]}"),))
        return replace(new, where=where)
    if (
        before.target is not Target.INCIDENTS
        and narrowing
        and new.ask in (Ask.LIST, Ask.FINE)
        and new.order is None
    ):
        return replace(before, where=where)
    listing = re.match(r"(?:and )?(?:show|list|which|what(?! about)|give|tell)\b", text) is not None
    if new.ask is Ask.LIST and (listing or (before.ask in (Ask.FINE, Ask.ONGOING, Ask.EXISTS) and narrowing)):
        return replace(new, where=where, order=new.order or before.order)
    if before.ask is Ask.COMPARE:
        return _more_compared(before, parts)
    return replace(before, where=where, order=new.order or before.order, nth=None, sides=())


def _compared(wheres: tuple[AllOf, ...]) -> Question:
    """Set conditions side by side; each is said by what the others do not have."""
    common = tuple(p for p in wheres[0].parts if all(p in w.parts for w in wheres))
    words = [condition_words(AllOf(tuple(p for p in w.parts if p not in common))) or "all" for w in wheres]
    return Question(Ask.COMPARE, AllOf(common), sides=tuple(map(Side, words, wheres)))


def _more_compared(before: Question, parts: tuple[Condition, ...]) -> Question | None:
    """Put one more side to a comparison, or a condition to all of its sides."""
    wheres = tuple(side.where for side in before.sides if isinstance(side.where, AllOf))
    if not parts or len(wheres) != len(before.sides):
        return None
    differ = {_about(p) for p in wheres[0].parts if p not in before.where.parts}
    if any(_about(part) in differ for part in parts):
        return _compared((*wheres, _replaced(wheres[-1], parts)))
    return _compared(tuple(_replaced(where, parts) for where in wheres))


def about_last(new: Question, session: Session) -> Question:
    """Ask an aspect of the incident told last, where the question names none.

    Raises:
        QuestionError: nothing was told before.

    """
    if session.question is None:
        raise QuestionError(
            "Which incident do you mean? Name the entity or the time, or say “the latest” or “the worst”."
        )
    return _about_last(new, session, session.question)


def _about_last(new: Question, session: Session, before: Question) -> Question:
    """Ask an aspect of the incident told last; of several, by the order that the aspect has of itself."""
    if session.result.reports and (len(session.result.reports) == 1 or before.ask is Ask.CASE):
        chosen = session.result.reports[0]
        return replace(new, where=AllOf((Among("id", (chosen,), f"report {chosen}"),)), order=None, nth=None)
    return replace(new, where=before.where)


def _new_parts(new: tuple[Condition, ...], old: tuple[Condition, ...]) -> tuple[Condition, ...]:
    return tuple(part for part in new if part not in old)


def _replaced(old: AllOf, new: tuple[Condition, ...]) -> AllOf:
    """Keep the old conditions but those that the new ones are about, too."""
    about = {_about(part) for part in new}
    return AllOf((*(part for part in old.parts if _about(part) not in about), *new))


def _about(condition: Condition) -> str:
    """Say what a condition is about: its column, its measure, time, cause."""
    match condition:
        case Among("id", _) | Among("entity", _):
            return "entity"
        case Among(column, _):
            return column
        case Within("onset" | "closed", _, _):
            return "time"
        case Within(measure, _, _):
            return measure
        case During():
            return "time"
        case Causes():
            return "cause"
        case Lumisections():
            return "lumisection"
        case Explained() | Acknowledged() | Commented():
            return type(condition).__name__
        case Not(part):
            return _about(part)
        case AllOf(parts) | AnyOf(parts):
            return _about(parts[0]) if parts else ""


def _shifted(text: str, before: Question, context: Context) -> Question | None:
    """Read "and the day before?": the same, a day earlier."""
    match = re.fullmatch(
        r"(?:and |what about |how about |or )*(?:on |in |for )?the (day|week|night|hour|shift) "
        r"(before|after)(?: that)?|(?:and |what about )*the (previous|next|following) (day|week"
        r"|night)",
        text,
    )
    if match is None:
        return None
    unit, way = (
        (match[1], match[2]) if match[1] else (match[4], "before" if match[3] == "previous" else "after")
    )
    days = {"week": 7}.get(unit, 1) * (-1 if way == "before" else 1)
    place = next(
        (
            k
            for k, p in enumerate(before.where.parts)
            if _about(p) == "time" and isinstance(p, During | Within)
        ),
        None,
    )
    if place is None or unit in ("hour", "shift"):
        raise QuestionError("The question before named no day, so I don't know which one is meant; name it.")
    held = before.where.parts[place]
    if isinstance(held, During):
        since, until = held.since, held.until
    else:
        assert isinstance(held, Within)
        since, until = held.low, None if held.high == float("inf") else held.high
    moved = context.calendar.shifted(Interval(since, until), days)
    words = context.calendar.say_interval(moved)
    new: Condition = During(moved.since, moved.until, words)
    new = onset_within(new) if before.began else new
    parts = (*before.where.parts[:place], new, *before.where.parts[place + 1 :])
    return replace(before, where=AllOf(parts))
