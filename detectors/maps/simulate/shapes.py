"""The shape of a simulated element: how often its cells count beside one another, were nothing broken."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from anomalyd.detectors.maps.geometries.recipes import Normal
from anomalyd.detectors.maps.geometry import Geometry

Shape = NDArray[np.float64]


def layered_shape(
    geometry: Geometry,
    rng: np.random.Generator,
    levels: Sequence[float] = (),
    slopes: Sequence[tuple[float, float]] = (),
    edges: Sequence[float] = (),
) -> Shape:
    """Draw the shape (R, C) of an element whose units hold rows that see the same particles.

    `levels`: mean of each unit; `slopes`: mean and spread of each unit's slope along its rows. All rows of a
    unit have one smooth shape, and a few percent between them; the outermost cells count less, by the share
    `edges` of each unit (a quarter).
    """
    shape = np.zeros(geometry.shape)
    for k, unit in enumerate(geometry.units):
        bend = rng.normal(0, [0.06, 0.03, 0.015])
        slope = rng.normal(*(slopes[k] if slopes else (0.0, 0.04)))
        depth = edges[k] if edges else 0.25
        level = (levels[k] if levels else 1.0) * rng.normal(1, 0.03)
        for row in range(unit.start, unit.stop):
            width = geometry.widths[row]
            x = (np.arange(width) + 0.5) / width
            waves = sum(b * np.cos((i + 1) * np.pi * x) for i, b in enumerate(bend))
            edge = 1 - depth * np.exp(-np.minimum(x, 1 - x) * width / 1.5)
            shape[row, :width] = level * rng.normal(1, 0.02) * (1 + slope * (2 * x - 1) + waves) * edge
    return np.clip(shape, 0, None)


def grid_shape(geometry: Geometry, normal: Normal, rng: np.random.Generator) -> Shape:
    """Draw the shape (R, C) of an element whose rows see different particles (a calorimeter).

    Along the rows a slope and a curvature, around them three waves, and a response of its own for each row,
    segment and cell.
    """
    rows, columns = geometry.shape
    eta = np.linspace(-1, 1, rows)[:, None]
    phi = np.arange(columns) / columns * 2 * np.pi
    shape: Shape = 1 + rng.normal(*normal.slope) * eta + rng.normal(normal.curvature, 0.05) * eta**2
    shape = shape * np.ones((rows, columns))
    for k in (1, 2, 3):
        shape *= 1 + rng.normal(0, normal.waves) * np.cos(k * phi + rng.uniform(0, 2 * np.pi))
    shape *= rng.normal(1, normal.rows, (rows, 1))
    for segment in geometry.segments if normal.segments else ():
        shape[segment.cells(geometry.shape)] *= rng.normal(1, normal.segments)
    shape *= np.clip(rng.normal(1, normal.cells, shape.shape), 0.3, None)
    return np.where(geometry.mask(), np.clip(shape, 0, None), 0.0)


def drifting(geometry: Geometry, rng: np.random.Generator, rms: float) -> Shape:
    """Draw how the shape of one map strays: factors (R, C), smooth along the rows, `rms` in all.

    Rows of one unit stray alike; so does an element without units as a whole.
    """
    rows, columns = geometry.shape
    x = np.arange(columns) / max(columns - 1, 1)
    field = np.zeros((rows, columns))
    units = [(u.start, u.stop) for u in geometry.units] or [(0, rows)]
    for start, stop in units:
        wave = sum(rng.normal(0, 1) * np.cos(k * np.pi * x) for k in (1, 2, 3)) / np.sqrt(1.5)
        along = np.ones((stop - start, 1))
        if not geometry.units:
            along = 1 + rng.normal(0, 0.5) * np.linspace(-1, 1, rows)[:, None]
        field[start:stop] = wave * along
    return np.asarray(np.clip(1 + rms * field, 0, None))
