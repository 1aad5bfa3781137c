"""Figures as tables in Markdown: they read well on a terminal, too."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from anomalyd.detectors.evaluation.metrics.ablation import Ablation, Without
from anomalyd.detectors.evaluation.metrics.case_results import CASE_FIGURES, CaseRow
from anomalyd.detectors.evaluation.metrics.evaluate import FIGURES, Row
from anomalyd.detectors.evaluation.metrics.plant_results import PLANT_FIGURES, PlantRow
from anomalyd.detectors.evaluation.metrics.rates import Rates
from anomalyd.detectors.evaluation.metrics.systematics import Strained, Systematics


def markdown(head: Sequence[str], rows: Iterable[Sequence[str | float | None]]) -> str:
    """Give a table; numbers with three digits, `-` for None and where undefined."""
    lines = [list(head), ["---"] * len(head), *([_text(cell) for cell in row] for row in rows)]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def figures_table(rows: Sequence[Row]) -> str:
    """Give one line for each series and detector, the macro means last."""
    return markdown(
        ["series", "detector", *FIGURES],
        [[row.series, row.detector, *(row.figures.get(name) for name in FIGURES)] for row in rows],
    )


def cases_table(rows: Sequence[CaseRow]) -> str:
    """Give one line for each constructed case and detector."""
    return markdown(
        ["case", "wanted", "detector", *CASE_FIGURES],
        [[row.case, row.wanted, row.detector, *(row.figures[name] for name in CASE_FIGURES)] for row in rows],
    )


def plants_table(rows: Sequence[PlantRow]) -> str:
    """Give one line for each fault of made-up plants and detector."""
    return markdown(
        ["fault", "detector", *PLANT_FIGURES],
        [[row.fault, row.detector, *(row.figures[name] for name in PLANT_FIGURES)] for row in rows],
    )


def systematics_table(found: Systematics) -> str:
    """Give one line for each condition and detector, and below it the events by who found them."""
    table = markdown(
        ["condition", "detector", *FIGURES],
        [[row.condition, row.detector, *(_with_spread(row, name) for name in FIGURES)] for row in found.rows],
    )
    totals = markdown(["found by", "events"], [[who, str(n)] for who, n in found.found_by.items()])
    events = markdown(
        ["series", "first row", "end", "found by"],
        [[e.series, str(e.start), str(e.end), e.found_by] for e in found.events],
    )
    return "\n\n".join([table, totals, events])


def ablation_table(found: Ablation) -> str:
    """Give one line for the whole detector, and one for what changes without each part.

    A difference stands with its standard deviation over seeds, and with the series that were better for the
    part of all on which it made a difference.
    """
    shown = ("auprc", "vus_pr", "best_f1", "f1_at_1", "fpr_at_1", "events_found", "delay", "long_coverage")

    def cells(row: Without) -> Iterable[str]:
        for name in shown:
            value = f"{row.figures[name]:.3f}" if not row.part else f"{row.figures[name]:+.3f}"
            cell = f"{value} ± {row.spread[name]:.3f}"
            yield cell if not row.part else f"{cell} ({row.worse[name]}/{row.moved[name]})"

    return markdown(
        ["", *shown],
        [[f"without {row.part}" if row.part else "whole", *cells(row)] for row in found.rows],
    )


def rates_table(rates: Rates) -> str:
    """Give one line for each wanted number of false alarms a day and detector; below, one for each series."""
    summary = markdown(
        ["wanted/day", "detector", "realised/day", "median", "least", "most", "series", "days"],
        [
            [s.wanted, s.detector, s.pooled, s.median, s.least, s.most, str(s.series), f"{s.days:.0f}"]
            for s in rates.summaries
        ],
    )
    series = markdown(
        ["series", "wanted/day", "detector", "realised/day"],
        [[row.series, row.wanted, row.detector, row.realised] for row in rates.rows],
    )
    return f"{summary}\n\n{series}"


def _with_spread(row: Strained, name: str) -> str:
    spread = row.spread.get(name)
    value = _text(row.figures[name])
    return value if spread is None or spread != spread else f"{value} ± {spread:.3f}"


def _text(cell: str | float | None) -> str:
    if isinstance(cell, str):
        return cell
    return "-" if cell is None or cell != cell else f"{cell:.3f}"
