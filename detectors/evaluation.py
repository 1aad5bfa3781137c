"""Measure a pair on labelled series: train on one part, stream the other through the daemon's scoring code.

A folder holds one `.npz` a series: `train` (T, F) without labels, `test` (U, F), `label` (U,) with 1 for an
anomalous row, and, where known, `segments` (S, 2), start and end of each event, and `root_cause` (S, F), the
metrics to blame for it.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from anomalyd.detectors import figures
from anomalyd.detectors.detector import Progress, Series, State, Stretch, TrainingSet, silent
from anomalyd.detectors.pair import Pair, train_pair
from anomalyd.errors import TrainingError

DETECTORS = ("autoencoder", "classical", "either")
FIGURES = (
    *("auprc", "auroc", "vus_pr", "best_f1"),
    *("f1_at_1", "fpr_at_1", "events_found", "false_alarms_per_day", "delay", "long_coverage"),
    *("hr100", "hr150"),
)

_CHUNK_ROWS = 512


@dataclass(frozen=True, slots=True)
class Labelled:
    """One labelled series, as its file holds it; events are rows [start, end) of `test`."""

    name: str
    train: NDArray[np.float32]
    test: NDArray[np.float32]
    label: NDArray[np.uint8]
    events: tuple[tuple[int, int], ...]
    causes: NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Row:
    """The figures of one detector on one series, or, where `series` is "mean", on all (macro mean)."""

    series: str
    detector: str
    figures: Mapping[str, float]


def evaluate_metrics(
    data: Path,
    out: Path,
    *,
    interval_s: float = 60.0,
    kind: str = "vector-autoencoder",
    parameters: Mapping[str, Any] | None = None,
    false_alarm_rate: float = 1e-3,
    seed: int = 0,
    progress: Progress = silent,
) -> list[Row]:
    """Train a pair on each series of a folder, stream its test half causally, write and return the figures.

    OUT/NAME.npz holds `score` (U,), the higher of both detectors' (0 where neither can tell), and
    `contribution` (U, F), each row's from the detector whose score it is. OUT/results.json holds the rows
    that are returned: for each series and last for their macro mean, a row for each of `DETECTORS`. The test
    half begins without any remembered rows, as after a start of the daemon.

    Raises:
        TrainingError: a file that is not as described (named, before anything is trained), or too short.

    """
    files = [data] if data.is_file() else sorted(data.glob("*.npz"))
    if not files:
        raise TrainingError(f"{data}: no .npz file there; expected one for each series")
    for file in files:
        read_labelled(file)
    out.mkdir(parents=True, exist_ok=True)
    rows: list[Row] = []
    for step, file in enumerate(files, 1):
        series = read_labelled(file)
        progress(f"evaluate {series.name}", step, len(files))
        times = np.arange(len(series.train) + len(series.test), dtype=np.float64) * float(interval_s)
        pair = train_pair(
            TrainingSet(
                {series.name: Series(times[: len(series.train)], series.train)},
                tuple(f"metric {f}" for f in range(series.train.shape[1])),
            ),
            kind=kind,
            parameters=parameters,
            false_alarm_rate=false_alarm_rate,
            seed=seed,
            progress=progress,
        )
        scored = stream(pair, series.name, times[len(series.train) :], series.test)
        rows += [Row(series.name, name, measure(series, *scored[name], interval_s)) for name in DETECTORS]
        score, contribution = scored["either"]
        np.savez_compressed(out / f"{series.name}.npz", score=score, contribution=contribution)
        _write(out / "results.json", rows + _means(rows))
    return rows + _means(rows)


def read_labelled(file: Path) -> Labelled:
    """Read and check one series.

    Raises:
        TrainingError: it cannot be read, or its arrays do not fit together; names the file and the array.

    """

    def refuse(what: str) -> TrainingError:
        return TrainingError(f"{file}: {what}")

    try:
        with file.open("rb") as content, np.load(content, allow_pickle=False) as held:
            arrays = {name: held[name] for name in held.files}
    except (OSError, ValueError, EOFError, TypeError, BadZipFile) as error:
        raise refuse(f"cannot be read as an .npz of plain arrays ({error})") from error
    for name in ("train", "test", "label"):
        if name not in arrays:
            raise refuse(f"has no array {name!r}; it needs train (T, F), test (U, F) and label (U,)")
        if not np.issubdtype(arrays[name].dtype, np.number) and arrays[name].dtype != np.bool_:
            raise refuse(f"{name} is of type {arrays[name].dtype}; numbers are needed")
    train, test, label = arrays["train"], arrays["test"], arrays["label"]
    if train.ndim != 2 or test.ndim != 2 or train.shape[1] != test.shape[1] or not train.shape[1]:
        raise refuse(f"train {train.shape} and test {test.shape} must be (T, F) and (U, F) with the same F")
    if label.shape != (len(test),) or not len(test):
        raise refuse(f"label {label.shape} must have one entry for each of the {len(test)} rows of test")
    if not np.isin(label, (0, 1)).all():
        raise refuse("label must hold 0 (normal) and 1 (anomalous) only")
    label = label.astype(np.uint8)
    segments = arrays.get("segments", np.array(figures.events_of(label), dtype=np.int64).reshape(-1, 2))
    if segments.ndim != 2 or segments.shape[1] != 2:
        raise refuse(f"segments {segments.shape} must be (S, 2): start and end of each event")
    events = tuple((int(start), int(end)) for start, end in segments)
    if any(not 0 <= start < end <= len(test) for start, end in events):
        raise refuse(f"segments must lie within the {len(test)} rows of test, each start before its end")
    causes = arrays.get("root_cause", np.zeros((len(events), test.shape[1]), dtype=np.uint8))
    if causes.shape != (len(events), test.shape[1]):
        raise refuse(f"root_cause {causes.shape} must be {(len(events), test.shape[1])}: events by metrics")
    return Labelled(
        file.stem,
        train.astype(np.float32),
        test.astype(np.float32),
        label,
        events,
        (causes > 0).astype(np.uint8),
    )


def stream(
    pair: Pair, entity: str, times: NDArray[np.float64], values: NDArray[np.float32]
) -> dict[str, tuple[NDArray[np.float64], NDArray[np.float32]]]:
    """Stream rows (U, F) through a pair: score (U,) and contribution (U, F) of each of `DETECTORS`."""
    state: State = {}
    parts: dict[str, list[tuple[NDArray[np.float64], NDArray[np.float32]]]] = {d: [] for d in DETECTORS}
    for start in range(0, len(values), _CHUNK_ROWS):
        part = slice(start, start + _CHUNK_ROWS)
        (scored,) = pair.score([Stretch(entity, times[part], values[part], state)])
        state = scored.state
        neural, classical = (np.nan_to_num(s.score) for s in (scored.autoencoder, scored.classical))
        higher = (neural >= classical)[:, None]
        blamed = np.where(higher, scored.autoencoder.contribution, scored.classical.contribution)
        parts["autoencoder"].append((neural, scored.autoencoder.contribution))
        parts["classical"].append((classical, scored.classical.contribution))
        parts["either"].append((np.maximum(neural, classical), blamed))
    return {
        name: (np.concatenate([s for s, _ in found]), np.concatenate([c for _, c in found]))
        for name, found in parts.items()
    }


def measure(
    series: Labelled, score: NDArray[np.float64], contribution: NDArray[np.float32], interval_s: float
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
        "false_alarms_per_day": figures.false_alarms_per_day(score, label, interval_s),
        "delay": figures.delay(score, events),
        "long_coverage": figures.long_coverage(score, events, interval_s),
        "hr100": figures.hit_rate(contribution, events, series.causes, 100),
        "hr150": figures.hit_rate(contribution, events, series.causes, 150),
    }


def _means(rows: list[Row]) -> list[Row]:
    """Average over the series, a figure over those where it is defined."""
    means = []
    for detector in DETECTORS:
        of_it = [row.figures for row in rows if row.detector == detector]
        known = {name: [f[name] for f in of_it if not math.isnan(f[name])] for name in FIGURES}
        means.append(Row("mean", detector, {n: sum(v) / len(v) if v else math.nan for n, v in known.items()}))
    return means


def _write(path: Path, rows: list[Row]) -> None:
    plain = [
        {"series": row.series, "detector": row.detector}
        | {name: None if math.isnan(value) else value for name, value in row.figures.items()}
        for row in rows
    ]
    path.write_text(json.dumps(plain, indent=1, allow_nan=False) + "\n", encoding="utf-8")
