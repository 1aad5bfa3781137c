"""Merge what a follow-up says with the question before it: what is new, and what is kept."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, replace

from anomalyd.assistant.answers.context import Context
from anomalyd.assistant.dialogue.conditions import replaced, shifted, subject_of
from anomalyd.assistant.dialogue.session import Session
from anomalyd.assistant.understanding.interpretation import condition_words
from anomalyd.assistant.understanding.question import LEDGER, Ask, Aspect, Question, Side, Target
from anomalyd.assistant.understanding.reading import onset_within
from anomalyd.assistant.understanding.understand import Understood, understand
from anomalyd.errors import QuestionError
from anomalyd.reports.conditions import AllOf, Among, Condition

LEAD = re.compile(
    r"^(?:ok |okay |so |then |hm+ |oh )*(?:,? ?)(?:and|what about|how about|same (?:for|on|with"
    r"|question for)|the same (?:for|on|with)|but|or|also|now)\b[ ,]*"
    r"(?:what about|how about|the same for|for|then)? ?"
)
"""Words that tie a question to the one before it."""

_IN_TOTAL = (
    r"(?:and |but )*(?:how many )?(?:is (?:it|that) |are (?:they|those) |were there )?"
    r"(?:in total|in all|all in all|altogether|all together|overall|ever|of all time|at all times)"
)

_NARROWS = r"(?:and |but )*(?:only|just|without|excluding|except|not|minus|how many of|which of|no)\b"


def continued(
    text: str, session: Session, before: Question, context: Context, one: bool, them: bool
) -> tuple[Question | None, Understood]:
    """Read what is new in a follow-up, and keep of the last question what is left open.

    Args:
        text: the question in plain lower case
        session: what was asked and told
        before: the last question
        context: store, names, calendar
        one: it points at one incident ("it", "that one")
        them: it points at several, or narrows them ("those", "only")

    Raises:
        QuestionError: it moves the day of a question that named none.

    """
    moved = shifted(text, before, context)
    if moved is not None:
        return moved, Understood(moved)
    if against := re.fullmatch(
        r"(?:and |now )*compare (?:that|it|this|them|those) (?:with|to|and|against) (.+)", text
    ):
        read = understand(against[1], context.queries, context.names, context.calendar)
        other = replaced(before.where, read.question.where.parts) if read.question else None
        return (_compared((before.where, other)) if other else None), read
    if (more := _MORE.fullmatch(text)) and (two := _side_by_side(session, more)):
        return two, Understood(two)
    if re.fullmatch(_IN_TOTAL, text):
        whole = replace(
            before, where=AllOf(tuple(p for p in before.where.parts if subject_of(p) != "time")), began=False
        )
        return whole, Understood(whole)
    read = understand(
        _without_pointers(text) or "incidents", context.queries, context.names, context.calendar
    )
    if read.question is None and read.unused:
        return None, read
    return _merged(text, read, session, before, context, one, them), read


def _without_pointers(text: str) -> str:
    """Take out the words that only point back: "how many of them", "did it", "those that"."""
    stripped = re.sub(r"\bhow many (?:are|were) (?:left|remaining|there)$", "how many", LEAD.sub("", text))
    stripped = re.sub(
        r"\b(?:of|on|in|by|for|with|from|among) (?:(?:that|this) one|it|this|that|them|those|these"
        r"|the (?:ones|incident|one))(?= |$)",
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
    return re.sub(r"\b(?:it|them|they|that one|this one|these ones|those ones)\b", " ", stripped).strip(" ,")


@dataclass(frozen=True, slots=True)
class _Joint:
    """A follow-up and what it builds on."""

    text: str
    new: Question
    session: Session
    before: Question
    context: Context
    one: bool
    narrowing: bool
    where: AllOf

    @property
    def parts(self) -> tuple[Condition, ...]:
        return tuple(self.new.where.parts)

    @property
    def told(self) -> str | None:
        """The id of the incident told last."""
        reports = self.session.result.reports
        return reports[0] if reports else None


def _merged(
    text: str, read: Understood, session: Session, before: Question, context: Context, one: bool, them: bool
) -> Question | None:
    new = read.question or Question(Ask.LIST)
    parts = tuple(new.where.parts)
    narrowing = them or re.match(_NARROWS, text) is not None
    if narrowing:
        where = AllOf((*before.where.parts, *(p for p in parts if p not in before.where.parts)))
    else:
        where = replaced(before.where, parts)
        if before.began:
            where = AllOf(tuple(map(onset_within, where.parts)))
    counts = new.ask is Ask.COUNT and new.target is Target.INCIDENTS
    if before.target is not Target.INCIDENTS and them and counts:
        return replace(before, ask=Ask.COUNT, where=where, limit=None, ranked=False)
    joint = _Joint(text, new, session, before, context, one, narrowing, where)
    for kind in _KINDS:
        if (question := kind(joint)) is not None:
            return question
    if before.ask is Ask.COMPARE:
        return _more_compared(before, parts)
    return replace(before, where=where, order=new.order or before.order, nth=None, sides=())


def _of_a_ledger(j: _Joint) -> Question | None:
    """Ask for comments, flags and the like of the incident told last, or of those asked for."""
    if j.new.ask not in LEDGER:
        return None
    where = j.where
    if not j.parts and j.told and j.before.ask in (Ask.CASE, Ask.ONGOING):
        entity = j.context.queries.report(j.told).incident.entity
        where = AllOf((Among("id", (j.told,), f"report {j.told}"), Among("entity", (entity,), entity)))
    return replace(j.new, where=where)


def _of_one_incident(j: _Joint) -> Question | None:
    """Ask an aspect of the incident told last."""
    new, before = j.new, j.before
    of_one = before.ask is Ask.CASE and j.told and not (j.parts and not j.one)
    if of_one and new.ask in (Ask.LIST, Ask.GROUPS) and new.target is not Target.INCIDENTS:
        aspect = Aspect.RUN if new.target is Target.RUNS else Aspect.ENTITY
        return _about_last(Question(Ask.CASE, aspect=aspect), j.session, before)
    if new.ask is Ask.CASE:
        if new.aspect is not Aspect.SUMMARY and not j.parts:
            return _about_last(new, j.session, before)
        if before.ask is Ask.CASE and new.aspect is Aspect.SUMMARY and new.order is None:
            return replace(before, where=j.where)
        return replace(new, where=j.where)
    if new.ask is Ask.EXISTS and j.one and j.told and before.ask in (Ask.CASE, Ask.ONGOING):
        return replace(new, where=AllOf((Among("id", (j.told,), f"report {j.told}"), *j.parts)))
    return None


def _of_numbers(j: _Joint) -> Question | None:
    """Ask for a number, groups or yes and no over the conditions of both."""
    if (
        j.new.ask in (Ask.COUNT, Ask.GROUPS, Ask.AGGREGATE, Ask.EXISTS, Ask.QUIET, Ask.SHARE)
        or j.new.target is not Target.INCIDENTS
    ):
        return replace(j.new, where=j.where, whole=j.before.where if j.new.ask is Ask.SHARE else None)
    return None


def _of_now(j: _Joint) -> Question | None:
    """Ask whether it still goes on."""
    if j.new.ask not in (Ask.FINE, Ask.ONGOING):
        return None
    where = j.where
    if not j.parts and j.before.ask is Ask.CASE and j.told:
        where = AllOf((Among("id", (j.told,), f"report {j.told}"),))
    return replace(j.new, where=where)


def _of_a_list(j: _Joint) -> Question | None:
    """List what was counted, or what is left of it."""
    new, before = j.new, j.before
    of_entities = before.target is not Target.INCIDENTS
    if of_entities and j.narrowing and new.ask in (Ask.LIST, Ask.FINE) and new.order is None:
        return replace(before, where=j.where)
    listing = re.match(r"(?:and )?(?:show|list|which|what(?! about)|give|tell)\b", j.text) is not None
    listing = listing or (before.ask in (Ask.FINE, Ask.ONGOING, Ask.EXISTS) and j.narrowing)
    if new.ask is Ask.LIST and listing:
        return replace(new, where=j.where, order=new.order or before.order)
    return None


_KINDS: tuple[Callable[[_Joint], Question | None], ...] = (
    _of_a_ledger,
    _of_one_incident,
    _of_numbers,
    _of_now,
    _of_a_list,
)
"""What a follow-up may ask, in the order in which it is tried."""


def _compared(wheres: tuple[AllOf, ...]) -> Question:
    """Set conditions side by side; each is said by what the others do not have."""
    common = tuple(p for p in wheres[0].parts if all(p in w.parts for w in wheres))
    words = [condition_words(AllOf(tuple(p for p in w.parts if p not in common))) or "all" for w in wheres]
    return Question(Ask.COMPARE, AllOf(common), sides=tuple(map(Side, words, wheres)))


_MORE = re.compile(
    r"(?:and )?(?:is|was|are|were) (?:it|that|this|those|they) (?:(?P<more>more)|(?P<fewer>fewer|less))"
    r"(?: incidents)?(?P<either> or (?:more|less|fewer))?(?: than (?:before|the (?:one |number )?before))?"
    r"|(?:and )?(?:more or (?:less|fewer)|fewer or more|less or more)(?: than before)?"
)
"""Of the last two numbers: "is that more?", "more or fewer?"."""


def _side_by_side(session: Session, asked: re.Match[str]) -> Question | None:
    """Compare the last two counts."""
    sign = "" if asked["either"] else ">" if asked["more"] else "<" if asked["fewer"] else ""
    now, before = session.question, session.earlier
    if now is None or before is None or now.ask is not Ask.COUNT or before.ask is not Ask.COUNT:
        return None
    if now.target is not before.target or now.where == before.where:
        return None
    return replace(_compared((now.where, before.where)), sign=sign, target=now.target)


def _more_compared(before: Question, parts: tuple[Condition, ...]) -> Question | None:
    """Put one more side to a comparison, or a condition to all of its sides."""
    wheres = tuple(side.where for side in before.sides if isinstance(side.where, AllOf))
    if not parts or len(wheres) != len(before.sides):
        return None
    differ = {subject_of(p) for p in wheres[0].parts if p not in before.where.parts}
    if any(subject_of(part) in differ for part in parts):
        return _compared((*wheres, replaced(wheres[-1], parts)))
    return _compared(tuple(replaced(where, parts) for where in wheres))


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
