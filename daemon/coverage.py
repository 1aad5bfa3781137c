"""Maps of a step -> what was seen of each lumisection, and how it was judged, for the quality flags."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from anomalyd.daemon.stages import Sample, Scored
from anomalyd.reports.quality import Coverage, system_of

Place = tuple[int, str, int]


def coverage(
    samples: Sequence[Sample], judged: Iterable[tuple[Scored, NDArray[np.bool_]]]
) -> dict[Place, Coverage]:
    """Count the elements seen, judged and alerting by run, system and lumisection.

    `judged`: what was scored, with which of its samples (n,) belong into an incident. A map that several
    detectors look at counts once.
    """
    seen: dict[Place, set[str]] = {}
    for sample in samples:
        if (place := _place(sample)) is not None:
            seen.setdefault(place, set()).add(sample.entity)
    told: dict[Place, set[str]] = {place: set() for place in seen}
    bad: dict[Place, set[str]] = {place: set() for place in seen}
    for scored, anomalous in judged:
        known = np.isfinite(scored.scores.either)
        for k, sample in enumerate(scored.samples):
            if (place := _place(sample)) is None or place not in seen:
                continue
            if known[k]:
                told[place].add(sample.entity)
            if anomalous[k]:
                bad[place].add(sample.entity)
    return {p: Coverage(len(seen[p]), len(told[p]), len(bad[p])) for p in seen}


def _place(sample: Sample) -> Place | None:
    if sample.map is None or sample.run is None or sample.lumisection is None:
        return None
    return sample.run, system_of(sample.entity), sample.lumisection
