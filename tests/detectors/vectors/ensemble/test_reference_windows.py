"""What rows are compared with: medians without gaps, and no difference in how a stream is cut."""

from __future__ import annotations

import itertools
import warnings

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from anomalyd.detectors.vectors.ensemble.reference_windows import SLOT_S, look_around
from anomalyd.detectors.vectors.gaps import mean, median

COMPARED = ("mean5", "mean10", "median15", "hours6", "day", "profile")

_gappy = arrays(
    np.float32,
    st.tuples(st.integers(1, 4), st.integers(1, 3), st.integers(1, 9)),
    elements=st.one_of(st.floats(-1e3, 1e3, width=32), st.just(float("nan"))),
)


@given(_gappy)
def test_median_and_mean_are_those_of_numpy(values: np.ndarray) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        np.testing.assert_allclose(median(values), np.nanmedian(values, axis=-1), rtol=1e-5, atol=1e-5)
        np.testing.assert_allclose(mean(values), np.nanmean(values, axis=-1), rtol=1e-4, atol=1e-3)


@settings(max_examples=25, deadline=None)
@given(
    st.lists(st.sampled_from([60.0, 300.0, 3600.0, 90_000.0, 2_000_000.0]), min_size=2, max_size=60),
    st.lists(st.integers(1, 59), max_size=4),
    st.floats(0.0, 0.8),
    st.integers(0, 1000),
)
def test_it_does_not_matter_where_a_stream_is_cut(
    gaps: list[float], cuts: list[int], missing: float, seed: int
) -> None:
    draw = np.random.default_rng(seed)
    times = 1.7e9 + np.cumsum(gaps)
    rows = draw.normal(0.0, 10.0, (len(times), 3)).astype(np.float32)
    rows[draw.random(rows.shape) < missing] = np.nan
    whole = look_around(times, rows, {})
    state, parts = {}, []
    edges = sorted({0, *(c for c in cuts if c < len(times)), len(times)})
    for begin, end in itertools.pairwise(edges):
        part = look_around(times[begin:end], rows[begin:end], state)
        parts.append(part)
        state = part.state
    for name in COMPARED:
        joined = np.concatenate([getattr(part, name) for part in parts])
        np.testing.assert_array_equal(joined, getattr(whole, name), err_msg=name)
    for name, array in whole.state.items():
        np.testing.assert_allclose(state[name], array, rtol=1e-9, err_msg=name)


def test_a_row_is_compared_with_the_day_before_it() -> None:
    hours = np.arange(48)
    rows = (hours % 24).astype(np.float32)[:, None]
    around = look_around(hours * 3600.0, rows, {})
    assert around.day[-1, 0] == np.median(rows[23:47])
    assert around.hours6[-1, 0] == np.median(rows[41:47])
    assert around.profile[-1, 0] == rows[23, 0]


def test_of_more_than_a_week_ago_nothing_is_left() -> None:
    before = look_around(np.arange(200) * SLOT_S, np.zeros((200, 1), dtype=np.float32), {})
    later = look_around(
        np.array([900 * SLOT_S]),
        np.ones((1, 1), dtype=np.float32),
        {**before.state, "recent": np.full((15, 1), np.nan, np.float32)},
    )
    assert later.day[0, 0] == 1.0
    assert later.profile[0, 0] == 1.0


def test_what_is_broken_is_not_learnt() -> None:
    times = np.arange(100) * SLOT_S
    before = look_around(times, np.zeros((100, 1), dtype=np.float32), {})
    fault = look_around(
        times + 100 * SLOT_S, np.full((100, 1), 9.0, dtype=np.float32), before.state, learn=False
    )
    assert fault.day[50, 0] == 0.0
    assert np.nanmax(fault.state["slots"].astype(np.float32)) == 0.0
