"""Models of the map scan that come with anomalyd, trained on simulated elements of a geometry."""

from __future__ import annotations

from dataclasses import replace
from importlib import resources
from pathlib import Path

from anomalyd import __version__
from anomalyd.detectors.detector import Progress, TrainingSet, silent
from anomalyd.detectors.false_alarm_target import AlertRate
from anomalyd.detectors.maps.geometries.file import ElementType
from anomalyd.detectors.maps.geometries.known import SHIPPED
from anomalyd.detectors.maps.geometry import Geometry
from anomalyd.detectors.maps.likelihood.detector import MapScan
from anomalyd.detectors.maps.simulate.elements import training_set
from anomalyd.detectors.model import Model, load_model
from anomalyd.detectors.training import train_model

KIND = "map-scan"

_ELEMENTS = 80
"""Elements of all shapes together, and twenty of each at least."""

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


def shipped_model(name: str) -> Model | None:
    """Give the model that ships for a geometry, None if there is none."""
    if name not in SHIPPED:
        return None
    folder = resources.files("anomalyd.detectors.maps.geometries") / "models" / name
    return load_model(Path(str(folder)))
