"""Elements whose rows are sisters (drift tubes): one map judged by itself."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from anomalyd.detectors.maps.geometry import Geometry
from anomalyd.detectors.maps.neighbours.cleaning import clean
from anomalyd.detectors.maps.neighbours.evidence import LocalEvidence, Overdispersed
from anomalyd.detectors.maps.neighbours.scattered import scattered_evidence
from anomalyd.detectors.maps.neighbours.sisters import sister_evidence
from anomalyd.detectors.maps.neighbours.wide import (
    UnitProfiles,
    ratio_evidence,
    unit_noise,
    unit_sums,
    wide_evidence,
)

_LOW = 0.7
"""Share of the smooth level of a unit below which the neighbours of a cell are taken to be broken, too."""


def layered_evidence(
    maps: NDArray[np.float32],
    geometry: Geometry,
    usual: UnitProfiles,
    known: Overdispersed | None = None,
) -> LocalEvidence:
    """Judge maps (N, R, C), NaN where missing, by sister rows, by what is smooth, and by ratios of units."""
    usual = usual.fitted(geometry)
    cleaned = clean(maps, geometry)
    sums = unit_sums(cleaned.counts, geometry)
    noise, dispersion = unit_noise(sums, usual, known)
    classes = [
        *sister_evidence(cleaned.counts, geometry, dispersion),
        *wide_evidence(sums, geometry, usual, dispersion),
        *ratio_evidence(sums, geometry, usual, dispersion),
        scattered_evidence(cleaned),
    ]
    return LocalEvidence(
        classes, _expected(cleaned.expected, sums, geometry, usual), cleaned.worth_telling(maps), noise
    )


def _expected(
    near: NDArray[np.float32], sums: Sequence[NDArray[np.float64]], geometry: Geometry, usual: UnitProfiles
) -> NDArray[np.float32]:
    """Expect what is near, but where a whole unit is low there what is smooth along it."""
    found = near.copy()
    for k, unit in enumerate(geometry.units):
        profile = np.array(usual.profiles[k])
        rows = slice(unit.start, unit.stop)
        level = np.median(sums[k] / profile, axis=1)[:, None] / (unit.stop - unit.start)
        smooth = (level * profile)[:, None, :]
        part = found[:, rows, : len(profile)]
        found[:, rows, : len(profile)] = np.where(part < _LOW * smooth, smooth, part)
    return np.where(geometry.mask(), found, 0).astype(np.float32)
