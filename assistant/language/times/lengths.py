"""Lengths of time in a question: "two hours", "half an hour", "1.5 d"."""

from __future__ import annotations

import re

UNIT = r"(?:seconds?|secs?|s|minutes?|mins?|m|hours?|hrs?|h|days?|d|weeks?|w)"
"""A unit of time, as a part of a pattern."""
_SECONDS = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0, "w": 604800.0}
LENGTH = rf"(?:(?:an?|one|half an?|[0-9]{{1,5}}(?:\.[0-9]+)?) ?{UNIT}(?: and a half)?)"
"""A length, as a part of a pattern."""


def seconds_of(words: str) -> float:
    """Give the seconds of what `LENGTH` matched."""
    found = re.fullmatch(rf"(half an?|an?|one|[0-9]+(?:\.[0-9]+)?) ?({UNIT})( and a half)?", words)
    assert found is not None, words
    number = 0.5 if found[1].startswith("half") else 1.0 if found[1][0] in "ao" else float(found[1])
    return (number + (0.5 if found[3] else 0.0)) * _SECONDS[found[2][0]]
