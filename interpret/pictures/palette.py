"""Colours that can be told apart in the dark, and by colour-blind people; text that can be drawn.

Orange is what was observed and what raised the score, sky blue what was expected and what lowered it
(Okabe and Ito's pair: apart in every kind of colour blindness). Grey hatching is what is missing or masked.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass

from matplotlib.colors import LinearSegmentedColormap
from matplotlib.font_manager import findfont, fontManager, get_font

BACKGROUND = "#101418"
PANEL = "#1a2027"
TEXT = "#e8eaed"
QUIET = "#9aa4ae"
MASKED = "#5a6068"
OBSERVED = "#f5a623"
EXPECTED = "#56b4e9"


@dataclass(frozen=True, slots=True)
class Theme:
    """The colours of a page; what was observed and what was expected are told apart on both."""

    background: str
    panel: str
    text: str
    quiet: str
    observed: str
    expected: str


DARK = Theme(BACKGROUND, PANEL, TEXT, QUIET, OBSERVED, EXPECTED)
LIGHT = Theme("#ffffff", "#f3f4f6", "#16191d", "#5b636c", "#b35900", "#0063a5")

_EM = 64.0  # points, at which letters are measured
_AT_PIXELS = 1.1

_OTHER_SCRIPTS = (
    *("Noto Sans CJK SC", "Noto Sans CJK JP", "Noto Sans SC", "Noto Sans JP", "Noto Sans KR"),
    *("WenQuanYi Zen Hei", "WenQuanYi Micro Hei", "IPAexGothic", "Droid Sans Fallback", "Noto Sans Arabic"),
    *("Noto Sans Devanagari", "Noto Sans Hebrew", "Noto Sans Thai", "Noto Emoji", "Symbola", "Unifont"),
)

COUNTS = "viridis"
# Dark in the middle, unlike the usual diverging maps: on a dark page what is normal should not shine.
RESIDUAL = LinearSegmentedColormap.from_list(
    "residual", ["#bfe6ff", EXPECTED, "#1d4561", "#15191e", "#66420b", OBSERVED, "#ffe3b0"]
)
BLAME = LinearSegmentedColormap.from_list("blame", ["#15191e", "#66420b", OBSERVED, "#fff2d6"])
# On a light page what is normal is as light as the page.
_RESIDUAL_LIGHT = LinearSegmentedColormap.from_list(
    "residual-light", ["#00294a", LIGHT.expected, "#9fc8e6", "#f7f7f7", "#f2c08a", LIGHT.observed, "#4f2600"]
)
_BLAME_LIGHT = LinearSegmentedColormap.from_list(
    "blame-light", ["#f7f7f7", "#f2c08a", LIGHT.observed, "#4f2600"]
)


def residual_colours(theme: Theme) -> LinearSegmentedColormap:
    """Give the colours of what is too low and too high; what is normal does not stand out from the page."""
    return _RESIDUAL_LIGHT if theme == LIGHT else RESIDUAL


def blame_colours(theme: Theme) -> LinearSegmentedColormap:
    """Give the colours of what raised the score."""
    return _BLAME_LIGHT if theme == LIGHT else BLAME


def plain(text: str, length: int) -> str:
    """Make a name drawable: one line, its middle left out where it is too long.

    Names come from messages, so they may hold anything, in any script. A character of which no font on this
    machine has a glyph is written as its number, [4e2d].
    """
    known = "".join(_drawable(c) for c in text)
    if len(known) <= length:
        return known
    tail = (length - 1) // 2
    return f"{known[: length - 1 - tail]}…{known[len(known) - tail :]}"


def fitted(text: str, width: float) -> str:
    """Make a name drawable as `plain` does, and leave out of its middle what is wider than so many ems.

    Small letters are drawn at whole pixels, which makes some a tenth wider.
    """
    short = plain(text, max(3, int(6 * width)))  # the narrowest letters have about a quarter of an em
    while len(short) > 3 and (wide := _ems(short)) > width:
        short = plain(text, min(len(short) - 1, max(3, int(len(short) * width / wide))))
    return short


def _ems(text: str) -> float:
    return _AT_PIXELS * sum(_advance(character) for character in text)


@functools.cache
def _advance(character: str) -> float:
    """Give the width of a character in ems, by the first font that has it."""
    for name in fonts():
        font = get_font(findfont(name))
        if ord(character) in font.get_charmap():
            font.set_size(_EM, 72)
            return float(font.load_char(ord(character)).linearHoriAdvance / 65536 / _EM)
    return 1.0


def _drawable(character: str) -> str:
    if character.isspace():
        return " "
    if not character.isprintable():
        return "?"
    return character if ord(character) in _glyphs() else f"[{ord(character):x}]"


@functools.cache
def fonts() -> tuple[str, ...]:
    """Name the fonts that are asked for a glyph, in order; beyond the first those that are installed."""
    installed = {font.name for font in fontManager.ttflist}
    return ("DejaVu Sans", *(name for name in _OTHER_SCRIPTS if name in installed))


@functools.cache
def _glyphs() -> frozenset[int]:
    return frozenset().union(*(get_font(findfont(name)).get_charmap() for name in fonts()))
