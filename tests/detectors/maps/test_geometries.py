from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from anomalyd.detectors.maps.geometries.file import read_type
from anomalyd.detectors.maps.geometries.known import SHIPPED, geometry_like, geometry_of, load_type, shipped
from anomalyd.detectors.maps.places.layouts import places_of
from anomalyd.detectors.maps.simulate.simulation import ElementSimulator
from anomalyd.errors import ConfigError

CHAMBER = """
detector: CSC
row: layer
cell: strip
elements:
  - {name: "CSC/*", widths: [40, 40, 38, 38]}
units:
  - {name: upper, rows: [1, 2]}
  - {name: lower, rows: [3, 4]}
weak: [3]
normal: {counts: 20}
faults:
  - {kind: dead layer, place: row, size: [0, 0], factors: [0]}
"""


def test_the_shipped_types_have_the_cells_of_the_detectors():
    cells = {name: [int(e.mask().sum()) for e in shipped(name).elements] for name in SHIPPED}
    assert len(cells["dt"]) == 250
    assert cells["ecal-barrel"] == [2448]
    assert cells["ecal-endcap"] == [316, 316]
    assert cells["hcal"][:3] == [64 * 72] * 3
    assert set(cells["hcal"][4:]) == {28 * 72}


def test_the_ecal_barrel_has_36_supermodules_that_cover_it_once():
    barrel = shipped("ecal-barrel").elements[0]
    modules = [s.cells(barrel.shape) for s in barrel.segments if s.kind == "supermodule"]
    assert len(modules) == 36
    assert (np.sum(modules, axis=0) == 1).all()


def test_sectors_of_a_round_map_cover_its_cells_once():
    endcap = shipped("ecal-endcap").elements[0]
    sectors = np.sum([s.cells(endcap.shape) for s in endcap.segments], axis=0)
    np.testing.assert_array_equal(sectors, endcap.mask())


def test_elements_are_found_by_pattern_and_a_users_own_come_first():
    assert geometry_of("EB").shape == (34, 72)
    assert geometry_of("HCAL/D5/2026").entity == "HCAL/D5*"
    assert geometry_of("node17") is None
    own = read_type(CHAMBER.replace("CSC/*", "EB*"), "own").elements
    assert geometry_of("EB", own) is own[0]


def test_a_users_chamber_is_searched_in_its_layers_with_its_weak_one():
    (chamber,) = read_type(CHAMBER, "csc").elements
    assert chamber.sisters(2) == (3,)
    places = places_of(geometry_like("CSC/7", (40,) * 4, 40, (chamber,)))
    assert "layer 3" in places.names
    assert "layer 9" not in places.names


def test_an_element_of_a_users_type_is_simulated():
    kind = read_type(CHAMBER, "csc")
    simulator = ElementSimulator(kind.elements[0], 1, normal=kind.normal)
    counts = simulator.map(1)
    np.testing.assert_array_equal(np.isfinite(counts), kind.elements[0].mask())
    assert np.nanmean(simulator.profile[simulator.chamber.mask()]) == pytest.approx(20)


def test_a_file_is_read_by_its_path(tmp_path):
    (tmp_path / "csc.yaml").write_text(CHAMBER)
    assert load_type(str(tmp_path / "csc.yaml")).name == "csc"
    with pytest.raises(ConfigError, match="name a YAML file"):
        load_type(str(tmp_path / "none.yaml"))
    with pytest.raises(ConfigError, match="one of dt, ecal-barrel"):
        load_type("ecal-barel")


@pytest.mark.parametrize(
    ("old", "new", "named"),
    [
        ("counts: 20", "counts: many", r"normal\.counts"),
        ("counts: 20", "counts: 0", "counts is 0"),
        ("detector: CSC", "detektor: CSC", "detektor"),
        ("widths: [40, 40, 38, 38]", "rows: 4", "rows and columns, or widths, or spans"),
        ("widths: [40, 40, 38, 38]", "widths: [40, 0, 38, 38]", "at least one cell"),
        ("rows: [3, 4]", "rows: [4, 4]", "units must hold every row"),
        ("place: row", "place: column", r"faults\[0\]\.place"),
        ("factors: [0]", "factors: [-1]", "factors must be 0 or more"),
        ("place: row,", "place: segment, segment: box,", "segment 'box'"),
        ("units:", "units", "geometry own"),
    ],
)
def test_an_impossible_file_is_refused_by_the_field(old, new, named):
    assert old in CHAMBER
    with pytest.raises(ConfigError, match=named):
        read_type(CHAMBER.replace(old, new), "own")


@settings(max_examples=40, deadline=None)
@given(rows=st.integers(1, 20), columns=st.integers(1, 30), height=st.integers(1, 9), width=st.integers(1, 9))
def test_tiles_cover_every_cell_once(rows, columns, height, width):
    text = f"""
detector: any
normal: {{counts: 5}}
elements: [{{name: x, rows: {rows}, columns: {columns}}}]
segments: [{{kind: board, tile: [{height}, {width}]}}]
"""
    (element,) = read_type(text, "any").elements
    covered = np.sum([s.cells(element.shape) for s in element.segments], axis=0)
    assert (covered == 1).all()
    assert len({s.name for s in element.segments}) == len(element.segments)
