from __future__ import annotations

import numpy as np
import pytest

from anomalyd.detectors.maps.classical.classical import MapClassical, ReferenceChiSquare, ZeroCells
from anomalyd.detectors.maps.simulate.faults import DeadBlock, DeadLayer, HotWires, LowVoltage
from anomalyd.detectors.maps.simulate.simulation import ElementSimulator
from anomalyd.errors import ModelDamaged, ModelMismatch, TrainingError

CHAMBER = "DT/W-2/MB1/S04"
KINDS = [ZeroCells, ReferenceChiSquare, MapClassical]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("counts", ["bright", "dim"])
def test_normal_maps_scatter_about_zero_by_one(kind, counts, request):
    chambers = request.getfixturevalue(counts)
    raw = chambers.normal(kind.fit(chambers.training(), {}))
    assert abs(np.median(raw)) < 0.6
    assert raw.max() < 6


@pytest.mark.parametrize(
    ("kind", "fault"),
    [
        (ZeroCells, DeadLayer(3)),
        (ZeroCells, DeadBlock((1, 2, 3, 4), 10, 20)),
        (ReferenceChiSquare, LowVoltage(efficiency=0.5)),
        (ReferenceChiSquare, HotWires(3, 7, 7, 6.0)),
        (ReferenceChiSquare, DeadLayer(3)),
        (MapClassical, LowVoltage(efficiency=0.5)),
        (MapClassical, DeadLayer(3)),
    ],
)
def test_each_test_finds_its_faults(bright, kind, fault):
    detector = kind.fit(bright.training(), {})
    assert bright.faulty(detector, lambda s, rng: fault).min() > bright.normal(detector).max()


def test_zero_cells_do_not_see_a_loss_that_leaves_hits(bright):
    detector = ZeroCells.fit(bright.training(), {})
    assert np.median(bright.faulty(detector, lambda s, rng: LowVoltage())) < 1


def test_the_larger_of_the_two_decides_and_is_to_blame(bright, bright_classical):
    simulator = bright.simulators[CHAMBER]
    maps = np.stack([simulator.map(800, HotWires(3, 7, 7, 6.0)), simulator.map(800, DeadLayer(3))])
    both = bright.score(bright_classical, maps, CHAMBER)
    apart = [
        bright.score(k.fit(bright.training(), {}), maps, CHAMBER) for k in (ZeroCells, ReferenceChiSquare)
    ]
    assert both.raw == pytest.approx(np.maximum(apart[0].raw, apart[1].raw), rel=1e-6)
    assert np.unravel_index(np.nanargmax(both.contribution[0]), (12, 57)) == (2, 6)
    dead = both.contribution[1] > 0.5 * np.nanmax(both.contribution[1])
    assert np.array_equal(dead, DeadLayer(3).cells(simulator.chamber) & ~simulator.dead)


@pytest.mark.parametrize("factor", [0.5, 2.0])
def test_luminosity_is_not_an_anomaly(bright, bright_classical, factor):
    other = ElementSimulator(CHAMBER, 1, 50.0 * factor)
    assert bright.score(bright_classical, other.maps(range(40)), CHAMBER).raw.max() < 4


def test_known_dead_wires_count_for_nothing_and_a_new_one_hardly(bright, bright_classical):
    simulator = bright.simulators[CHAMBER]
    maps = np.stack([simulator.map(600), simulator.map(600)])
    maps[1, 6, 20] = 0
    before, after = bright.score(bright_classical, maps, CHAMBER).raw
    assert after - before < 2


def test_missing_cells_are_nan_and_have_no_say(bright, bright_classical):
    maps = bright.simulators[CHAMBER].maps(range(3))
    maps[0, 4:8] = np.nan
    maps[2] = np.nan
    scores = bright.score(bright_classical, maps, CHAMBER)
    assert abs(scores.raw[0]) < 4
    assert np.isnan(scores.raw[2])
    for values in (scores.error, scores.expectation, scores.contribution):
        assert np.array_equal(np.isnan(values), np.isnan(maps))


def test_an_element_never_seen_does_not_alarm_for_being_different(bright, bright_classical):
    new = ElementSimulator("DT/W-2/MB1/S09", 1, 50.0)
    raw = bright.score(bright_classical, new.maps(range(20)), new.chamber.entity).raw
    broken = np.stack([new.map(i, DeadLayer(3)) for i in range(20)])
    assert bright.score(bright_classical, broken, new.chamber.entity).raw.min() > raw.max() + 3


def test_an_empty_chamber_is_strange(bright, bright_classical):
    off = bright.simulators[CHAMBER].map(0)[None] * 0
    assert bright.score(bright_classical, off, CHAMBER).raw[0] > 50


def test_scores_do_not_depend_on_how_a_stream_is_cut(bright, bright_classical):
    maps = bright.simulators[CHAMBER].maps(range(6))
    whole = bright.score(bright_classical, maps, CHAMBER).raw
    assert np.concatenate(
        [bright.score(bright_classical, m[None], CHAMBER).raw for m in maps]
    ) == pytest.approx(whole)


@pytest.mark.parametrize("kind", KINDS)
def test_a_restored_model_scores_the_same(bright, kind):
    detector = kind.fit(bright.training(10), {})
    restored = kind.restore(detector.tensors(), detector.config())
    maps = bright.simulators[CHAMBER].maps(range(3))
    assert np.array_equal(
        bright.score(detector, maps, CHAMBER).raw, bright.score(restored, maps, CHAMBER).raw
    )
    tensors = detector.tensors()
    del tensors["scale"]
    with pytest.raises(ModelDamaged, match="scale"):
        kind.restore(tensors, detector.config())


def test_wrong_shapes_and_parameters_are_refused(bright, bright_classical):
    with pytest.raises(ModelMismatch):
        bright.score(bright_classical, np.ones((1, 5), np.float32), CHAMBER)
    with pytest.raises(TrainingError, match="'sigma'"):
        ZeroCells.fit(bright.training(6), {"sigma": 3})
