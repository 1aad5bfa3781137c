"""What a detector makes of plants that it was trained on for a few hundred rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from anomalyd.detectors.calibration import ALERT
from anomalyd.detectors.detector import Progress, Series, TrainingSet, silent
from anomalyd.detectors.evaluation.figures import auprc, f1_at_1, fpr_at_1
from anomalyd.detectors.evaluation.jobs import spread
from anomalyd.detectors.evaluation.metrics.competitor import Competitor, stream
from anomalyd.detectors.evaluation.metrics.evaluate import plain, write_json
from anomalyd.detectors.evaluation.metrics.plants import FAULTS, SENSORS, make_plant

PLANT_FIGURES = ("auprc", "f1_at_1", "fpr_at_1", "missed", "share_last")
"""`auprc` averaged over the plants; at score 1, of the rows of all plants together: `f1_at_1`, `fpr_at_1`,
the share of faulty rows `missed`, and the share of the last minute of each fault that alerts."""

ALL = "all"
_LAST_ROWS = 60

Scored = tuple[NDArray[np.float64], NDArray[np.uint8]]


@dataclass(frozen=True, slots=True)
class PlantRow:
    """What one detector makes of one fault, or of all: `PLANT_FIGURES`."""

    fault: str
    detector: str
    figures: Mapping[str, float]


def evaluate_plants(
    out: Path,
    competitor: Competitor | None = None,
    *,
    plants: int = 5,
    interval_s: float = 1.0,
    jobs: int = 1,
    progress: Progress = silent,
) -> list[PlantRow]:
    """Train on plants, `plants` for each of `FAULTS`, stream what follows, and write OUT/plants.json.

    Raises:
        TrainingError: the kind or a parameter is unknown.

    """
    competitor = competitor or Competitor()
    competitor.check()
    out.mkdir(parents=True, exist_ok=True)
    items = [(fault, seed) for fault in FAULTS for seed in range(plants)]
    told = progress if jobs == 1 else silent
    work = partial(_on_plant, competitor=competitor, interval_s=interval_s, progress=told)
    found: dict[int, tuple[NDArray[np.uint8], Mapping[str, NDArray[np.float64]]]] = {}
    for step, (place, outcome) in enumerate(spread(work, items, jobs), 1):
        found[place] = outcome
        progress("plants", step, len(items))
    scored = {
        (fault, name): [
            (found[place][1][name], found[place][0])
            for place, item in enumerate(items)
            if fault in (item[0], ALL)
        ]
        for fault in (*FAULTS, ALL)
        for name in competitor.detectors
    }
    rows = [PlantRow(fault, name, _figures(each)) for (fault, name), each in scored.items()]
    write_json(
        out / "plants.json",
        [
            {"fault": r.fault, "detector": r.detector, "plants": plants, "interval_s": interval_s}
            | plain(r.figures)
            for r in rows
        ],
    )
    return rows


def _on_plant(
    item: tuple[str, int], *, competitor: Competitor, interval_s: float, progress: Progress
) -> tuple[NDArray[np.uint8], Mapping[str, NDArray[np.float64]]]:
    """Give the label (U,) of a plant, and by detector the score (U,)."""
    plant, entity = make_plant(*item), f"plant {item[1]}"
    times = np.arange(len(plant.train) + len(plant.test), dtype=np.float64) * interval_s
    series = Series(times[: len(plant.train)], plant.train)
    features = tuple(f"sensor {f}" for f in range(SENSORS))
    trained = competitor.train(TrainingSet({entity: series}, features), progress)
    scored = stream(trained, entity, times[len(plant.train) :], plant.test)
    return plant.label, {name: scored[name][0] for name in competitor.detectors}


def _figures(some: Sequence[Scored]) -> dict[str, float]:
    score, label = (np.concatenate([each[i] for each in some]) for i in range(2))
    last = [each[np.flatnonzero(of)[-_LAST_ROWS:]] for each, of in some]
    return {
        "auprc": float(np.mean([auprc(each, of) for each, of in some])),
        "f1_at_1": f1_at_1(score, label),
        "fpr_at_1": fpr_at_1(score, label),
        "missed": float(np.mean(score[label > 0] <= ALERT)),
        "share_last": float(np.mean(np.concatenate(last) > ALERT)),
    }
