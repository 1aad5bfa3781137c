"""Figures under strain: other seeds, less training data, missing values, noise, a metric that is gone."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from zlib import crc32

import numpy as np

from anomalyd.detectors.calibration import ALERT
from anomalyd.detectors.detector import Progress, silent
from anomalyd.detectors.evaluation.metrics.competitor import Competitor, Streamed, Trained, stream
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
from anomalyd.detectors.evaluation.metrics.labelled import Labelled, read_labelled
from anomalyd.errors import TrainingError

SEEDS = 5
TRAINING_SHARES = (0.25, 0.5)
"""Shares of the training data, its newest part; all of it is the row without strain."""
MISSING_SHARES = (0.05, 0.2)
NOISES = (0.05, 0.2)
DROPPED = 4
"""Metrics that are dropped in turn, one at a time."""

UNSTRAINED = "as it is"


@dataclass(frozen=True, slots=True)
class Strained:
    """One detector under one `condition`: macro means of `FIGURES`, and their standard deviation over seeds.

    `axis` and `level` place it on a plot: "training" .25, "missing" .05, "noise" .2, "dropped" 1; `spread` is
    empty where only one seed was measured.
    """

    condition: str
    axis: str
    level: float
    detector: str
    figures: Mapping[str, float]
    spread: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class FoundEvent:
    """Who found an event, rows [start, end) of a series: "both", "neither", or the one detector that did."""

    series: str
    start: int
    end: int
    found_by: str


@dataclass(frozen=True, slots=True)
class Systematics:
    """All conditions, who found which event (first seed, no strain), and what could not be measured.

    `found_by` counts the events by who found them.
    """

    rows: tuple[Strained, ...]
    events: tuple[FoundEvent, ...]
    found_by: Mapping[str, int]
    failed: Mapping[str, str]


_Key = tuple[str, str, float, int]
"""Condition, axis, level, and which seed or choice."""

_OfFile = tuple[dict[_Key, dict[str, dict[str, float]]], list[FoundEvent], dict[str, str]]


def measure_systematics(
    data: Path,
    out: Path,
    competitor: Competitor | None = None,
    *,
    interval_s: float = 60.0,
    jobs: int = 1,
    progress: Progress = silent,
) -> Systematics:
    """Measure every series of a folder under every strain, and write OUT/systematics.json.

    The conditions: five seeds; the newest 25 % and 50 % of the training data; 5 % and 20 % of the test values
    missing, at random; white noise of 5 % and 20 % of each metric's training standard deviation added to the
    test; one metric missing in the whole test, averaged over four of them and the worst of these in each
    figure. All but the first with the first seed. Each series is trained on seven times and streamed fifteen.

    Raises:
        TrainingError: as `evaluate_metrics`.

    """
    competitor = competitor or Competitor()
    files = prepare(data, out, competitor)
    told = progress if jobs == 1 else silent
    work = partial(_strain_file, competitor=competitor, interval_s=interval_s, progress=told)
    measured, failed = measure_files("systematics", work, files, jobs, progress)
    for _, _, partly in measured:
        failed |= partly
    rows = _summed_up([figures for figures, _, _ in measured], competitor.detectors)
    events = [event for _, of_file, _ in measured for event in of_file]
    judges = competitor.detectors
    found_by = dict.fromkeys(("both", *judges, "neither") if len(judges) > 1 else (*judges, "neither"), 0)
    for event in events:
        found_by[event.found_by] += 1
    result = Systematics(tuple(rows), tuple(events), found_by, failed)
    _write(out / "systematics.json", result, competitor)
    return result


def _strain_file(
    file: Path, *, competitor: Competitor, interval_s: float, progress: Progress
) -> _OfFile | str:
    """Measure one series under every strain: figures by condition and detector; or why it cannot be."""
    figures: dict[_Key, dict[str, dict[str, float]]] = {}
    partly: dict[str, str] = {}

    def record(key: _Key, series: Labelled, found: Streamed) -> None:
        figures[key] = {name: measure(series, *found[name]) for name in competitor.detectors}

    try:
        series = read_labelled(file, interval_s)
        first = competitor.train(series.training, progress)
    except TrainingError as error:
        return reason_of(file, error)
    found = _stream(first, series)
    events = _who_found(series, found, competitor.detectors)
    record((UNSTRAINED, "none", 0.0, 0), series, found)
    for seed in range(1, SEEDS):
        trained = replace(competitor, seed=competitor.seed + seed).train(series.training, progress)
        record((UNSTRAINED, "none", 0.0, seed), series, _stream(trained, series))
    for share in TRAINING_SHARES:
        less = replace(series, train=series.train[-max(1, round(share * len(series.train))) :])
        try:
            trained = competitor.train(less.training, progress)
        except TrainingError as error:
            partly[f"{series.name}, {share:.0%} of the training data"] = str(error)
        else:
            record((f"{share:.0%} of the training data", "training", share, 0), less, _stream(trained, less))
    for condition, axis, level, choice, strained in _strained_tests(series):
        record((condition, axis, level, choice), strained, _stream(first, strained))
    return figures, events, partly


def _strained_tests(series: Labelled) -> Iterator[tuple[str, str, float, int, Labelled]]:
    """Give the series with its test half strained: condition, axis, level, choice."""
    # By the name: every series has its own holes, and the same ones in each run.
    chance = np.random.default_rng(crc32(series.name.encode()))
    for share in MISSING_SHARES:
        holes = chance.random(series.test.shape) < share
        test = np.where(holes, np.float32(np.nan), series.test)
        yield f"{share:.0%} of the values missing", "missing", share, 0, replace(series, test=test)
    known = np.isfinite(series.train).any(axis=0)
    sigma = np.zeros(series.train.shape[1])
    sigma[known] = np.nanstd(series.train[:, known].astype(np.float64), axis=0)
    for level in NOISES:
        noise = level * sigma * chance.normal(size=series.test.shape)
        test = (series.test + noise).astype(np.float32)
        yield f"noise of {level:.0%} sigma", "noise", level, 0, replace(series, test=test)
    moving = np.flatnonzero(sigma > 0)
    dropped = chance.permutation(moving if len(moving) else np.arange(len(sigma)))[:DROPPED]
    for choice, metric in enumerate(dropped):
        test = series.test.copy()
        test[:, metric] = np.nan
        yield "one metric missing", "dropped", 1.0, choice, replace(series, test=test)


def _stream(trained: Trained, series: Labelled) -> Streamed:
    return stream(trained, series.name, series.times, series.test)


def _who_found(series: Labelled, found: Streamed, detectors: tuple[str, ...]) -> list[FoundEvent]:
    events = []
    for start, end in series.events:
        alerted = [name for name in detectors if bool((found[name][0][start:end] > ALERT).any())]
        who = "neither" if not alerted else "both" if len(alerted) == 2 else alerted[0]
        events.append(FoundEvent(series.name, start, end, who))
    return events


def _summed_up(
    measured: list[dict[_Key, dict[str, dict[str, float]]]], detectors: tuple[str, ...]
) -> Iterator[Strained]:
    """Average over the series; where there are several seeds or choices, over these first."""
    for condition, axis, level in dict.fromkeys(key[:3] for of_file in measured for key in of_file):
        chosen = [
            {key[3]: figures for key, figures in of_file.items() if key[:3] == (condition, axis, level)}
            for of_file in measured
        ]
        ways: list[tuple[str, str, Callable[[Sequence[Mapping[str, float]]], dict[str, float]]]]
        ways = [(condition, axis, mean_figures)]
        if axis == "dropped":
            ways.append((f"{condition}, the worst of {DROPPED}", "worst", _worst))
        for title, place, over_choices in ways:
            for detector in detectors:
                of_each = [over_choices([f[detector] for f in found.values()]) for found in chosen if found]
                spread_of = _spread(chosen, detector) if axis == "none" else {}
                yield Strained(title, place, level, detector, mean_figures(of_each), spread_of)


def _spread(chosen: list[dict[int, dict[str, dict[str, float]]]], detector: str) -> dict[str, float]:
    """Give the standard deviation of the macro means over the seeds."""
    of_seed = [mean_figures([choices[seed][detector] for choices in chosen]) for seed in range(SEEDS)]
    return {name: float(np.std([figures[name] for figures in of_seed], ddof=1)) for name in FIGURES}


def _worst(several: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """Take the worst of each figure; NaN where it is never defined."""
    found = {}
    for name in FIGURES:
        worst: Callable[[list[float]], float] = max if name in LESS_IS_BETTER else min
        values = [figures[name] for figures in several if not np.isnan(figures[name])]
        found[name] = worst(values) if values else np.nan
    return found


def _write(path: Path, result: Systematics, competitor: Competitor) -> None:
    rows = [
        {"condition": r.condition, "axis": r.axis, "level": r.level, "detector": r.detector}
        | {"figures": plain(r.figures), "spread": plain(r.spread)}
        for r in result.rows
    ]
    events = [
        {"series": e.series, "start": e.start, "end": e.end, "found_by": e.found_by} for e in result.events
    ]
    write_json(
        path,
        {
            "kind": competitor.kind,
            "parameters": dict(competitor.parameters),
            "rows": rows,
            "events_found_by": dict(result.found_by),
            "events": events,
            "failed": dict(result.failed),
        },
    )
