"""Whether a question stands for itself, or leaves out what it is about: that is what was asked last."""

from __future__ import annotations

import re

from anomalyd.assistant.answers.context import Context
from anomalyd.assistant.dialogue.session import Session
from anomalyd.assistant.language.systems import ENTITIES, INCIDENTS
from anomalyd.assistant.understanding.question import LEDGER, Ask, Target
from anomalyd.assistant.understanding.understand import reserved
from anomalyd.errors import QuestionError
from anomalyd.reports.conditions import Among

APART = frozenset({*LEDGER, Ask.KNOWN, Ask.HELP, Ask.DATA, Ask.FLAGS})
"""What is asked of other things than incidents: nothing of it goes on to the next question."""
_OPENING = re.compile(
    r"(?:and |but |so )?(?:how (?:many|often|long|high|bad)|which|what|when|where|who|the|are|is|were|was|any"
    r"|worst|oldest|latest|newest|longest|shortest|first|last)\b"
)
_HEAD = re.compile(
    rf"(?<![\w-])(?:{INCIDENTS}|(?:any|some|every|no)(?:thing|one|body)|happen\w*|wrong|alarm\w*"
    rf"|flag\w*|going"
    rf"|warnings|errors|new|maintenance|you|watch\w*|monitor\w*|models?|detectors?|data|samples?"
    rf"|ENT[0-9]+|{ENTITIES})(?![\w-])"
)
_IN_PHRASE = r"(?<![\w-])(?:on|in|at|for|from|of|during|since|between|with) (?:the |all |any )*(?:ENT[0-9]+)"


_THE_SAME = re.compile(
    r"\b(?:this|that|the same) (?:host|machine|node|server|computer|box|chamber|entity|element|tower"
    r"|device|part)\b",
    re.IGNORECASE,
)


def named(text: str, session: Session, context: Context) -> str:
    """Write the entity told of last for "this host"; the text as it is where it says nothing of the kind.

    Raises:
        QuestionError: it does, and no single entity was told of.

    """
    if (one := _one_named(session)) and (pointing := _of_named(text, one)):
        return pointing
    if not _THE_SAME.search(text) or re.search(
        r"\b(?:which|what) (?:host|machine|node|chamber|entity) (?:was|is) that\b", text, re.I
    ):
        return text
    entities = set(_entities(session))
    if (
        len(entities) != 1
        and session.result.reports
        and session.question
        and session.question.ask is Ask.CASE
    ):
        entities = {context.queries.report(session.result.reports[0]).incident.entity}
    if len(entities) != 1:
        raise QuestionError("I don't know which one is meant: no single one was told of. Name it.")
    return _THE_SAME.sub(entities.pop().lower(), text)


def _one_named(session: Session) -> str | None:
    """Give the entity that was the whole answer to "which host had most?"."""
    before, names = session.question, session.result.names
    of_entities = before is not None and before.ask is Ask.LIST and before.target is Target.ENTITIES
    return names[0] if of_entities and len(names) == 1 else None


_HOW_MANY = re.compile(
    r"(?:and )?how many(?: (?:incidents|alerts|alarms|ones))?(?: (?:was|were|is|are) (?:that"
    r"|it|those|they|there))?"
    r"(?: (?:in total|in all|exactly))?"
)


def _of_named(text: str, entity: str) -> str | None:
    """Write the entity told of for "it" and "how many was that", and tie the question to the one before."""
    bare = text.lower().strip(" ?!.")
    if _HOW_MANY.fullmatch(bare):
        return f"and how many incidents on {entity.lower()}"
    pointer = r"\b(?:it|this one|that one|he|she|they|this|that)(?='s\b|\b)"
    if re.match(
        rf"(?:and |but |so )?(?:how|when|why|what|which|who|is|was|did|has|does|since|show|list"
        rf"|tell)\b.*{pointer}",
        bare,
    ):
        return f"and {re.sub(pointer, entity.lower(), bare, count=1)}"
    return None


def _entities(session: Session) -> tuple[str, ...]:
    parts = session.question.where.parts if session.question else ()
    return next((p.values for p in parts if isinstance(p, Among) and p.column == "entity"), ())


def headless(text: str, context: Context) -> bool:
    """Say whether a question names nothing that it is about ("which was the worst?", "how many on hosts?").

    Such a question is about what was asked last; one that names incidents, or an entity, stands for itself.
    """
    if not _OPENING.match(text):
        return False
    try:
        _, marked = context.names.mark(text, reserved())
    except QuestionError:
        return False
    return _HEAD.search(re.sub(_IN_PHRASE, " ", marked)) is None


_NAMED_AFTER = re.compile(
    rf"(?:,|\band\b).*\bthe (?:latest|last|newest|worst|longest|shortest|first|oldest) {INCIDENTS}(?![\w-])"
)


def named_beside(text: str, start: int, end: int) -> bool:
    """Say whether a text names itself what the "it" from `start` to `end` stands for: "the latest incident on
    node17: when was it over", "is it over, and who saw the latest incident".
    """
    before = re.search(rf"(?:{INCIDENTS}|[a-z][\w/+-]*[0-9])(?![\w-])", text[:start])
    return before is not None or _NAMED_AFTER.search(text[end:]) is not None


def stands(text: str) -> bool:
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
