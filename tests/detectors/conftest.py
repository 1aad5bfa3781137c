"""Metric vectors with a known structure, and a pair trained on them once."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

from anomalyd.detectors.detector import Series, TrainingSet
from anomalyd.detectors.detector_pair import DetectorPair, train_pair
from anomalyd.detectors.false_alarm_target import AlertRate

METRICS = 6
FEATURES = tuple(f"m{f}" for f in range(METRICS))


def metrics(rows: int, seed: int, unit: float = 1.0) -> NDArray[np.float32]:
    """Rows (rows, 6): five metrics of very different units that follow two hidden ones, and a constant."""
    chance = np.random.default_rng(seed)
    hidden = np.column_stack([np.sin(np.arange(rows) / 9.0), chance.normal(size=rows)])
    mixing = np.random.default_rng(99).normal(size=(2, METRICS))
    values = hidden @ mixing + 0.2 * chance.normal(size=(rows, METRICS))
    values = (3.0 + values) * np.array([1.0, 1e6, 1e-3, 10.0, 5.0, 1.0]) * unit
    values[:, 5] = 7.0
    return values.astype(np.float32)


@pytest.fixture(scope="session")
def training() -> TrainingSet:
    """Two entities of 400 rows whose units differ a hundredfold, and one with too few rows to be measured."""
    times = np.arange(400, dtype=np.float64)
    return TrainingSet(
        {
            "a": Series(times, metrics(400, 1)),
            "b": Series(times, metrics(400, 2, unit=100.0)),
            "brief": Series(times[:5], metrics(5, 3)),
        },
        FEATURES,
    )


@pytest.fixture(scope="session")
def pair(training: TrainingSet) -> DetectorPair:
    return train_pair(
        training,
        kind="vector-autoencoder",
        parameters={"epochs": 8, "warmup": 12},
        classical_parameters={"warmup": 12},
        false_alarms=AlertRate(0.01),
        code_version="test",
        created=1_795_468_500.0,
    )


@pytest.fixture(scope="session")
def make_metrics() -> Callable[..., NDArray[np.float32]]:
    """Make rows like the training's: make_metrics(rows, seed, unit=1.0)."""
    return metrics
