"""A first look at whole maps: which of them hold nothing that the scan could find.

Most maps are normal, and most places of the scan overlap. So a part of the places is looked at first, by a
sum of squares instead of a likelihood ratio. What is broken pulls these nearly as far as the place that fits
it best, and a map in which none of them pulls need not be scanned.
"""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from anomalyd.detectors.maps.likelihood.reference_test import laid_out
from anomalyd.detectors.maps.places.places import Counts, Family, Index, Listed, Places

Floats = NDArray[np.float32]

SUSPICIOUS = 0.5
"""Log odds of a single place, by the sum of squares, from which a map is scanned: one normal map in ten. Of
faulty maps that alert the lowest stand above 1."""

_WIDER, _TALL_WIDER = 1.45, 1.9
"""Ratio of the sizes that are looked at, of runs and of boxes. Boxes may lie further apart: there are more of
them, with neighbours on four sides."""

_STEP, _TALL_STEP = 3, 2
"""Runs are looked at a third of their size apart, boxes half of it."""

_ALIKE = 0.93
"""Cosine between two shapes without edges from which one of them tells enough of the other."""

_LEAST = np.float32(0.3)  # counts below which nothing is expected of a place

_CLUSTERED, _MEDIAN_CHI2 = 2.0, 0.4549
"""As of the scan: noise of cells from which that of larger places is measured in the map itself."""


def suspicion(
    counts: Counts, reference: Counts, places: Places, spread: Floats, noise: Floats
) -> NDArray[np.float32]:
    """Give how suspicious the most suspicious place of maps (N, R, C) is: log odds (N,); see `scan`."""
    found = np.full(len(counts), -np.inf, dtype=np.float32)
    families = _some_families(places)
    for part, seen, known, _, _ in laid_out(counts, reference, places, None, empties=False):
        # Maps last: whatever places are chosen, the same one of all maps lies side by side.
        sums = [_sums_of(x, places) for x in (seen, known)]
        ratio = _ratio(*(x.sum((1, 2)) for x in (seen, known)))
        best = found[part]
        for family in families:
            wider, stray = noise[part, family.kind], spread[part, family.kind]
            a, b = (_some_places(x, family, places) for x in sums)
            r = ratio
            if family.against is not None:
                r = _ratio(*(_some_places(x, family, places, family.against) for x in sums))
            nats = _nats(a, b, r, wider, stray, widen=places.tall)
            np.maximum(best, nats.reshape(-1, len(best)).max(0) + np.float32(family.prior), out=best)
        flat = [x.reshape(len(x), -1) for x in (seen, known)]
        for listed in _some_listed(places):
            wider, stray = noise[part, listed.kind], spread[part, listed.kind]
            a, b = ((x @ listed.cells).T for x in flat)
            if listed.squares is not None:
                nats = _graded(a, b, (flat[1] @ listed.squares).T, flat, wider, stray)
            else:
                others = listed.against
                r = ratio if others is None else _ratio(*((x @ others).T for x in flat))
                nats = _nats(a, b, r, wider, stray)
            np.maximum(best, nats.max(0) + np.float32(listed.prior), out=best)
    return found


def _sums_of(cells: Floats, places: Places) -> Floats:
    """Sum cells (N, R, C) over row groups and from the left: (G, C + 1, N), longer where columns wrap."""
    most = max((f.width for f in places.families), default=1) if places.wrap else 0
    maps = np.ascontiguousarray(cells.transpose(1, 2, 0))
    rows, columns, n = maps.shape
    sums = np.zeros((rows, columns + most + 1, n), dtype=np.float32)
    np.cumsum(maps, axis=1, out=sums[:, 1 : columns + 1])
    if most:
        np.add(sums[:, columns, None], sums[:, 1 : most + 1], out=sums[:, columns + 1 :])
    return (places.groups @ sums.reshape(rows, -1)).reshape(-1, columns + most + 1, n)


@lru_cache(maxsize=64)
def _some_listed(places: Places) -> tuple[Listed, ...]:
    """Choose the listed places to look at: of shapes without edges those that are unlike one another."""
    return tuple(_unlike(x, x.squares) if x.squares is not None else x for x in places.listed)


def _unlike(listed: Listed, squares: Counts) -> Listed:
    size = np.linalg.norm(listed.cells, axis=0)
    cosine = listed.cells.T @ listed.cells / np.outer(size, size)
    chosen: list[int] = []
    for k in range(len(size)):
        if not chosen or cosine[k, chosen].max() < _ALIKE:
            chosen.append(k)
    cells, squares = (np.ascontiguousarray(x[:, chosen]) for x in (listed.cells, squares))
    return replace(listed, names=tuple(listed.names[k] for k in chosen), cells=cells, squares=squares)


@lru_cache(maxsize=64)
def _some_families(places: Places) -> tuple[Family, ...]:
    """Choose the sizes to look at: each so much wider than the one before, of places compared alike."""
    alike: dict[tuple[bytes, bytes], list[Family]] = {}
    for family in places.families:
        against = b"" if family.against is None else family.against.tobytes()
        alike.setdefault((family.group.tobytes(), against), []).append(family)
    chosen: list[Family] = []
    wider = _TALL_WIDER if places.tall else _WIDER
    for some in alike.values():
        least = 0.0
        for family in sorted(some, key=lambda f: (f.width == 0, f.width)):
            if family.width and family.width < least:
                continue
            least = family.width * wider
            chosen.append(family)
    return tuple(chosen)


def _some_places(sums: Floats, family: Family, places: Places, group: Index | None = None) -> Floats:
    """Sum some of a family's places up (N, g, s)."""
    group = family.group if group is None else group
    first, step = int(group[0]), _TALL_STEP if places.tall else _STEP
    rows: slice | Index = group
    if np.array_equal(group, np.arange(first, first + len(group))):
        down = max(1, int(places.groups[first].sum()) // step) if places.tall else 1
        rows = slice(first, first + len(group), down)
    part = sums[rows]
    if family.width == 0:
        return part[:, places.shape[1]][:, None] - part[:, :1]
    starts, apart = places.starts(family), max(1, family.width // step)
    found: Floats = part[:, family.width : family.width + starts : apart] - part[:, :starts:apart]
    return found


def _ratio(counts: Floats, reference: Floats) -> Floats:
    return np.divide(counts, reference, out=np.zeros_like(counts), where=reference > 0)


def _nats(a: Floats, b: Floats, r: Floats, wider: Floats, stray: Floats, *, widen: bool = False) -> Floats:
    """Give the nats (..., N) of places with `a` counts where the reference `b` times the ratio `r` is
    expected.

    Half the squared pull, beside a variance between what is seen and expected: so it is the likelihood
    ratio's for an empty place, and close to it for all others.
    """
    e = b * r
    away = a - e
    doubt = np.add(a, e, out=a)
    pull = np.square(away)
    if widen and float(wider.max()) >= _CLUSTERED:
        wider = np.maximum(wider, _scatter(pull, e, r, wider, stray))
    np.maximum(away, 0, out=away)
    away *= np.float32(1 / 3)
    doubt -= away
    doubt *= (1 + r) * wider
    e *= e
    e *= 2 * stray * stray
    doubt += e
    np.maximum(doubt, _LEAST, out=doubt)
    pull /= doubt
    return pull


def _scatter(square: Floats, e: Floats, r: Floats, wider: Floats, stray: Floats) -> Floats:
    """Say how far such places lie out in the map itself, in units of Poisson's variance."""
    chi2 = np.maximum(square - (stray * e) ** 2, 0) / np.maximum(e * (1 + r), 1e-6)
    median = np.median(chi2.reshape(-1, chi2.shape[-1]), axis=0) / _MEDIAN_CHI2
    return np.where(wider >= _CLUSTERED, median, 1).astype(np.float32)


def _graded(
    a: Floats, b: Floats, squares: Floats, flat: list[Floats], wider: Floats, stray: Floats
) -> Floats:
    """Give the nats of places without edges: see `reference_test`."""
    total, known = (x.sum(1) for x in flat)
    inverse = 1 / np.maximum(known, _LEAST)
    first, second = b * inverse, squares * inverse
    variance = np.maximum(second - first**2, 1e-9)
    pull = a - first * total
    noise = total * variance * (1 + total * inverse) * wider
    moved = (stray * total * variance) ** 2
    nats: Floats = pull**2 / (2 * np.maximum(noise + moved, 1e-3))
    return nats
