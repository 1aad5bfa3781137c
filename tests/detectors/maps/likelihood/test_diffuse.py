from __future__ import annotations

import numpy as np
import pytest

from anomalyd.detectors.maps.geometries.known import shipped
from anomalyd.detectors.maps.likelihood.diffuse import diffuse_evidence

EARLIER, MAPS = 20.0, 200


def judged(geometry, mean, rng):
    """Judge Poisson maps of a mean (N, R, C) beside the history of flat ones with 40 counts a cell."""
    mask = geometry.mask()
    flat = np.where(mask, 40.0, 0.0) * np.ones((len(mean), 1, 1))
    reference = rng.poisson(flat * EARLIER).astype(np.float32)
    counts = rng.poisson(mean * mask).astype(np.float32)
    calm, still = np.ones(len(mean), dtype=np.float32), np.full(len(mean), 0.003, dtype=np.float32)
    return diffuse_evidence(counts, reference, geometry, (calm, still), (calm, still))


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
