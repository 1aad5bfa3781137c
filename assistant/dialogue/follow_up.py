"""Questions that build on what was asked before: "why?", "and the chambers?", "the second one"."""

from __future__ import annotations

import re
from dataclasses import replace

from anomalyd.assistant.answers.context import Context
from anomalyd.assistant.dialogue.continuation import LEAD, continued
from anomalyd.assistant.dialogue.ellipsis import APART, headless, named_beside, stands
from anomalyd.assistant.dialogue.places import (
    NothingAskedError,
    moved,
    other_statistic,
    placed_in_list,
    side_of_case,
    side_of_ledger,
    sort_order,
)
from anomalyd.assistant.dialogue.session import Session
from anomalyd.assistant.language.spelling import plain
from anomalyd.assistant.understanding.question import Ask, Question, Target
from anomalyd.assistant.understanding.understand import Understood

_ONE = r"(?:it|its|this|that|this one|that one|the (?:incident|one|alert|alarm|anomaly|problem|case|report))"
_THEM = (
    r"(?:such(?: incidents| ones| alerts)?|them|they|those|these|the ones|these ones|those ones"
    r"|their|which of them)"
)
_EVERYTHING = re.compile(
    r"(?:let me (?:have|see)|give me|show|show me|can i (?:have|see)) (?:the |a )?(?:whole "
    r"|full )?list(?: of them)?"
    r"|(?:please )?(?:show|list|give me|tell me|print)(?: me)?(?: all| everything| all of "
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
_BARE = re.compile(
    r"(?:and |but |so )?(?:why(?: (?:was|is|did)(?: (?:that|it|this))?(?: flagged)?)?|how come"
    r"|who saw (?:it|that|them)|when|since when|how long|how bad|which ones?|which were they"
    r"|what were they"
    r"|where|on (?:which|what) (?:hosts?|machines?|nodes?|chambers?|runs?|entities|days?)(?: "
    r"were they| was it)?|which (?:hosts?|machines?|nodes?|chambers?|runs?|entities"
    r"|detectors?|days?)|how many|and how many|how many (?:are|were) (?:left|remaining|there)|the day "
    r"(?:before|after)"
    r"|(?:the )?(?:sev|severity|score|duration|cause|reason|run|model|status)"
    r"|show (?:me )?(?:them|it|those|more|all)|list (?:them|those)|tell me more|more|explain"
    r"|(?:name|list|show|give me|tell me|print|which|what)(?: me)?(?: are| were)? (?:the "
    r"|their |all )*(?:affected |concerned )?"
    r"(?:names?|entities|hosts|machines|chambers|nodes|runs|elements)(?: affected| concerned|"
    r" involved| of them| of those)*"
    r"|(?:is|was|are|were) (?:it|that|this|those|they) (?:more|fewer|less)(?: .*)?"
    r"|(?:more|fewer|less) or (?:more|fewer|less)(?: than before)?"
    r"|details|still|is it over|what was the (?:cause|reason|score)|the (?:cause|reason|score))"
)
_COUNTED = re.compile(r"how many (?:errors?|warnings?|critical incidents|without .+)")
"""Numbers of what was asked for before, if something was; else of all."""
_SELF_CONTAINED = re.compile(
    r"\b(?:(?:those|these|the ones)(?: that)?|(?:both|all|any|one|which|neither|none) of them)(?= |$)"
)
"""Words that point at what the question itself goes on to name: "those that lasted"."""


def follow_up(question: str, session: Session, context: Context) -> tuple[Question | None, Understood] | None:
    """Understand a question that builds on the last one; None if it stands for itself.

    Raises:
        QuestionError: it builds on something, and nothing was asked before; or as `understand`.

    """
    before = session.question
    text = plain(question) if before is None else _changed(plain(question))
    if (whole := _of_whole(text, before, session)) is not None:
        return whole, Understood(whole)
    one = re.search(rf"(?<![\w-]){_ONE}(?![\w-])", text)
    if one and named_beside(text, one.start(), one.end()):
        one = None
    them = re.search(rf"(?<![\w-]){_THEM}(?![\w-])", text) is not None
    lead, bare = LEAD.match(text) is not None, _BARE.fullmatch(text) is not None
    narrow = _NARROW.match(text) is not None
    if before is None:
        if lead or bare or narrow or them or (one and not stands(text)):
            _check_stands(text, lead, bare, narrow, them)
        return None
    without_head = before.ask not in APART and headless(text, context)
    if (
        lead
        or bare
        or narrow
        or them
        or _COUNTED.fullmatch(text)
        or _fragment(text)
        or (one is not None and not stands(text))
        or without_head
    ):
        return continued(text, session, before, context, one is not None, them or narrow)
    return None


_CHANGES = (
    (
        r"(?:no|nope|sorry|oops|actually|wait|hm+)[ ,]+(?:(?:i|we) (?:mean|meant) |make it |rather"
        r" |but )?(.+)",
        r"what about \1",
    ),
    (
        r"(?:(?:i|we) (?:mean|meant|said)|make (?:it|that)|switch to|change (?:it|that|this) to"
        r"|rather|better|try|and now|now) "
        r"(.+?)(?: instead)?",
        r"what about \1",
    ),
    (
        r"(?:and |but )?(?:for |on |with |at |use |take )?(.+?),? (?:instead|rather)(?: of (?:it"
        r"|that|this|them))?",
        r"what about \1",
    ),
    (r"(?:and |but )?(?:for |on |with |at )?((?:\S+ ){0,2}\S+),? (?:too|as well|also)", r"what about \1"),
)
"""Ways of asking the last question again with one thing changed."""


def _changed(text: str) -> str:
    for pattern, by in _CHANGES:
        if match := re.fullmatch(pattern, text):
            return match.expand(by)
    return text


def _of_whole(text: str, before: Question | None, session: Session) -> Question | None:
    """Read what asks for the last answer itself: all of it, who it was, the next of the list."""
    if before is not None and _EVERYTHING.fullmatch(text):
        numbers = (Ask.COUNT, Ask.EXISTS, Ask.FINE, Ask.ONGOING, Ask.CASE)
        return replace(before, ask=Ask.LIST if before.ask in numbers else before.ask, limit=200)
    if before is not None and _AFFECTED.fullmatch(text):
        return Question(Ask.LIST, before.where, target=Target.ENTITIES)
    other = (
        other_statistic(text, before)
        or side_of_ledger(text, before)
        or side_of_case(text, session)
        or moved(text, session)
        or sort_order(text, before)
    )
    return other if other is not None else placed_in_list(text, session)


def _check_stands(text: str, lead: bool, bare: bool, narrow: bool, them: bool) -> None:
    """Check that a first question points at nothing that was never asked.

    Raises:
        QuestionError: it does.

    """
    points = re.compile(rf"(?<![\w-])(?:it|its|{_ONE}|{_THEM})(?![\w-])")
    if (narrow or them) and points.search(_SELF_CONTAINED.sub(" ", text)) is None:
        return
    if lead or bare or narrow or re.search(rf"(?<![\w-])(?:it|its|{_THEM})(?![\w-])", text):
        raise NothingAskedError


def _fragment(text: str) -> bool:
    """Say whether a text is no sentence of its own, but more on the one before: "on the hosts", "errors"."""
    return _FRAGMENT.fullmatch(text) is not None and text not in ("help", "hello", "hi")
