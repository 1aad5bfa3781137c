"""What else went on during one incident: "which other hosts alarmed at the same time as the worst one?"."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace

from anomalyd.assistant.language.systems import ENTITIES, INCIDENTS
from anomalyd.assistant.understanding.question import Ask, Aspect, Question

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
    r"|in|had|did|happen(?:ed)?|went|going|on|off|wrong|open|active|anomalous|there|anything|something|flagged|the|ongoing|bad|broken)*"
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
