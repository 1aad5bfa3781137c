from __future__ import annotations

import numpy as np
import pytest

from anomalyd.detectors.detector import SeriesWindow
from anomalyd.detectors.maps.findings import Locating
from anomalyd.detectors.maps.geometries.known import geometry_of
from anomalyd.detectors.maps.shipped import shipped_model
from anomalyd.detectors.maps.simulate.faults import DeadRegion
from anomalyd.detectors.maps.simulate.simulation import ElementSimulator
from anomalyd.errors import ModelMismatch

CHAMBER = "DT/W+1/MB1/S04"


@pytest.fixture(scope="module")
def detector():
    model = shipped_model("dt")
    assert model is not None
    assert isinstance(model.detector, Locating)
    return model.detector


def test_every_broken_place_is_found_and_odd_cells_are_told_apart(detector):
    simulator = ElementSimulator(CHAMBER, 1, 40.0)
    drawn = simulator.map(3)
    faults = (DeadRegion(2, 10, 20), DeadRegion(7, 30, 45))
    for fault in faults:
        drawn[fault.cells(simulator.chamber)] = 0
    drawn[9, 25] = 2  # a dead wire that still counts a little
    drawn[0, 40] = 400
    found = detector.findings(SeriesWindow(CHAMBER, np.array([1.0]), drawn[None]))
    for fault in faults:
        truth = fault.cells(simulator.chamber)
        overlap = [(p.cells & truth).sum() / (p.cells | truth).sum() for p in found.places]
        assert max(overlap) > 0.6
        best = found.places[int(np.argmax(overlap))]
        assert best.efficiency < 0.2
        assert best.seen < 0.2 * best.expected
    odd = {(o.row, o.column) for o in found.odd}
    assert {(9, 25), (0, 40)} <= odd
    lines = found.lines(geometry_of(CHAMBER))
    assert any(line.startswith("layer 2, wires") for line in lines)
    assert "no fault by themselves" in lines[-1]
    assert "layer 10 wire 26 counts 2 of" in lines[-1]


def test_what_a_wide_fault_takes_from_the_total_hides_no_small_one(detector):
    simulator = ElementSimulator(CHAMBER, 1, 15.0)
    earlier, drawn = simulator.maps(range(20)), simulator.map(20)
    wide = np.zeros(drawn.shape, dtype=bool)
    wide[[*range(4), *range(8, 12)], 10:27] = True
    small = DeadRegion(10, 40, 42).cells(simulator.chamber)
    drawn[wide | small] = 0
    (scored,) = detector.score([SeriesWindow(CHAMBER, np.arange(20.0), earlier)])
    found = detector.findings(SeriesWindow(CHAMBER, np.array([20.0]), drawn[None], scored.state))
    # What is told is what the other cells let expect.
    mean = np.where(np.isfinite(drawn), earlier.mean(0), 0)
    level = np.nansum(drawn) / mean[~(wide | small)].sum()
    first = found.places[0]
    assert first.expected == pytest.approx(level * mean[first.cells].sum(), rel=0.05)
    assert any((p.cells & small).sum() == 3 for p in found.places[1:])


def test_odd_cells_that_are_new_come_before_those_that_always_were(detector):
    simulator = ElementSimulator(CHAMBER, 1, 40.0)
    earlier, drawn = simulator.maps(range(12)), simulator.map(12)
    earlier[:, 2, 20] = drawn[2, 20] = 0
    drawn[8, 30], drawn[4:8, 5:12] = 160, 0
    (scored,) = detector.score([SeriesWindow(CHAMBER, np.arange(12.0), earlier)])
    found = detector.findings(SeriesWindow(CHAMBER, np.array([12.0]), drawn[None], scored.state))
    assert (found.odd[0].row, found.odd[0].column, found.odd[0].before) == (8, 30, False)
    old = [(o.row, o.column) for o in found.odd if o.before]
    assert (2, 20) in old
    line = found.lines(geometry_of(CHAMBER))[-1]
    assert f"({len(old)} as before), no fault by themselves: layer 9 wire 31 counts 160 of" in line


def test_many_odd_cells_are_a_fault(detector):
    simulator = ElementSimulator(CHAMBER, 1, 50.0)
    normal = simulator.map(3)
    drawn = normal.copy()
    for row in range(10):
        drawn[row, 4 + 4 * row] = 2.2 * normal[row, 3 + 4 * row] + 10
    (clean,), (odd,) = (
        detector.score([SeriesWindow(CHAMBER, np.array([1.0]), m[None])]) for m in (normal, drawn)
    )
    assert clean.raw[0] < 2
    assert odd.raw[0] > 4.605
    assert (odd.signed[0] > 0).sum() >= 9


def test_odd_cells_alone_do_not_alert(detector):
    simulator = ElementSimulator(CHAMBER, 1, 40.0)
    drawn = simulator.map(3)
    drawn[9, 25], drawn[0, 40], drawn[5, 11] = 1, 500, 0
    (clean,), (odd,) = (
        detector.score([SeriesWindow(CHAMBER, np.array([1.0]), m[None])]) for m in (simulator.map(3), drawn)
    )
    assert odd.raw[0] == pytest.approx(clean.raw[0], abs=1.0)


def test_there_must_be_a_map(detector):
    with pytest.raises(ModelMismatch, match="no map"):
        detector.findings(SeriesWindow(CHAMBER, np.zeros(0), np.zeros((0, 12, 49), np.float32)))
