"""Say in words which region of a map is to blame, and what is wrong there."""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from anomalyd.detectors.detector import Floats
from anomalyd.detectors.maps.geometry import Geometry
from anomalyd.detectors.maps.simulate.luminosity import Cells

_HIGHLIGHTED = 0.5
"""Share of the highest blame from which a cell belongs to the region."""

WHOLE = "the whole map"

_NAMED = 5

_BRIDGED = 2
"""Cells between two runs of a row that do not part them: dead wires, or noise."""


def highlighted(contribution: Floats) -> Cells:
    """Give the cells (R, C) to show: those with at least half of the highest contribution (R, C)."""
    blame = np.nan_to_num(contribution.astype(np.float64), nan=0.0)
    most = float(blame.max(initial=0.0))
    cells: Cells = (blame >= _HIGHLIGHTED * most) & (blame > 0)
    return cells


def describe_region(
    values: Floats, expectation: Floats, contribution: Floats, geometry: Geometry | None = None
) -> str:
    """Describe the region of a map that is most to blame, as an operator would say it.

    `values`, `expectation` and `contribution` are (R, C), NaN where missing. With a geometry: "layer 9, wires
    1-49: 31 % of expected", "layers 1-4 and 9-12, wires 16-32: no hits", "layer 3, wire 7: 5.2 x expected
    (hot)"; without one rows and columns, both counted from 1. "" where nothing is to blame.
    """
    cells = highlighted(contribution)
    if not cells.any():
        return ""
    first, last, rows = _heaviest_run(cells, np.nan_to_num(contribution.astype(np.float64), nan=0.0))
    region = np.zeros_like(cells)
    region[rows, first : last + 1] = True
    row_word, cell_word, numbers = _words(rows, geometry)
    known = region & np.isfinite(values) & np.isfinite(expectation)
    what = _amount(float(values[known].sum()), float(expectation[known].sum()))
    columns = _ranges(list(range(first + 1, last + 2)))
    return (
        f"{row_word}{_plural(numbers)} {_ranges(numbers)}, "
        f"{cell_word}{'s' if last > first else ''} {columns}: {what}"
    )


def describe_cells(cells: Cells, geometry: Geometry | None = None) -> tuple[str, ...]:
    """Name cells (R, C) by their places: rows with the same run of columns together, the largest first.

    At most five places are named; the rest is counted. All cells together are "the whole map".
    """
    if geometry is not None and geometry.shape == cells.shape and cells[geometry.mask()].all():
        return (WHOLE,)
    runs: dict[tuple[int, int], list[int]] = {}
    for row in range(len(cells)):
        columns = np.flatnonzero(cells[row]).tolist()
        breaks = [i for i, (a, b) in enumerate(pairwise(columns)) if b - a > _BRIDGED + 1]
        for start, stop in pairwise([0, *(i + 1 for i in breaks), len(columns)]):
            if stop > start:
                runs.setdefault((columns[start], columns[stop - 1]), []).append(row)
    largest = sorted(runs.items(), key=lambda run: -len(run[1]) * (run[0][1] - run[0][0] + 1))
    told = []
    for (first, last), rows in largest[:_NAMED]:
        row_word, cell_word, numbers = _words(rows, geometry)
        columns_text = _ranges(list(range(first + 1, last + 2)))
        plural = "s" if last > first else ""
        told.append(f"{row_word}{_plural(numbers)} {_ranges(numbers)}, {cell_word}{plural} {columns_text}")
    rest = sum(int(cells[rows, first : last + 1].sum()) for (first, last), rows in largest[_NAMED:])
    return (*told, f"{rest} other cell{'s' if rest > 1 else ''}") if rest else tuple(told)


def _words(rows: list[int], geometry: Geometry | None) -> tuple[str, str, list[int]]:
    if geometry is None:
        return "row", "column", [r + 1 for r in rows]
    return geometry.row, geometry.cell, [geometry.numbers[r] for r in rows]


def _heaviest_run(cells: Cells, blame: Floats) -> tuple[int, int, list[int]]:
    """Find the run of cells with the most blame, and all the rows that have about the same run."""
    runs: list[tuple[float, int, int, int]] = []
    for row in range(len(cells)):
        columns = np.flatnonzero(cells[row])
        if not len(columns):
            continue
        breaks = [i for i, (a, b) in enumerate(pairwise(columns.tolist())) if b - a > _BRIDGED + 1]
        edges = [0, *(i + 1 for i in breaks), len(columns)]
        for start, stop in pairwise(edges):
            first, last = int(columns[start]), int(columns[stop - 1])
            runs.append((float(blame[row, first : last + 1].sum()), first, last, row))
    _, first, last, _ = max(runs)
    alike = [r for r in runs if _overlap((first, last), (r[1], r[2])) >= 0.5]
    rows = sorted({r[3] for r in alike})
    return min(r[1] for r in alike), max(r[2] for r in alike), rows


def _overlap(a: tuple[int, int], b: tuple[int, int]) -> float:
    """Columns in both runs over columns in either."""
    both = min(a[1], b[1]) - max(a[0], b[0]) + 1
    return max(both, 0) / (max(a[1], b[1]) - min(a[0], b[0]) + 1)


def _amount(seen: float, expected: float) -> str:
    if seen == 0:
        return "no hits"
    if expected <= 0:
        return f"{seen:.0f} hits where none were expected"
    ratio = seen / expected
    return f"{ratio:.1f} x expected (hot)" if ratio >= 1.95 else f"{100 * ratio:.0f} % of expected"


def _plural(numbers: list[int]) -> str:
    return "s" if len(numbers) > 1 else ""


def _ranges(numbers: list[int]) -> str:
    """Write 1, 2, 3, 4, 9 as "1-4 and 9"."""
    parts: list[list[int]] = []
    for n in numbers:
        if parts and n == parts[-1][1] + 1:
            parts[-1][1] = n
        else:
            parts.append([n, n])
    words = [f"{a}-{b}" if b > a else f"{a}" for a, b in parts]
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"
