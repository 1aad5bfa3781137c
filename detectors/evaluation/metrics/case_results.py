"""What a detector does on the constructed cases: found, for how long it alerts, when it is quiet again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from anomalyd.detectors.calibration import ALERT
from anomalyd.detectors.detector import Progress, Series, TrainingSet, silent
from anomalyd.detectors.evaluation.figures import false_alarms_per_day
from anomalyd.detectors.evaluation.jobs import spread
from anomalyd.detectors.evaluation.metrics.cases import CASES, START, TOLD_AFTER, Case
from anomalyd.detectors.evaluation.metrics.competitor import Competitor, Feedback, stream
from anomalyd.detectors.evaluation.metrics.evaluate import plain, write_json
from anomalyd.detectors.evaluation.metrics.machines import DAY, HOUR, INTERVAL_S, TRAINING_ROWS, make_machine

CASE_FIGURES = (
    *("found_1h", "delay", "share_6h", "share_1d", "share_rest", "share_told"),
    *("hours_to_quiet", "share_after_end", "false_alarms_per_day"),
)
"""What is measured on a case.

`found_1h`: share of the machines where it alerts within an hour; `delay`: rows to the first alert;
`share_6h`, `share_1d`, `share_rest`: share of rows that alert in the first 6 hours, the first day, after it;
`share_told`: from the operator's word on; `hours_to_quiet`, of what stays and alerts within a day: hours from
its beginning to the first 6 hours without an alert (at most 168: there the test ends); `share_after_end`:
share of rows that alert in the day after the end; `false_alarms_per_day`: alarms a day before it."""

_QUIET_ROWS = 6 * HOUR


@dataclass(frozen=True, slots=True)
class CaseRow:
    """What one detector does on one case: `CASE_FIGURES`, averaged over the machines; NaN: not defined."""

    case: str
    wanted: str
    detector: str
    figures: Mapping[str, float]


def evaluate_cases(
    out: Path,
    competitor: Competitor | None = None,
    *,
    machines: int = 5,
    jobs: int = 1,
    progress: Progress = silent,
) -> list[CaseRow]:
    """Lay every case on several made-up machines, and write OUT/cases.json; the rows in the order of `CASES`.

    The seeds of the machines are 0, 1, ...; the competitor is trained on each, and once for all its cases.

    Raises:
        TrainingError: the kind or a parameter is unknown.

    """
    competitor = competitor or Competitor()
    competitor.check()
    out.mkdir(parents=True, exist_ok=True)
    sizes = sorted({case.metrics for case in CASES}, reverse=True)  # what takes longest first
    items = [(seed, size) for size in sizes for seed in range(machines)]
    told = progress if jobs == 1 else silent
    found: dict[tuple[str, str], list[dict[str, float]]] = {}
    for step, (_, outcome) in enumerate(
        spread(partial(_on_machine, competitor=competitor, progress=told), items, jobs), 1
    ):
        progress("cases", step, len(items))
        for key, figures in outcome:
            found.setdefault(key, []).append(figures)
    rows = [
        CaseRow(case.name, case.wanted, detector, _mean(found[case.name, detector]))
        for case in CASES
        for detector in competitor.detectors
    ]
    write_json(
        out / "cases.json",
        [
            {"case": r.case, "wanted": r.wanted, "detector": r.detector, "machines": machines}
            | plain(r.figures)
            for r in rows
        ],
    )
    return rows


def _on_machine(
    item: tuple[int, int], *, competitor: Competitor, progress: Progress
) -> list[tuple[tuple[str, str], dict[str, float]]]:
    """Train on one machine, and give the figures of each of its cases, by case and detector."""
    seed, metrics = item
    machine = make_machine(seed, metrics)
    entity = f"machine {seed}"
    times = np.arange(TRAINING_ROWS + len(machine.test), dtype=np.float64) * INTERVAL_S
    features = tuple(f"metric {f}" for f in range(metrics))
    series = Series(times[:TRAINING_ROWS], machine.train.astype(np.float32))
    trained = competitor.train(TrainingSet({entity: series}, features), progress)
    found = []
    for case in (c for c in CASES if c.metrics == metrics):
        told = None if case.word is None else Feedback(START + TOLD_AFTER, case.word, START)
        scored = stream(trained, entity, times[TRAINING_ROWS:], case.laid_on(machine), told)
        found += [((case.name, name), _figures(case, scored[name][0])) for name in competitor.detectors]
    return found


def _figures(case: Case, score: NDArray[np.float64]) -> dict[str, float]:
    """Give `CASE_FIGURES` of a score (U,); where nothing happens, those of the days before and after only."""
    alert = score > ALERT
    stays = case.end is None
    during, after = alert[START : case.end], alert[:0] if stays else alert[case.end :]
    return {
        "found_1h": float(during[:HOUR].any()),
        "delay": float(np.argmax(during)) if during.any() else np.nan,
        "share_6h": _share(during[: 6 * HOUR]),
        "share_1d": _share(during[:DAY]),
        "share_rest": _share(during[DAY:]),
        "share_told": _share(during[TOLD_AFTER:]) if case.word is not None else np.nan,
        "hours_to_quiet": _rows_to_quiet(during) / HOUR if stays and during[:DAY].any() else np.nan,
        "share_after_end": _share(after[:DAY]),
        "false_alarms_per_day": false_alarms_per_day(
            score[:START], np.zeros(START, dtype=np.uint8), INTERVAL_S
        ),
    }


def _share(alert: NDArray[np.bool_]) -> float:
    return float(alert.mean()) if len(alert) else np.nan


def _rows_to_quiet(alert: NDArray[np.bool_]) -> int:
    """Count the rows up to the last alert before 6 hours without any; all of them if there are none."""
    at = np.append(np.flatnonzero(alert), len(alert))
    quiet = np.flatnonzero(np.diff(at) > _QUIET_ROWS)
    return int(at[quiet[0]] + 1) if len(quiet) else len(alert)


def _mean(several: list[dict[str, float]]) -> dict[str, float]:
    """Average over machines, a figure over those where it is defined."""
    known = {name: [f[name] for f in several if not np.isnan(f[name])] for name in CASE_FIGURES}
    return {name: float(np.mean(values)) if values else np.nan for name, values in known.items()}
