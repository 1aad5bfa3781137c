"""Quarter hours are stored as they are remembered, and rounding twice is rounding once."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from anomalyd.detectors.vectors.ensemble.rounding import PARTS, SLOT_PARTS, rounded, slots_of, steps_of

_values = arrays(
    np.float64,
    st.tuples(st.integers(0, 6), st.integers(1, 3)),
    elements=st.floats(-1e6, 1e6) | st.floats(-3.0, 3.0) | st.just(float("nan")),
)


@given(_values)
def test_what_is_stored_comes_back(values: np.ndarray) -> None:
    slots = rounded(values, SLOT_PARTS)
    back = slots_of(steps_of(slots))
    assert back.dtype == slots.dtype
    np.testing.assert_array_equal(back, slots)


@given(_values, st.sampled_from([SLOT_PARTS, PARTS]))
def test_rounding_again_changes_nothing_and_is_near(values: np.ndarray, parts: float) -> None:
    once = rounded(values, parts)
    np.testing.assert_array_equal(rounded(once, parts), once)
    near = np.abs(values) < 4.0  # beyond, 16 bits are coarser
    assert np.all(np.abs(once[near] - values[near]) <= 0.5 / parts + 1e-9)
    assert not np.signbit(once[once == 0]).any()
