"""Planted faults, found by the detectors of the project, must be where the explanation points."""

from __future__ import annotations

import time

import numpy as np
import pytest
import torch

from anomalyd.detectors.detector import Series, SeriesWindow, TrainingSet
from anomalyd.detectors.maps.autoencoder.autoencoder import MapAutoencoder
from anomalyd.detectors.maps.simulate.faults import DeadBlock, HotWires, LowVoltage
from anomalyd.detectors.maps.simulate.simulation import ElementSimulator
from anomalyd.detectors.vectors.autoencoder import VectorAutoencoder
from anomalyd.interpret.explain import explain

METHODS = ["occlusion", "integrated-gradients"]
METRICS = 12


def explained(detector, window):
    shape = window.values.shape[1:]
    return explain(detector, window, METHODS, shape=shape, budget_s=60, clock=time.monotonic)


def adds_up(detector, window, attribution):
    encoded = detector.encode(window)
    with torch.no_grad():
        observed = detector.forward(encoded.inputs, *encoded.context)
        normal = detector.forward(encoded.baseline, *encoded.context)
    return np.nansum(attribution.values) == pytest.approx(float(observed - normal), rel=0.03)


@pytest.fixture(scope="module")
def host():
    """A host of 12 metrics that follow two slow tides, each with noise of its own; and its detector."""
    chance = np.random.default_rng(0)
    times = np.arange(700.0)
    tides = np.sin(times[:, None] / [9, 23])
    values = tides @ chance.normal(size=(2, METRICS)) * 3 + chance.normal(size=(700, METRICS)) + 50
    values = values.astype(np.float32)
    names = tuple(f"m{f}" for f in range(METRICS))
    training = TrainingSet({"host": Series(times[:600], values[:600])}, names)
    return VectorAutoencoder.fit(training, {"epochs": 10}), times, values


@pytest.mark.parametrize("jumped", range(METRICS))
def test_the_metric_that_jumped_comes_first(host, jumped):
    detector, times, values = host
    values = values[600:640].copy()
    values[-1, jumped] += 60
    values[-1, (jumped + 1) % METRICS] = np.nan
    window = SeriesWindow("host", times[600:640], values)
    for found in explained(detector, window):
        assert found.complete
        assert np.nanargmax(found.values) == jumped, found.method
        assert np.array_equal(np.isnan(found.values), np.isnan(values[-1]))


def test_integrated_gradients_of_a_vector_add_up(host):
    detector, times, values = host
    values = values[600:640].copy()
    values[-3:, 4] += 60
    window = SeriesWindow("host", times[600:640], values)
    assert adds_up(detector, window, explained(detector, window)[1])


@pytest.fixture(scope="module")
def chamber():
    """A chamber of ragged layers with dead wires that are no fault; and its detector."""
    simulator = ElementSimulator("DT/W-2/MB1/S04", seed=1, mean_counts=40)
    maps = simulator.maps(range(30))
    training = TrainingSet({simulator.chamber.entity: Series(np.arange(30) * 23.3, maps)})
    return MapAutoencoder.fit(training, {"steps": 60}), simulator


@pytest.mark.parametrize(
    "fault",
    [
        DeadBlock(layers=(1, 2, 3, 4), first=16, last=32),
        HotWires(layer=3, first=7, last=8, noise=5.0),
        LowVoltage(efficiency=0.5),
    ],
    ids=lambda fault: fault.kind,
)
def test_the_faulty_cells_of_a_chamber_are_highlighted(chamber, fault):
    detector, simulator = chamber
    counts = simulator.map(100, fault)
    truth = fault.cells(simulator.chamber)
    window = SeriesWindow(simulator.chamber.entity, np.array([0.0]), counts[None])
    for found in explained(detector, window):
        assert found.complete
        assert np.array_equal(np.isnan(found.values), np.isnan(counts))
        lit = np.nan_to_num(found.values) >= np.nanmax(found.values) / 4
        assert (lit & truth).sum() / lit.sum() > 0.9, found.method
        assert (lit & truth).sum() / truth.sum() > 0.5, found.method
    assert adds_up(detector, window, found)


def test_deep_lift_holds_a_weak_fault_against_its_cells(chamber):
    """The two maps it compares share one scale: else what it blames raises the score when it is put back."""
    detector, simulator = chamber
    fault = LowVoltage(efficiency=0.8)
    counts = simulator.map(100, fault)
    truth = fault.cells(simulator.chamber)
    window = SeriesWindow(simulator.chamber.entity, np.array([0.0]), counts[None])
    (found,) = explain(detector, window, ["deep-lift"], shape=counts.shape, budget_s=60, clock=time.monotonic)
    raised = np.nan_to_num(found.values).clip(min=0)
    assert raised[truth].sum() > 0.7 * raised.sum()
    assert found.trust == "good"
