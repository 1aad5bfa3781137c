"""Wanted against realised: how many false alarms a day there are of those that were asked for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np

from anomalyd.detectors.detector import Progress, silent
from anomalyd.detectors.evaluation.figures import ALARM_GAP, false_alarms_per_day
from anomalyd.detectors.evaluation.jobs import spread
from anomalyd.detectors.evaluation.metrics.competitor import Competitor, stream
from anomalyd.detectors.evaluation.metrics.evaluate import (
    prepare,
    reason_of,
    refuse_if_all_failed,
    write_json,
)
from anomalyd.detectors.evaluation.metrics.labelled import read_labelled
from anomalyd.detectors.false_alarm_target import AlarmsPerDay
from anomalyd.errors import TrainingError

WANTED = (0.1, 1.0, 5.0)
"""False alarms a day."""


@dataclass(frozen=True, slots=True)
class RealisedRate:
    """False alarms a day that one detector has on one series of `days`, beside those asked of it."""

    series: str
    detector: str
    wanted: float
    realised: float
    days: float


@dataclass(frozen=True, slots=True)
class RateSummary:
    """The realised rates of one detector over all series of a folder: how they are spread.

    `pooled`: all alarms by all days, which is what many machines together give an operator; `median`, `least`
    and `most` over the `series`; `days` is how long they are together: 0.1 alarms a day are not seen in ten.
    """

    detector: str
    wanted: float
    pooled: float
    median: float
    least: float
    most: float
    series: int
    days: float


@dataclass(frozen=True, slots=True)
class Rates:
    """The rates of every series, their summary over the folder, and what could not be measured."""

    rows: tuple[RealisedRate, ...]
    summaries: tuple[RateSummary, ...]
    failed: Mapping[str, str]


def measure_rates(
    data: Path,
    out: Path,
    competitor: Competitor | None = None,
    *,
    interval_s: float = 60.0,
    wanted: Sequence[float] = WANTED,
    jobs: int = 1,
    progress: Progress = silent,
) -> Rates:
    """Train and stream every series at each wanted number of false alarms a day; write OUT/rates.json.

    What is realised are runs of alerts outside events, those with fewer than ten rows between them being one.
    Of a pair each is asked for the wanted number.

    Raises:
        TrainingError: as `evaluate_metrics`.

    """
    competitor = competitor or Competitor()
    files = prepare(data, out, competitor)
    told = progress if jobs == 1 else silent
    work = partial(_measure, competitor=competitor, interval_s=interval_s, progress=told)
    items = [(file, per_day) for file in files for per_day in wanted]
    found: dict[int, list[RealisedRate] | str] = {}
    for step, (place, outcome) in enumerate(spread(work, items, jobs), 1):
        found[place] = outcome
        progress("rates", step, len(items))
    failed: dict[str, str] = {}
    rows: list[RealisedRate] = []
    for (file, _), outcome in ((items[place], found[place]) for place in range(len(items))):
        if isinstance(outcome, str):
            failed[file.stem] = outcome
        else:
            rows += outcome
    refuse_if_all_failed(failed, files)
    ways = dict.fromkeys((row.wanted, row.detector) for row in rows)
    summaries = [_summary([row for row in rows if (row.wanted, row.detector) == way]) for way in ways]
    rates = Rates(tuple(rows), tuple(summaries), failed)
    write_json(
        out / "rates.json",
        {
            "kind": competitor.kind,
            "parameters": dict(competitor.parameters),
            "rows": [asdict(row) for row in rows],
            "summaries": [asdict(summary) for summary in summaries],
            "failed": dict(failed),
        },
    )
    return rates


def _measure(
    item: tuple[Path, float], *, competitor: Competitor, interval_s: float, progress: Progress
) -> list[RealisedRate] | str:
    """Measure one series at one wanted rate: a row for each detector, or why there is none."""
    file, per_day = item
    asked = replace(competitor, false_alarms=AlarmsPerDay(per_day, close_after=ALARM_GAP))
    try:
        series = read_labelled(file, interval_s)
        trained = asked.train(series.training, progress)
    except TrainingError as error:
        return reason_of(file, error)
    found = stream(trained, series.name, series.times, series.test)
    return [
        RealisedRate(
            series.name,
            detector,
            per_day,
            false_alarms_per_day(found[detector][0], series.label, interval_s),
            series.days,
        )
        for detector in asked.detectors
    ]


def _summary(rows: Sequence[RealisedRate]) -> RateSummary:
    realised = np.array([row.realised for row in rows])
    days = np.array([row.days for row in rows])
    return RateSummary(
        rows[0].detector,
        rows[0].wanted,
        float(np.sum(realised * days) / np.sum(days)),
        float(np.median(realised)),
        float(realised.min()),
        float(realised.max()),
        len(rows),
        float(days.sum()),
    )
