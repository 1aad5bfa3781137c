"""The page that every picture is drawn on: size, title, colours, fonts, and the bytes of it.

Only matplotlib's objects, no pyplot: nothing is shared, so several threads may draw at once.
"""

from __future__ import annotations

import io
from typing import Literal

from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from anomalyd.interpret.attribution import Attribution
from anomalyd.interpret.pictures.palette import Theme, fitted, fonts

Format = Literal["png", "svg"]

_TRUST = {
    "good": ", trust: good",
    "fair": ", trust: fair (the first three explain less than 70 % of the score)",
    "weak": ", trust: WEAK (putting back what it blames hardly lowers the score)",
}

_POINTS = 72  # in an inch
_BOLD = 1.16  # how many times as wide bold letters are

_SIZE = (12.0, 6.75)  # inches at 100 dots: 1200 x 675 pixels, a screen's width beside a chat window


def page(title: str, note: str, theme: Theme, title_width: float = 0.97) -> Figure:
    """Begin a page with its title, which may take a part `title_width` of its width, and a note below it."""
    figure = Figure(figsize=_SIZE, dpi=100, facecolor=theme.background)
    figure.text(
        0.015,
        0.945,
        fitted(title, title_width * _SIZE[0] * _POINTS / (14 * _BOLD)),
        color=theme.text,
        fontsize=14,
        fontweight="bold",
        family=list(fonts()),
        parse_math=False,
    )
    figure.text(
        0.015,
        0.905,
        fitted(note, 0.97 * _SIZE[0] * _POINTS / 10),
        color=theme.quiet,
        fontsize=10,
        family=list(fonts()),
        parse_math=False,
    )
    return figure


def panel(axes: Axes, theme: Theme) -> None:
    """Give axes their place on the page: no frame, quiet ticks."""
    axes.set_facecolor(theme.panel)
    axes.tick_params(colors=theme.quiet, labelsize=9, length=2)
    for spine in axes.spines.values():
        spine.set_visible(False)


def noted(note: str, attribution: Attribution | None) -> str:
    """Give what stands below the title: when it was, and what explains it."""
    return "; ".join(each for each in (note, "" if attribution is None else _method(attribution)) if each)


def _method(attribution: Attribution) -> str:
    """Name the method, say whether it was cut short, and how far it can be trusted."""
    early = "" if attribution.complete else ", ended early by its time budget"
    return f"{attribution.method}{early}{_TRUST.get(attribution.trust, '')}"


def rendered(figure: Figure, form: Format, theme: Theme) -> bytes:
    """Give the picture's bytes, the same for the same picture. The text of an SVG stays text."""
    buffer = io.BytesIO()
    if form == "svg":
        with rc_context({"svg.fonttype": "none", "svg.hashsalt": "anomalyd"}):
            figure.savefig(buffer, format="svg", facecolor=theme.background, metadata={"Date": None})
        return buffer.getvalue()
    FigureCanvasAgg(figure)
    # Without the version of matplotlib: the same picture is then the same bytes.
    figure.savefig(buffer, format="png", facecolor=theme.background, metadata={"Software": None})
    return buffer.getvalue()
