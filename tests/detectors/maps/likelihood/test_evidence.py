from __future__ import annotations

import numpy as np
import pytest

from anomalyd.detectors.maps.geometries.known import geometry_like
from anomalyd.detectors.maps.likelihood.overdispersion import measure_spread
from anomalyd.detectors.maps.likelihood.place_odds import (
    DEAD_SHARE,
    LOSSES,
    Evidence,
    log_odds,
    scan,
)
from anomalyd.detectors.maps.likelihood.reference_test import Profile
from anomalyd.detectors.maps.places.layouts import places_of
from anomalyd.detectors.maps.places.places import Places, Runs, Units, compile_places

WIRES = places_of(geometry_like("DT/W-2/MB1/S04", (57,) * 12, 57))
TOWERS = places_of(geometry_like("ECAL/EB", (72,) * 34, 72))


def draw(places: Places, counts: float, maps: int, seed: int = 0, history: int = 20):
    """Normal maps of as many elements, each with its history; the rates differ by 20 %."""
    rng = np.random.default_rng(seed)
    rates = counts * rng.normal(1, 0.2, (maps, *places.shape)).clip(0.4)
    light = rng.lognormal(0, 0.2, (2, maps, 1, 1))
    reference = rng.poisson(history * rates * light[0])
    return rng.poisson(rates * light[1]).astype(np.float32), reference.astype(np.float32)


def run(places: Places, counts: np.ndarray, reference: np.ndarray, spread: float = 0.003) -> Evidence:
    return scan(counts, reference, places, np.full((len(counts), len(places.names)), spread, np.float32))


@pytest.mark.parametrize("counts", [2, 15, 300])
@pytest.mark.parametrize("places", [WIRES, TOWERS], ids=["chamber", "towers"])
def test_normal_maps_score_high_as_seldom_as_odds_allow_at_every_count_level(places, counts):
    score = run(places, *draw(places, counts, 300)).score
    # The mean of a likelihood ratio is 1, and .5 stand for what is not looked at: Markov's inequality.
    for nats in (1.0, 2.0, 4.0):
        assert (score > nats).mean() <= 1.5 * np.exp(-nats) + 0.01


def test_luminosity_is_no_evidence():
    counts, reference = draw(WIRES, 20, 100)
    rng = np.random.default_rng(1)
    dimmed = rng.binomial(counts.astype(int), 0.3).astype(np.float32)
    assert np.quantile(run(WIRES, dimmed, reference).score, 0.95) < 2


@pytest.mark.parametrize(
    ("rows", "columns", "factor"),
    [
        (slice(3, 4), slice(10, 13), 0),
        (slice(0, 4), slice(20, 40), 0.6),
        (slice(8, 9), slice(0, 57), 0.7),
        (slice(6, 7), slice(5, 7), 4),
    ],
)
def test_a_fault_is_found_where_it_is_and_with_its_sign(rows, columns, factor):
    rng = np.random.default_rng(2)
    counts, reference = draw(WIRES, 15, 20)
    where = np.zeros(WIRES.shape, dtype=bool)
    where[rows, columns] = True
    broken = np.where(where, rng.poisson(counts * factor), counts).astype(np.float32)
    found = run(WIRES, broken, reference)
    assert (found.score > 4).all()
    blamed = np.abs(found.blame) >= 0.5 * np.abs(found.blame).max((1, 2), keepdims=True)
    union = (blamed | where).sum((1, 2))
    assert ((blamed & where).sum((1, 2)) / union).mean() > 0.7
    assert (np.sign(found.blame[:, where].mean(1)) == (1 if factor > 1 else -1)).all()
    assert found.efficiency() == pytest.approx(np.full(20, factor), rel=0.5, abs=0.4)


def test_the_likeliest_place_is_the_broken_one_and_no_place_where_nothing_stands_out():
    counts, reference = draw(TOWERS, 50, 2)
    counts[0, 17:34, 8:12] *= 0.5
    found = run(TOWERS, counts, reference)
    assert TOWERS.cells_of(found.family[0], found.place[0])[17:34, 8:12].all()
    even = np.full((1, *TOWERS.shape), 50, np.float32)
    calm = run(TOWERS, even, 20 * even)
    assert calm.place[0] == -1
    assert np.isnan(calm.efficiency()[0])
    assert not calm.blame.any()


def test_one_dead_wire_is_benign_but_three_in_a_row_are_not_and_a_dead_tower_is_a_fault():
    counts, reference = draw(WIRES, 30, 3)
    counts[1, 5, 20] = 0
    counts[2, 5, 20:23] = 0
    none, one, three = run(WIRES, counts, reference).score
    assert one == pytest.approx(none, abs=1.5)
    assert three > 5
    towers, reference = draw(TOWERS, 30, 1)
    towers[0, 5, 20] = 0
    assert run(TOWERS, towers, reference).score[0] > 5


def test_odds_are_the_binomial_likelihood_ratio():
    a, e, w = (np.array([x], dtype=np.float32) for x in (70, 100, 2000))
    ratios = [f**70 * ((100 + 2000) / (f * 100 + 2000)) ** 2070 for f in LOSSES]
    other = (1 - DEAD_SHARE) * 0.5 / (len(LOSSES) - 1)
    wanted = DEAD_SHARE * ratios[0] + other * sum(ratios[1:])
    assert log_odds(a, e, w)[0] == pytest.approx(np.log(wanted), abs=1e-3)


def test_losses_are_likelier_where_they_are_said_to_be():
    a, e, w = (np.array(x, dtype=np.float32) for x in ([70, 140], [100, 100], [2000, 2000]))
    even, lossy = log_odds(a, e, w), log_odds(a, e, w, 0.8)
    assert lossy[0] - even[0] == pytest.approx(np.log(0.8 / 0.5), abs=1e-3)
    assert lossy[1] - even[1] == pytest.approx(np.log(0.2 / 0.5), abs=1e-3)


def test_the_likeliest_place_takes_the_blame_where_none_stands_out():
    counts, reference = draw(WIRES, 15, 200)
    found = run(WIRES, counts, reference)
    calm = np.flatnonzero((found.score < -0.6) & (found.place >= 0))
    assert len(calm) > 10
    for one in calm:
        cells = WIRES.cells_of(int(found.family[one]), int(found.place[one]))
        assert ((found.blame[one] != 0) == cells).all()
        lost = found.observed[one] < found.expected[one]
        assert (np.sign(found.blame[one][cells]) == (-1 if lost else 1)).all()
        assert np.abs(found.blame[one]).max() < 0.5


def test_odds_of_millions_of_counts_keep_their_digits():
    a, e, w = (np.array([x], dtype=np.float32) for x in (980_000, 1_000_000, 20_000_000))
    f = np.array(LOSSES)[:, None]
    exact = a.astype(float) * np.log(f) + (a + w.astype(float)) * np.log((e + w) / (f * e.astype(float) + w))
    other = np.log((1 - DEAD_SHARE) * 0.5 / (len(LOSSES) - 1))
    assert log_odds(a, e, w)[0] == pytest.approx(exact.max() + other, abs=0.5)


def test_a_shape_that_moves_is_no_fault_where_its_spread_is_known():
    counts, reference = draw(WIRES, 300, 60)
    rng = np.random.default_rng(3)
    slope = 1 + 0.03 * rng.normal(size=(60, 1, 1)) * np.linspace(-1, 1, 57)
    moved = (counts * slope).astype(np.float32)
    plain = run(WIRES, moved, reference).score
    places_spread = measure_spread(moved[:30], reference[:30], WIRES)
    known = scan(moved[30:], reference[30:], WIRES, np.tile(places_spread, (30, 1))).score
    assert np.quantile(plain, 0.8) > 5
    assert np.quantile(known, 0.8) < 1


def test_spread_is_measured_for_each_kind_of_place_and_is_none_for_poisson_counts():
    rows = tuple((r,) for r in range(8))
    sisters = tuple(tuple(s for s in range(4 * (r // 4), 4 * (r // 4) + 4) if s != r) for r in range(8))
    places = compile_places((8, 40), [Runs("layer", rows, (0,)), Runs("layer", rows, (0,), sisters)])
    rng = np.random.default_rng(4)
    rates = np.full((400, 8, 40), 200.0)
    reference = rng.poisson(100 * rates).astype(np.float32)
    assert (measure_spread(rng.poisson(rates).astype(np.float32), reference, places) < 0.005).all()
    # Both halves move against one another: by 4 % against the whole map, by nothing against the sisters.
    rates[:, :4] *= 1 + 0.04 * rng.normal(size=(400, 1, 1))
    whole, against = measure_spread(rng.poisson(rates).astype(np.float32), reference, places)
    assert whole == pytest.approx(0.03, abs=0.015)
    assert against < 0.006


def test_a_profile_stands_in_for_a_history_and_gives_way_to_it():
    unit = np.zeros((1, 6, 20), dtype=bool)
    unit[0, :3, :10] = True
    places = compile_places((6, 20), [Units("unit", ("unit",), unit)])
    rates = np.ones((1, 6, 20), dtype=np.float32)
    counts = (30 * rates).astype(np.float32)
    counts[:, :3, :10] = 18
    profile = Profile(rates, np.full((1, 1), 0.02, dtype=np.float32))

    def odds(reference: np.ndarray) -> float:
        return float(scan(counts, reference, places, np.zeros((1, 1), np.float32), profile).score[0])

    assert odds(0 * rates) > 5
    assert odds(100 * counts) < 0.5 * odds(0 * rates)  # it was always so
    assert odds(3000 * rates) > odds(0 * rates)  # the history knows better


def test_scores_do_not_depend_on_the_company():
    counts, reference = draw(TOWERS, 10, 40)
    together = run(TOWERS, counts, reference)
    alone = run(TOWERS, counts[23:24], reference[23:24])
    assert alone.score[0] == pytest.approx(together.score[23], abs=1e-4)
    np.testing.assert_allclose(alone.blame[0], together.blame[23], atol=1e-4)


def test_nothing_counted_gives_no_evidence_and_no_warning():
    empty = np.zeros((2, *WIRES.shape), dtype=np.float32)
    assert np.isfinite(run(WIRES, empty, empty).score).all()
    assert np.isfinite(run(WIRES, empty, empty + 100).score).all()
    assert np.isfinite(run(WIRES, empty + 100, empty).score).all()
