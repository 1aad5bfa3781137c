"""Labelled data as windows, normal and anomalous, each with the sample looked at as its last."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from anomalyd.detectors.detector import SeriesWindow
from anomalyd.detectors.evaluation.maps.data import read_maps
from anomalyd.detectors.evaluation.metrics.labelled import read_labelled
from anomalyd.detectors.model import Model
from anomalyd.detectors.threshold import parted
from anomalyd.errors import ModelMismatch

Windows = Sequence[SeriesWindow]

_ROWS = 48
"""Rows up to a sample of metrics: as many as any network here looks at."""


def map_windows(file: Path, most: int, seed: int = 0) -> tuple[Windows, Windows]:
    """Give at most so many normal and faulty maps, each a window of its own; as `read_maps`."""
    data = read_maps(file)
    parts = _drawn(data.labels == 1, most, seed)
    normal, faulty = (
        [
            SeriesWindow(data.element[i], np.array([0.0]), data.maps[i : i + 1].astype(np.float32))
            for i in part
        ]
        for part in parts
    )
    return normal, faulty


def metric_windows(
    model: Model, file: Path, entity: str, most: int, seed: int = 0
) -> tuple[Windows, Windows]:
    """Give windows that end with normal and with anomalous rows of `test`, with the state after `train`.

    Raises:
        ModelMismatch: the model was trained for another number of metrics.
        TrainingError: as `read_labelled`.

    """
    data = read_labelled(file)
    if data.test.shape[1] != len(model.card.features):
        raise ModelMismatch(
            f"{file}: {data.test.shape[1]} metrics, the model was trained for {len(model.card.features)}"
        )
    times = np.arange(len(data.train), dtype=np.float64) * data.interval_s
    state = parted(model.score([SeriesWindow(entity, times, data.train)])[0].state)[0]
    label = data.label.copy()
    label[:_ROWS] = 2  # too little before them
    chosen = _drawn(label == 1, most, seed, usable=label < 2)
    normal, anomalous = (
        [
            SeriesWindow(entity, data.times[i - _ROWS : i + 1], data.test[i - _ROWS : i + 1], state)
            for i in part
        ]
        for part in chosen
    )
    return normal, anomalous


def _drawn(
    anomalous: NDArray[np.bool_], most: int, seed: int, usable: NDArray[np.bool_] | None = None
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    rng = np.random.default_rng(seed)
    known = np.ones(len(anomalous), dtype=np.bool_) if usable is None else usable
    normal, faulty = (np.flatnonzero(known & part) for part in (~anomalous, anomalous))
    of_normal, of_faulty = (
        np.sort(rng.choice(part, min(most, len(part)), replace=False)) for part in (normal, faulty)
    )
    return of_normal, of_faulty
