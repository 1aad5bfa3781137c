"""A question written otherwise, rule after rule: what is found, and what stands in its place."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable

Replacement = str | Callable[[re.Match[str]], str]
Rules = tuple[tuple[re.Pattern[str], Replacement], ...]


def rules_of(forms: Iterable[tuple[str, Replacement]]) -> Rules:
    """Compile rules, in the order in which they are tried."""
    return tuple((re.compile(pattern), by) for pattern, by in forms)


def rewritten(text: str, rules: Rules) -> str:
    """Apply every rule once, each to what those before it left; words stay one space apart."""
    for pattern, by in rules:
        text = " ".join(pattern.sub(by, text).split())
    return text
