"""Pictures of one explained sample, as PNG bytes: the same input gives the same bytes.

Only matplotlib's objects, no pyplot: nothing is shared, so several threads may draw at once.
"""

from __future__ import annotations

import io
from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import LineCollection
from matplotlib.colors import Colormap
from matplotlib.figure import Figure
from numpy.typing import NDArray

from anomalyd.interpret.attribution import Attribution
from anomalyd.interpret.palette import (
    BACKGROUND,
    BLAME,
    COUNTS,
    EXPECTED,
    MASKED,
    OBSERVED,
    PANEL,
    QUIET,
    RESIDUAL,
    TEXT,
    plain,
)

_SIZE = (12.0, 6.75)  # inches at 100 dots: 1200 x 675 pixels, a screen's width beside a chat window
_BARS = 12
_SERIES = 4
# Of the highest attribution: on simulated chambers with faults, the cells above it are 98 to 100 % true ones.
_OUTLINED = 0.25

_Numbers = NDArray[np.float64]


def draw_vector(
    features: Sequence[str],
    values: NDArray[np.float32],
    expectation: NDArray[np.float32],
    error: NDArray[np.float32],
    attribution: Attribution | None,
    history: NDArray[np.float32],
    history_times: NDArray[np.float64],
    time: float,
    title: str,
) -> bytes:
    """Draw a metric vector: the 12 metrics most to blame as bars, and the course of the worst 4.

    `features` (F,) names; `values`, `expectation` (F,) in the metrics' units; `error` (F,) in sigmas;
    `history` (h, F) at `history_times` (h,) is what came before `time` (seconds since the epoch, all); h may
    be 0. Without an attribution the bars show |error|. NaN: missing.
    """
    blame = _wide(np.abs(error) if attribution is None else attribution.values)
    worst = _most_to_blame(blame)
    figure = _page(title, "" if attribution is None else _method(attribution))
    bars = figure.add_gridspec(1, 1, left=0.19, right=0.41, top=0.84, bottom=0.09)
    series = figure.add_gridspec(_SERIES, 1, left=0.72, right=0.975, top=0.84, bottom=0.09, hspace=0.62)
    _bars(
        figure.add_subplot(bars[0]),
        [plain(features[f], 24) for f in worst],
        blame[worst],
        [_number(values[f]) for f in worst],
        [_number(expectation[f]) for f in worst],
        [f"{error[f]:+.3g} σ" if np.isfinite(error[f]) else "" for f in worst],
        "share of the raw score" if attribution else "departure from normal [σ]",
    )
    times = np.append(history_times, time) - time
    per_unit, unit = _unit(float(-times.min(initial=0.0)))
    for row, f in enumerate(worst[:_SERIES]):
        course = np.append(_wide(history[:, f]), values[f])
        axes = figure.add_subplot(series[row])
        _series(axes, times / per_unit, course, float(expectation[f]), plain(features[f], 44))
        if row == len(worst[:_SERIES]) - 1:
            axes.set_xlabel(f"{unit} before the sample", color=QUIET, fontsize=9)
    figure.text(0.72, 0.9, "● observed", color=OBSERVED, fontsize=10)
    figure.text(0.81, 0.9, "╌ expected now", color=EXPECTED, fontsize=10)
    return _png(figure)


def draw_map(
    values: NDArray[np.float32],
    expectation: NDArray[np.float32],
    error: NDArray[np.float32],
    attribution: Attribution | None,
    title: str,
    row_label: str = "layer",
    column_label: str = "wire",
    row_numbers: Sequence[int] = (),
) -> bytes:
    """Draw a map (R, C): observed, expected, their difference in sigmas, and what raised the score.

    Columns are counted from 1, and so are rows (row 1 at the bottom) unless `row_numbers` (R,) says what
    people call them (a chamber without a theta superlayer has layers 1-4 and 9-12). NaN (masked, or behind
    the end of a ragged row) is hatched. The cells most to blame are outlined in every panel.
    """
    figure = _page(title, "" if attribution is None else _method(attribution))
    grid = figure.add_gridspec(2, 2, left=0.055, right=0.97, top=0.85, bottom=0.08, wspace=0.13, hspace=0.34)
    counts, normal, residual = _wide(values), _wide(expectation), _wide(error)
    # Headroom for Poisson noise, none for hot cells: they may saturate, the rest has to stay readable.
    top = _highest(normal) * 1.5 or _highest(counts) or 1.0
    # Beyond 10 sigmas more colour says nothing, and below 3 noise would look like a fault.
    sigmas = min(max(_highest(np.abs(residual)), 3.0), 10.0)
    panels: list[tuple[str, _Numbers, Colormap | str, float, float]] = [
        ("observed", counts, COUNTS, 0.0, top),
        ("expected", np.where(np.isnan(counts), np.nan, normal), COUNTS, 0.0, top),
        ("observed less expected [σ]", residual, RESIDUAL, -sigmas, sigmas),
    ]
    if attribution is not None:
        blame = _wide(attribution.values)
        panels.append(("what raised the score", blame, BLAME, 0.0, _highest(blame) or 1.0))
    for place, (name, cells, colours, low, high) in enumerate(panels):
        axes = figure.add_subplot(grid[place // 2, place % 2])
        _cells(figure, axes, name, cells, colours, low, high)
        if row_numbers:
            named = range(0, len(row_numbers), 1 + len(row_numbers) // 16)  # more labels would overlap
            axes.set_yticks([r + 1 for r in named], [str(row_numbers[r]) for r in named])
        if place % 2 == 0:
            axes.set_ylabel(row_label, color=QUIET, fontsize=9)
        if place // 2 == 1:
            axes.set_xlabel(column_label, color=QUIET, fontsize=9)
        if attribution is not None:
            _outline(axes, _wide(attribution.values))
    return _png(figure)


def _most_to_blame(blame: _Numbers) -> list[int]:
    """Give the indices of the worst, worst first, without what is missing (all, if everything is)."""
    order = np.argsort(-np.nan_to_num(blame, nan=-np.inf), kind="stable")
    known = order[np.isfinite(blame[order])]
    return [int(f) for f in (known if len(known) else order)[:_BARS]]


def _page(title: str, note: str) -> Figure:
    figure = Figure(figsize=_SIZE, dpi=100, facecolor=BACKGROUND)
    figure.text(0.015, 0.945, plain(title, 110), color=TEXT, fontsize=14, fontweight="bold", parse_math=False)
    figure.text(0.015, 0.905, note, color=QUIET, fontsize=10)
    return figure


def _method(attribution: Attribution) -> str:
    early = "" if attribution.complete else ", ended early by its time budget"
    return f"{attribution.method}{early}"


def _panel(axes: Axes) -> None:
    axes.set_facecolor(PANEL)
    axes.tick_params(colors=QUIET, labelsize=9, length=2)
    for spine in axes.spines.values():
        spine.set_visible(False)


def _bars(
    axes: Axes,
    names: list[str],
    blame: _Numbers,
    observed: list[str],
    expected: list[str],
    sigmas: list[str],
    label: str,
) -> None:
    """Draw one bar a metric, worst on top, and a small table at the right of it."""
    _panel(axes)
    rows = np.arange(len(names))
    lengths = np.nan_to_num(np.asarray(blame, dtype=np.float64))
    axes.barh(rows, lengths, height=0.62, color=[OBSERVED if b >= 0 else EXPECTED for b in lengths])
    axes.set_yticks(rows, names, parse_math=False, color=TEXT)
    axes.set_ylim(_BARS - 0.5, -0.5)  # always room for all: few metrics do not become fat bars
    axes.axvline(0, color=QUIET, linewidth=0.8)
    axes.locator_params(axis="x", nbins=4)
    axes.set_xlabel(label, color=QUIET, fontsize=9)
    columns = (
        (1.38, "observed", observed, OBSERVED),
        (1.74, "expected", expected, EXPECTED),
        (2.06, "", sigmas, TEXT),
    )
    for x, heading, cells, colour in columns:
        axes.text(x, 1.02, heading, color=QUIET, fontsize=9, ha="right", transform=axes.transAxes)
        for row, cell in enumerate(cells):
            axes.text(
                x,
                row,
                cell,
                color=colour,
                fontsize=9.5,
                ha="right",
                va="center",
                transform=axes.get_yaxis_transform(),
            )


def _series(axes: Axes, times: _Numbers, course: _Numbers, expected: float, name: str) -> None:
    """Draw the course of one metric; the last value is the sample itself."""
    _panel(axes)
    axes.plot(times, course, color=QUIET, linewidth=1.1, marker=".", markersize=2.5)
    axes.plot(
        times[-1:], course[-1:], color=OBSERVED, marker="o", markersize=6, linestyle="none", clip_on=False
    )
    if np.isfinite(expected):
        axes.axhline(expected, color=EXPECTED, linewidth=1.2, linestyle=(0, (4, 3)))
    axes.set_title(name, color=TEXT, fontsize=9.5, loc="left", pad=3, parse_math=False)
    axes.locator_params(axis="y", nbins=3)
    axes.locator_params(axis="x", nbins=6)


def _cells(
    figure: Figure, axes: Axes, name: str, cells: _Numbers, colours: Colormap | str, low: float, high: float
) -> None:
    """Draw one panel of a map with its colour bar."""
    _panel(axes)
    axes.patch.set(facecolor=BACKGROUND, edgecolor=MASKED, hatch="////", linewidth=0)
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
    axes.set_title(name, color=TEXT, fontsize=11, loc="left", pad=5)
    beyond = (bool(np.nanmin(cells, initial=high) < low), bool(np.nanmax(cells, initial=low) > high))
    extend = {(False, False): "neither", (True, False): "min", (False, True): "max", (True, True): "both"}[
        beyond
    ]
    bar = figure.colorbar(image, ax=axes, pad=0.015, fraction=0.03, extend=extend)
    bar.outline.set_visible(False)
    bar.ax.tick_params(colors=QUIET, labelsize=8, length=2)


def _outline(axes: Axes, blame: _Numbers) -> None:
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
    axes.add_collection(LineCollection(lines, colors=TEXT, linewidths=1.1), autolim=False)


def _highest(cells: _Numbers) -> float:
    """Give the largest finite value, 0 where there is none above it."""
    return float(np.max(cells, initial=0.0, where=np.isfinite(cells)))


def _wide(numbers: NDArray[np.float32]) -> _Numbers:
    """Give float64: a range of float32 may overflow float32."""
    return numbers.astype(np.float64)


def _number(value: float) -> str:
    return f"{value:.4g}" if np.isfinite(value) else "missing"


def _unit(span_s: float) -> tuple[float, str]:
    """Choose the unit of a time axis: seconds in it, and its name."""
    if span_s < 300:
        return 1.0, "seconds"
    return (60.0, "minutes") if span_s < 18_000 else (3600.0, "hours")


def _png(figure: Figure) -> bytes:
    buffer = io.BytesIO()
    # Without the version of matplotlib: the same picture is then the same bytes.
    FigureCanvasAgg(figure)
    figure.savefig(buffer, format="png", facecolor=BACKGROUND, metadata={"Software": None})
    return buffer.getvalue()
