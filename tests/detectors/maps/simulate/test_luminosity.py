from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from anomalyd.detectors.maps.simulate.luminosity import isolated_zeros, luminosity

ROWS, COLUMNS = 12, 57


def drawn(light: float, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    profile = np.ones((1, ROWS, COLUMNS), np.float32) * np.linspace(0.7, 1.3, COLUMNS, dtype=np.float32)
    return rng.poisson(light * profile).astype(np.float32), profile, np.ones(profile.shape, bool)


@given(light=st.floats(0.3, 500), seed=st.integers(0, 1000))
def test_luminosity_is_found_within_its_poisson_error(light, seed):
    found = luminosity(*drawn(light, seed), 0.0)[0]
    assert abs(found - light) < 6 * np.sqrt(light / (ROWS * COLUMNS)) + 0.01 * light


@pytest.mark.parametrize("light", [5.0, 50.0])
@pytest.mark.parametrize(
    ("rows", "columns"),
    [
        (slice(0, 4), slice(16, 32)),
        ([0, 1, 2, 3, 8, 9, 10, 11], slice(16, 32)),  # a quarter of the map, both phi superlayers
        (slice(8, 9), slice(None)),
        (slice(0, 4), slice(None)),
    ],
)
def test_a_large_dead_region_does_not_lower_it(light, rows, columns):
    counts, profile, weight = drawn(light)
    counts[:, rows, columns] = 0
    assert luminosity(counts, profile, weight, 0.0)[0] == pytest.approx(light, rel=0.05)


def test_a_hot_wire_does_not_raise_it():
    counts, profile, weight = drawn(50.0)
    counts[:, 3, 7] = 1e6
    assert luminosity(counts, profile, weight, 0.0)[0] == pytest.approx(50, rel=0.03)


def test_cells_without_weight_have_no_say():
    counts, profile, weight = drawn(50.0)
    weight[:, :, :50] = False
    counts[:, :, :50] = 7
    assert luminosity(counts, profile, weight, 0.0)[0] == pytest.approx(50, rel=0.1)
    assert luminosity(counts, profile, np.zeros_like(weight), 0.0)[0] == 0


def test_only_zeros_that_stand_alone_are_isolated():
    counts, profile, usable = drawn(50.0)
    for r, c in [(1, 5), (4, 8), (4, 9), (6, 20), (7, 20), (10, 0)]:
        counts[0, r, c] = 0
    found = isolated_zeros(counts, 50 * profile, usable)
    assert sorted(map(tuple, np.argwhere(found[0]).tolist())) == [(1, 5), (10, 0)]
    assert not isolated_zeros(counts, 0.02 * profile, usable).any()
    usable[0, 4, 9] = False  # what was dead before is no neighbour
    assert isolated_zeros(counts, 50 * profile, usable)[0, 4, 8]
