"""An operator's label: the outline of a fault on a map, as it was drawn from one cell."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Outline:
    """The fault around the cell (`row`, `column`) of a report's map, as somebody outlined it.

    Rows and columns are those of the array. `cells`: (row, column) of each; `units`: hardware units in it;
    `polygons`: corners (column, row) of its edges; counts `seen` and `expected`; `nats`: the log odds of its
    own; `text` says it in words. `recorded`: wall-clock time, seconds since the epoch.
    """

    report: str
    who: str
    row: int
    column: int
    cells: tuple[tuple[int, int], ...]
    units: tuple[str, ...]
    polygons: tuple[tuple[tuple[float, float], ...], ...]
    seen: float
    expected: float
    nats: float
    text: str
    recorded: float = 0.0
    id: int = 0
