"""Figures as a table in Markdown: it reads well on a terminal, too."""

from __future__ import annotations

from collections.abc import Sequence

from anomalyd.detectors.evaluation import FIGURES, Row


def figures_table(rows: Sequence[Row]) -> str:
    """Give one line for each series and detector, the macro means last; three digits, `-` where undefined."""
    head = ["series", "detector", *FIGURES]
    lines = [head, ["---"] * len(head)]
    lines += [[row.series, row.detector, *(_text(row.figures.get(name)) for name in FIGURES)] for row in rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _text(value: float | None) -> str:
    return "-" if value is None or value != value else f"{value:.3f}"
