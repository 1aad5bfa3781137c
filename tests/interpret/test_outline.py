"""One cell gives the fault around it."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from anomalyd.detectors.maps.geometries.known import geometry_of
from anomalyd.errors import ModelMismatch
from anomalyd.interpret.maps.label import outline_of
from anomalyd.interpret.maps.outline import outline, polygons_of

CHAMBER = geometry_of("DT/W-2/MB1/S04")
SHAPE = CHAMBER.shape


def expected(level=50.0):
    usual = np.full(SHAPE, level, dtype=np.float32)
    usual[~CHAMBER.mask()] = np.nan
    return usual


def map_with(cells, factor, seed=0):
    means = np.where(cells, factor, 1.0) * np.nan_to_num(expected())
    counts = np.random.default_rng(seed).poisson(means).astype(np.float32)
    counts[~CHAMBER.mask()] = np.nan
    return counts


def place(rows, first, last):
    cells = np.zeros(SHAPE, dtype=bool)
    cells[rows, first:last] = True
    return cells & CHAMBER.mask()


FAULTS = {
    "dead wires": (place(3, 10, 14), 0.0),
    "hot wires": (place(6, 20, 22), 4.0),
    "dead layer": (place(5, 0, SHAPE[1]), 0.0),
    "region": (place([0, 1, 2, 3, 8, 9, 10, 11], 15, 29), 0.8),
    "superlayer": (place([4, 5, 6, 7], 8, 30), 0.7),
}


@pytest.mark.parametrize("name", FAULTS)
def test_the_fault_around_a_cell_is_outlined(name):
    cells, factor = FAULTS[name]
    shared = []
    for seed in range(4):
        counts = map_with(cells, factor, seed)
        row, column = np.random.default_rng(seed).choice(np.argwhere(cells))
        found = outline(counts, expected(), row, column, CHAMBER)
        assert found.nats > 0
        shared.append((found.cells & cells).sum() / (found.cells | cells).sum())
    assert np.mean(shared) >= 0.82


def test_where_nothing_is_wrong_the_odds_say_so():
    counts = map_with(np.zeros(SHAPE, dtype=bool), 1.0, 3)
    assert outline(counts, expected(), 5, 20, CHAMBER).nats < 0


def test_a_hardware_unit_is_named():
    cells = FAULTS["superlayer"][0] | place([4, 5, 6, 7], 0, SHAPE[1])
    found = outline(map_with(cells, 0.3), expected(), 5, 20, CHAMBER)
    assert found.units == (CHAMBER.unit_of(5).name,)
    assert outline(map_with(cells, 0.3), expected(), 5, 20).units == ()


def test_edges_are_polygons_without_needless_corners():
    cells = np.zeros((4, 6), dtype=bool)
    cells[1:3, 2:5] = True
    (edge,) = polygons_of(cells)
    assert set(edge) == {(2, 1), (5, 1), (5, 3), (2, 3)}
    cells[0, 0] = True
    assert len(polygons_of(cells)) == 2
    assert polygons_of(np.zeros((2, 2), dtype=bool)) == ()


def test_rows_are_named_as_people_do():
    cells, factor = FAULTS["dead layer"]
    incident = SimpleNamespace(id="r", entity=CHAMBER.entity)
    evidence = SimpleNamespace(values=map_with(cells, factor), expectation=expected())
    drawn = outline_of(incident, evidence, CHAMBER.numbers[5], 10, "ann")
    assert drawn.row == 5
    assert drawn.text.startswith(f"layer {CHAMBER.numbers[5]}")
    assert len(drawn.cells) == cells.sum()
    with pytest.raises(ModelMismatch, match="no layer 99; it has 1, 2"):
        outline_of(incident, evidence, 99, 10, "ann")
    with pytest.raises(ModelMismatch, match="there is no cell"):
        outline_of(incident, evidence, 1, 500, "ann")
    incident.entity = "another"
    assert outline_of(incident, evidence, 6, 10, "ann").row == 5


def test_a_weak_layer_is_outlined_whole():
    cells = place(8, 0, SHAPE[1])
    shared = []
    for seed in range(6):
        row, column = np.random.default_rng(seed).choice(np.argwhere(cells))
        found = outline(map_with(cells, 0.88, seed), expected(), row, column, CHAMBER)
        shared.append((found.cells & cells).sum() / (found.cells | cells).sum())
    assert np.mean(shared) >= 0.82


def test_a_dip_lies_at_one_part_of_rows_of_any_length():
    """Rows of another superlayer have fewer or more cells over the same length."""
    widths = np.array(CHAMBER.widths, dtype=float)[:, None]
    x = (np.arange(SHAPE[1]) + 0.5) / widths
    shape = np.exp(-0.5 * ((x - 0.5) / (0.33 / 2.3548)) ** 2)
    cells = (shape >= 0.5) & CHAMBER.mask()
    counts = np.where(
        CHAMBER.mask(),
        np.random.default_rng(1).poisson(np.nan_to_num(expected()) * (1 - 0.3 * shape)),
        np.nan,
    )
    row, column = np.argwhere(cells)[len(np.argwhere(cells)) // 2]
    found = outline(counts.astype(np.float32), expected(), int(row), int(column), CHAMBER)
    assert (found.cells & cells).sum() / (found.cells | cells).sum() >= 0.82


@pytest.mark.parametrize("rate", [0.93, 1.08])
def test_a_fault_may_have_moved_what_is_expected_everywhere(rate):
    """A detector takes the rate from the map: a wide loss lowers what it expects of all cells."""
    cells, factor = FAULTS["region"]
    shared = []
    for seed in range(4):
        row, column = np.random.default_rng(seed).choice(np.argwhere(cells))
        found = outline(map_with(cells, factor, seed), rate * expected(), row, column, CHAMBER)
        shared.append((found.cells & cells).sum() / (found.cells | cells).sum())
    assert np.mean(shared) >= 0.82


def test_a_profile_that_is_not_known_well_counts_less():
    chance = np.random.default_rng(5)
    usual = expected(400.0) * chance.lognormal(0, 0.2, SHAPE).astype(np.float32)
    counts = map_with(np.zeros(SHAPE, dtype=bool), 1.0, 5) * 8
    well = outline(counts, expected(400.0), 5, 20, CHAMBER).nats
    badly = outline(counts, usual, 5, 20, CHAMBER).nats
    assert well < 5
    assert badly < 5


def test_an_outline_of_a_map_without_counts_is_all_of_it():
    cells = CHAMBER.mask()
    found = outline(map_with(cells, 0.0), expected(), 5, 20, CHAMBER)
    assert np.array_equal(found.cells, cells)
    assert found.seen == 0
