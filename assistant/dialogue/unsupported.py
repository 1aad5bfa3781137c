"""What sounds like a question that can be answered, and asks for something else: it is declined by name."""

from __future__ import annotations

import re

from anomalyd.assistant.language.systems import CHAMBERS, ENTITIES, HOSTS, INCIDENTS
from anomalyd.errors import QuestionError

_WATCHED = rf"(?:{HOSTS}|{CHAMBERS}|{ENTITIES}|nodes)"

_UNSUPPORTED = tuple(
    (re.compile(pattern), sentence)
    for pattern, sentence in (
        (
            r"\b(?:share|percentage|per ?cent|fraction|proportion|%) of (?:the |all |our )*"
            rf"{_WATCHED} (?!{INCIDENTS}).*\b(?:without|no|not|never|none)\b",
            "I can tell the share of what had such incidents, not of what had none; it is the rest.",
        ),
        (
            r"\bneither\b.*\b(?:yesterday|today|last|days?|night|week)\b",
            "I don't know who had incidents in neither of several times. Ask who had none in a time that "
            "holds them all.",
        ),
        (
            r"\bwhen (?:did|were|was|have|had) (?:we|there) (?:last |ever )?(?:have |had |been )?(?:last )?"
            r"(?:no|zero|not any) (?:open|active|ongoing)\b",
            "I don't know when nothing was open; ask what was open at a time.",
        ),
    )
)


def check_supported(text: str) -> None:
    """Check that a plain question asks for nothing that would be taken for something else.

    Raises:
        QuestionError: it does; its text says what can be asked instead.

    """
    for pattern, sentence in _UNSUPPORTED:
        if pattern.search(text):
            raise QuestionError(sentence)
