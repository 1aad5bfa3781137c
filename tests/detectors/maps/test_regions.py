from __future__ import annotations

import numpy as np
import pytest

from anomalyd.detectors.maps.geometries.known import geometry_of, shipped
from anomalyd.detectors.maps.regions import describe_cells, describe_region
from anomalyd.detectors.maps.simulate.faults import DeadBlock, DeadLayer, DeadRegion, HotWires, LowVoltage

CHAMBER = "DT/W-2/MB1/S04"


def described(fault, entity=CHAMBER, share=None):
    geometry = geometry_of(entity)
    cells = fault.cells(geometry)
    expectation = np.where(geometry.mask(), 50.0, np.nan).astype(np.float32)
    values = np.where(cells, (fault.factor if share is None else share) * expectation, expectation)
    contribution = np.where(geometry.mask(), np.where(cells, 9.0, 1.0), np.nan).astype(np.float32)
    return describe_region(values, expectation, contribution, geometry)


@pytest.mark.parametrize(
    ("fault", "text"),
    [
        (LowVoltage(efficiency=0.31), "layer 9, wires 1-49: 31 % of expected"),
        (DeadBlock((1, 2, 3, 4), 16, 32), "layers 1-4, wires 16-32: no hits"),
        (DeadBlock((1, 2, 3, 4, 9, 10, 11, 12), 16, 32), "layers 1-4 and 9-12, wires 16-32: no hits"),
        (HotWires(3, 7, 7, 5.2), "layer 3, wire 7: 5.2 x expected (hot)"),
        (DeadRegion(11, 3, 5), "layer 11, wires 3-5: no hits"),
        (DeadLayer(4), "layer 4, wires 1-48: no hits"),
    ],
)
def test_a_region_is_described_as_an_operator_would(fault, text):
    assert described(fault) == text


def test_layers_keep_their_numbers_where_a_superlayer_is_missing():
    assert described(LowVoltage(), "DT/W0/MB4/S13").startswith("layer 9, wires 1-71: 70 %")


def test_without_a_geometry_rows_and_columns_are_named():
    contribution = np.zeros((5, 12), np.float32)
    contribution[2, 1:9] = 3
    values = np.where(contribution > 0, 20.0, 10.0).astype(np.float32)
    assert describe_region(values, np.full((5, 12), 10, np.float32), contribution) == (
        "row 3, columns 2-9: 2.0 x expected (hot)"
    )


def test_a_gap_of_a_dead_wire_does_not_split_a_region_and_a_second_region_does_not_widen_it():
    contribution = np.zeros((4, 40), np.float32)
    contribution[1, 3:12] = 5
    contribution[1, 7] = 0
    contribution[3, 30:32] = 5
    ones = np.ones((4, 40), np.float32)
    assert describe_region(0.8 * ones, ones, contribution) == "row 2, columns 4-12: 80 % of expected"


def test_nothing_to_blame_is_nothing_to_say():
    nothing = np.full((3, 4), np.nan, np.float32)
    assert describe_region(nothing, nothing, nothing) == ""
    assert describe_region(nothing, nothing, np.zeros((3, 4), np.float32)) == ""


def test_hits_where_none_were_expected_are_not_divided_by_zero():
    contribution = np.zeros((3, 4), np.float32)
    contribution[0, 0] = 1
    values = np.full((3, 4), 7, np.float32)
    assert (
        describe_region(values, 0 * values, contribution)
        == "row 1, column 1: 7 hits where none were expected"
    )


def test_detector_and_words_agree(bright, bright_autoencoder):
    simulator = bright.simulators[CHAMBER]
    faulty = simulator.map(800, DeadBlock((1, 2, 3, 4, 9, 10, 11, 12), 16, 32))
    scores = bright.score(bright_autoencoder, faulty[None], CHAMBER)
    words = describe_region(faulty, scores.expectation[0], scores.contribution[0], simulator.chamber)
    assert words == "layers 1-4 and 9-12, wires 16-32: no hits"


def test_cells_are_named_by_the_places_they_make():
    geometry = shipped("dt").elements[0]
    layer = np.zeros(geometry.shape, dtype=bool)
    layer[8, : geometry.widths[8]] = True
    assert describe_cells(layer, geometry) == ("layer 9, wires 1-49",)
    both = layer.copy()
    both[:4, 10:14] = True
    assert describe_cells(both, geometry) == ("layer 9, wires 1-49", "layers 1-4, wires 11-14")
    assert describe_cells(geometry.mask(), geometry) == ("the whole map",)
    scattered = np.zeros((8, 8), dtype=bool)
    np.fill_diagonal(scattered, True)
    assert describe_cells(scattered)[-1] == "3 other cells"
    assert describe_cells(scattered)[0] == "row 1, column 1"
