"""What points at what was told last: "the second one", "the next", "sort them by score", "until when?"."""

from __future__ import annotations

import re
from dataclasses import replace

from anomalyd.assistant.dialogue.session import Session
from anomalyd.assistant.language.spelling import ORDINAL, ordinal
from anomalyd.assistant.understanding.asking.together import beside_last
from anomalyd.assistant.understanding.question import LEDGER, Ask, Aspect, Question, Target
from anomalyd.errors import QuestionError
from anomalyd.reports.conditions import AllOf, Among
from anomalyd.reports.queries import Order

_PLACE = re.compile(
    rf"(?:and |what about |how about |show |open |pick |take |go to |see |tell me (?:more )?about "
    rf"|more (?:about|on) |explain |why |details (?:of|on) |give me )*"
    rf"(?:was |is |did |of )?(?:the |number |no |#)?(?P<nth>first|last|{ORDINAL}|[0-9]{{1,2}})(?: "
    rf"(?:one|of (?:them|those|these)|incident|in the list))?"
    rf"(?P<more>(?: (?:was|is|did|flagged|happen|seen|start|end|about|why|please|critical|,))*)"
)


class NothingAskedError(QuestionError):
    """A question builds on what was asked before, and nothing was."""

    def __init__(self) -> None:
        super().__init__(
            "I don't know what that refers to: nothing was asked before. "
            "Name the incident, the entity or the time."
        )


_NO_LIST = "No incidents were listed, so I don't know which one is meant; name it."


_SIDES = {
    **dict.fromkeys(("until when", "how long", "how long still", "when does it end"), Aspect.END),
    **dict.fromkeys(("since when", "when"), Aspect.START),
    **dict.fromkeys(("why", "what for", "for what reason", "how come"), Aspect.WHY),
    **dict.fromkeys(("who", "by whom", "who said that", "who said so", "who did it"), Aspect.WHO),
}
"""What may be asked further of what people and detectors did."""
_ITS_END = re.compile(
    r"(?:when|until when|how long|how late) (?:is|are|will|does|do|did|was) (?:it|they|this"
    r"|that|the work|the maintenance)"
    r"(?: (?:be|last|go on|take|still|yet|all|end|finish|finished|done|over|ready|complete"
    r"|completed|there|continue|open))*"
    r"|how much (?:longer|more time|time is left)(?: .*)?|how long (?:still|more|to go)|till when"
)


def side_of_ledger(text: str, before: Question | None) -> Question | None:
    """Read "until when?", "why?", "who?" of what people or detectors did, which was asked last."""
    if before is None or before.ask not in LEDGER:
        return None
    bare = re.sub(r"^(?:and|but|so|then) ", "", text)
    aspect = Aspect.END if _ITS_END.fullmatch(bare) else _SIDES.get(bare)
    if re.fullmatch(
        r"(?:who|by whom) (?:(?:was|has|did|had) )?(?:it |that |this )?\w+(?: it| that| this| so)?", bare
    ):
        aspect = Aspect.WHO
    if aspect is None:
        return None
    return replace(before, aspect=aspect, target=Target.INCIDENTS, statistic="mean", order=None)


_STATISTICS = {
    **dict.fromkeys(("maximum", "max", "highest", "largest", "longest", "most"), "max"),
    **dict.fromkeys(("minimum", "min", "lowest", "smallest", "shortest", "least"), "min"),
    **dict.fromkeys(("mean", "average"), "mean"),
    **dict.fromkeys(("total", "sum"), "sum"),
    "median": "median",
}


def other_statistic(text: str, before: Question | None) -> Question | None:
    """Read "and the maximum?" where a mean, a median or a sum was asked last."""
    asked = re.fullmatch(
        r"(?:and |but |what about |what is |what was )*(?:the )?(\w+)(?: one| value| of (?:them|it|that))?",
        text,
    )
    if asked is None or before is None or before.ask is not Ask.AGGREGATE or before.measure == "count":
        return None
    statistic = _STATISTICS.get(asked[1])
    return replace(before, statistic=statistic) if statistic else None


def side_of_case(text: str, session: Session) -> Question | None:
    """Read "what else alarmed at that time?" of the incident told last."""
    asked = beside_last(text)
    if asked is None or not session.result.reports or session.question is None:
        return None
    if session.question.ask not in (Ask.CASE, Ask.ONGOING):
        return None
    chosen = session.result.reports[0]
    return replace(asked, where=AllOf((Among("id", (chosen,), f"report {chosen}"),)))


def moved(text: str, session: Session) -> Question | None:
    """Read "the next one", "and the one before", of what was listed last."""
    match = re.fullmatch(
        r"(?:and |ok |show |now |what about |how about )*(?:the )?(?:(next|following|previous"
        r"|preceding)(?: one| "
        r"incident)?|(?:one|incident|alert|alarm) (before|after)(?: that one| this one| that| it)?)",
        text,
    )
    if match is None:
        return None
    if not session.listed:
        return _beside(match, session)
    step = 1 if (match[1] or match[2]) in ("next", "following", "after") else -1
    place = session.place + step
    if not 0 <= place < len(session.listed):
        raise QuestionError(f"There is none: {len(session.listed)} were told.")
    chosen = session.listed[place]
    return Question(Ask.CASE, AllOf((Among("id", (chosen,), f"report {chosen}"),)))


def _beside(match: re.Match[str], session: Session) -> Question | None:
    """Read "the one before" of an incident that was told alone: its neighbour in time, all else the same."""
    before = session.question
    if (
        before is None
        or before.ask is not Ask.CASE
        or before.order not in (None, Order.LATEST, Order.EARLIEST)
    ):
        return None
    earlier = (match[1] or match[2]) in ("previous", "preceding", "before")
    step = 1 if earlier is (before.order is not Order.EARLIEST) else -1
    place = (before.nth or 1) + step
    if place < 1:
        raise QuestionError(
            "There is none: it is the latest one." if not earlier else "There is none before it."
        )
    return replace(before, order=before.order or Order.LATEST, nth=place, limit=None)


def sort_order(text: str, before: Question | None) -> Question | None:
    """Read "sort them by score", "longest first"."""
    match = re.fullmatch(
        r"(?:and |now |please )*(?:sort|order|rank)(?: them| it| those| these)? by (?:the "
        r")?(?:peak )?(score|severity|duration|length|time|onset|date)"
        r"|(?:and |the |with the )*(worst|longest|latest|newest|oldest|earliest|shortest) first",
        text,
    )
    if match is None or before is None:
        return None
    orders = {"score": Order.WORST, "severity": Order.WORST, "worst": Order.WORST, "duration": Order.LONGEST}
    orders |= {
        "length": Order.LONGEST,
        "longest": Order.LONGEST,
        "oldest": Order.EARLIEST,
        "earliest": Order.EARLIEST,
    }
    orders |= {"shortest": Order.SHORTEST}
    order = orders.get(match[1] or match[2], Order.LATEST)
    return replace(before, ask=Ask.LIST, target=Target.INCIDENTS, order=order, limit=None, nth=None)


def placed_in_list(text: str, session: Session) -> Question | None:
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
        of_list = re.search(r"\b(?:one|them|those|these)\b", text) or (
            session.question is None and said_of_list
        )
        if of_list and "incident" not in text:
            raise NothingAskedError if session.question is None else QuestionError(_NO_LIST)
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
    return Question(Ask.CASE, AllOf((Among("id", (chosen,), f"report {chosen}"),)), aspect=_aspect(text))


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
