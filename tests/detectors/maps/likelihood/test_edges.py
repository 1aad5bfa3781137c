from __future__ import annotations

import numpy as np
import pytest

from anomalyd.detectors.maps.geometries.known import geometry_like
from anomalyd.detectors.maps.likelihood.edges import sharpened
from anomalyd.detectors.maps.likelihood.place_odds import scan
from anomalyd.detectors.maps.places.layouts import places_of
from anomalyd.detectors.maps.places.places import Runs, compile_places

RATE = 15.0


def drawn(shape, where, factor):
    rng = np.random.default_rng(2)
    reference = rng.poisson(np.full(shape, 20 * RATE)).astype(np.float32)
    return rng.poisson(np.where(where, factor, 1) * RATE, shape).astype(np.float32), reference


@pytest.mark.parametrize("factor", [0, 0.2, 3])
@pytest.mark.parametrize(("first", "last"), [(10, 23), (12, 21), (9, 20), (11, 22)])
def test_edges_of_a_run_move_out_and_in_to_where_it_ends(factor, first, last):
    places = compile_places((2, 40), [Runs("run", ((0,), (1,)), (12,))])
    where = np.zeros((2, 40), dtype=bool)
    where[1, first:last] = True
    counts, reference = drawn((2, 40), where, factor)
    place = places.starts(places.families[0]) + 10  # the second row, columns 10 to 21
    cells = places.cells_of(0, place)
    ratio = counts[cells].sum(), RATE * cells.sum()
    found, gain = sharpened(counts, reference, places, 0, place, ratio)
    assert found.tolist() == where.tolist()
    assert gain > 0


def test_edges_of_a_box_move_in_both_directions_and_round_the_end():
    places = places_of(geometry_like("HCAL/D1", (72,) * 64, 72))
    where = np.zeros((64, 72), dtype=bool)
    where[np.ix_(np.arange(20, 27), np.array([70, 71, 0]))] = True
    counts, reference = drawn((64, 72), where, 0.1)
    spread = np.full((1, len(places.names)), 0.003, dtype=np.float32)
    blame = scan(counts[None], reference[None], places, spread).blame[0]
    assert ((blame <= 0.5 * blame.min()) == where).all()


def test_edges_stay_where_they_fit_and_do_not_reach_for_another_fault():
    places = compile_places((1, 60), [Runs("run", ((0,),), (9,))])
    where = np.zeros((1, 60), dtype=bool)
    where[0, 10:19] = where[0, 24:50] = True
    counts, reference = drawn((1, 60), where, 0)
    found, gain = sharpened(counts, reference, places, 0, 10, (0.0, 9 * RATE))
    assert np.flatnonzero(found).tolist() == list(range(10, 19))
    assert gain == pytest.approx(0, abs=1e-3)


def test_a_place_that_never_counted_has_no_edges():
    places = compile_places((1, 10), [Runs("run", ((0,),), (3,))])
    nothing = np.zeros((1, 10), dtype=np.float32)
    found, gain = sharpened(nothing, nothing, places, 0, 4, (0.0, 0.0))
    assert (found == places.cells_of(0, 4)).all()
    assert gain == 0
