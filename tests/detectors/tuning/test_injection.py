"""Injected anomalies: where the labels say, of the size they say, and nowhere else."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from anomalyd.detectors.tuning.injection import KINDS, LEAST_ROWS, inject
from anomalyd.errors import TrainingError

SIGMA = np.array([1.0, 1e6, 1e-3, 5.0, 1.0, 0.0, np.nan, 2.0])


def rows(count: int, seed: int = 0) -> NDArray[np.float32]:
    values = np.random.default_rng(seed).normal(size=(count, len(SIGMA))) * np.nan_to_num(SIGMA)
    values[:, 6] = np.nan
    return values.astype(np.float32)


@given(st.integers(LEAST_ROWS, 1500), st.integers(0, 2**32))
def test_rows_are_changed_where_it_is_said_and_only_there(count: int, seed: int) -> None:
    values = rows(count)
    found = inject(values, SIGMA, seed)
    normal = found.kind == -1
    np.testing.assert_array_equal(found.values[normal], values[normal])
    assert set(np.unique(found.kind)) == {-1, *range(len(KINDS))}  # every kind occurs
    assert 0.0 < (~normal).mean() < 0.5
    np.testing.assert_array_equal(found.values[:, 5:7], values[:, 5:7])  # what never moves is left alone
    # Two events do not touch: between different kinds there are normal rows.
    edges = np.flatnonzero(np.diff(found.kind))
    assert all(-1 in (found.kind[e], found.kind[e + 1]) for e in edges)


def test_the_same_seed_gives_the_same() -> None:
    one, again, other = (inject(rows(800), SIGMA, seed) for seed in (1, 1, 2))
    np.testing.assert_array_equal(one.values, again.values)
    assert not np.array_equal(one.kind, other.kind)


def test_each_kind_is_of_its_size() -> None:
    values = rows(20_000)
    found = inject(values, SIGMA, 3)
    usual = np.nan_to_num(SIGMA)
    moved = np.nan_to_num((found.values.astype(float) - values) / np.where(usual > 0, usual, 1.0))
    names = list(KINDS)

    def of(kind: str) -> NDArray[np.float64]:
        return moved[found.kind == names.index(kind)]

    assert set(np.round(np.abs(of("spike")), 2).ravel()) == {0.0, 8.0}
    assert set(np.round(np.abs(of("shift")), 2).ravel()) == {0.0, 3.0}
    noise = of("turbulence")
    assert noise[noise != 0].std() == pytest.approx(2.0, rel=0.05)
    stuck = np.flatnonzero(found.kind == names.index("stuck"))
    runs = np.split(stuck, np.flatnonzero(np.diff(stuck) > 1) + 1)
    for run in runs:
        still = (np.diff(found.values[run], axis=0) == 0).all(axis=0)
        assert 2 <= still[[0, 1, 2, 3, 4, 7]].sum() <= 6


def test_where_it_cannot_be_done_it_is_said() -> None:
    with pytest.raises(TrainingError, match="at least 100 are needed"):
        inject(rows(99), SIGMA, 0)
    with pytest.raises(TrainingError, match="no metric moves"):
        inject(rows(200), np.array([0.0] * 7 + [np.nan]), 0)
