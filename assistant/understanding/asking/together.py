"""Several aspects of one incident asked for at once: "when did it start, how long did it last, who saw it?"

Each clause is read as a question of its own, and all must be of the same incident: one clause names it, the
others say "it" or nothing. Where a clause is anything else, nothing is read here. What else went on during
one incident is read, too: "which other entities alarmed at the same time as the worst one?"
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import replace

from anomalyd.assistant.language.systems import ENTITIES, INCIDENTS
from anomalyd.assistant.understanding.question import Ask, Aspect, Question

_BEGIN = r"(?:start(?:ed)?|beg[iau]n|open(?:ed)?|appear(?:ed)?)"
_END = r"(?:end(?:ed)?|stop(?:ped)?|finish(?:ed)?|recover(?:ed)?|clear(?:ed)?|closed?)"
_PEAK = r"(?:peak(?:ed)?)"
_VERB = rf"(?:{_BEGIN}|{_END}|{_PEAK})"
_NOUNS: tuple[tuple[str, Aspect], ...] = (
    (r"start|beginning|onset", Aspect.START),
    (r"end", Aspect.END),
    (r"duration|length", Aspect.DURATION),
    (r"severity", Aspect.SEVERITY),
    (r"(?:peak |maximum |highest )?score", Aspect.SCORE),
    (r"causes?|reasons?", Aspect.WHY),
    (r"models?", Aspect.MODEL),
    (r"runs?", Aspect.RUN),
    (r"lumi ?sections?", Aspect.LUMISECTION),
    (r"status", Aspect.STATUS),
)
_NOUN = "|".join(pattern for pattern, _ in _NOUNS)
_JOINT = (
    r"(?:\s*(?:,|;)\s*(?:(?:and|&|plus|also|as well as)\s+)*|\s+(?:and|&|plus|as well as)\s+(?:also\s+)?)"
)
_CLAUSE = re.compile(
    rf"{_JOINT}(?=(?:since when|until when|when|how (?:long|bad|severe|serious|high|strong|critical)"
    r"|how many (?:anomalous |bad )?samples|who|by whom|why|where|(?:in |at )?(?:what|which)|what|seen by who"
    r"|(?:is|was|has|did|does) (?:(?:it|this|that|still|already|over|closed|open) ?)+"
    rf"|(?:the |its )?(?:{_NOUN})(?: time)?(?= of\b|,| and\b| &| *$))(?![\w-]))"
)
_SHARED = re.compile(
    rf"\b(when|what time) (did|does|has|had|was) ((?:(?! and |,|when|how|who).)*?)\b({_VERB})"
    rf"((?:{_JOINT}(?:when (?:did|was) it |it )?{_VERB}\b)+)"
)
"""One "when" for several verbs: "when did node17 begin, peak and end"."""
_BARE: tuple[tuple[str, Aspect], ...] = (
    (r"(?:and )?where(?: (?:was|is|did)(?: it)?(?: happen)?)?", Aspect.ENTITY),
    (
        r"(?:in |during )?(?:which|what) run(?: (?:was|is|did)(?: it)?(?: (?:in|happen(?: in)?))?)?",
        Aspect.RUN,
    ),
    (
        r"(?:is|was|has|did|does) (?:it |this |that )?(?:(?:still|already|now|yet) )*(?:been )?"
        r"(?:over|closed|finished|resolved|ended|recovered|gone|open|ongoing"
        r"|on|going on|still there|go on|end)"
        r"(?: (?:now|already|yet|still|again|by now))*",
        Aspect.STATUS,
    ),
    (
        r"since when(?: (?:is|was|has)(?: it)?(?: (?:been )?(?:open|bad|going on|broken|there))?)?",
        Aspect.SINCE,
    ),
    (r"until when(?: (?:did|was)(?: it)?(?: last(?:ed)?| on| there)?)?", Aspect.END),
    (
        r"(?:when|what time) (?:did|was) (?:it )?(?:peak(?:ed)?|worst|the worst|at its (?:worst|peak))",
        Aspect.PEAK_TIME,
    ),
    (rf"(?:when|what time) (?:did|was|has|had) (?:it )?{_BEGIN}", Aspect.START),
    (rf"(?:when|what time) (?:did|was|has|had) (?:it )?{_END}(?: (?:again))?", Aspect.END),
    (r"when", Aspect.START),
    *(
        (
            rf"(?:(?:what|which) (?:is|was) |(?:show|give|tell)(?: me)? )?(?:the |its )?(?:{pattern})"
            r"(?: time)?",
            a,
        )
        for pattern, a in _NOUNS
    ),
)
_BARE_COMPILED = tuple((re.compile(pattern), aspect) for pattern, aspect in _BARE)
_ORDER = re.compile(
    r"\b(?:latest|last|newest|most \w+|first|earliest|oldest|worst|severest|biggest|highest|longest|shortest"
    r"|briefest|mildest|lowest)\b"
)
_PLAIN_HEAD = re.compile(
    r"(?:(?:for|on|of|about|regarding) )?(?:the )?(?:(?!what|which|show|tell)\S+ ?){1,6}"
)


def together(text: str, read: Callable[[str], Question | None]) -> Question | None:
    """Give the question of all aspects that the clauses of `text` ask of one incident; else None.

    `read` types one clause that stands for itself, None where it is not understood.
    """
    clauses = list(_clauses(" ".join(text.split())))
    if len(clauses) < 2:
        return None
    aspects: list[Aspect] = []
    head: Question | None = None
    for clause in clauses:
        bare = next((a for pattern, a in _BARE_COMPILED if pattern.fullmatch(clause)), None)
        if bare is not None:
            aspects.append(bare)
            continue
        typed = read(clause)
        if typed is None:
            return None
        named = bool(typed.where.parts) or typed.nth is not None or _ORDER.search(clause) is not None
        if typed.ask is Ask.CASE:
            if typed.aspect is not Aspect.SUMMARY or not named or not _PLAIN_HEAD.fullmatch(clause):
                aspects += [typed.aspect, *typed.also]
        elif typed.ask in (Ask.ONGOING, Ask.FINE):
            aspects.append(Aspect.STATUS)
        elif not (typed.ask is Ask.LIST and named and _PLAIN_HEAD.fullmatch(clause)):
            return None
        if not named:
            continue
        if head is not None and (head.where, head.nth) != (typed.where, typed.nth):
            return None
        head = head or typed
    asked = tuple(dict.fromkeys(aspects))
    if len(asked) < 2:
        return None
    one = head or Question(Ask.CASE)
    return Question(
        Ask.CASE,
        one.where,
        order=one.order,
        nth=one.nth,
        each=one.each,
        now=one.now,
        aspect=asked[0],
        also=asked[1:],
    )


def _clauses(text: str) -> Iterator[str]:
    """Give the clauses, each with its own "when"; those after the first leave out what they are about."""

    def apart(match: re.Match[str]) -> str:
        rest = ", ".join(f"when did it {verb}" for verb in re.findall(rf"\b{_VERB}\b", match[5]))
        return f"{match[1]} {match[2]} {match[3]}{match[4]}, {rest}"

    for clause in _CLAUSE.split(_SHARED.sub(apart, text)):
        if clause.strip(" ,;"):
            yield clause.strip(" ,;")


_THEN = (
    r"(?:during|at the (?:very )?same time as|at the time of|while|together with|in parallel (?:to|with)"
    r"|simultaneously with|simultaneous with|alongside|along with|as well as during|parallel"
    r" to|concurrently with)"
)
_OTHER = r"\b(?:else|others?|also|too|besides)\b"
_ASKED = re.compile(
    rf"^(?:what|which|who|were|was|list|show|did|is there|are there"
    rf"|any)\b(?P<asked>.*?)\b{_THEN} (?P<case>.+)$"
)
_SAME_TIME = re.compile(
    r"^(?:and )?(?:what|which|who|was|were|did|anything|any)\b(?P<asked>.*?)\b(?:at (?:that"
    r"|the same) time|then|meanwhile"
    r"|simultaneously|at that moment|during (?:it|that)|in parallel|at the time)$"
)
_PLAIN = re.compile(
    rf"(?: |what|which|who|else|other|others|also|too|besides|{ENTITIES}|{INCIDENTS}|alarmed"
    rf"|alarming|alarm|affected|was|were|is|are"
    r"|in|had|did|happen(?:ed)?|went|going|on|off|wrong|open|active|anomalous|there|anything|something"
    r"|flagged|the|ongoing|bad|broken)*"
)


def beside(text: str, read: Callable[[str], Question | None]) -> Question | None:
    """Give the question what else went on during the incident that `text` names, None where it is none such.

    `read` types the part that names the incident, None where it is not understood.
    """
    match = _ASKED.match(text)
    if match is None or not re.search(_OTHER, match["asked"]) or not _PLAIN.fullmatch(match["asked"]):
        return None
    case = read(re.sub(r"^(?:that|it)$", "", match["case"]))
    if case is None or case.ask is not Ask.CASE or case.aspect is not Aspect.SUMMARY:
        return None
    return replace(case, aspect=Aspect.OTHERS)


def beside_last(text: str) -> Question | None:
    """Give the question what else went on during the incident told last; None where another is asked."""
    match = _SAME_TIME.match(text)
    if match is None or not re.search(_OTHER, match["asked"]) or not _PLAIN.fullmatch(match["asked"]):
        return None
    return Question(Ask.CASE, aspect=Aspect.OTHERS)
