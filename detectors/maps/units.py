"""What the hardware units of an element have lost or gained, from its cells."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from anomalyd.detectors.detector import Floats
from anomalyd.detectors.maps.geometry import Geometry

_LEAST = 0.25  # counts: keeps the pull of a unit finite that is dead and counts again


@dataclass(frozen=True, slots=True)
class UnitScores:
    """Signed pulls (N, U) of the units `names` (U,): below 0 where counts are lost."""

    names: tuple[str, ...]
    pulls: NDArray[np.float64]


def unit_scores(values: Floats, expectation: Floats, geometry: Geometry) -> UnitScores:
    """Compare counts (N, R, C) with what is expected, in each superlayer, row with sisters, and segment.

    Cells where either is missing do not count.
    """
    known = np.isfinite(values) & np.isfinite(expectation)
    seen, usual = (np.where(known, x, 0).reshape(len(values), -1) for x in (values, expectation))
    named = unit_cells(geometry)
    names = tuple(name for name, _ in named)
    cells = np.zeros((len(named), *geometry.shape))
    for place, (_, inside) in zip(cells, named, strict=True):
        place[inside] = 1
    weights = cells.reshape(len(cells), int(np.prod(geometry.shape))).T
    observed, expected = (x.astype(np.float64) @ weights for x in (seen, usual))
    return UnitScores(names, (observed - expected) / np.sqrt(np.maximum(expected, _LEAST)))


def unit_cells(geometry: Geometry) -> list[tuple[str, NDArray[np.bool_]]]:
    """Name each superlayer, row with sisters, and segment, and give its cells (R, C)."""
    named: list[tuple[str, NDArray[np.bool_]]] = []
    for unit in geometry.units:
        named.append((unit.name, _rows(geometry, unit.start, unit.stop)))
        named += [
            (f"{geometry.row} {geometry.numbers[r]}", _rows(geometry, r, r + 1))
            for r in range(unit.start, unit.stop)
        ]
    named += [(s.name, s.cells(geometry.shape)) for s in geometry.segments]
    return named


def _rows(geometry: Geometry, start: int, stop: int) -> NDArray[np.bool_]:
    rows = np.zeros(geometry.shape, dtype=np.bool_)
    rows[start:stop] = True
    return rows
