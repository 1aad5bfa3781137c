from __future__ import annotations

import numpy as np
import pytest

from anomalyd.detectors.detector import Series, SeriesWindow, TrainingSet
from anomalyd.detectors.false_alarm_target import AlertRate
from anomalyd.detectors.maps.geometry import Geometry
from anomalyd.detectors.maps.likelihood.detector import MapScan
from anomalyd.detectors.maps.likelihood.nearest_maps import FEWEST_MAPS, NearestMaps
from anomalyd.detectors.maps.simulate.simulation import LUMISECTION_S
from anomalyd.detectors.model import Model, load_model, save_model
from anomalyd.detectors.training import train_model
from anomalyd.errors import ModelDamaged
from anomalyd.verdict import Verdict

BINS = 60
NAME = "PIXEL/charge"


def drawn(maps: int, seed: int, *, peak: float = 20.0, times: float = 1.0) -> np.ndarray:
    """Histograms (N, 1, 60) of a peak that moves with conditions, run by run, and so does the total."""
    rng = np.random.default_rng(seed)
    conditions = np.repeat(rng.uniform(-1.5, 1.5, maps // 20 + 1), 20)[:maps, None]
    at = (np.arange(BINS) - peak - 3 * conditions) / (6 + conditions)
    shape = np.exp(-0.5 * (at + np.exp(-at)))
    shape /= shape.sum(1, keepdims=True)
    total = times * 2000 * np.exp(0.2 * conditions)
    return rng.poisson(shape * total)[:, None].astype(np.float32)


def series(maps: np.ndarray) -> Series:
    return Series(np.arange(len(maps)) * LUMISECTION_S, maps)


@pytest.fixture(scope="module")
def model() -> Model:
    return train_model(
        TrainingSet({NAME: series(drawn(800, 1))}, geometries=(Geometry.of(NAME, (1, BINS)),)),
        kind="map-scan",
        parameters={},
        false_alarms=AlertRate(0.001),
        seed=0,
        code_version="",
        created=0.0,
    )


def score(model: Model, maps: np.ndarray) -> np.ndarray:
    return model.score([SeriesWindow(NAME, 1e6 + np.arange(len(maps)) * LUMISECTION_S, maps)])[0].score


def dead(maps: np.ndarray) -> np.ndarray:
    maps[:, :, 14:18] = 0
    return maps


@pytest.mark.parametrize(
    ("broken", "share"),
    [
        (dead(drawn(100, 3)), 0.95),
        (drawn(100, 3, peak=40.0), 0.8),
        (drawn(100, 3, times=0.2), 0.95),
        (drawn(100, 3, times=6.0), 0.95),
    ],
    ids=["dead bins", "another shape", "few counts", "many counts"],
)
def test_what_no_training_map_is_like_alerts_under_any_conditions(model, broken, share):
    assert (score(model, drawn(400, 2)) > 1).mean() <= 0.01
    assert (score(model, broken) > 1).mean() >= share


def test_the_newest_training_maps_are_compared_with_as_well(model):
    (near,) = model.detector.populations[1, BINS].nearest
    assert len(near.places) == 800


def test_the_report_names_training_maps_of_like_conditions_and_where_it_differs(model):
    maps = drawn(800, 1)
    (odd,) = dead(maps[500:501].copy())
    found = model.detector.findings(SeriesWindow(NAME, np.zeros(1), odd[None]))
    assert found.places[0].text.startswith("row 1, columns")
    (beside,) = found.beside
    assert found.lines(None)[-1] == beside
    assert "training maps in shape and total: PIXEL/charge at 1970-01-01" in beside
    (near,) = model.detector.populations[1, BINS].nearest
    evidence = near.judge(maps[500:501])
    alike = near.places[evidence.nearest[0, 0]]
    assert np.abs(alike - near.places[500]).max() < np.abs(near.places - near.places[500]).max() / 4
    assert evidence.expected.sum() == pytest.approx(maps[500].sum(), rel=0.2)


def test_it_is_stored_with_the_model_and_a_damaged_part_is_refused(model, tmp_path):
    maps = drawn(60, 4)
    save_model(model, tmp_path / "model")
    np.testing.assert_array_equal(score(load_model(tmp_path / "model"), maps), score(model, maps))
    tensors, config = model.detector.tensors(), model.detector.config()
    short = dict(tensors)
    short[f"population.1x{BINS}.nearest.0.places"] = short[f"population.1x{BINS}.nearest.0.places"][:, 1:]
    with pytest.raises(ModelDamaged, match="groups of cells"):
        MapScan.restore(short, config)
    short.pop(f"population.1x{BINS}.nearest.0.time")
    with pytest.raises(ModelDamaged, match="nearest"):
        MapScan.restore(short, config)
    config["populations"][0]["nearest"][0]["prices"].pop("group")
    with pytest.raises(ModelDamaged, match="prices"):
        MapScan.restore(tensors, config)


def test_what_an_operator_called_normal_is_judged_by_its_own_history(model):
    broken = drawn(60, 3, peak=40.0)
    window = SeriesWindow(NAME, np.arange(len(broken)) * LUMISECTION_S, broken)
    (before,) = model.detector.score([window])
    state = model.detector.apply_feedback(before.state, Verdict.NORMAL, 0.0, 0.0)
    maps = drawn(20, 3, peak=40.0)
    (after,) = model.detector.score([SeriesWindow(NAME, np.arange(20) * LUMISECTION_S, maps, state)])
    assert before.raw[:20].min() > after.raw.max()
    found = model.detector.findings(SeriesWindow(NAME, np.zeros(1), maps[:1], state))
    assert not found.beside


def test_few_maps_are_compared_with_none():
    assert NearestMaps.learn({NAME: series(drawn(FEWEST_MAPS - 1, 1))}, (1, BINS)) == ()


def test_elements_that_are_alike_share_their_maps_with_one_never_seen():
    alike = {f"PIXEL/{k}": series(drawn(120, 10 + k)) for k in range(8)}
    (near,) = NearestMaps.learn(alike, (1, BINS))
    assert near.names == tuple(alike)
    assert near.knows("PIXEL/new")
    assert np.median(near.judge(drawn(100, 30)).odds) < 2
    assert set(near.left_out()) == set(alike)


def test_elements_that_differ_are_compared_with_their_own_maps_only():
    unlike = {f"PIXEL/{k}": series(drawn(120, 10 + k, peak=10.0 + 6 * k)) for k in range(6)}
    assert NearestMaps.learn(unlike, (1, BINS)) == ()
    long = unlike | {"PIXEL/long": series(drawn(600, 40, peak=50.0))}
    (near,) = NearestMaps.learn(long, (1, BINS))
    assert near.names == ("PIXEL/long",)
    assert not near.knows("PIXEL/0")
