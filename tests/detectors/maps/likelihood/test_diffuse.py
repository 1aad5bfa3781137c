from __future__ import annotations

import numpy as np
import pytest

from anomalyd.detectors.maps.geometries.known import shipped
from anomalyd.detectors.maps.history.memory import CellScatter
from anomalyd.detectors.maps.likelihood.diffuse import diffuse_evidence

EARLIER, MAPS = 20.0, 200


CALM = CellScatter(0.0, 0.0, 20.0)
"""An element whose cells scattered as Poisson's in twenty maps."""


def judged(geometry, mean, rng, scatter=CALM):
    """Judge Poisson maps of a mean (N, R, C) beside the history of flat ones with 40 counts a cell."""
    mask = geometry.mask()
    flat = np.where(mask, 40.0, 0.0) * np.ones((len(mean), 1, 1))
    reference = rng.poisson(flat * EARLIER).astype(np.float32)
    counts = rng.poisson(mean * mask).astype(np.float32)
    calm, still = np.ones(len(mean), dtype=np.float32), np.full(len(mean), 0.003, dtype=np.float32)
    known = [scatter] * len(mean)
    return diffuse_evidence(counts, reference, geometry, (calm, still), (calm, still), known)


@pytest.fixture(scope="module")
def chamber():
    return shipped("dt").elements[0]


def test_the_odds_of_normal_maps_are_one_in_the_mean_and_hardly_ever_high(chamber):
    found = judged(chamber, np.full((MAPS, *chamber.shape), 40.0), np.random.default_rng(0))
    assert np.exp(found.odds).mean() < 1.5
    assert (found.odds > 4.6).mean() <= 0.01


def faults(chamber):
    rows, columns = chamber.shape
    rng = np.random.default_rng(1)
    wires = np.ones((rows, columns))
    wires.ravel()[rng.choice(np.flatnonzero(chamber.mask()), 10, replace=False)] = 2
    second = np.ones((rows, columns))
    second[4:8, ::2] = 0.85
    wave = np.ones((rows, columns))
    wave[:4] += 0.15 * np.sin(np.arange(columns) / columns * 4 * np.pi)
    exchanged = np.ones((rows, columns))
    exchanged[8:, :16], exchanged[8:, 16:32] = 1.15, 1 / 1.15
    return {"ten wires": wires, "every second": second, "wave": wave, "exchanged": exchanged}


@pytest.mark.parametrize("name", ["ten wires", "every second", "wave", "exchanged"])
def test_what_lies_in_no_one_place_is_found_and_blamed(chamber, name):
    fault = faults(chamber)[name]
    found = judged(chamber, np.full((20, *chamber.shape), 40.0) * fault, np.random.default_rng(2))
    assert np.median(found.odds) > 8
    blamed = np.mean([np.abs(found.cells(k)) for k in range(20)], axis=0)
    assert blamed[(fault != 1) & chamber.mask()].mean() > 1.5 * blamed[(fault == 1) & chamber.mask()].mean()


def test_one_cell_is_no_diffuse_fault(chamber):
    mean = np.full((20, *chamber.shape), 40.0)
    mean[:, 5, 20], mean[:, 9, 7] = 400.0, 0.0
    assert (judged(chamber, mean, np.random.default_rng(3)).odds < 4.6).all()


def test_noise_that_is_wider_everywhere_is_no_fault_where_it_was_seen_before(chamber):
    rng = np.random.default_rng(4)
    # Counts that come in pairs: twice Poisson's variance, where single cells are taken to be calm.
    pairs = 2 * rng.poisson(20 * np.ones((40, *chamber.shape))) * chamber.mask()
    reference = 2 * rng.poisson(np.full(pairs.shape, 20 * EARLIER)) * chamber.mask()
    calm, still = np.ones(len(pairs), dtype=np.float32), np.full(len(pairs), 0.003, dtype=np.float32)

    def odds(scatter):
        counts, known = pairs.astype(np.float32), reference.astype(np.float32)
        noise = (calm, still)
        return diffuse_evidence(counts, known, chamber, noise, noise, [scatter] * len(pairs)).odds

    assert np.median(odds(CALM)) > 20
    seen = CellScatter()
    for value in np.log(2) + rng.normal(0, 0.05, 20):
        seen = seen.after(float(value), 600.0)
    assert odds(seen).max() < 4.6
    assert seen.spread == pytest.approx(0.04, abs=0.03)


def test_a_unit_that_is_a_few_percent_low_stands_out_and_is_blamed(chamber):
    mean = np.full((100, *chamber.shape), 100.0)
    low = mean.copy()
    low[:, 4:8] *= 0.96
    rng = np.random.default_rng(5)
    normal, faulty = judged(chamber, mean, rng), judged(chamber, low, rng)
    assert np.median(faulty.odds) > np.quantile(normal.odds, 0.95)
    assert np.mean([faulty.cells(k)[4:8].mean() for k in range(100)]) < -0.5
