"""One map judged by itself, whatever its element is made of."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from anomalyd.detectors.maps.geometry import Geometry
from anomalyd.detectors.maps.neighbours.evidence import LocalEvidence, Overdispersed
from anomalyd.detectors.maps.neighbours.grid import grid_evidence
from anomalyd.detectors.maps.neighbours.layered import layered_evidence
from anomalyd.detectors.maps.neighbours.wide import UnitProfiles


def judges_alone(geometry: Geometry) -> bool:
    """Say whether anything of an element lies beside anything alike, so that one map can be judged."""
    return bool(geometry.units or geometry.segments) or geometry.search is not None


def local_evidence(
    maps: NDArray[np.float32],
    geometry: Geometry,
    units: UnitProfiles | None,
    profile: NDArray[np.float32] | None,
    noise: Overdispersed | None = None,
) -> LocalEvidence | None:
    """Judge maps (N, R, C), NaN where missing; None where nothing lies beside anything alike.

    `units`: what sums over rows with sisters look like; `profile` (R, C): relative rates of healthy cells;
    `noise`: what earlier maps said of it.
    """
    if geometry.units and units is not None:
        return layered_evidence(maps, geometry, units, noise)
    if judges_alone(geometry):
        return grid_evidence(maps, geometry, profile)
    return None
