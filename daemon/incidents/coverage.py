"""Maps of a step -> what was seen of each lumisection, and how it was judged, for the quality flags."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from anomalyd.daemon.stages import Sample, Scored
from anomalyd.reports.quality import Look
from anomalyd.reports.storage.repositories.lumisections import Place
from anomalyd.systems import system_of


def coverage(
    samples: Sequence[Sample], judged: Iterable[tuple[Scored, NDArray[np.bool_]]]
) -> dict[Place, dict[str, Look]]:
    """Say by run, system and lumisection which elements were seen, and whether judged and alerting.

    An element is empty where a map of it counts nothing and none was judged: it is dead, or there is no beam.
    `judged`: what was scored, with which of its samples (n,) belong into an incident. What any of the
    detectors that look at an element's maps says of any of them counts.
    """
    seen: dict[Place, dict[str, Look]] = {}
    for sample in samples:
        if sample.map is not None and (place := _place(sample)) is not None:
            before = seen.setdefault(place, {}).get(sample.entity)
            empty = not np.any(np.nan_to_num(sample.map if sample.map is not None else 0)) or (
                before is not None and before.empty
            )
            seen[place][sample.entity] = Look(judged=False, alerting=False, empty=empty)
    for scored, anomalous in judged:
        known = np.isfinite(scored.scores.score)
        for k, sample in enumerate(scored.samples):
            if (place := _place(sample)) is None or place not in seen:
                continue
            before = seen[place][sample.entity]
            seen[place][sample.entity] = Look(
                before.judged or bool(known[k]), before.alerting or bool(anomalous[k]), before.empty
            )
    return seen


def _place(sample: Sample) -> Place | None:
    if sample.map is None or sample.run is None or sample.lumisection is None:
        return None
    return sample.run, system_of(sample.entity), sample.lumisection
