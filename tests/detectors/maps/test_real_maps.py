"""Real detector maps beside the checkout: figures that must hold. They are read only, and never shipped."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from anomalyd.detectors.detector import Series, SeriesWindow
from anomalyd.detectors.evaluation.maps.data import judge_maps, read_maps
from anomalyd.detectors.evaluation.maps.figures import auc
from anomalyd.detectors.maps.findings import Locating
from anomalyd.detectors.maps.geometries.known import shipped
from anomalyd.detectors.maps.likelihood.nearest_maps import NearestMaps
from anomalyd.detectors.maps.regions import describe_region
from anomalyd.detectors.maps.shipped import shipped_model

MAPS = Path(__file__).resolve().parents[3].parent / "shared" / "data" / "maps"

pytestmark = pytest.mark.skipif(not MAPS.is_dir(), reason=f"no real maps in {MAPS}")


def judged(name: str):
    data = read_maps(MAPS / f"{name}.npz")
    return data, judge_maps(data, ("map-scan",))["map-scan"]


def test_chambers_that_came_once_each_are_told_apart_by_the_shipped_model():
    scores, labels = [], []
    for name in ("dt-mb1", "dt-mb2", "dt-mb3"):
        data, found = judged(name)
        scores.append(found.score)
        labels.append(data.labels)
    score, label = np.concatenate(scores), np.concatenate(labels)
    assert auc(score[label == 0], score[label == 1]) >= 0.98
    assert (score[label == 1] > 1).all()
    assert (score[label == 0] > 1).sum() <= 2


def test_the_layer_with_the_low_voltage_is_named():
    data, found = judged("dt-mb1")
    k = int(np.flatnonzero(data.labels)[found.score[data.labels == 1].argmax()])
    blame = np.abs(found.cells[k])
    text = describe_region(data.maps[k], np.ones_like(blame), blame, shipped("dt").elements[0])
    assert text.startswith("layer 9, wires 1-49")


def test_missing_supermodules_are_found_and_good_maps_left_alone():
    data, found = judged("ecal-2016")
    assert (found.score[data.labels == 1] > 1).all()
    assert (found.score[data.labels == 0] > 1).sum() <= 1


def test_supermodules_that_lost_a_third_are_told_from_good_maps():
    data = read_maps(MAPS / "ecal-2016.npz")
    good, rng = data.maps[data.labels == 0], np.random.default_rng(0)
    supermodules = [s for s in data.geometry.segments if s.kind == "supermodule"][::3]
    broken = np.repeat(good, len(supermodules), axis=0)
    for k, drawn in enumerate(broken):
        cells = supermodules[k % len(supermodules)].cells(drawn.shape)
        drawn[cells] = rng.binomial(drawn[cells].astype(np.int64), 0.7)
    maps = np.concatenate([good, broken])
    labels = np.repeat([0, 1], [len(good), len(broken)])
    every = tuple(f"EB/{k}" for k in range(len(maps)))
    found = judge_maps(replace(data, maps=maps, labels=labels, element=every, run=()), ("map-scan",))
    score = found["map-scan"].score
    assert auc(score[labels == 0], score[labels == 1]) >= 0.97
    assert (score[labels == 0] > 1).sum() <= 1


@pytest.mark.parametrize(
    ("name", "element", "told"),
    [
        ("dt-mb1", "DT/W-2/MB1/S02", ("layer 9, wires 1-49",)),
        ("dt-mb2", "DT/W+1/MB2/S07", ("layers 1-4 and 9-12,", "layers 5 and 8,", "layer 6,", "layer 7,")),
        ("dt-mb1", "DT/W+1/MB1/S10", ("layer 6, wires",)),
        ("dt-mb1", "DT/W+2/MB1/S12", ("layer 1, wires",)),
    ],
)
def test_the_layers_of_every_bad_chamber_are_named(name, element, told):
    data = read_maps(MAPS / f"{name}.npz")
    (k,) = (k for k, each in enumerate(data.element) if each == element and data.labels[k])
    model = shipped_model("dt")
    assert model is not None
    assert isinstance(model.detector, Locating)
    found = model.detector.findings(SeriesWindow(element, np.zeros(1), data.maps[k : k + 1]))
    lines = [place.text for place in found.places]
    for text in told:
        assert any(line.startswith(text) for line in lines), lines


def test_histograms_of_other_runs_are_compared_with_the_nearest_training_maps():
    data = read_maps(MAPS / "pixel-1d.npz")
    later = np.array(data.run) % 2 == 1
    score = np.zeros(len(data.maps))
    for part in (later, ~later):
        good = data.maps[~part & (data.labels == 0)]
        series = Series(np.arange(len(good), dtype=np.float64), good)
        (near,) = NearestMaps.learn({"pixel": series}, (1, 100))
        score[part] = near.judge(data.maps[part]).odds
    normal, faulty = score[data.labels == 0], score[data.labels == 1]
    assert auc(normal, faulty) >= 0.75
    assert (faulty > np.quantile(normal, 0.99)).mean() >= 0.33
    assert (normal > 6.9).mean() <= 0.002
