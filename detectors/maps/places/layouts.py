"""Which places of a map could be broken, for each type of detector element."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import lru_cache
from itertools import product

import numpy as np

from anomalyd.detectors.maps.geometry import Geometry, Search, Segment
from anomalyd.detectors.maps.places.places import Counts, Places, Runs, Units, compile_places

_WIRES = (1, 2, 3, 4, 5, 6, 8, 10, 12, 14, 16, 20, 24, 28, 32, 40)
_LOST = 0.85
"""Of the broken places that are larger than a few cells, how many count too little: noise is narrow."""

_BENIGN_WIRES = 0.005  # share of the wires of a drift-tube chamber that are dead without a fault

_WEAK = 1.2  # nats: how much more likely a known weak layer breaks

_POSITIONS = 24  # steps along a layer in which faults that go through all layers are looked for


def places_of(geometry: Geometry) -> Places:
    """Give the places of an element: runs of wires if its rows have sisters, else boxes and segments."""
    if geometry.units:
        units = tuple((u.start, u.stop) for u in geometry.units)
        return chamber_layout(geometry.widths, geometry.numbers, units, geometry.weak)
    if geometry.search is None and not geometry.segments:
        return plain_layout(geometry.shape, geometry.wrap)
    # Places do not depend on the name and the mask: 72 elements of one type share them.
    return _grid_layout(geometry.shape, geometry.wrap, geometry.search, geometry.segments)


@lru_cache(maxsize=64)
def chamber_layout(
    widths: tuple[int, ...],
    numbers: tuple[int, ...],
    superlayers: tuple[tuple[int, int], ...],
    weak: tuple[int, ...] = (9,),
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
    superlayer = tuple(tuple(range(first, last)) for first, last in superlayers)
    blocks = tuple(
        tuple(range(top, top + height))
        for first, last in superlayers
        for height in range(2, last - first)
        for top in range(first, last - height + 1)
    )
    # The outer superlayers measure phi, the middle one theta; MB4 has phi only.
    both = (*range(*superlayers[0]), *range(*superlayers[-1]))
    # The nats were chosen on simulated faults: a class of few places drowns weak evidence of the others.
    classes: list[Runs | Units] = [
        Runs("cell", layers, (1,), nats=-1, gain=0),
        Runs("short run", layers, (2, 3, 4, 5), nats=1, gain=0),
        Runs("long run", layers, _WIRES[5:], lost=_LOST, gain=0),
        Runs("long run", layers, _WIRES[5:], sisters, lost=_LOST, gain=0),
        Runs("layer", layers, (0,), lost=_LOST, gain=0),
        Runs("layer", layers, (0,), sisters, lost=_LOST, gain=0),
        Runs("block", blocks, (*_WIRES, 0), nats=0.5, lost=_LOST, gain=0.8),
        Runs("superlayer", superlayer, (*_WIRES, 0), nats=1, lost=_LOST, gain=1.6),
        Runs("both phi superlayers", (both,), (*_WIRES, 0), nats=-1, lost=_LOST, gain=2.4),
        _everywhere(widths, columns),
    ]
    for number in weak:
        if number in numbers:
            r = numbers.index(number)
            classes += [
                Runs(f"layer {number}", (layers[r],), (0,), against, nats=_WEAK, lost=_LOST, gain=0)
                for against in (None, (sisters[r],))
            ]
    return compile_places((rows, columns), classes, tall=False, benign=_BENIGN_WIRES)


def _everywhere(widths: tuple[int, ...], columns: int) -> Units:
    """Smooth losses in all layers, about each of 24 relative positions: squared cosines.

    They are 3 to 14 positions wide at half their depth.
    """
    found: list[Counts] = []
    names: list[str] = []
    for length, centre in product((3, 4, 5, 6, 8, 10, 12, 14), range(1, _POSITIONS)):
        shares = np.zeros((len(widths), columns), dtype=np.float32)
        for row, width in enumerate(widths):
            away = np.abs((np.arange(width) + 0.5) * _POSITIONS / width - centre) / length
            shares[row, :width] = np.where(away < 1, np.cos(away * np.pi / 2) ** 2, 0)
        found.append(shares)
        names.append(f"{length}/{_POSITIONS} about {centre}/{_POSITIONS} of all layers")
    return Units("all layers", tuple(names), np.stack(found), nats=1.5, lost=_LOST, gain=2)


@lru_cache(maxsize=64)
def _grid_layout(
    shape: tuple[int, int], wrap: bool, search: Search | None, segments: tuple[Segment, ...]
) -> Places:
    """Give the places of an element whose rows see different particles: boxes, segments by kind, rings."""
    search = search or _search(shape)
    rows = shape[0]
    nats = dict(search.nats)
    classes: list[Runs | Units] = [*boxes(rows, list(search.heights), search.widths, nats)]
    for kind in dict.fromkeys(s.kind for s in segments):
        alike = [s for s in segments if s.kind == kind]
        cells = np.stack([s.cells(shape) for s in alike])
        classes.append(Units(kind, tuple(s.name for s in alike), cells, nats=nats.get(kind, 0.0), lost=_LOST))
    rings = tuple((r,) for r in range(rows))
    classes.append(Runs("ring", rings, (0,), nats=nats.get("ring", 0.0), lost=_LOST))
    return compile_places(shape, classes, wrap=wrap, benign=search.benign)


def _search(shape: tuple[int, int]) -> Search:
    """Say where to look in maps whose geometry does not."""
    heights = tuple(h for h in (1, 2, 3, 4, 6, 8, 12, 16) if h < shape[0]) or (1,)
    return Search(heights, tuple(w for w in (1, 2, 3, 4, 6, 8, 12, 16, 24, 32) if w < shape[1]) or (1,))


@lru_cache(maxsize=64)
def plain_layout(shape: tuple[int, int], wrap: bool = False) -> Places:
    """Give the places of a two-dimensional histogram of which nothing else is known."""
    search = _search(shape)
    classes: list[Runs | Units] = [
        *boxes(shape[0], list(search.heights), search.widths, {}),
        Runs("row", tuple((r,) for r in range(shape[0])), (0,), lost=_LOST),
        Runs("column", (tuple(range(shape[0])),), (1, 2, 3, 4, 6, 8, 12, 16), lost=_LOST),
    ]
    return compile_places(shape, classes, wrap=wrap)


def boxes(
    rows: int, heights: list[int], widths: tuple[int, ...], nats: Mapping[str, float]
) -> Iterator[Runs]:
    """Give boxes of these heights and widths: single cells, small ones (up to 6 cells), and larger ones."""
    for height in heights:
        groups = tuple(tuple(range(top, top + height)) for top in range(rows - height + 1))
        for name, least, most in (("cell", 1, 1), ("small box", 2, 6), ("box", 7, rows * 1000)):
            chosen = tuple(w for w in widths if least <= height * w <= most)
            if chosen:
                lost = _LOST if name == "box" else 0.5
                yield Runs(name, groups, chosen, nats=nats.get(name, 0.0), lost=lost)
