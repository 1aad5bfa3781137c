"""What rows are compared with: medians without gaps, and no difference in how a stream is cut."""

from __future__ import annotations

import itertools
import warnings

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from anomalyd.detectors.vectors.ensemble.memory import Layout, Memory
from anomalyd.detectors.vectors.ensemble.reference_windows import SLOT_S, Surroundings, compare_anew
from anomalyd.detectors.vectors.ensemble.reference_windows import look_around as look_around_all
from anomalyd.detectors.vectors.gaps import mean, median

COMPARED = ("mean5", "mean10", "median15", "hours6", "day", "profile")


def look_around(
    times: np.ndarray, rows: np.ndarray, memory: Memory | None = None
) -> tuple[Surroundings, Memory]:
    """Look around rows (n, F) of one entity, and what is remembered then."""
    layout = Layout(rows.shape[1], 1)
    batch = layout.blank() if memory is None else layout.join([memory])
    found = look_around_all(times[None], rows[None], batch)
    one = {name: getattr(found, name)[0] for name in Surroundings.__slots__}
    return Surroundings(**one), layout.part(batch, [{}])[0]


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
    whole, last = look_around(times, rows)
    state: Memory | None = None
    parts = []
    edges = sorted({0, *(c for c in cuts if c < len(times)), len(times)})
    for begin, end in itertools.pairwise(edges):
        part, state = look_around(times[begin:end], rows[begin:end], state)
        parts.append(part)
    assert state is not None
    for name in COMPARED:
        joined = np.concatenate([getattr(part, name) for part in parts])
        np.testing.assert_array_equal(joined, getattr(whole, name), err_msg=name)
    for name, array in last.items():
        np.testing.assert_allclose(state[name], array, rtol=1e-9, err_msg=name)


def test_a_row_is_compared_with_the_day_before_it() -> None:
    hours = np.arange(48)
    rows = (hours % 24).astype(np.float32)[:, None]
    around, _ = look_around(hours * 3600.0, rows)
    assert around.day[-1, 0] == np.median(rows[23:47])
    assert around.hours6[-1, 0] == np.median(rows[41:47])
    assert around.profile[-1, 0] == rows[23, 0]


def test_of_more_than_a_week_ago_nothing_is_left() -> None:
    layout = Layout(1, 1)
    _, before = look_around(np.arange(200) * SLOT_S, np.zeros((200, 1), dtype=np.float32))
    batch = layout.join([before])
    batch.recent[:] = np.nan
    (forgotten,) = layout.part(batch, [{}])
    later, _ = look_around(np.array([900 * SLOT_S]), np.ones((1, 1), dtype=np.float32), forgotten)
    assert later.day[0, 0] == 1.0
    assert later.profile[0, 0] == 1.0


def test_what_is_broken_is_not_learnt() -> None:
    times, layout = np.arange(100) * SLOT_S, Layout(1, 1)
    _, before = look_around(times, np.zeros((100, 1), dtype=np.float32))
    batch = layout.join([before])
    batch.broken[:] = True
    (broken,) = layout.part(batch, [{}])
    fault, state = look_around(times + 100 * SLOT_S, np.full((100, 1), 9.0, dtype=np.float32), broken)
    assert fault.day[50, 0] == 0.0
    assert np.nanmax(state["slots"].astype(np.float32)) == 0.0


@settings(max_examples=20, deadline=None)
@given(
    st.lists(
        st.lists(st.sampled_from([60.0, 300.0, 3600.0, 90_000.0]), min_size=6, max_size=6),
        min_size=1,
        max_size=4,
    ),
    st.integers(0, 1000),
)
def test_it_does_not_matter_whose_rows_are_looked_at_together(gaps: list[list[float]], seed: int) -> None:
    layout, draw = Layout(3, 1), np.random.default_rng(seed)
    times = 1.7e9 + np.cumsum(gaps, axis=1)
    rows = draw.normal(0.0, 10.0, (*times.shape, 3)).astype(np.float32)
    rows[draw.random(rows.shape) < 0.1] = np.nan
    (nothing,) = layout.part(layout.blank(), [{}])
    batch = layout.join([nothing] * len(times))
    parts = [look_around_all(times[:, part], rows[:, part], batch) for part in (slice(0, 1), slice(1, 6))]
    for b, state in enumerate(layout.part(batch, [{}] * len(times))):
        alone, after = look_around(times[b], rows[b])
        for name in COMPARED:
            joined = np.concatenate([getattr(part, name)[b] for part in parts])
            np.testing.assert_allclose(joined, getattr(alone, name), rtol=1e-5, atol=1e-5, err_msg=name)
        for name, array in after.items():
            np.testing.assert_allclose(state[name], array, rtol=1e-9, err_msg=name)
    # What a row is compared with follows from the quarter hours alone.
    measured = [getattr(batch, name).copy() for name in ("hours6", "day", "profile")]
    compare_anew(batch, np.arange(len(times)))
    for name, wanted in zip(("hours6", "day", "profile"), measured, strict=True):
        np.testing.assert_array_equal(getattr(batch, name), wanted, err_msg=name)
