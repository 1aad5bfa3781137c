"""Train the configured detectors and publish their models: on what the topics hold, the store, or files."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from kafka import KafkaConsumer

from anomalyd import __version__
from anomalyd.daemon.config.chosen_detectors import chosen_detectors
from anomalyd.daemon.config.config import Config, DetectorConfig
from anomalyd.daemon.intake.counter_kinds import Trained, write_kinds
from anomalyd.daemon.learning.history import read_history
from anomalyd.daemon.scoring.alert_policy import Policy
from anomalyd.detectors.detector import Graded, Progress, TrainingSet, silent
from anomalyd.detectors.detector_pair import DetectorPair, train_pair
from anomalyd.detectors.library import ModelLibrary
from anomalyd.detectors.model import Card
from anomalyd.detectors.registry import detector_class
from anomalyd.errors import StoreError, TrainingError
from anomalyd.reports.queries import Queries
from anomalyd.reports.storage.repositories.maintenance import Window

LEAST_SAMPLES = 25
"""Of all entities together: two fifths of them are kept to calibrate on, which takes ten."""

History = Callable[[Sequence[DetectorConfig]], Mapping[str, TrainingSet]]
"""Gives what each detector (by name) is to be trained on."""

_log = logging.getLogger(__name__)


def train_detectors(
    config: Config,
    name: str | None = None,
    *,
    history: History | None = None,
    consumer_factory: Callable[..., Any] = KafkaConsumer,
    clock: Callable[[], float] = time.time,
    progress: Progress = silent,
) -> dict[str, tuple[str, Card]]:
    """Train one detector by name, or all: the published version and its card by name.

    `history` gives what to train on; None: what the topics hold.

    Raises:
        ConfigError: there is no detector of that name.
        TrainingError: too little data.
        BrokerError: Kafka cannot be reached.

    """
    detectors = chosen_detectors(config, name)
    models = Path(config.store.models)
    if history is None:
        found: Mapping[str, TrainingSet] = read_trained_history(
            config, detectors, consumer_factory=consumer_factory, clock=clock, progress=progress
        )
    else:
        # What is given holds rates and not counters, as the daemon made them: it goes on as it does.
        found = history(detectors)
        write_kinds(models, Trained(clock()))
    library = ModelLibrary(models)
    opened = opened_windows(config.store.url.get_secret_value())
    return {
        d.name: train_one(d, found[d.name], library, opened=opened, created=clock(), progress=progress)
        for d in detectors
    }


def read_trained_history(
    config: Config,
    detectors: Sequence[DetectorConfig],
    *,
    consumer_factory: Callable[..., Any] = KafkaConsumer,
    clock: Callable[[], float] = time.time,
    progress: Progress = silent,
) -> dict[str, TrainingSet]:
    """Read what the topics hold, and keep beside the models which metrics count.

    Raises:
        BrokerError: Kafka cannot be reached.
        TrainingError: nothing that a detector watches was found.

    """
    models = Path(config.store.models)
    return read_history(
        config,
        detectors,
        consumer_factory=consumer_factory,
        clock=clock,
        progress=progress,
        on_kinds=lambda trained: write_kinds(models, trained),
    )


def opened_windows(url: str) -> list[Window]:
    """Give the maintenance windows that operators opened; none where there is no store to ask."""
    try:
        queries = Queries.open(url)
    except StoreError as error:
        _log.info("trained without what operators said of maintenance: %s", error)
        return []
    try:
        return queries.maintenance()
    finally:
        queries.close()


def train_one(
    detector: DetectorConfig,
    training: TrainingSet,
    library: ModelLibrary,
    *,
    opened: Sequence[Window] = (),
    created: float,
    progress: Progress = silent,
) -> tuple[str, Card]:
    """Train one detector and publish it: the version and the autoencoder's card.

    Raises:
        TrainingError: too little data.

    """
    pair = train_detector_pair(detector, training, opened=opened, created=created, progress=progress)
    return library.publish(detector.name, pair), pair.autoencoder.card


def train_detector_pair(
    detector: DetectorConfig,
    training: TrainingSet,
    *,
    opened: Sequence[Window] = (),
    created: float,
    progress: Progress = silent,
) -> DetectorPair:
    """Train one detector.

    What its policy does not learn (ignored metrics, maintenance; `opened` are the windows that operators
    opened) is left out.

    Raises:
        TrainingError: too little data.

    """
    learnable = Policy.of(detector, opened).learnable(training)
    refuse_too_few(detector, learnable)
    return train_pair(
        learnable,
        kind=detector.kind,
        parameters=detector.parameters,
        classical=detector.classical,
        classical_parameters=detector.classical_parameters,
        false_alarms=detector.alert.wanted,
        alert_on=detector.alert.alert_on,
        seed=detector.training.seed,
        code_version=__version__,
        created=created,
        progress=progress,
    )


def refuse_too_few(detector: DetectorConfig, training: TrainingSet) -> None:
    """Refuse a training that could not be calibrated in the end, before any time is spent on it.

    Raises:
        TrainingError: too few samples; says how many there are and are needed, and what mends it.

    """
    if issubclass(detector_class(detector.kind), Graded):
        return  # it knows its threshold, and says itself what it needs
    samples = sum(len(series.times) for series in training.series.values())
    if samples >= LEAST_SAMPLES:
        return
    gaps = [gap for series in training.series.values() for gap in np.diff(series.times).tolist()]
    every = float(np.median(gaps)) if gaps else None
    entities = max(1, len(training.series))
    wait = "wait for more data"
    if every:
        wait += f" ({(LEAST_SAMPLES - samples) * every / entities:.0f} s)"
    raise TrainingError(
        f"detector {detector.name}: {samples} samples of {len(training.series)} entities, and at least "
        f"{LEAST_SAMPLES} are needed"
        + (f" (one of each comes every {every:g} s)" if every else "")
        + f"; {wait}, raise detectors[].training.history_s ({detector.training.history_s:g}) where the "
        "topics hold more, or lower inputs[].grid_s where producers measure more often"
    )
