from __future__ import annotations

import numpy as np
import pytest

from anomalyd.detectors.detector import SeriesWindow, TrainingSet
from anomalyd.detectors.maps.classical.any_test import MapTests
from anomalyd.detectors.maps.geometries.known import shipped
from anomalyd.detectors.maps.simulate.elements import elements_of, name_of, training_set
from anomalyd.detectors.maps.simulate.limit import places_of_fault
from anomalyd.errors import ModelDamaged, TrainingError


@pytest.fixture(scope="module")
def fitted() -> MapTests:
    return MapTests.fit(training_set(shipped("dt"), 0, elements=40, maps=10), {})


def streams(fault: str | None, strength: float = 0.0):
    kind = shipped("dt")
    elements = elements_of(kind, 12, 3)
    rng = np.random.default_rng(5)
    maps = elements.maps(30.0, 13, rng)
    if fault is not None:
        recipe = next(f for f in kind.faults if f.kind == fault)
        factors, _ = places_of_fault(elements.geometry, recipe, strength).draw(rng, 12)
        for k in range(10, 13):
            maps[:, k] = elements.drawn(elements.expected(30.0, rng) * factors, rng)
    times = np.arange(13) * 23.3
    return [SeriesWindow(name_of(elements.geometry, k), times, m) for k, m in enumerate(maps)]


@pytest.mark.parametrize(
    ("fault", "strength"),
    [("dead layer", 0.0), ("layer 9", 0.7), ("hot wire", 10.0), ("dead region", 0.0), ("dead wires", 0.0)],
)
def test_what_any_test_sees_is_seen_and_never_becomes_the_reference(fitted, fault, strength):
    raw = np.stack([r.raw for r in fitted.score(streams(fault, strength))])
    assert np.isnan(raw[:, 0]).all()
    assert (raw[:, 10:] > 1).mean() > 0.85
    assert (raw[:, 2:10] > 1).mean() < 0.2


def test_scores_do_not_depend_on_how_a_stream_is_cut(fitted):
    window = streams("layer 9", 0.7)[0]
    (whole,) = fitted.score([window])
    state, parts = {}, []
    for start, stop in ((0, 1), (1, 4), (4, 13)):
        part = SeriesWindow(window.entity, window.times[start:stop], window.values[start:stop], state)
        (found,) = fitted.score([part])
        parts.append(found.raw)
        state = found.state
    np.testing.assert_array_equal(np.concatenate(parts), whole.raw)


def test_it_is_built_again_from_what_it_gave(fitted):
    again = MapTests.restore(fitted.tensors(), fitted.config())
    (one,), (two,) = fitted.score(streams(None)[:1]), again.score(streams(None)[:1])
    np.testing.assert_array_equal(one.raw, two.raw)
    with pytest.raises(ModelDamaged, match="train again"):
        MapTests.restore({"scale": fitted.scale}, fitted.config())


def test_without_two_maps_there_is_nothing_to_learn():
    with pytest.raises(TrainingError, match="no element has two maps"):
        MapTests.fit(TrainingSet({}), {})
