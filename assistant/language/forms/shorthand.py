"""What is written in haste, written out: words run together, letters dropped, "18h", "5 to 15 min"."""

from __future__ import annotations

import re

from anomalyd.assistant.language.rewriting import Replacement, rewritten, rules_of

_TENS = {
    word: str(number)
    for word, number in zip(
        (
            "thirteen",
            "fourteen",
            "fifteen",
            "sixteen",
            "seventeen",
            "eighteen",
            "nineteen",
            "twenty",
            "thirty",
            "forty",
            "fifty",
            "sixty",
            "ninety",
        ),
        (13, 14, 15, 16, 17, 18, 19, 20, 30, 40, 50, 60, 90),
        strict=True,
    )
}
_UNIT = r"(seconds?|secs?|s|minutes?|mins?|hours?|hrs?|h|days?|d)"
_HOUR = r"([01]?[0-9]|2[0-4])"
_ONES = {
    "one": "1",
    "two": "2",
    "three": "3",
    "four": "4",
    "five": "5",
    "six": "6",
    "seven": "7",
    "eight": "8",
}
_ONES |= {"nine": "9", "ten": "10", "eleven": "11", "twelve": "12"}
_SMALL = "|".join((*_ONES, *_TENS))


def _numbers(match: re.Match[str]) -> str:
    both = _ONES | _TENS
    first, last = both.get(match[2], match[2]), both.get(match[4], match[4])
    return f"{match[1]}{first} {match[3]} {last} {match[5]}"


_FORMS: tuple[tuple[str, Replacement], ...] = (
    (r"\bhow ?many\b|\bhow ?mny\b", "how many"),
    (r"\bx ?cept\b|\bexc(?:pt|ept)\b", "except"),
    (r"\bsmth\b|\bsth\b", "something"),
    (r"\b(?:begin|beginning|start) of (?=[0-9a-f]{6,64}$)", "when did the incident begin, "),
    (r"^(?:and )?(?:caused by|because of|due to) what$", "why"),
    (r"^(?:what|who) is to blame for\b", "what caused"),
    (
        rf"(\b)({_SMALL}|[0-9]+) (to|and) ({_SMALL}|[0-9]+) {_UNIT}\b",
        _numbers,
    ),
    (rf"\b({'|'.join(_TENS)}) (?={_UNIT}\b)", lambda m: f"{_TENS[m[1]]} "),
    (
        rf"\b(lasting|lasted|took|taking|for|of|long) ([0-9.]+) ?(?:to|-) ?([0-9.]+) ?{_UNIT}\b",
        r"lasting between \2 \4 and \3 \4",
    ),
    (
        rf"\b(took|lasted|lasting) between ([0-9.]+) and ([0-9.]+) ?{_UNIT}\b",
        r"lasting between \2 \4 and \3 \4",
    ),
    (
        rf"(?<!between )(?<!from )\b{_HOUR} ?h ?(?:to|-|until|till) ?{_HOUR} ?h\b(?! (?:long|duration))",
        r"between \1:00 and \2:00",
    ),
    (
        r"\b(yesterday|today|(?:last |on )?[a-z]{3,6}day) ((?:before|after|until|since) [^,]+?) (or|and) "
        r"(?=(?:before|after|until|since) [0-9])",
        r"\1 \2 \3 \1 ",
    ),
    (
        r"\b((?:before|after) [0-9:]+(?: ?[ap]m)?) or ((?:before|after) [0-9:]+(?: ?[ap]m)?)"
        r" (yesterday|today)\b",
        r"\3 \1 or \3 \2",
    ),
    (
        r"\b(?:where|in which|with) (?:both )?([a-z][\w.]*\.[\w.]+) and ([a-z][\w.]*\.[\w.]+)"
        r" (?:both )?(?:were|are|being) (?:both )?(?:to blame|blamed|the causes?|at fault)",
        r"because of \1 together with because of \2",
    ),
)
_RULES = rules_of(_FORMS)


def written_out(text: str) -> str:
    """Write out a question of lower case that was typed in haste."""
    return rewritten(text, _RULES)
