"""What the rows and cells of an element's map are: layers and wires, towers, what shares a supply."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Unit:
    """Rows that belong together in hardware (a superlayer): rows `start` to `stop` - 1 of the map.

    `view` says what they measure ("phi", "theta"); units of one view see the same particles.
    """

    name: str
    view: str
    start: int
    stop: int


@dataclass(frozen=True, slots=True)
class Segment:
    """Cells that share a voltage or a read-out, and so fail together: a supermodule, a sector.

    `runs`: (row, first, stop) of the array, columns `first` to `stop` - 1 of each.
    """

    kind: str
    name: str
    runs: tuple[tuple[int, int, int], ...]

    def cells(self, shape: tuple[int, int]) -> NDArray[np.bool_]:
        """Give its cells (R, C)."""
        cells = np.zeros(shape, dtype=np.bool_)
        for row, first, stop in self.runs:
            cells[row, first:stop] = True
        return cells


@dataclass(frozen=True, slots=True)
class Search:
    """Where in a map a fault is looked for: boxes of these `heights` and `widths`, in cells.

    `nats`: how much more likely a class of places is to break than the others (logarithm of the odds), by
    name: "cell", "small box", "box", "ring", or the kind of a segment. `benign`: probability that a cell is
    dead without that being a fault; 0 where every dead cell is one.
    """

    heights: tuple[int, ...]
    widths: tuple[int, ...]
    nats: tuple[tuple[str, float], ...] = ()
    benign: float = 0.0


@dataclass(frozen=True, slots=True)
class Geometry:
    """The map of one element of a detector.

    `widths` (R,): where the cells of each row end, rows may be ragged; `starts` (R,): where they begin, all
    at 0 if empty; `numbers` (R,): what people call each row (a chamber without a theta superlayer has layers
    1-4 and 9-12); `row` and `cell` are the field's words for them ("layer", "wire"; cells count from 1).
    `units`: the hardware that rows belong to, in order; empty where rows see different particles.
    `segments`: cells that fail together. `masked`: further places that are no cells, as in `Segment.runs`.
    `weak`: numbers of rows known to fail. `wrap`: the last column lies beside the first.
    """

    entity: str
    row: str
    cell: str
    widths: tuple[int, ...]
    numbers: tuple[int, ...]
    units: tuple[Unit, ...] = ()
    starts: tuple[int, ...] = ()
    masked: tuple[tuple[int, int, int], ...] = ()
    segments: tuple[Segment, ...] = ()
    weak: tuple[int, ...] = ()
    wrap: bool = False
    search: Search | None = None

    @classmethod
    def of(cls, entity: str, shape: tuple[int, int]) -> Geometry:
        """Give the geometry of a two-dimensional histogram (R, C) of which nothing else is known."""
        rows, columns = shape
        return cls(entity, "row", "column", (columns,) * rows, tuple(range(1, rows + 1)))

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and cells of the longest row: the shape (R, C) of the map's array."""
        return len(self.widths), max(self.widths)

    def mask(self) -> NDArray[np.bool_]:
        """Say which places of the array are cells: (R, C), False behind the end of a ragged row."""
        columns = np.arange(self.shape[1])[None, :]
        starts = np.array(self.starts or (0,) * len(self.widths))
        cells: NDArray[np.bool_] = (columns >= starts[:, None]) & (columns < np.array(self.widths)[:, None])
        for row, first, stop in self.masked:
            cells[row, first:stop] = False
        return cells

    def row_of(self, number: int) -> int:
        """Give the array's row of what people call layer `number`.

        Raises:
            ValueError: this element has no such layer.

        """
        if number not in self.numbers:
            raise ValueError(f"{self.entity}: no {self.row} {number}; it has {self.numbers}")
        return self.numbers.index(number)

    def unit_of(self, row: int) -> Unit:
        """Give the unit that a row of the array belongs to."""
        return next(u for u in self.units if u.start <= row < u.stop)

    def sisters(self, row: int) -> tuple[int, ...]:
        """Give the other rows of the same unit: they see the same particles as this one."""
        if not self.units:
            return ()
        unit = self.unit_of(row)
        return tuple(r for r in range(unit.start, unit.stop) if r != row)
