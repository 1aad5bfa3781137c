"""Which places of a map could be broken, for each type of detector element."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cache, lru_cache

import numpy as np

from anomalyd.detectors.maps.geometry import Geometry, geometry_of
from anomalyd.detectors.maps.likelihood.places import Cells, Places, Runs, Units, compile_places

_WIRES = (*range(1, 13), 14, 16, 18, 20, 24, 28, 32, 40)
_BENIGN_WIRES = 0.005  # share of the wires of a drift-tube chamber that are dead without a fault

_LAYERS = {12: tuple(range(1, 13)), 8: (1, 2, 3, 4, 9, 10, 11, 12)}
_NARROWEST, _WIDEST = 47, 96
"""Layers of a drift-tube chamber, by how many there are, and how many wires a layer may have."""

_POSITIONS = 24  # steps along a layer in which faults that go through all layers are looked for


def layout_of(entity: str, shape: tuple[int, int]) -> Places:
    """Give the places to look at in maps (R, C) of an element: by its name, else by the shapes of CMS."""
    chamber = geometry_of(entity)
    if chamber is not None and chamber.shape == shape:
        return chamber_places(chamber)
    if shape == (34, 72):
        return ecal_barrel_layout()
    if shape == (64, 72):
        return hcal_layout()
    rows, columns = shape
    if rows in _LAYERS and _NARROWEST <= columns <= _WIDEST:
        superlayers = tuple((first, first + 4) for first in range(0, rows, 4))
        return chamber_layout((columns,) * rows, _LAYERS[rows], superlayers)
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
    # The nats were chosen on simulated faults: a class of few places drowns weak evidence of the others.
    classes: list[Runs | Units] = [
        Runs("cell", layers, (1,), nats=-1),
        Runs("short run", layers, (2, 3, 4, 5)),
        Runs("long run", layers, _WIRES[5:], nats=-1),
        Runs("long run", layers, _WIRES[5:], sisters, nats=-1),
        Runs("layer", layers, (0,), nats=-1),
        Runs("layer", layers, (0,), sisters, nats=-1),
        Runs("block", blocks, (*_WIRES, 0), nats=1.5),
        Runs("both phi superlayers", (both,), (*_WIRES, 0), nats=-1),
        _everywhere(widths, columns),
    ]
    if 9 in numbers:
        weak = numbers.index(9)
        classes.append(Runs("layer 9", (layers[weak],), (0,), (sisters[weak],), nats=1))
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
    return Units("all layers", tuple(names), np.stack(found), nats=0.5)


@cache
def ecal_barrel_layout() -> Places:
    """Give the places of the ECAL barrel, 34 (eta) x 72 (phi) towers: boxes, supermodules, sectors, rings."""
    rows, columns, half = 34, 72, 17
    supermodules = [(half * side, half * side + half, 4 * s, 4 * s + 4) for side in (0, 1) for s in range(18)]
    classes: list[Runs | Units] = [
        *boxes(rows, [1, 2, 3, 5, 8], (1, 2, 3, 5, 8), {"cell": 3, "small box": -0.5}),
        _units("supermodule", (rows, columns), supermodules, 3),
        _units("sector", (rows, columns), [(0, rows, 4 * s, 4 * s + 4) for s in range(18)], 0),
        Runs("ring", tuple((r,) for r in range(rows)), (0,), nats=-3),
    ]
    return compile_places((rows, columns), classes, wrap=True)


@cache
def hcal_layout() -> Places:
    """Give the places of a depth of the HCAL, 64 (ieta) x 72 (iphi): boxes up to 15 x 4, sectors, rings."""
    rows, columns = 64, 72
    classes: list[Runs | Units] = [
        *boxes(rows, [1, 2, 3, 4, 6, 8, 11, 15], (1, 2, 3, 4), {"box": 2}),
        _units("sector", (rows, columns), [(0, rows, 4 * s, 4 * s + 4) for s in range(18)], -3),
        Runs("ring", tuple((r,) for r in range(rows)), (0,), nats=-3),
    ]
    return compile_places((rows, columns), classes, wrap=True)


def _units(name: str, shape: tuple[int, int], corners: list[tuple[int, int, int, int]], nats: float) -> Units:
    """List boxes by first row, row behind the last, first column, column behind the last."""
    cells = np.zeros((len(corners), *shape), dtype=np.bool_)
    for unit, (top, bottom, left, right) in zip(cells, corners, strict=True):
        unit[top:bottom, left:right] = True
    names = tuple(f"{name} {number}" for number in range(1, len(corners) + 1))
    return Units(name, names, cells, nats=nats)


@lru_cache(maxsize=64)
def plain_layout(shape: tuple[int, int]) -> Places:
    """Give the places of a two-dimensional histogram of which nothing else is known."""
    heights = [h for h in (1, 2, 3, 4, 6, 8, 12, 16) if h < shape[0]] or [1]
    widths = tuple(w for w in (1, 2, 3, 4, 6, 8, 12, 16, 24, 32) if w < shape[1]) or (1,)
    classes: list[Runs | Units] = [
        *boxes(shape[0], heights, widths, {}),
        Runs("row", tuple((r,) for r in range(shape[0])), (0,)),
        Runs("column", (tuple(range(shape[0])),), (1, 2, 3, 4, 6, 8, 12, 16)),
    ]
    return compile_places(shape, classes)


def boxes(
    rows: int, heights: list[int], widths: tuple[int, ...], nats: Mapping[str, float]
) -> Iterator[Runs]:
    """Give boxes of these heights and widths: single cells, small ones (up to 6 cells), and larger ones."""
    for height in heights:
        groups = tuple(tuple(range(top, top + height)) for top in range(rows - height + 1))
        for name, least, most in (("cell", 1, 1), ("small box", 2, 6), ("box", 7, rows * 1000)):
            chosen = tuple(w for w in widths if least <= height * w <= most)
            if chosen:
                yield Runs(name, groups, chosen, nats=nats.get(name, 0.0))
