"""A sheet of pictures: the best hidden units, each with what it looks for in the space of the inputs."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from anomalyd.interpret.neurons.study import Cells, MappedUnit
from anomalyd.interpret.pictures.page import panel, rendered
from anomalyd.interpret.pictures.palette import BLAME, DARK, RESIDUAL, fonts, plain

_COLUMNS = (
    ("sample that excites it most", "sample"),
    ("input climbed to", "exciting"),
    ("occlusion of the unit", "occlusion"),
    ("gradients of the unit", "gradient"),
)
_LEGEND = (
    "area: how well it tells anomalous samples, .5 is chance; inputs: orange above expected, blue below; "
    "right: what it listens to"
)
_HEAD = 1.2  # inches above the first unit, with a margin below the last
_BARS = 5
_ROW = 1.75  # inches a unit


def draw_sheet(units: Sequence[MappedUnit], title: str, features: Sequence[str] = ()) -> bytes:
    """Draw units as PNG, a row each; `features` (F,) names metrics, empty for maps."""
    height = _HEAD + _ROW * len(units)
    figure = Figure(figsize=(13.0, height), dpi=100, facecolor=DARK.background)
    figure.text(
        0.012, 1 - 0.3 / height, plain(title, 120), color=DARK.text, fontsize=13, fontweight="bold",
        family=list(fonts()), parse_math=False,
    )  # fmt: skip
    figure.text(
        0.012, 1 - 0.52 / height, f"{_LEGEND}; each panel has a scale of its own",
        color=DARK.quiet, fontsize=9.5,
    )  # fmt: skip
    left = 0.2 if features else 0.13
    grid = figure.add_gridspec(
        len(units), len(_COLUMNS), left=left, right=0.985, top=1 - (_HEAD - 0.15) / height,
        bottom=0.3 / height, wspace=0.75 if features else 0.08, hspace=0.45,
    )  # fmt: skip
    for row, unit in enumerate(units):
        for column, (name, part) in enumerate(_COLUMNS):
            axes = figure.add_subplot(grid[row, column])
            panel(axes, DARK)
            cells: Cells = getattr(unit, part)
            if features:
                _bars(axes, cells, features)
            else:
                _map(axes, cells, signed=part in ("sample", "exciting"))
            if row == 0:
                axes.set_title(name, color=DARK.quiet, fontsize=10, loc="left", pad=6)
            if column == 0:
                _label(figure, axes, unit)
    return rendered(figure, "png", DARK)


def _label(figure: Figure, axes: Axes, unit: MappedUnit) -> None:
    rank = unit.rank
    box = axes.get_position()
    figure.text(
        0.012,
        (box.y0 + box.y1) / 2,
        f"{rank.layer}\nunit {rank.unit}\nfires {'more' if rank.side > 0 else 'less'}\n"
        f"area {rank.area:.3f}\np {rank.p:.3f}",
        color=DARK.text, fontsize=8.5, va="center",
    )  # fmt: skip


def _map(axes: Axes, cells: Cells, *, signed: bool) -> None:
    highest = float(np.nanmax(np.abs(cells), initial=0.0)) or 1.0
    axes.imshow(
        np.ma.masked_invalid(cells), cmap=RESIDUAL if signed else BLAME,
        vmin=-highest if signed else 0.0, vmax=highest, origin="lower", aspect="auto",
        interpolation="nearest",
    )  # fmt: skip
    axes.set_xticks([])
    axes.set_yticks([])


def _bars(axes: Axes, cells: Cells, features: Sequence[str]) -> None:
    known = np.nan_to_num(cells)
    worst = np.argsort(-np.abs(known), kind="stable")[:_BARS]
    lengths = known[worst]
    axes.barh(
        np.arange(len(worst)), lengths, color=[DARK.observed if b >= 0 else DARK.expected for b in lengths]
    )
    axes.set_yticks(
        np.arange(len(worst)), [plain(features[f], 16) for f in worst], fontsize=7, family=list(fonts()),
        parse_math=False,
    )  # fmt: skip
    axes.set_ylim(len(worst) - 0.5, -0.5)
    axes.axvline(0, color=DARK.quiet, linewidth=0.8)
    axes.locator_params(axis="x", nbins=3)
    axes.tick_params(labelsize=7)
