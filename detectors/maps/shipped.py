"""Models of the map scan that come with anomalyd, trained on simulated elements of a geometry."""

from __future__ import annotations

from dataclasses import replace
from importlib import resources
from pathlib import Path

import torch

from anomalyd import __version__
from anomalyd.detectors.calibration import known_log_odds
from anomalyd.detectors.detector import Progress, TrainingSet, silent
from anomalyd.detectors.detector_pair import DetectorPair
from anomalyd.detectors.false_alarm_target import AlertRate
from anomalyd.detectors.maps.classical.classical import MapClassical
from anomalyd.detectors.maps.geometries.file import ElementType
from anomalyd.detectors.maps.geometries.known import SHIPPED
from anomalyd.detectors.maps.geometry import Geometry
from anomalyd.detectors.maps.likelihood.detector import MapScan, MapScanParameters
from anomalyd.detectors.maps.reference import References
from anomalyd.detectors.maps.simulate.elements import training_set
from anomalyd.detectors.model import STARTING, Card, Model, load_model
from anomalyd.detectors.training import train_model

KIND = "map-scan"

_ELEMENTS = 80
"""Elements of all shapes together, and twenty of each at least."""

_KNOWN_BY_SHAPE = ("dt", "ecal-barrel", "hcal")

_DRIFT = 0.02
"""Shapes of real elements move by some 2 % rms: a model that was never shown that alerts on it."""


def simulated_training(element_type: ElementType, seed: int = 0) -> TrainingSet:
    """Draw simulated elements of every shape that the type has, in equal numbers."""
    alike: dict[tuple[int, int], Geometry] = {}
    for element in element_type.elements:
        alike.setdefault(element.shape, element)
    each = max(20, _ELEMENTS // len(alike))
    sets = [
        training_set(element_type, seed, elements=each, drift=_DRIFT, like=element)
        for element in alike.values()
    ]
    series = {name: series for some in sets for name, series in some.series.items()}
    return TrainingSet(series, geometries=tuple(g for some in sets for g in some.geometries))


def train_geometry(
    element_type: ElementType,
    *,
    false_alarm_rate: float = 0.001,
    seed: int = 0,
    created: float,
    progress: Progress = silent,
) -> Model:
    """Train the map scan for a geometry on simulation; it remembers none of the simulated elements."""
    model = train_model(
        simulated_training(element_type, seed),
        kind=KIND,
        parameters={},
        false_alarms=AlertRate(false_alarm_rate),
        seed=seed,
        code_version=__version__,
        created=created,
        progress=progress,
    )
    assert isinstance(model.detector, MapScan)
    detector = model.detector.prime({})
    detector.geometries = () if element_type.name in SHIPPED else element_type.elements
    shapes = {"x".join(map(str, shape)): shape for shape in model.card.shapes.values()}
    return Model(replace(model.card, shapes=shapes), detector, model.calibration)


def starting_pair(false_alarm_rate: float, created: float) -> DetectorPair:
    """Give a pair that judges maps before anything was trained: the map scan as it ships, of all geometries.

    Elements of a shape that no shipped geometry has are judged by their neighbours, their sisters and their
    own history, as any that training never saw. End caps are not known by their shape: a plain histogram may
    have it. The baseline knows no element, and cannot tell.
    """
    populations = {
        shape: population
        for name in _KNOWN_BY_SHAPE
        if (model := shipped_model(name)) is not None and isinstance(model.detector, MapScan)
        for shape, population in model.detector.populations.items()
    }
    scan = MapScan(MapScanParameters(), populations)
    baseline = MapClassical(References({}), torch.tensor([[0.0, 1.0], [0.0, 1.0]]))
    return DetectorPair(
        Model(_nothing_trained(KIND, created), scan, known_log_odds(false_alarm_rate)),
        Model(_nothing_trained(baseline.kind, created), baseline, known_log_odds(false_alarm_rate)),
    )


def _nothing_trained(kind: str, created: float) -> Card:
    return Card(
        kind=kind,
        sample_kind="map",
        features=(),
        shapes={},
        trained_from=created,
        trained_to=created,
        samples=0,
        data_sha256="",
        code_version=__version__,
        seed=0,
        parameters={},
        created=created,
        alarms_per_day=None,
        figures={STARTING: 1.0},
    )


def shipped_model(name: str) -> Model | None:
    """Give the model that ships for a geometry, None if there is none."""
    if name not in SHIPPED:
        return None
    folder = resources.files("anomalyd.detectors.maps.geometries") / "models" / name
    return load_model(Path(str(folder)))
