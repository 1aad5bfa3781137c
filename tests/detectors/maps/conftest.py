from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from anomalyd.detectors.detector import Detector, RawScores, Series, SeriesWindow, TrainingSet
from anomalyd.detectors.maps.autoencoder.autoencoder import MapAutoencoder
from anomalyd.detectors.maps.classical.classical import MapClassical
from anomalyd.detectors.maps.simulate.faults import Fault
from anomalyd.detectors.maps.simulate.simulation import LUMISECTION_S, ElementSimulator

CHAMBERS = (
    *(f"DT/W-2/MB1/S{sector:02d}" for sector in range(1, 7)),
    *(f"DT/W+1/MB4/S{sector:02d}" for sector in (13, 14)),
)


class Chambers:
    """Some chambers of three shapes at one mean count: what they send, and what a detector says of it."""

    def __init__(self, counts: float) -> None:
        self.simulators = {chamber: ElementSimulator(chamber, 1, counts) for chamber in CHAMBERS}

    def training(self, maps: int = 40) -> TrainingSet:
        return TrainingSet(
            {
                name: Series(np.arange(maps) * LUMISECTION_S, s.maps(range(maps)))
                for name, s in self.simulators.items()
            }
        )

    @staticmethod
    def window(maps: np.ndarray, entity: str) -> SeriesWindow:
        return SeriesWindow(entity, np.arange(len(maps)) * LUMISECTION_S, maps)

    def score(self, detector: Detector, maps: np.ndarray, entity: str) -> RawScores:
        (scores,) = detector.score([self.window(maps, entity)])
        return scores

    def normal(self, detector: Detector, maps: int = 40) -> np.ndarray:
        """Raw scores of normal maps that the detector was not fitted on."""
        windows = [self.window(s.maps(range(500, 500 + maps)), name) for name, s in self.simulators.items()]
        return np.concatenate([s.raw for s in detector.score(windows)])

    def faulty(
        self,
        detector: Detector,
        fault: Callable[[ElementSimulator, np.random.Generator], Fault],
        maps: int = 5,
    ) -> np.ndarray:
        """Raw scores of maps with a fault each."""
        rng = np.random.default_rng(4)
        windows = [
            self.window(np.stack([s.map(900 + i, fault(s, rng)) for i in range(maps)]), name)
            for name, s in self.simulators.items()
        ]
        return np.concatenate([s.raw for s in detector.score(windows)])


@pytest.fixture(scope="session")
def bright() -> Chambers:
    """50 counts a wire."""
    return Chambers(50.0)


@pytest.fixture(scope="session")
def dim() -> Chambers:
    """12 counts a wire."""
    return Chambers(12.0)


@pytest.fixture(scope="session")
def bright_autoencoder(bright: Chambers) -> MapAutoencoder:
    return MapAutoencoder.fit(bright.training(), {"steps": 80})


@pytest.fixture(scope="session")
def dim_autoencoder(dim: Chambers) -> MapAutoencoder:
    return MapAutoencoder.fit(dim.training(), {"steps": 80})


@pytest.fixture(scope="session")
def bright_classical(bright: Chambers) -> MapClassical:
    return MapClassical.fit(bright.training(), {})
