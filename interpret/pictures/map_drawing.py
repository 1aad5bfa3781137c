"""The picture of an explained map: observed, expected, their difference, and what raised the score."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.colorbar import Colorbar
from matplotlib.colors import Colormap
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter
from numpy.typing import NDArray

from anomalyd.interpret.attribution import Attribution
from anomalyd.interpret.pictures.page import Format, noted, page, panel, rendered
from anomalyd.interpret.pictures.palette import (
    COUNTS,
    DARK,
    MASKED,
    Theme,
    blame_colours,
    residual_colours,
)
from anomalyd.reports.units import human

# Of the highest attribution: on simulated chambers with faults, the cells above it are 98 to 100 % true ones.
_OUTLINED = 0.25

_LARGE = 1e4  # from which the numbers at a colour bar would be cut
_EXACT = 2.0**24  # from which all numbers of single precision are whole

_Numbers = NDArray[np.float64]


def draw_map(
    values: NDArray[np.float32],
    expectation: NDArray[np.float32],
    error: NDArray[np.float32],
    attribution: Attribution | None,
    title: str,
    note: str = "",
    row_label: str = "layer",
    column_label: str = "wire",
    row_numbers: Sequence[int] = (),
    *,
    square: bool = False,
    form: Format = "png",
    theme: Theme = DARK,
) -> bytes:
    """Draw a map (R, C): observed, expected, their difference in sigmas, and what raised the score.

    Columns are counted from 1, and so are rows (row 1 at the bottom) unless `row_numbers` (R,) says what
    people call them (a chamber without a theta superlayer has layers 1-4 and 9-12). NaN (masked, or behind
    the end of a ragged row) is hatched. The cells most to blame are outlined in every panel. `square`: rows
    and columns are places in one plane (an end cap), so cells are drawn as squares. `note` as for metrics.
    """
    figure = page(title, noted(note, attribution), theme)
    left, right = (0.23, 0.81) if square else (0.055, 0.965)
    grid = figure.add_gridspec(2, 2, left=left, right=right, top=0.85, bottom=0.08, wspace=0.13, hspace=0.34)
    counts, normal, residual = _wide(values), _wide(expectation), _wide(error)
    # Headroom for Poisson noise, none for hot cells: they may saturate, the rest has to stay readable.
    top = _highest(normal) * 1.5 or _highest(counts) or 1.0
    bottom = min(0.0, 1.5 * float(np.min(normal, initial=0.0, where=np.isfinite(normal))))  # of a profile
    # Beyond 10 sigmas more colour says nothing, and below 3 noise would look like a fault.
    sigmas = min(max(_highest(np.abs(residual)), 3.0), 10.0)
    expected = np.where(np.isnan(counts), np.nan, normal)
    unit = "counts" if _whole(counts) else "value"
    panels: list[tuple[str, str, _Numbers, Colormap | str, float, float]] = [
        (_titled("observed", counts, counts), unit, counts, COUNTS, bottom, top),
        (_titled("expected", expected, counts), unit, expected, COUNTS, bottom, top),
        ("observed less expected", "σ", residual, residual_colours(theme), -sigmas, sigmas),
    ]
    if attribution is not None:
        shares = _shares(_wide(attribution.values))
        most = _highest(shares) or 1.0
        panels.append(("what raised the score", "% of it", shares, blame_colours(theme), 0.0, most))
    for place, (name, unit, cells, colours, low, high) in enumerate(panels):
        axes = figure.add_subplot(grid[place // 2, place % 2])
        bar = _cells(figure, axes, name, cells, colours, low, high, theme)
        bar.ax.set_title(unit, color=theme.quiet, fontsize=9, loc="left", pad=6)
        if square:
            axes.set_aspect("equal")
        if row_numbers:
            named = _labelled(row_numbers)
            axes.set_yticks([r + 1 for r in named], [str(row_numbers[r]) for r in named])
        elif len(values) == 1:
            axes.set_yticks([1])
        if place % 2 == 0:
            axes.set_ylabel(row_label, color=theme.quiet, fontsize=9)
        if place // 2 == 1:
            axes.set_xlabel(column_label, color=theme.quiet, fontsize=9)
        if attribution is not None:
            _outline(axes, _wide(attribution.values), theme)
    return rendered(figure, form, theme)


def _cells(
    figure: Figure,
    axes: Axes,
    name: str,
    cells: _Numbers,
    colours: Colormap | str,
    low: float,
    high: float,
    theme: Theme,
) -> Colorbar:
    """Draw one panel of a map, and give its colour bar."""
    panel(axes, theme)
    axes.patch.set(facecolor=theme.background, edgecolor=MASKED, hatch="////", linewidth=0)
    rows, columns = cells.shape
    image = axes.imshow(
        np.ma.masked_invalid(cells),
        cmap=colours,
        vmin=low,
        vmax=high,
        origin="lower",
        extent=(0.5, columns + 0.5, 0.5, rows + 0.5),
        aspect="auto",
        interpolation="nearest",
    )
    axes.locator_params(integer=True)
    axes.set_title(name, color=theme.text, fontsize=11, loc="left", pad=5)
    beyond = (bool(np.nanmin(cells, initial=high) < low), bool(np.nanmax(cells, initial=low) > high))
    extend = {(False, False): "neither", (True, False): "min", (False, True): "max", (True, True): "both"}[
        beyond
    ]
    bar = figure.colorbar(image, ax=axes, pad=0.015, fraction=0.03, extend=extend)
    bar.outline.set_visible(False)
    bar.ax.tick_params(colors=theme.quiet, labelsize=8, length=2)
    if max(abs(low), abs(high)) >= _LARGE:
        bar.formatter = FuncFormatter(lambda value, _: human(value))
    return bar


def _titled(name: str, cells: _Numbers, counts: _Numbers) -> str:
    """Name a panel, with its total over the cells that are known where it shows counts."""
    total = float(np.sum(cells, initial=0.0, where=np.isfinite(counts) & np.isfinite(cells)))
    return f"{name}: {human(round(total))} in all" if _whole(counts) else name


def _labelled(numbers: Sequence[int]) -> list[int]:
    """Choose the rows whose numbers are written: all, or round ones where more labels would overlap."""
    step = next(s for s in (1, 5, 10, 50, 100, len(numbers)) if len(numbers) <= 16 * s)
    return [r for r, number in enumerate(numbers) if number % step == 0]


def _whole(cells: _Numbers) -> bool:
    known = cells[np.isfinite(cells)]
    return bool(((known == np.round(known)) & (known >= 0) & (known < _EXACT)).all())


def _shares(blame: _Numbers) -> _Numbers:
    """Give what each cell (R, C) has in what raises the score, in percent; what lowers it has none."""
    raising = np.where(np.isnan(blame), np.nan, np.clip(blame, 0.0, None))
    top = _highest(raising)
    if top <= 0:
        return raising
    shares: _Numbers = 100.0 * (raising / top) / np.nansum(raising / top)
    return shares


def _outline(axes: Axes, blame: _Numbers, theme: Theme) -> None:
    """Draw a line around the cells most to blame."""
    highest = _highest(blame)
    if highest <= 0:
        return
    inside = np.pad(np.nan_to_num(blame) >= highest * _OUTLINED, 1)
    lines = []
    for row, column in np.argwhere(inside[:, 1:] != inside[:, :-1]):
        lines.append([(column + 0.5, row - 0.5), (column + 0.5, row + 0.5)])
    for row, column in np.argwhere(inside[1:] != inside[:-1]):
        lines.append([(column - 0.5, row + 0.5), (column + 0.5, row + 0.5)])
    axes.add_collection(LineCollection(lines, colors=theme.text, linewidths=1.1), autolim=False)


def _highest(cells: _Numbers) -> float:
    """Give the largest finite value, 0 where there is none above it."""
    return float(np.max(cells, initial=0.0, where=np.isfinite(cells)))


def _wide(numbers: NDArray[np.float32]) -> _Numbers:
    """Give float64: a range of float32 may overflow float32."""
    return numbers.astype(np.float64)
