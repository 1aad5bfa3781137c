from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from anomalyd.detectors.maps.geometries.drift_tubes import dt_chambers
from anomalyd.detectors.maps.geometries.known import geometry_like
from anomalyd.detectors.maps.places.layouts import places_of
from anomalyd.detectors.maps.places.places import Places, Runs, Units, compile_places


def layout(entity, shape, added=()):
    """Give the places that are looked at in an element's maps (R, C)."""
    rows, columns = shape
    return places_of(geometry_like(entity, (columns,) * rows, columns, added))


def mass(places: Places) -> float:
    runs = sum(np.exp(f.prior) * len(f.group) * places.starts(f) for f in places.families)
    return float(runs + sum(np.exp(u.prior) * u.cells.shape[1] for u in places.listed))


@pytest.mark.parametrize(
    ("entity", "shape"),
    [
        ("DT/W-2/MB1/S04", (12, 57)),
        ("DT/W0/MB4/S09", (8, 48)),
        ("ECAL/EB", (34, 72)),
        ("HCAL/D1", (64, 72)),
        ("anything", (5, 3)),
        ("anything", (1, 1)),
        ("anything", (1, 40)),
    ],
)
def test_prior_odds_of_all_places_add_up_to_one(entity, shape):
    assert mass(layout(entity, shape)) == pytest.approx(1, rel=1e-6)


def test_every_chamber_has_a_layout_of_its_shape():
    for chamber in dt_chambers():
        assert layout(chamber.entity, chamber.shape).shape == chamber.shape


@settings(max_examples=40, deadline=None)
@given(rows=st.integers(1, 30), columns=st.integers(1, 60))
def test_any_histogram_has_places_and_they_cover_it(rows, columns):
    places = layout("a histogram", (rows, columns))
    assert mass(places) == pytest.approx(1, rel=1e-6)
    covered = np.zeros((rows, columns), dtype=bool)
    for number, family in enumerate(places.families):
        for place in range(len(family.group) * places.starts(family)):
            covered |= places.cells_of(number, place)
        if covered.all():
            break
    assert covered.all()


def test_places_wrap_where_the_last_column_lies_beside_the_first():
    rows = ((0,), (1,))
    around = compile_places((2, 5), [Runs("run", rows, (2,))], wrap=True)
    flat = compile_places((2, 5), [Runs("run", rows, (2,))])
    assert (around.starts(around.families[0]), flat.starts(flat.families[0])) == (5, 4)
    assert around.cells_of(0, 9).tolist() == [[False] * 5, [True, False, False, False, True]]
    assert flat.cells_of(0, 7).tolist() == [[False] * 5, [False, False, False, True, True]]


def test_a_class_that_is_likelier_gets_more_of_the_odds_and_one_compared_twice_counts_once():
    rows = ((0,), (1,))
    classes = [
        Runs("row", rows, (0,), nats=1),
        Runs("cell", rows, (1,)),
        Runs("cell", rows, (1,), rows[::-1]),
    ]
    row, cell, against = compile_places((2, 4), classes).families
    assert row.prior - np.log(1 / 2) == pytest.approx(cell.prior - np.log(1 / 16) + 1)
    assert cell.prior == against.prior


def test_listed_units_give_their_cells():
    cells = np.zeros((2, 3, 4), dtype=bool)
    cells[0, :2, 1] = cells[1, 2, :] = True
    places = compile_places((3, 4), [Units("unit", ("a", "b"), cells)])
    assert [places.cells_of(0, k).tolist() for k in (0, 1)] == cells.tolist()


def test_every_octave_of_widths_is_as_likely_and_so_is_the_whole_row():
    rows = ((0,), (1,), (2,))
    places = compile_places((3, 20), [Runs("run", rows, (1, 2, 4, 6, 8, 0))])
    share = {f.width: np.exp(f.prior) * len(rows) * places.starts(f) for f in places.families}
    assert share[0] == pytest.approx(share[1])
    assert share[1] == pytest.approx(share[2])
    # 6 lies between 4 and 8, and takes what lies nearer to it than to either.
    assert share[4] + share[6] + share[8] == pytest.approx(2 * share[2])
    assert sum(share.values()) == pytest.approx(1)


def test_a_class_without_places_takes_no_part():
    alone = compile_places((2, 4), [Runs("row", ((0,), (1,)), (0,))])
    beside = compile_places((2, 4), [Runs("row", ((0,), (1,)), (0,)), Runs("block", (), (2,), nats=5)])
    assert beside.names == ("row",)
    assert beside.families[0].prior == alone.families[0].prior


def test_sizes_are_the_mean_numbers_of_cells():
    shares = np.array([[[0.5, 1, 0.5, 0]], [[0, 0.5, 1, 0.5]]], dtype=np.float32)
    places = compile_places((1, 4), [Runs("run", ((0,),), (1, 3)), Units("dip", ("a", "b"), shares)])
    assert places.sizes() == pytest.approx([(4 * 1 + 2 * 3) / 6, 2])
    assert places.cells_of(len(places.families), 1).tolist() == [[False, True, True, True]]
