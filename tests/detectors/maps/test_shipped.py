from __future__ import annotations

from importlib import resources

import numpy as np
import pytest

from anomalyd.detectors.detector import SeriesWindow
from anomalyd.detectors.library import ModelLibrary
from anomalyd.detectors.maps.geometries.file import read_type
from anomalyd.detectors.maps.geometries.known import SHIPPED, shipped
from anomalyd.detectors.maps.shipped import (
    KIND,
    shipped_model,
    simulated_training,
    starting_pair,
    train_geometry,
)
from anomalyd.detectors.maps.simulate.elements import elements_of
from anomalyd.detectors.maps.simulate.limit import places_of_fault


@pytest.mark.parametrize("name", SHIPPED)
def test_a_shipped_model_is_small_and_finds_the_gravest_faults_of_an_element_it_never_saw(name):
    model = shipped_model(name)
    assert model is not None
    assert model.card.kind == KIND
    folder = resources.files("anomalyd.detectors.maps.geometries") / "models" / name
    assert (folder / "model.safetensors").stat().st_size < 2_000_000
    kind = shipped(name)
    elements = elements_of(kind, 8, 5)
    rng = np.random.default_rng(1)
    normal = elements.maps(40.0, 6, rng)
    gravest = {f.kind: f for f in kind.faults if 0.0 in f.factors}
    fault = list(gravest.values())[-1]
    factors, _ = places_of_fault(elements.geometry, fault, 0.0).draw(rng, 8)
    broken = elements.drawn(elements.expected(40.0, rng) * factors, rng)
    times = np.arange(7) * 23.3
    values = np.concatenate([normal, broken[:, None]], axis=1)
    found = model.score([SeriesWindow(elements.geometry.entity.replace("#*", ""), times, v) for v in values])
    scores = np.stack([f.score for f in found])
    assert (scores[:, -1] > 1).mean() >= 7 / 8
    assert (scores[:, :-1] > 1).mean() < 0.1


def test_nothing_ships_for_a_users_own_geometry():
    assert shipped_model("csc") is None


def test_every_shape_of_a_type_is_trained_on():
    shapes = {s.values.shape[1:] for s in simulated_training(shipped("dt")).series.values()}
    assert shapes == {e.shape for e in shipped("dt").elements}


def test_a_users_geometry_travels_with_its_model(monkeypatch):
    monkeypatch.setattr("anomalyd.detectors.maps.shipped._ELEMENTS", 20)
    monkeypatch.setattr(
        "anomalyd.detectors.maps.shipped.train_model", lambda t, **k: trained(t, k.pop("parameters"), **k)
    )
    from anomalyd.detectors.training import train_model

    def trained(training, _, **k):
        return train_model(training, parameters={}, **k)

    text = """
detector: any
normal: {counts: 20}
elements: [{name: "box/*", rows: 6, columns: 12}]
segments: [{kind: board, tile: [3, 4]}]
"""
    model = train_geometry(read_type(text, "own"), created=0.0)
    again = type(model.detector).restore(model.detector.tensors(), model.detector.config())
    (geometry,) = again.geometries
    assert geometry.entity == "box/*"
    assert [s.name for s in geometry.segments][:2] == ["board 1", "board 2"]
    assert model.card.shapes == {"6x12": (6, 12)}
    assert not any(name.startswith("history") for name in model.detector.tensors())


def test_a_starting_pair_judges_the_first_maps_of_elements_that_nothing_is_known_of(tmp_path):
    library = ModelLibrary(tmp_path)
    pair = library.load("maps", library.publish("maps", starting_pair(0.001, 1.79e9))).pair
    rng = np.random.default_rng(3)
    chambers = elements_of(shipped("dt"), 2, 5)
    normal, broken = chambers.drawn(chambers.expected(60.0, rng), rng)
    broken[8] *= 0.1
    plain = rng.poisson(60.0, (1, 200)).astype(np.float32)
    maps = {"DT/W+1/MB4/S04": normal, "DT/W+1/MB4/S05": broken, "tracker/charge": plain}
    scores = pair.score(
        [SeriesWindow(name, np.array([k * 1e5]), drawn[None]) for k, (name, drawn) in enumerate(maps.items())]
    )
    normal, layer, unknown = (s.score[0] for s in scores)
    assert normal < 1 < layer
    assert not unknown > 1  # nothing lies beside it, and nothing came before
    assert all(np.isnan(s.classical.score).all() for s in scores)


def test_chambers_of_one_shape_may_have_rows_of_other_lengths_than_those_that_were_learnt():
    rng = np.random.default_rng(4)
    pair = starting_pair(0.001, 1.79e9)
    drawn = rng.poisson(60.0, (6, 12, 57)).astype(np.float32)  # all layers as long as those of theta
    drawn[5, 8] *= 0.1
    shorter = drawn.copy()
    shorter[:, 8:, 45:] = np.nan
    times = np.arange(6.0)
    for scores in pair.score([SeriesWindow("X/1", times, drawn), SeriesWindow("X/2", times + 1e6, shorter)]):
        assert (scores.score[:5] < 1).all()
        assert scores.score[5] > 1
