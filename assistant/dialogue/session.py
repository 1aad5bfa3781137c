"""What was asked before, and questions that build on it: "why?", "and the chambers?", "the second one"."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace

from anomalyd.assistant.answers.context import Context
from anomalyd.assistant.answers.sentence import Result
from anomalyd.assistant.language.spelling import ORDINAL, ordinal, plain
from anomalyd.assistant.understanding.question import Ask, Aspect, Question, Target
from anomalyd.assistant.understanding.reading import onset_within
from anomalyd.assistant.understanding.understand import Understood, understand
from anomalyd.errors import QuestionError
from anomalyd.reports.conditions import (
    AllOf,
    Among,
    AnyOf,
    Causes,
    Condition,
    During,
    Explained,
    Lumisections,
    Not,
    Within,
)

_ONE = r"(?:it|its|this|that|this one|that one|the (?:incident|one|alert|alarm|anomaly|problem|case|report))"
_THEM = r"(?:them|they|those|these|the ones|these ones|those ones|their|which of them)"
_PLACE = re.compile(
    rf"(?:and |what about |how about |show |tell me (?:more )?about |more (?:about|on) |explain "
    rf"|why |details (?:of|on) |give me )*"
    rf"(?:was |is |did |of )?(?:the |number |no |#)?(?P<nth>first|last|{ORDINAL}|[0-9]{{1,2}})(?: "
    rf"(?:one|of (?:them|those|these)|incident|in the list))?"
    rf"(?P<more>(?: (?:was|is|did|flagged|happen|seen|start|end|about|why|please|critical|,))*)"
)
_LEAD = re.compile(
    r"^(?:ok |okay |so |then |hm+ |oh )*(?:,? ?)(?:and|what about|how about|same (?:for|on|with"
    r"|question for)|the same (?:for|on|with)|but|or|also|now)\b[ ,]*"
    r"(?:what about|how about|the same for|for|then)? ?"
)
_NARROW = re.compile(
    r"^(?:(?:and|but|ok|now|show|list|give me|only) )*(?:only|just|without|excluding|except|not"
    r"|minus|those|the ones|which of (?:them|those|these)|how many of (?:them|those|these)"
    r"|(?:how many|which|are any|is any|were any|any) (?:of (?:them|those|these)))\b"
)
_NEEDS = (
    "I don't know what that refers to: nothing was asked before. Name the incident, the entity or the time."
)


@dataclass
class Session:
    """The last question and its result; `listed` are the reports last told, in their order."""

    question: Question | None = None
    result: Result = field(default_factory=Result)
    listed: tuple[str, ...] = ()

    def remember(self, question: Question, result: Result) -> None:
        """Keep a question and its result for what follows."""
        self.question, self.result = question, result
        if len(result.reports) > 1 or (question.ask is not Ask.CASE and result.reports):
            self.listed = result.reports
        elif question.ask not in (Ask.CASE, Ask.ONGOING):
            self.listed = ()

    def reset(self) -> None:
        """Forget everything."""
        self.question, self.result, self.listed = None, Result(), ()

    @property
    def chips(self) -> tuple[str, ...]:
        """Say what is remembered."""
        from anomalyd.assistant.understanding.interpretation import chips

        return chips(self.question) if self.question else ()


def follow_up(question: str, session: Session, context: Context) -> tuple[Question | None, Understood] | None:
    """Understand a question that builds on the last one; None if it stands for itself.

    Raises:
        QuestionError: it builds on something, and nothing was asked before; or as `understand`.

    """
    text = plain(question)
    before = session.question
    if (
        re.fullmatch(
            r"(?:please )?(?:show|list|give me|tell me|print)(?: me)?(?: all| everything| all of "
            r"(?:them|those|these)| the (?:others|rest))",
            text,
        )
        and before
    ):
        return _all(before, session)
    placed = _placed(text, session)
    if placed is not None:
        return placed, Understood(placed)
    one = re.search(rf"(?<![\w-]){_ONE}(?![\w-])", text)
    them = re.search(rf"(?<![\w-]){_THEM}(?![\w-])", text)
    lead = _LEAD.match(text)
    narrow = _NARROW.match(text)
    bare = re.fullmatch(
        r"(?:and |but |so )?(?:why(?: (?:was|is|did)(?: (?:that|it|this))?(?: flagged)?)?|how come"
        r"|who saw (?:it|that|them)|when|since when|how long|how bad|which ones?|which were they"
        r"|what were they"
        r"|where|on (?:which|what) .*|which (?:hosts?|machines?|nodes?|chambers?|runs?|entities"
        r"|detectors?|days?)|how many|and how many|the day (?:before|after)|on which .*"
        r"|show (?:me )?(?:them|it|those|more|all)|list (?:them|those)|tell me more|more|explain"
        r"|details|still|is it over|what was the (?:cause|reason|score)|the (?:cause|reason|score))",
        text,
    )
    if not (lead or narrow or bare or them or (one and not _stands(text))):
        return None
    if before is None:
        if them or bare or lead or narrow or re.search(r"\b(?:it|its|that one|this one)\b", text):
            if (lead or bare or narrow) is None and not re.search(
                rf"(?<![\w-])(?:it|its|{_THEM})(?![\w-])", text
            ):
                return None
            raise QuestionError(_NEEDS)
        return None
    return _built(text, session, before, context, bool(one), bool(them or narrow))


def _stands(text: str) -> bool:
    """Say whether a text with "it" or "that" stands for itself: "is it true that", "those that lasted"."""
    text = re.sub(
        r"\b(?:that|this)\b(?= (?:\w+ed|were|was|are|is|have|had|has|did|morning|afternoon|evening"
        r"|night|week|month|year|weekend|shift|took|went|began|exceeded|alarm|not|scored|lasted|the"
        r"|both|only))",
        "",
        text,
    )
    text = re.sub(
        r"\b(?:fact|everything|all|incidents?|alerts?|ones?|things?|hosts?|machines?|chambers?|say"
        r"|entities) that\b",
        "",
        text,
    )
    return re.search(r"(?<![\w-])(?:it|its|this one|that one|that|this)(?![\w-])", text) is None


def _all(before: Question, session: Session) -> tuple[Question, Understood]:
    asked = Ask.LIST if before.ask in (Ask.COUNT, Ask.EXISTS, Ask.FINE, Ask.ONGOING, Ask.CASE) else before.ask
    question = replace(before, ask=asked, limit=200)
    return question, Understood(question)


def _placed(text: str, session: Session) -> Question | None:
    """Read "the second one", of what was listed last."""
    match = _PLACE.fullmatch(text)
    if match is None:
        return None
    word = match["nth"]
    bare_number = word.isdigit()
    if bare_number and not re.search(r"number|no |#|one\b", text):
        return None
    said_of_list = (
        re.search(r"\b(?:one|them|those|these|list|number)\b", text)
        or len(text.split()) <= 3
        or text.startswith("and ")
    )
    if not session.listed:
        if session.question is None and said_of_list and not re.search(r"incident", text):
            raise QuestionError(_NEEDS)
        return None
    count = len(session.listed)
    place = (
        1
        if word == "first"
        else count
        if word == "last"
        else int(word)
        if bare_number
        else ordinal(word) or 1
    )
    if place > count:
        raise QuestionError(f"There is no number {place}: {count} were told.")
    chosen = session.listed[place - 1]
    aspect = _aspect(text)
    return Question(Ask.CASE, AllOf((Among("id", (chosen,), f"report {chosen}"),)), aspect=aspect)


def _aspect(text: str) -> Aspect:
    for pattern, aspect in (
        (r"\bwhy|explain|cause|reason", Aspect.WHY),
        (r"\bstart|when", Aspect.START),
        (r"\bend\b", Aspect.END),
        (r"\bwho|seen", Aspect.SEEN_BY),
    ):
        if re.search(pattern, text):
            return aspect
    return Aspect.SUMMARY


def _built(
    text: str, session: Session, before: Question, context: Context, one: bool, them: bool
) -> tuple[Question | None, Understood]:
    """Read what is new, and keep of the last question what the new one leaves open."""
    shifted = _shifted(text, before, context)
    if shifted is not None:
        return shifted, Understood(shifted)
    stripped = _LEAD.sub("", text)
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
    if (
        new.ask in (Ask.COUNT, Ask.GROUPS, Ask.AGGREGATE, Ask.EXISTS, Ask.QUIET, Ask.SHARE)
        or new.target is not Target.INCIDENTS
    ):
        return replace(new, where=where, whole=before.where if new.ask is Ask.SHARE else None)
    if new.ask in (Ask.FINE, Ask.ONGOING):
        if not parts and before.ask is Ask.CASE and session.result.reports:
            where = AllOf((Among("id", session.result.reports[:1], f"report {session.result.reports[0]}"),))
        return replace(new, where=where)
    listing = re.match(r"(?:and )?(?:show|list|which|what|give|tell)\b", text) is not None
    if new.ask is Ask.LIST and (listing or (before.ask in (Ask.FINE, Ask.ONGOING, Ask.EXISTS) and narrowing)):
        return replace(new, where=where, order=new.order or before.order)
    if before.ask is Ask.COMPARE:
        return None
    return replace(before, where=where, order=new.order or before.order, nth=None, sides=())


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
        case Explained():
            return "explained"
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
    from anomalyd.assistant.language.calendar import Interval

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
