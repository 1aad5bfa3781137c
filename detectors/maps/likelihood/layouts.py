"""Which places of a map could be broken, for each type of detector element."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache

import numpy as np

from anomalyd.detectors.maps.geometry import Geometry, geometry_of
from anomalyd.detectors.maps.likelihood.places import Cells, Places, Runs, Units, compile_places

_WIRES = (*range(1, 13), 14, 16, 18, 20, 24, 28, 32, 40)
_BENIGN_WIRES = 0.005  # share of the wires of a drift-tube chamber that are dead without a fault

_HARDWARE = 2.0
"""Nats by which a hardware unit is likelier to break than an arbitrary place."""

_POSITIONS = 24  # steps along a layer in which faults that go through all layers are looked for


def layout_of(entity: str, shape: tuple[int, int]) -> Places:
    """Give the places to look at in maps (R, C) of an element."""
    chamber = geometry_of(entity)
    if chamber is not None and chamber.shape == shape:
        return chamber_layout(
            chamber.widths, chamber.numbers, tuple((u.start, u.stop) for u in chamber.units)
        )
    return plain_layout(shape)


def chamber_places(chamber: Geometry) -> Places:
    """Give the places of a drift-tube chamber."""
    return chamber_layout(chamber.widths, chamber.numbers, tuple((u.start, u.stop) for u in chamber.units))


@lru_cache(maxsize=64)
def chamber_layout(
    widths: tuple[int, ...], numbers: tuple[int, ...], superlayers: tuple[tuple[int, int], ...]
) -> Places:
    """Give the places of a drift-tube chamber, with layer 9 as its known weak unit.

    Runs of wires in a layer, in neighbouring layers of a superlayer, in both phi superlayers, and at one
    place in all layers; layers, and runs in them, against their sisters, too.
    """
    rows, columns = len(widths), max(widths)
    layers = tuple((r,) for r in range(rows))
    sisters = tuple(
        tuple(s for s in range(first, last) if s != r)
        for first, last in superlayers
        for r in range(first, last)
    )
    blocks = tuple(
        tuple(range(top, top + height))
        for first, last in superlayers
        for height in range(2, last - first + 1)
        for top in range(first, last - height + 1)
    )
    # The outer superlayers measure phi, the middle one theta; MB4 has phi only.
    both = (*range(*superlayers[0]), *range(*superlayers[-1]))
    classes: list[Runs | Units] = [
        Runs("cell", layers, (1,)),
        Runs("short run", layers, (2, 3, 4, 5)),
        Runs("long run", layers, _WIRES[5:]),
        Runs("long run", layers, _WIRES[5:], sisters),
        Runs("layer", layers, (0,), nats=_HARDWARE),
        Runs("layer", layers, (0,), sisters, nats=_HARDWARE),
        Runs("block", blocks, (*_WIRES, 0)),
        Runs("both phi superlayers", (both,), (*_WIRES, 0)),
        _everywhere(widths, columns),
    ]
    if 9 in numbers:
        weak = numbers.index(9)
        classes.append(Runs("layer 9", (layers[weak],), (0,), (sisters[weak],), nats=_HARDWARE))
    return compile_places((rows, columns), classes, tall=False, benign=_BENIGN_WIRES)


def _everywhere(widths: tuple[int, ...], columns: int) -> Units:
    """Intervals of 2 to 14 of 24 relative positions, in all layers."""
    found: list[Cells] = []
    names: list[str] = []
    for length in range(2, 15):
        for first in range(_POSITIONS - length + 1):
            cells = np.zeros((len(widths), columns), dtype=np.bool_)
            for row, width in enumerate(widths):
                cells[
                    row, round(first * width / _POSITIONS) : round((first + length) * width / _POSITIONS)
                ] = True
            found.append(cells)
            names.append(f"{first}/{_POSITIONS} to {first + length}/{_POSITIONS} of all layers")
    return Units("all layers", tuple(names), np.stack(found))


@lru_cache(maxsize=64)
def plain_layout(shape: tuple[int, int]) -> Places:
    """Give the places of a two-dimensional histogram of which nothing else is known."""
    heights = [h for h in (1, 2, 3, 4, 6, 8, 12, 16) if h < shape[0]]
    widths = tuple(w for w in (1, 2, 3, 4, 6, 8, 12, 16, 24, 32) if w < shape[1])
    classes: list[Runs | Units] = [
        *boxes(shape[0], heights, widths),
        Runs("row", tuple((r,) for r in range(shape[0])), (0,)),
        Runs("column", (tuple(range(shape[0])),), (1, 2, 3, 4, 6, 8, 12, 16)),
    ]
    return compile_places(shape, classes)


def boxes(rows: int, heights: list[int], widths: tuple[int, ...]) -> Iterator[Runs]:
    """Give boxes of these heights and widths: single cells, small ones (up to 6 cells), and larger ones."""
    for height in heights:
        groups = tuple(tuple(range(top, top + height)) for top in range(rows - height + 1))
        for name, least, most in (("cell", 1, 1), ("small box", 2, 6), ("box", 7, rows * 1000)):
            chosen = tuple(w for w in widths if least <= height * w <= most)
            if chosen:
                yield Runs(name, groups, chosen)
