from __future__ import annotations

import numpy as np
import pytest

from anomalyd.detectors.evaluation.maps.figures import auc
from anomalyd.detectors.maps.classical.statistics import TESTS, Beside
from anomalyd.detectors.maps.geometries.known import shipped
from anomalyd.detectors.maps.simulate.elements import elements_of
from anomalyd.detectors.maps.simulate.limit import places_of_fault
from anomalyd.detectors.maps.simulate.placed_fault import PlacedFault
from anomalyd.detectors.maps.units import unit_scores


def recipe(name: str, kind: str):
    return next(f for f in shipped(name).faults if f.kind == kind)


@pytest.mark.parametrize(
    ("name", "kind", "strength", "counts", "published"),
    [
        ("dt", "layer 9", 0.9, 15.0, 0.971),
        ("ecal-barrel", "supermodule", 0.9, 15.0, 0.893),
        ("dt", "smooth loss", 0.85, 5.0, 0.994),
    ],
)
def test_the_limit_is_where_it_was_measured(name, kind, strength, counts, published):
    elements = elements_of(shipped(name), 300, 0)
    rng = np.random.default_rng(1)
    expected = elements.expected(counts, rng)
    places = places_of_fault(elements.geometry, recipe(name, kind), strength)
    factors, _ = places.draw(rng, 300)
    normal, _ = places.log_ratio(elements.drawn(expected, rng), expected)
    faulty, _ = places.log_ratio(elements.drawn(expected * factors, rng), expected)
    # 300 maps of each: the AUC scatters by about .015.
    assert auc(normal, faulty) == pytest.approx(published, abs=0.045)


def test_a_count_where_a_place_should_be_dead_rules_it_out():
    geometry = shipped("ecal-barrel").elements[0]
    places = places_of_fault(geometry, recipe("ecal-barrel", "dead tower"), 0.0)
    expected = np.full((1, 34, 72), 50.0)
    counts = expected.copy()
    counts[0, 3, 4] = 0
    nats, best = places.log_ratio(counts, expected)
    (cells,) = places.cells_at(best)
    assert cells[3, 4]
    assert cells.sum() == 1
    assert nats[0] == pytest.approx(50 - np.log(34 * 72), abs=0.1)


@pytest.mark.parametrize(
    ("name", "kind", "number"),
    [
        ("dt", "dead layer", 12),
        ("dt", "layer 9", 1),
        ("ecal-barrel", "supermodule", 36),
        ("ecal-barrel", "hot tower", 34 * 72),
        ("hcal", "box", 57 * 72),
        ("ecal-endcap", "dead tower", 316),
    ],
)
def test_every_place_is_listed_once(name, kind, number):
    places = places_of_fault(shipped(name).elements[0], recipe(name, kind), 0.5)
    assert len(np.unique(places.factors.reshape(len(places.factors), -1), axis=0)) == number


def test_a_place_never_reaches_beyond_the_cells():
    for name in ("dt", "ecal-endcap", "hcal"):
        element = shipped(name).elements[-1]
        for fault in shipped(name).faults:
            try:
                places = places_of_fault(element, fault, 0.5)
            except ValueError:
                continue
            assert not (places.factors != 1)[:, ~element.mask()].any()


def test_a_placed_fault_thins_what_was_counted_and_adds_where_it_is_hot():
    kind = shipped("ecal-barrel")
    rng = np.random.default_rng(3)
    dead = PlacedFault.draw(kind, "dead tower", kind.elements[0], rng)
    counts = np.full((34, 72), 40)
    broken = dead.apply(counts, counts.astype(float), kind.elements[0], rng)
    np.testing.assert_array_equal(broken[dead.cells(kind.elements[0])], 0)
    np.testing.assert_array_equal(broken[~dead.cells(kind.elements[0])], 40)
    hot = PlacedFault("hot", np.full((34, 72), 2.0, dtype=np.float32))
    lit = hot.apply(counts, counts.astype(float), kind.elements[0], rng)
    assert lit.mean() == pytest.approx(80, rel=0.02)
    with pytest.raises(ValueError, match="there are dead tower, hot tower, supermodule"):
        PlacedFault.draw(kind, "cold tower", kind.elements[0], rng)


SEEN_BY = {
    "zero cells": ("dead wires", 0.0),
    "variance": ("dead region", 0.0),
    "Sobel": ("hot wire", 10.0),
    "chi-square": ("hot wire", 10.0),
    "Kolmogorov": ("smooth loss", 0.7),
    "pull": ("hot wire", 10.0),
    "sister ratio": ("layer 9", 0.7),
    "unit ratio": ("region", 0.5),
}


@pytest.mark.parametrize("name", TESTS)
def test_each_classical_test_sees_what_it_was_made_for_and_no_luminosity(name):
    elements = elements_of(shipped("dt"), 60, 2)
    rng = np.random.default_rng(4)
    kind, strength = SEEN_BY[name]
    places = places_of_fault(elements.geometry, recipe("dt", kind), strength)
    factors, _ = places.draw(rng, 60)
    reference = np.nan_to_num(elements.maps(30.0, 10, rng)).sum(1, dtype=np.float64)
    mask = np.broadcast_to(elements.geometry.mask(), factors.shape)

    def judged(counts: float, fault: np.ndarray | float = 1.0):
        maps = np.nan_to_num(elements.drawn(elements.expected(counts, rng) * fault, rng)).astype(np.float64)
        return TESTS[name](Beside(maps, reference, mask, elements.geometry))

    normal, faulty = judged(30.0), judged(30.0, factors)
    assert auc(normal.value, faulty.value) > 0.95
    assert (faulty.cells >= 0).all()
    assert not faulty.cells[~mask].any()
    if name in {"chi-square", "sister ratio", "unit ratio", "Kolmogorov"}:
        assert np.median(judged(60.0).value) < np.quantile(faulty.value, 0.5)


def test_units_have_signed_scores():
    geometry = shipped("dt").elements[0]
    expected = np.where(geometry.mask(), 20.0, np.nan)[None]
    counts = expected.copy()
    counts[0, 8] *= 0.5
    counts[0, 0] *= 2
    found = unit_scores(counts, expected, geometry)
    pulls = dict(zip(found.names, found.pulls[0], strict=True))
    assert pulls["layer 9"] == pytest.approx(-10 * 49 / np.sqrt(20 * 49))
    assert pulls["layer 1"] > 0
    assert pulls["SL2"] == 0
    assert pulls["SL3"] < 0
