"""Measure a detector on labelled series: train on one part, stream the other through the daemon's scoring."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from anomalyd.detectors.detector import Progress, silent
from anomalyd.detectors.evaluation import figures
from anomalyd.detectors.evaluation.jobs import spread
from anomalyd.detectors.evaluation.metrics.competitor import Competitor, stream
from anomalyd.detectors.evaluation.metrics.labelled import Labelled, files_of, read_labelled
from anomalyd.errors import TrainingError

Result = TypeVar("Result")

FIGURES = (
    *("auprc", "auroc", "vus_pr", "best_f1"),
    *("f1_at_1", "fpr_at_1", "events_found", "false_alarms_per_day", "delay", "long_coverage"),
    *("hr100", "hr150"),
)
LESS_IS_BETTER = ("fpr_at_1", "false_alarms_per_day", "delay")


@dataclass(frozen=True, slots=True)
class Row:
    """The figures of one detector on one series, or, where `series` is "mean", on all (macro mean)."""

    series: str
    detector: str
    figures: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Measured:
    """The `rows` of a folder, the means last, and why the series in `failed` (by name) have none."""

    rows: tuple[Row, ...]
    failed: Mapping[str, str]


def evaluate_metrics(
    data: Path,
    out: Path,
    competitor: Competitor | None = None,
    *,
    interval_s: float = 60.0,
    jobs: int = 1,
    progress: Progress = silent,
) -> Measured:
    """Train on each series of a folder, stream its test half causally, write and return the figures.

    OUT/NAME.npz holds `score` (U,), 0 where none can be told, and `contribution` (U, F), of a pair those of
    the autoencoder.
    OUT/results.json holds the rows that are returned: for each series, and last for their macro mean, a row
    for each of the competitor's `detectors`. OUT/failed.json says of each series that could not be read or
    trained on why; the others are measured. The test half begins as the daemon begins with a new model.

    Raises:
        TrainingError: there is no file, not one could be measured, or the kind of detector is unknown.

    """
    competitor = competitor or Competitor()
    files = prepare(data, out, competitor)
    told = progress if jobs == 1 else silent  # what shows progress stays in this process
    work = partial(_measure_file, competitor=competitor, out=out, interval_s=interval_s, progress=told)
    found: dict[str, list[Row] | str] = {}
    for step, (place, outcome) in enumerate(spread(work, files, jobs), 1):
        found[files[place].stem] = outcome
        progress("evaluate", step, len(files))
        measured = _measured({f.stem: found[f.stem] for f in files if f.stem in found}, competitor)
        _write(out, measured)
    refuse_if_all_failed(measured.failed, files)
    return measured


def prepare(data: Path, out: Path, competitor: Competitor) -> list[Path]:
    """Give the files to measure, and make the folder for what is found.

    Raises:
        TrainingError: there is no file, OUT is the folder of the data, or the kind of detector is unknown.

    """
    competitor.check()
    files = files_of(data)
    if out.resolve() == files[0].parent.resolve():
        raise TrainingError(f"{out}: holds the data, and results would take their place; name another folder")
    out.mkdir(parents=True, exist_ok=True)
    return files


def refuse_if_all_failed(failed: Mapping[str, str], files: Sequence[Path]) -> None:
    """See that at least one file was measured.

    Raises:
        TrainingError: none was; the text is the first one's reason.

    """
    if len(failed) == len(files):
        first = next(iter(failed.values()))
        raise TrainingError(
            first if len(files) == 1 else f"all {len(files)} files failed; the first: {first}"
        )


def measure_files(
    what: str, work: Callable[[Path], Result | str], files: Sequence[Path], jobs: int, progress: Progress
) -> tuple[list[Result], dict[str, str]]:
    """Do the work on every file, `jobs` at a time: the results in their order, and why the others have none.

    `work` gives a result, or, as text, why there is none.

    Raises:
        TrainingError: not one could be measured.

    """
    found: dict[int, Result | str] = {}
    for step, (place, outcome) in enumerate(spread(work, files, jobs), 1):
        found[place] = outcome
        progress(what, step, len(files))
    outcomes = [(file.stem, found[place]) for place, file in enumerate(files)]
    failed = {name: outcome for name, outcome in outcomes if isinstance(outcome, str)}
    refuse_if_all_failed(failed, files)
    return [outcome for _, outcome in outcomes if not isinstance(outcome, str)], failed


def reason_of(file: Path, error: TrainingError) -> str:
    """Say why a file could not be measured, and which it is."""
    return str(error) if str(file) in str(error) else f"{file}: {error}"


def measure(
    series: Labelled, score: NDArray[np.float64], contribution: NDArray[np.float32]
) -> dict[str, float]:
    """Give every one of `FIGURES` for a score (U,) and a contribution (U, F)."""
    label, events = series.label, series.events
    return {
        "auprc": figures.auprc(score, label),
        "auroc": figures.auroc(score, label),
        "vus_pr": figures.vus_pr(score, label),
        "best_f1": figures.best_f1(score, label),
        "f1_at_1": figures.f1_at_1(score, label),
        "fpr_at_1": figures.fpr_at_1(score, label),
        "events_found": figures.events_found(score, events),
        "false_alarms_per_day": figures.false_alarms_per_day(score, label, series.interval_s),
        "delay": figures.delay(score, events),
        "long_coverage": figures.long_coverage(score, events, series.interval_s),
        "hr100": figures.hit_rate(contribution, events, series.causes, 100),
        "hr150": figures.hit_rate(contribution, events, series.causes, 150),
    }


def mean_figures(several: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """Average over series, a figure over those where it is defined; NaN where it never is."""
    known = {name: [f[name] for f in several if not math.isnan(f[name])] for name in FIGURES}
    return {name: sum(values) / len(values) if values else math.nan for name, values in known.items()}


def plain(figures_of: Mapping[str, float]) -> dict[str, float | None]:
    """Make figures fit for JSON, which knows no NaN."""
    return {name: None if math.isnan(value) else value for name, value in figures_of.items()}


def _measure_file(
    file: Path, *, competitor: Competitor, out: Path, interval_s: float, progress: Progress
) -> list[Row] | str:
    """Measure one series and keep its scores: its rows, or why there are none."""
    kept = out / f"{file.stem}.npz"
    kept.unlink(missing_ok=True)
    try:
        series = read_labelled(file, interval_s)
        trained = competitor.train(series.training, progress)
    except TrainingError as error:
        return reason_of(file, error)
    found = stream(trained, series.name, series.times, series.test)
    score, contribution = found[competitor.detectors[0]]
    np.savez_compressed(kept, score=score, contribution=contribution)
    return [Row(series.name, name, measure(series, *found[name])) for name in competitor.detectors]


def _measured(found: Mapping[str, list[Row] | str], competitor: Competitor) -> Measured:
    """Put the rows of all series together, the means last."""
    rows = [row for outcome in found.values() if isinstance(outcome, list) for row in outcome]
    means = [
        Row("mean", detector, mean_figures([row.figures for row in rows if row.detector == detector]))
        for detector in competitor.detectors
        if rows
    ]
    return Measured(
        (*rows, *means), {name: reason for name, reason in found.items() if isinstance(reason, str)}
    )


def _write(out: Path, measured: Measured) -> None:
    rows = [{"series": r.series, "detector": r.detector} | plain(r.figures) for r in measured.rows]
    write_json(out / "results.json", rows)
    write_json(out / "failed.json", dict(measured.failed))


def write_json(path: Path, content: object) -> None:
    """Write JSON that a person can read."""
    path.write_text(json.dumps(content, indent=1, allow_nan=False) + "\n", encoding="utf-8")
