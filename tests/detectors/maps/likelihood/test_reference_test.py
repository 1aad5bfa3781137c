from __future__ import annotations

import numpy as np
import pytest

from anomalyd.detectors.maps.geometries.known import geometry_like
from anomalyd.detectors.maps.likelihood.reference_test import Profile, Sums, comparisons, summed_up
from anomalyd.detectors.maps.places.layouts import places_of
from anomalyd.detectors.maps.places.places import Units, compile_places

WIDTH = 40


def draw(places, counts: float, maps: int, history: float = 20, factors=1.0):
    rng = np.random.default_rng(5)
    rates = counts * rng.normal(1, 0.2, (maps, *places.shape)).clip(0.4)
    reference = rng.poisson(history * rates).astype(np.float32)
    return rng.poisson(rates * factors).astype(np.float32), reference


def dip(depth: float = 1.0) -> np.ndarray:
    x = np.arange(WIDTH)
    return np.tile(depth * np.exp(-(((x - 20) / 6) ** 2)), (3, 1)).astype(np.float32)


@pytest.mark.parametrize("name", ["DT/W-2/MB1/S04", "HCAL/D1"])
def test_the_places_that_strike_are_found_and_compared_as_if_all_were(name):
    shape = (12, 57) if name.startswith("DT") else (64, 72)
    places = places_of(geometry_like(name, (shape[1],) * shape[0], shape[1]))
    counts, reference = draw(places, 15, 8)
    stray = np.full(8, 0.01**2, dtype=np.float32)
    checked = 0
    for sums in summed_up(counts, reference, places, None):
        if not isinstance(sums, Sums) or sums.rest:
            continue
        whole = sums.compared()
        chosen, observed, expected, variance = sums.striking(stray, np.ones_like(stray), 4.0)
        for found, wanted in ((observed, whole.observed), (expected, whole.expected)):
            assert found == pytest.approx(wanted.ravel()[chosen], rel=1e-3)
        assert variance == pytest.approx(whole.variance.ravel()[chosen], rel=1e-3)
        pull = (whole.observed - whole.expected) ** 2
        limit = whole.expected * (whole.variance + whole.expected * stray[0])
        far = (pull / np.maximum(limit, 1e-9)).ravel()
        assert (far[chosen] > 3).all()
        # Beside large places "the whole map" and "its rest" are not the same; what is far out is in both.
        assert set(np.flatnonzero(far > 6)) <= set(chosen.tolist())
        checked += len(chosen)
    assert checked > 100


def test_a_place_without_edges_pulls_by_its_loss_and_varies_as_it_says():
    smooth = compile_places((3, WIDTH), [Units("dip", ("dip",), dip()[None])])
    ((_, normal),) = comparisons(*draw(smooth, 30, 900), smooth)
    pull = (normal.observed - normal.expected) / normal.expected
    assert pull.mean() == pytest.approx(0, abs=0.005)
    assert (pull**2).mean() == pytest.approx((normal.variance / normal.expected).mean(), rel=0.15)
    ((_, lossy),) = comparisons(*draw(smooth, 30, 900, factors=1 - dip(0.2)), smooth)
    assert ((lossy.observed - lossy.expected) / lossy.expected).mean() == pytest.approx(-0.2, rel=0.1)


def test_a_smooth_loss_is_seen_further_out_without_edges_than_with():
    """By the square of what the two shapes have in common."""
    smooth = compile_places((3, WIDTH), [Units("dip", ("dip",), dip()[None])])
    edged = compile_places((3, WIDTH), [Units("box", ("box",), (dip() > 0.5)[None])])
    far = []
    for places in (edged, smooth):
        ((_, found),) = comparisons(*draw(places, 30, 500, factors=1 - dip(0.2)), places)
        far.append(((found.observed - found.expected) / np.sqrt(found.expected * found.variance)).mean())
    assert far[1] < 1.03 * far[0] < 0


def test_without_edges_a_profile_stands_in_for_a_history_and_gives_way_to_it():
    smooth = compile_places((3, WIDTH), [Units("dip", ("dip",), dip()[None])])
    counts, reference = draw(smooth, 30, 400)
    rates = (reference / 20 * (1 + dip(0.1))).astype(np.float32)  # the profile is wrong by a tenth
    error = np.full((400, 1), 0.1, dtype=np.float32)
    off = []
    for history in (0 * reference, reference, 100 * reference):
        ((_, found),) = comparisons(counts, history, smooth, Profile(rates, error))
        off.append((found.observed / found.expected - 1).mean())
        assert found.observed.min() > 0
        assert np.isfinite(found.variance).all()
    assert off[0] == pytest.approx(-0.1, abs=0.03)
    assert off[0] < off[1] < off[2] + 1e-6
    assert off[2] == pytest.approx(0, abs=0.01)
