from __future__ import annotations

import numpy as np
import pytest

from anomalyd.detectors.maps.geometries.known import shipped
from anomalyd.detectors.maps.simulate.limit import places_of_fault
from anomalyd.detectors.maps.simulate.noise import Noise, correlation, draw_counts


@pytest.fixture(scope="module")
def chamber():
    return shipped("dt").elements[0]


def test_the_covariance_is_that_of_the_counts_that_are_drawn(chamber):
    rng = np.random.default_rng(0)
    mean = np.full((600, *chamber.shape), 30.0)
    drawn = draw_counts(mean, chamber, Noise(rows=1.8), rng) - 30.0
    told = correlation(chamber, 1.8).reshape(*chamber.shape, *chamber.shape)
    column = np.arange(5, 40)
    for a, b, apart in ((0, 1, 0), (0, 3, 0), (0, 3, 1), (0, 9, 0), (0, 5, 0)):
        seen = (drawn[:, a, column] * drawn[:, b, column + apart]).mean() / 30
        assert seen == pytest.approx(told[a, column, b, column + apart].mean(), abs=0.03)


def test_what_is_known_of_the_noise_tells_a_fault_better(chamber):
    rng = np.random.default_rng(1)
    recipe = next(f for f in shipped("dt").faults if f.place == "row")
    places = places_of_fault(chamber, recipe, 0.9)
    mean = np.full((60, *chamber.shape), 10.0) * chamber.mask()
    factors, _ = places.draw(rng, len(mean))
    normal, faulty = (draw_counts(m, chamber, Noise(rows=2.6), rng) for m in (mean, mean * factors))
    precision = np.linalg.inv(correlation(chamber, 2.6))

    def apart(known, seen):
        return (seen.mean() - known.mean()) / known.std()

    plain = apart(*(places.log_ratio(m, mean)[0] for m in (normal, faulty)))
    assert apart(*(places.correlated_ratio(m, mean, precision) for m in (normal, faulty))) > plain
