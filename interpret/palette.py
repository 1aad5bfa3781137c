"""Colours that can be told apart in the dark, and by colour-blind people; text that can be drawn.

Orange is what was observed and what raised the score, sky blue what was expected and what lowered it
(Okabe and Ito's pair: apart in every kind of colour blindness). Grey hatching is what is missing or masked.
"""

from __future__ import annotations

import functools

from matplotlib.colors import LinearSegmentedColormap
from matplotlib.font_manager import findfont, get_font

BACKGROUND = "#101418"
PANEL = "#1a2027"
TEXT = "#e8eaed"
QUIET = "#9aa4ae"
MASKED = "#5a6068"
OBSERVED = "#f5a623"
EXPECTED = "#56b4e9"

COUNTS = "viridis"
# Dark in the middle, unlike the usual diverging maps: on a dark page what is normal should not shine.
RESIDUAL = LinearSegmentedColormap.from_list(
    "residual", ["#bfe6ff", EXPECTED, "#1d4561", "#15191e", "#66420b", OBSERVED, "#ffe3b0"]
)
BLAME = LinearSegmentedColormap.from_list("blame", ["#15191e", "#66420b", OBSERVED, "#fff2d6"])


def plain(text: str, length: int) -> str:
    """Make a name drawable: one line, no glyph that the font lacks, its middle left out where it is too long.

    Names come from messages, so they may hold anything.
    """
    known = "".join(c if c.isprintable() and ord(c) in _glyphs() else "?" for c in text)
    if len(known) <= length:
        return known
    tail = (length - 1) // 2
    return f"{known[: length - 1 - tail]}…{known[len(known) - tail :]}"


@functools.cache
def _glyphs() -> frozenset[int]:
    return frozenset(get_font(findfont("DejaVu Sans")).get_charmap())
