"""Elements whose rows are sisters (drift tubes): one map judged by itself."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from anomalyd.detectors.maps.geometry import Geometry
from anomalyd.detectors.maps.neighbours.cleaning import clean
from anomalyd.detectors.maps.neighbours.evidence import LocalEvidence, Overdispersed
from anomalyd.detectors.maps.neighbours.sisters import sister_evidence
from anomalyd.detectors.maps.neighbours.wide import (
    UnitProfiles,
    ratio_evidence,
    unit_sums,
    wide_evidence,
)


def layered_evidence(
    maps: NDArray[np.float32],
    geometry: Geometry,
    usual: UnitProfiles,
    known: Overdispersed | None = None,
) -> LocalEvidence:
    """Judge maps (N, R, C), NaN where missing, by sister rows, by what is smooth, and by ratios of units."""
    cleaned = clean(maps, geometry)
    sums = unit_sums(cleaned.counts, geometry)
    classes = sister_evidence(cleaned.counts, geometry)
    wide, noise = wide_evidence(sums, geometry, usual, known)
    dispersion = np.maximum(noise.value, 1.0)
    classes += wide + ratio_evidence(sums, geometry, usual, dispersion)
    return LocalEvidence(classes, cleaned.expected, cleaned.worth_telling(maps), noise)
