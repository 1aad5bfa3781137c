"""The same data and seed give the same model, byte by byte, whatever its kind."""

from __future__ import annotations

import numpy as np
import pytest
from safetensors.torch import save

from anomalyd.detectors.detector import Series, TrainingSet
from anomalyd.detectors.false_alarm_target import AlertRate
from anomalyd.detectors.maps.simulate.simulation import LUMISECTION_S, ElementSimulator
from anomalyd.detectors.model import Model
from anomalyd.detectors.registry import detector_class, kinds
from anomalyd.detectors.training import train_model

QUICK = {"epochs": 2, "steps": 5, "warmup": 12}
"""Of these a kind is given those it knows."""


@pytest.fixture(scope="module")
def maps() -> TrainingSet:
    chambers = ("DT/W-2/MB1/S01", "DT/W+1/MB4/S13")
    simulators = {name: ElementSimulator(name, 1, 30.0) for name in chambers}
    times = np.arange(30) * LUMISECTION_S
    return TrainingSet({name: Series(times, s.maps(range(30))) for name, s in simulators.items()})


def train(kind: str, training: TrainingSet, seed: int = 0) -> Model:
    known = detector_class(kind).parameters_class
    assert known is not None, "a kind says what its parameters are"
    given = {name: value for name, value in QUICK.items() if name in known.__dataclass_fields__}
    return train_model(
        training,
        kind=kind,
        parameters=given,
        false_alarms=AlertRate(0.01),
        seed=seed,
        code_version="test",
        created=0.0,
    )


def weights(model: Model) -> bytes:
    return save({name: tensor.contiguous() for name, tensor in model.detector.tensors().items()})


@pytest.mark.parametrize("kind", kinds())
def test_the_same_data_and_seed_give_the_same_model(
    kind: str, training: TrainingSet, maps: TrainingSet
) -> None:
    data = training if detector_class(kind).sample_kind == "vector" else maps
    one, again = train(kind, data), train(kind, data)
    assert weights(one) == weights(again)
    assert one.detector.config() == again.detector.config()
    assert one.calibration == again.calibration
    assert one.card.data_sha256 == again.card.data_sha256


@pytest.mark.parametrize("kind", ["vector-autoencoder", "vector-ensemble", "map-autoencoder"])
def test_another_seed_gives_another_network(kind: str, training: TrainingSet, maps: TrainingSet) -> None:
    data = training if detector_class(kind).sample_kind == "vector" else maps
    one, other = (weights(train(kind, data, seed)) for seed in (0, 1))
    assert one != other
