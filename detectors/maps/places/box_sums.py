"""Sums of cells over all places of one size at once, by cumulative sums."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from anomalyd.detectors.maps.places.places import Family, Index, Places

Floats = NDArray[np.float32]


def sums_of(cells: Floats, places: Places) -> Floats:
    """Sum cells (N, R, C) over row groups and from the left: (N, G, C + 1), longer where columns wrap."""
    most = max((f.width for f in places.families), default=1) if places.wrap else 0
    sums = np.zeros((*cells.shape[:2], cells.shape[2] + most + 1), dtype=np.float32)
    np.cumsum(np.concatenate([cells, cells[:, :, :most]], axis=2), axis=2, out=sums[:, :, 1:])
    grouped: Floats = np.matmul(places.groups, sums)
    return grouped


def windows(sums: Floats, group: Index, family: Family, places: Places) -> Floats:
    """Give the sums (N, g, starts) of a family's columns in row groups."""
    first = int(group[0])
    together = np.array_equal(group, np.arange(first, first + len(group)))
    part = sums[:, first : first + len(group)] if together else sums[:, group]
    if family.width == 0:
        columns = places.shape[1]
        return part[:, :, columns : columns + 1] - part[:, :, :1]
    starts = places.starts(family)
    return part[:, :, family.width : family.width + starts] - part[:, :, :starts]


def at_places(sums: Floats, family: Family, places: Places, maps: Index, place: Index) -> Floats:
    """Give the sums (m,) of single places."""
    group, first = np.divmod(place, places.starts(family))
    rows = family.group[group]
    last = first + (family.width or places.shape[1])
    found: Floats = sums[maps, rows, last] - sums[maps, rows, first]
    return found
