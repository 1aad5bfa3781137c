"""What each part of a detector brings: the same figures without it, over seeds and series."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np

from anomalyd.detectors.detector import Progress, silent
from anomalyd.detectors.evaluation.metrics.competitor import Competitor, stream
from anomalyd.detectors.evaluation.metrics.evaluate import (
    FIGURES,
    LESS_IS_BETTER,
    mean_figures,
    measure,
    measure_files,
    plain,
    prepare,
    reason_of,
    write_json,
)
from anomalyd.detectors.evaluation.metrics.labelled import read_labelled
from anomalyd.detectors.registry import detector_class
from anomalyd.errors import TrainingError

SEEDS = 3


@dataclass(frozen=True, slots=True)
class Without:
    """The detector without a `part`; where that is empty, the whole one.

    `figures`: macro means of `FIGURES` over seeds and series, of a part the difference to the whole;
    `spread`: their standard deviation over seeds; `moved`: on how many series a figure changed by .001 or
    more, of which it is `worse` without the part on so many.
    """

    part: str
    figures: Mapping[str, float]
    spread: Mapping[str, float]
    moved: Mapping[str, int]
    worse: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Ablation:
    """The whole detector first, then without each part; and what could not be measured."""

    rows: tuple[Without, ...]
    failed: Mapping[str, str]


_OfFile = dict[tuple[str, int], dict[str, float]]
"""By part, empty for the whole, and seed: the figures."""


def measure_ablation(
    data: Path,
    out: Path,
    competitor: Competitor | None = None,
    *,
    interval_s: float = 60.0,
    seeds: int = SEEDS,
    jobs: int = 1,
    progress: Progress = silent,
) -> Ablation:
    """Train and stream every series with all parts and without each, and write OUT/ablation.json.

    An autoencoder is measured alone, without its classical baseline.

    Raises:
        TrainingError: as `evaluate_metrics`; or the kind of detector names no parts.

    """
    competitor = replace(competitor or Competitor("vector-ensemble"), alone=True)
    files = prepare(data, out, competitor)
    parts = detector_class(competitor.kind).parts
    if not parts:
        raise TrainingError(f"{competitor.kind!r} has no parts that can be left out; try vector-ensemble")
    told = progress if jobs == 1 else silent
    work = partial(_measure, competitor=competitor, interval_s=interval_s, seeds=seeds, progress=told)
    measured, failed = measure_files("ablation", work, files, jobs, progress)
    result = Ablation(tuple(_summed_up(measured, ("", *parts), seeds)), failed)
    rows = [asdict(row) | {"figures": plain(row.figures), "spread": plain(row.spread)} for row in result.rows]
    write_json(
        out / "ablation.json",
        {"kind": competitor.kind, "parameters": dict(competitor.parameters), "rows": rows, "failed": failed},
    )
    return result


def _measure(
    file: Path, *, competitor: Competitor, interval_s: float, seeds: int, progress: Progress
) -> _OfFile | str:
    """Measure one series with and without each part; or say why it cannot be."""
    figures: _OfFile = {}
    try:
        series = read_labelled(file, interval_s)
        for part, value in {"": 0.0, **detector_class(competitor.kind).parts}.items():
            given = {**competitor.parameters, **({part: value} if part else {})}
            for seed in range(seeds):
                less = replace(competitor, parameters=given, seed=competitor.seed + seed)
                streamed = stream(
                    less.train(series.training, progress), series.name, series.times, series.test
                )
                figures[part, seed] = measure(series, *streamed[competitor.kind])
    except TrainingError as error:
        return reason_of(file, error)
    return figures


def _summed_up(measured: list[_OfFile], parts: tuple[str, ...], seeds: int) -> Iterator[Without]:
    def of_series(part: str, seed: int) -> list[dict[str, float]]:
        """Give the figures of each series: of a part, less those of the whole detector."""
        if not part:
            return [of_file["", seed] for of_file in measured]
        return [
            {name: of_file[part, seed][name] - of_file["", seed][name] for name in FIGURES}
            for of_file in measured
        ]

    for part in parts:
        each = [of_series(part, seed) for seed in range(seeds)]
        of_seed = [mean_figures(several) for several in each]
        apart = {name: [figures[name] for figures in of_seed] for name in FIGURES}
        spread_of = {n: float(np.std(v, ddof=1)) if seeds > 1 else math.nan for n, v in apart.items()}
        mean = [mean_figures([several[place] for several in each]) for place in range(len(measured))]
        changes = {
            n: [-m[n] if n in LESS_IS_BETTER else m[n] for m in mean if abs(m[n]) >= 0.001] for n in FIGURES
        }
        yield Without(
            part,
            mean_figures(of_seed),
            spread_of,
            {n: len(c) if part else 0 for n, c in changes.items()},
            {n: sum(x < 0 for x in c) if part else 0 for n, c in changes.items()},
        )
