"""Where the sentences of a text are."""

from __future__ import annotations

import re
from collections.abc import Sequence

# A sentence ends at . ! or ? before a space and a capital, a digit or a quote, or at the end of a line.
# Initials ("U. S."), and the abbreviations below, end none.
_END = re.compile(r"""(?<=[.!?])(["')\]]*)\s+(?=["'(\[]*[A-Z0-9])|\n+""")
_ABBREVIATION = re.compile(
    r"(?:\b(?:[A-Za-z]|Mr|Mrs|Ms|Dr|Prof|St|Sr|Jr|vs|etc|e\.g|i\.e|cf|Fig|fig|No|no|approx|ca|al|Ref|ref)\.)$"
)


def sentences(text: str) -> list[tuple[int, int]]:
    """Give the first character of each sentence and the one after its last, without the space around it."""
    bounds: list[tuple[int, int]] = []
    start = 0
    for end in _END.finditer(text):
        if "\n" not in end[0] and _ABBREVIATION.search(text, start, end.start()):
            continue
        bounds.append((start, end.start() if end[1] is None else end.end(1)))
        start = end.end()
    bounds.append((start, len(text)))
    return [stripped for a, b in bounds if (stripped := _strip(text, a, b)) is not None]


def around(start: int, end: int, bounds: Sequence[tuple[int, int]]) -> tuple[int, int]:
    """Give the sentence that holds the characters start to end; of several, from the first to the last."""
    held = [(a, b) for a, b in bounds if a < end and start < b]
    return (min(start, held[0][0]), max(end, held[-1][1])) if held else (start, end)


def _strip(text: str, a: int, b: int) -> tuple[int, int] | None:
    piece = text[a:b]
    if not piece.strip():
        return None
    return a + len(piece) - len(piece.lstrip()), a + len(piece.rstrip())
