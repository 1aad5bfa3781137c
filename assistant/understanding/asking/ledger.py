"""Questions on what people and detectors did: maintenance, words on entities, adaptations, remarks, flags.

They are recognised by their topic, and every other word of them must be one that their kind knows.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace

from anomalyd.assistant.language.inflection import any_form
from anomalyd.assistant.language.systems import ENTITIES, HOSTS, INCIDENTS
from anomalyd.assistant.understanding.atoms import PLACEHOLDER, Atom
from anomalyd.assistant.understanding.question import Ask, Aspect, Question, Target
from anomalyd.assistant.understanding.scope import scoped
from anomalyd.assistant.understanding.vocabulary import FILLERS
from anomalyd.reports.queries import Order
from anomalyd.reports.remark import RemarkKind

_MAINTENANCE = (
    r"(?:(?:under|in|on|out for|down for) )?(?:planned |scheduled )?maintenances?(?: windows?)?|maintained"
    r"|silenced?|silences|muted?|snoozed|(?:being )?work(?:ed|ing) on"
)
_JUDGED = any_form(
    "mark declare tell say label call judge consider set report name confirm rate deem"
    " classify regard state claim"
    " register certify describe think treat flag"
)
_WORD = r"(?P<word>normal|fine|ok|okay|healthy|broken|bad|faulty|defective)"
_PEOPLE = r"(?:people|operators?|users?|someone|somebody|anyone|anybody|experts?|shifters?|humans?|persons?)"
_FEEDBACK = (
    rf"(?:operators? |human |user |your )?feed ?backs?|(?:what|anything) (?:did|do|have|has) {_PEOPLE} "
    rf"(?:say|said|tell|told)"
    rf"(?: about| of| on)?|(?:who|what|which|why|reason|when|was|were|is|has|have|did|how "
    rf"many)\b.*\b{_JUDGED}\b.*\b"
    rf"{_WORD.replace('?P<word>', '?:')}\b"
)
_RELEARNT = (
    r"re-?learn(?:ed|t|ing)?|learn(?:ed|t|ing)? (?:\S+ ){0,3}(?:anew|again)|daily (?:course"
    r"|pattern|rhythm|cycle)(?: of \S+)?"
    r"(?: .*)? (?:re-?learn(?:ed|t)|(?:learn(?:ed|t) )(?:anew|again))"
)
_REBASED = (
    r"re-?based?|(?:taken for|took for|accepted|taken as|moved to|shifted to) (?:a |the |its"
    r" )?new (?:level|normal|baseline)|new levels?"
)
_ADAPTATION = rf"adaptations?|adapt(?:ed|s|ing)?|{_RELEARNT}|{_REBASED}"
_REMARK = r"comment(?:s|ed)?|(?:wrote|writes?|write|written)(?: down)?|remarks?|remarked|notes?|annotations?"
_WHO_ACK = (
    r"(?:who|by whom|whom)\b.*\b(?:acknowledged?|acked?|taken|took over|takes care|is looking after"
    r"|owns (?:the|this|that|its))"
    r"|(?:when|was|were|is|has|have)\b.*\b(?:acknowledged|acked)"
)
_TOPICS: tuple[tuple[Ask, str], ...] = (
    (Ask.MAINTENANCE, _MAINTENANCE),
    (Ask.ADAPTATIONS, _ADAPTATION),
    (Ask.FEEDBACK, _FEEDBACK),
    (Ask.REMARKS, rf"{_REMARK}|{_WHO_ACK}"),
)
_ASPECTS = (
    (Aspect.WHO, r"(?:by )?whom?|which person|whose"),
    (
        Aspect.WHY,
        r"(?:what (?:is|was) )?(?:the )?(?:reasons?|grounds?)(?: (?:for|of))?|why|what for|how come",
    ),
    (
        Aspect.END,
        r"until when|till when|when(?= .*\b(?:ends?|finish(?:es|ed)?|done)\b)|how long(?= .*\b(?:still|is"
        r"|will)\b)"
        r"|(?:the )?end of",
    ),
    (Aspect.START, r"since when|when|(?:the )?(?:start|beginning) of"),
)
_COMING = (
    r"upcoming|planned|scheduled|coming up|coming|next|tomorrow|future|foreseen|ahead|soon|later|to come|due"
)
_COUNT = (
    r"how many(?: times)?|how often|how much|(?:the )?number(?: of)?|(?:the )?(?:total"
    r" )?count(?: of)?|(?:in )?total(?: of)?"
)
_ORDERED = (
    (Order.LATEST, r"(?:the )?(?:very )?(?:last|latest|most recent|newest)"),
    (Order.EARLIEST, r"(?:the )?(?:very )?(?:first|earliest|oldest)"),
)
_REST_LINES = """
a about all an and any anything are as at be been being by currently current detector detectors did do
does doing done else end ended ending ends entities entity ever everything finish finished finishes for
from get given gave got had happen happened has have how i in incident incidents alert alerts alarm
alarms report reports is it its last lasts list me moment much now of on one ones open operator operators
or our people present recently right see set show since so far some someone somebody something start
started starts still than that the their there these they things this those time times to total under
until up us was we were what when where which who whom whose why will with window windows work working
anybody anyone your you going active overall between person persons user users machines machine hosts
host chambers chamber nodes node care latest word words verdict verdicts opinion opinions leave left
write wrote written say said tell told make made put add added course somebody's will begin began begun
beginning give gives take taken over level reason someone's already yet somewhere detector's human
"""
_REST = frozenset(_REST_LINES.split()) | (FILLERS - {"wrong", "trouble", "system", "used", "same", "both"})
"""Words that change nothing here; a negation is none of them."""


@dataclass(frozen=True, slots=True)
class LedgerRead:
    """A question of this kind, and its words that were not understood."""

    question: Question
    unused: tuple[str, ...]


def is_planned(text: str) -> bool:
    """Say whether maintenance that is to come may be asked for: only there the future is no mistake."""
    return re.search(rf"(?<![\w-])(?:{_MAINTENANCE})(?![\w-])", text) is not None


def read_ledger(
    text: str, atoms: Mapping[str, Atom], people: tuple[str, ...], tomorrow: tuple[float, float] | None
) -> LedgerRead | None:
    """Read a question on what people and detectors did; None if it is of another kind.

    `people`: who wrote or said something; `tomorrow`: from when to when that is, where it was named.
    """
    text = re.sub(rf"\b({_names(people)})'s?(?![\w])", r"\1", text)
    said_by = text
    text = _of_operators(text, people)
    found = next(
        (
            (ask, match)
            for ask, pattern in _TOPICS
            if (match := re.search(rf"(?<![\w-])(?:{pattern})(?![\w-])", text))
        ),
        None,
    )
    if (of_quality := _of_quality(text, atoms, people)) is not None:
        return of_quality
    if found is None:
        return None
    ask, match = found
    if ask is Ask.REMARKS and _of_incidents(text, people):
        return None
    if re.search(rf"how many(?: [A-Z]+[0-9]+)* {INCIDENTS}", text):
        return None  # "how many incidents were there during the maintenance"
    scope = scoped(text, atoms)
    more = ("ID", "SEV", "STAT", "RUN") if ask is Ask.REMARKS else ()
    if any(d not in ("ENT", "TIME", "DET", *more) for d, _ in scope.parts):
        return None
    word = re.search(rf"\b{_WORD}\b", text) if ask is Ask.FEEDBACK else None
    kind = "relearn" if re.search(_RELEARNT, text) else "rebase" if re.search(_REBASED, text) else ""
    rest = text.replace(match[0], f" {_without_topic(match[0], ask)} ", 1)
    question = Question(
        ask,
        scope.condition,
        people=tuple(p for p in people if re.search(rf"(?<![\w-]){re.escape(p.lower())}(?![\w-])", said_by)),
        word=(kind if ask is Ask.ADAPTATIONS else "")
        if word is None
        else ("broken" if word[1] in ("broken", "bad", "faulty", "defective") else "normal"),
    )
    if ask is Ask.REMARKS:
        acknowledged = re.search(rf"{_WHO_ACK}|acknowledged?|acked?", text) is not None
        question = replace(question, word=RemarkKind.ACKNOWLEDGED if acknowledged else RemarkKind.COMMENT)
    rest = rest if word is None else re.sub(rf"\b{word[1]}\b", " ", rest)
    question, rest = _asked(question, rest, text)
    if coming := re.search(rf"(?<![\w-])(?:{_COMING})(?![\w-])", rest):
        question = replace(question, coming=True, span=tomorrow)
        rest = rest.replace(coming[0], " ")
        rest = re.sub(rf"(?<![\w-])(?:{_COMING})(?![\w-])", " ", rest)
    rest = re.sub(rf"(?<![\w-])(?:{_names(people)})(?![\w-])", " ", PLACEHOLDER.sub(" ", rest))
    unused = tuple(w for w in re.findall(r"[^\s,.;:!?()'\"]+", rest) if w.strip("-'") and w not in _REST)
    return LedgerRead(question, unused)


def _of_operators(text: str, people: tuple[str, ...]) -> str:
    """Write "what did operators say" where a person is named: the topic is the same."""
    return re.sub(
        rf"\b(what|anything|something) (did|has|have|had) (?:{_names(people)}) (?=(?:say|said|tell|told)\b)",
        r"\1 \2 operators ",
        text,
    )


def _names(people: tuple[str, ...]) -> str:
    """Give a pattern of the names of people."""
    return "|".join(re.escape(p.lower()) for p in people) or "(?!)"


_FLAGGED = r"(?:flag(?:s|ged|ging)?|mark(?:ed)?|declared?|certified|set|label(?:l?ed)?|called|judged)"
_QUALITY = rf"(?:data )?quality(?: flags?)?|{_FLAGGED}|lumi ?sections?|ls|runs?"
_FLAG = r"\b(good|bad|uncertain|golden)\b"


def _of_quality(text: str, atoms: Mapping[str, Atom], people: tuple[str, ...]) -> LedgerRead | None:
    """Read a question on quality flags: "who flagged run 1 bad", "which runs are bad"."""
    runs = re.search(r"RUN[0-9]|\b(?:which|what|how many|list) (?:the )?(?:\w+ )?runs?\b", text)
    if runs is None or re.search(rf"\b{INCIDENTS}\b|\b(?:alarm(?:ed)?|affected)\b", text):
        return None
    flag = re.search(_FLAG, text)
    said = re.search(
        r"\bflags?\b|\bflagging\b|\bquality\b|\b(?:who|whom|why)\b.*\bflagged\b|\bflagged by"
        r" (?:whom|who)\b",
        text,
    ) or (flag and re.search(rf"\b(?:{_QUALITY})\b|RUN[0-9]", text))
    if not said:
        return None
    scope = scoped(text, atoms)
    if any(d not in ("RUN", "LS", "ENT") for d, _ in scope.parts):
        return None
    question = Question(
        Ask.FLAGS,
        scope.condition,
        people=tuple(p for p in people if re.search(rf"(?<![\w-]){re.escape(p.lower())}(?![\w-])", text)),
        word="" if flag is None else flag[1].replace("golden", "good"),
    )
    rest = re.sub(rf"\b(?:{_QUALITY}|good|bad|uncertain|golden)\b", " ", text)
    question, rest = _asked(question, rest, text)
    if question.statistic == "count":
        return None  # how many flags there are is not kept
    rest = re.sub(rf"(?<![\w-])(?:{_names(people)})(?![\w-])", " ", PLACEHOLDER.sub(" ", rest))
    unused = tuple(w for w in re.findall(r"[^\s,.;:!?()'\"]+", rest) if w.strip("-'") and w not in _REST)
    return LedgerRead(question, unused)


def _of_incidents(text: str, people: tuple[str, ...]) -> bool:
    """Say whether incidents are asked for, the remark a condition: "which incidents have comments"."""
    if re.search(r"\b(?:who|whom|whose)\b", text):
        return False
    listing = rf"(?:which|what|list|show|how many|number of|any)\b.*\b{INCIDENTS}\b"
    if re.search(rf"{listing}.*\b(?:{_REMARK}|acknowledged?|acked?)\b", text) or re.search(
        rf"^(?:[A-Z]+[0-9]+ )*{INCIDENTS} (?:with|that|which|without)\b", text
    ):
        return True
    return re.search(r"\b(?:acknowledged|acked)\b", text) is not None and not re.match(
        r"(?:when|was|were|is|has|have|did)\b", text.strip()
    )


def _without_topic(words: str, ask: Ask) -> str:
    """Keep of the words of a topic those that say what is asked, and the names within."""
    topic = {
        Ask.MAINTENANCE: _MAINTENANCE,
        Ask.ADAPTATIONS: _ADAPTATION,
        Ask.FEEDBACK: rf"feed ?backs?|human|{_JUDGED}|{_WORD}|{_PEOPLE}",
        Ask.REMARKS: rf"{_REMARK}|acknowledged?|acked?|taken|took over|takes care|looking after|owns",
    }[ask]
    return re.sub(rf"(?<![\w-])(?:{topic})(?![\w-])", " ", words)


def _asked(question: Question, rest: str, text: str) -> tuple[Question, str]:
    """Read which side of it is asked for, and take the words for it."""
    if counted := re.search(rf"(?<![\w-])(?:{_COUNT})(?![\w-])", rest):
        thing = re.match(
            rf" *(?:of )?(?:the )?(?:different )?(ENT[0-9]+|{ENTITIES}"
            rf"|{HOSTS})\b",
            rest[counted.end() :],
        )
        if thing:
            question = replace(question, target=Target.ENTITIES)
        elif re.match(rf" *{_PEOPLE}\b", rest[counted.end() :]):
            return question, f"{rest} people-counted"
        return replace(question, statistic="count"), rest.replace(counted[0], " ", 1)
    for order, pattern in _ORDERED:
        if match := re.search(rf"(?<![\w-]){pattern}(?! {INCIDENTS}| [0-9])(?![\w-])", rest):
            question = replace(question, order=order)
            rest = rest.replace(match[0], " ", 1)
            break
    else:
        rest = re.sub(rf"\b(?:the )?(?:last|latest|most recent)(?= {INCIDENTS})", " ", rest)
    for aspect, pattern in _ASPECTS:
        if match := re.search(rf"(?<![\w-])(?:{pattern})(?![\w-])", rest):
            return replace(question, aspect=aspect), rest.replace(match[0], " ", 1)
    yes_no = re.match(
        r" *(?:is|are|was|were|has|have|did)\b(?! (?:any|there any)\b)", text
    ) and not re.search(r"\bor\b", text)
    which = re.search(
        rf"\b(?:which|what)(?: other)? (?:ENT[0-9]+|{HOSTS}|{ENTITIES}|is|are|was|were|did)\b", text
    )
    if which and question.ask is not Ask.REMARKS:
        return replace(question, target=Target.ENTITIES), rest
    if yes_no or re.match(r" *ENT[0-9]+ (?:in |under )?(?:maintenance|silenced|muted)", text):
        return replace(question, aspect=Aspect.STATUS), rest
    return question, rest
