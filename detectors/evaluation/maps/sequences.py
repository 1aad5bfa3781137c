"""How soon a fault is found in a stream of lumisections, and how often there is a false alarm."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from anomalyd.detectors.calibration import ALERT
from anomalyd.detectors.detector import SeriesWindow
from anomalyd.detectors.evaluation.maps.faults import MapTask, train_on_simulation
from anomalyd.detectors.maps.geometries.known import load_type
from anomalyd.detectors.maps.simulate.elements import elements_of, name_of
from anomalyd.detectors.maps.simulate.limit import places_of_fault
from anomalyd.detectors.maps.simulate.simulation import LUMISECTION_S

_NORMAL = 50
"""Normal lumisections of each element after its history: false alarms are counted in them."""

_LASTING = 5
"""Lumisections that a fault lasts: as the faults of the published studies."""

_MOST_ELEMENTS = 40


@dataclass(frozen=True, slots=True)
class SequenceRow:
    """Share of faults `found` while they last, their mean `delay` (0: at once), false alarms.

    `false_alarms`: normal lumisections above score 1, of a thousand.
    """

    geometry: str
    detector: str
    fault: str
    strength: float
    mean_counts: float
    seed: int
    found: float
    delay: float
    false_alarms: float


def measure_sequences(task: MapTask, false_alarm_rate: float = 0.001) -> list[SequenceRow]:
    """Stream normal lumisections of new elements through each detector, then each fault.

    Raises:
        ConfigError: an unknown geometry. TrainingError: an unknown kind of detector.

    """
    kind_of = load_type(task.geometry)
    elements = elements_of(kind_of, min(task.maps, _MOST_ELEMENTS), task.seed, drift=task.drift)
    rng = np.random.default_rng((task.seed, 3, round(100 * task.mean_counts)))
    usual = elements.maps(task.mean_counts, task.history + _NORMAL, rng)
    times = np.arange(usual.shape[1] + _LASTING, dtype=np.float64) * LUMISECTION_S
    names = [name_of(elements.geometry, k) for k in range(len(usual))]
    rows: list[SequenceRow] = []
    for kind in task.kinds:
        model = train_on_simulation(kind, task, false_alarm_rate)
        streams = [SeriesWindow(n, times[: len(m)], m) for n, m in zip(names, usual, strict=True)]
        scored = model.score(streams)
        normal = np.stack([s.score[task.history :] for s in scored])
        for recipe in kind_of.faults:
            if task.faults and recipe.kind not in task.faults:
                continue
            for strength in recipe.factors:
                places = places_of_fault(elements.geometry, recipe, strength)
                factors, _ = places.draw(rng, len(usual))
                maps = np.stack(
                    [
                        elements.drawn(elements.expected(task.mean_counts, rng) * factors, rng)
                        for _ in range(_LASTING)
                    ],
                    axis=1,
                )
                broken = [
                    SeriesWindow(n, times[usual.shape[1] :], m, s.state)
                    for n, m, s in zip(names, maps, scored, strict=True)
                ]
                alerts = np.stack([s.score for s in model.score(broken)]) > ALERT
                found = alerts.any(1)
                rows.append(
                    SequenceRow(
                        geometry=task.geometry,
                        detector=kind,
                        fault=recipe.kind,
                        strength=strength,
                        mean_counts=task.mean_counts,
                        seed=task.seed,
                        found=float(found.mean()),
                        delay=float(alerts[found].argmax(1).mean()) if found.any() else float("nan"),
                        false_alarms=1000 * float((normal > ALERT).mean()),
                    )
                )
    return rows
