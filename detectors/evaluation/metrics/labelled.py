"""Labelled series from a folder of files: what detectors are measured on.

A folder holds one `.npz` a series: `train` (T, F) without labels, `test` (U, F), `label` (U,) with 1 for an
anomalous row, and, where known, `segments` (S, 2), start and end of each event, and `root_cause` (S, F), the
metrics to blame for it.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from anomalyd.detectors.detector import Series, TrainingSet
from anomalyd.detectors.evaluation.figures import events_of
from anomalyd.errors import TrainingError

_LARGEST = np.finfo(np.float32).max


@dataclass(frozen=True, slots=True)
class Labelled:
    """One labelled series; events are rows [start, end) of `test`, `causes` (S, F) is 1 for who is to blame.

    Rows are `interval_s` seconds apart; `train` (T, F) begins at time 0 and `test` (U, F) follows it.
    """

    name: str
    train: NDArray[np.float32]
    test: NDArray[np.float32]
    label: NDArray[np.uint8]
    events: tuple[tuple[int, int], ...]
    causes: NDArray[np.uint8]
    interval_s: float

    @property
    def training(self) -> TrainingSet:
        """What a detector is fitted on."""
        times = np.arange(len(self.train), dtype=np.float64) * self.interval_s
        features = tuple(f"metric {f}" for f in range(self.train.shape[1]))
        return TrainingSet({self.name: Series(times, self.train)}, features)

    @property
    def times(self) -> NDArray[np.float64]:
        """Event times (U,) of `test`."""
        rows = np.arange(len(self.train), len(self.train) + len(self.test), dtype=np.float64)
        return rows * self.interval_s

    @property
    def days(self) -> float:
        """How long `test` lasts."""
        return len(self.test) * self.interval_s / 86_400.0


def files_of(data: Path) -> list[Path]:
    """Give the files of a folder in the order of their names, or the one file that was named.

    Raises:
        TrainingError: there is none.

    """
    files = [data] if data.is_file() else sorted(data.glob("*.npz"))
    if not files:
        raise TrainingError(f"{data}: no .npz file there; expected one for each series")
    return files


def read_labelled(file: Path, interval_s: float = 60.0) -> Labelled:
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
    segments = arrays.get("segments", np.array(events_of(label), dtype=np.int64).reshape(-1, 2))
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
        _narrow(train),
        _narrow(test),
        label,
        events,
        (causes > 0).astype(np.uint8),
        float(interval_s),
    )


def _narrow(values: NDArray[Any]) -> NDArray[np.float32]:
    """Make it float32; what is beyond its range becomes its largest, as in the daemon."""
    return np.clip(values.astype(np.float64), -_LARGEST, _LARGEST).astype(np.float32)
