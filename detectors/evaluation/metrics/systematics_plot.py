"""The plot of the systematics: how the figures give way under each strain."""

from __future__ import annotations

import math
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from anomalyd.detectors.evaluation.metrics.systematics import Strained, Systematics

_PANELS = (
    ("training", "share of the training data", True),
    ("missing", "share of values missing", False),
    ("noise", "noise / sigma", False),
    ("dropped", "metrics missing", False),
)
"""Axis, label, and whether the row without strain stands at its right end."""

_STYLES = ("o-", "s--", "^:")
"""Lines that can be told apart where one lies on the other."""

_SHOWN = ("auprc", "f1_at_1", "fpr_at_1", "events_found")


def draw_systematics(found: Systematics, file: Path) -> None:
    """Draw four figures against four strains, a line for each detector, and save it as a picture.

    The bars on the point without strain are one standard deviation over the seeds.
    """
    figure = Figure(figsize=(13.0, 11.0), layout="constrained")
    axes = figure.subplots(len(_SHOWN), len(_PANELS), sharey="row", squeeze=False)
    detectors = list(dict.fromkeys(row.detector for row in found.rows))
    for line, name in enumerate(_SHOWN):
        for column, (axis, label, right) in enumerate(_PANELS):
            panel: Axes = axes[line][column]
            for style, detector in zip(_STYLES, detectors, strict=False):
                _line(panel, [r for r in found.rows if r.detector == detector], axis, name, right, style)
            panel.grid(alpha=0.3)
            if line == len(_SHOWN) - 1:
                panel.set_xlabel(label)
        axes[line][0].set_ylabel(name)
    handles, labels = axes[0][0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper center", ncols=len(labels))
    figure.savefig(file, dpi=110)


def _line(panel: Axes, rows: list[Strained], axis: str, name: str, right: bool, style: str) -> None:
    base = next(row for row in rows if row.axis == "none")
    strained = [(row.level, row.figures[name], 0.0) for row in rows if row.axis == axis]
    points = sorted([*strained, (1.0 if right else 0.0, base.figures[name], base.spread[name])])
    shown = [(x, y, 0.0 if math.isnan(s) else s) for x, y, s in points if not math.isnan(y)]
    if shown:
        levels, values, errors = zip(*shown, strict=True)
        panel.errorbar(levels, values, yerr=errors, fmt=style, capsize=3, label=base.detector)
    panel.set_xticks([x for x, _, _ in points])
