from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from anomalyd.detectors.vectors.ensemble.alarm import spikes
from anomalyd.detectors.vectors.ensemble.feature_extraction import follow as follow_rows
from anomalyd.detectors.vectors.ensemble.memory import Batch, Layout

Floats = NDArray[np.float64]
MINUTE = 60.0


def follow(leaps: Floats, share: float, memory: Batch | None = None, begin: int = 0) -> tuple[Floats, Batch]:
    memory = memory or Layout(1, 1).blank()
    (over,) = spikes.follow((begin + np.arange(len(leaps)))[None] * MINUTE, leaps[None], memory, share)
    return over, memory


@pytest.mark.parametrize("share", [0.01, 0.0015, 0.0003])
def test_jolts_are_as_rare_as_was_asked_for(share: float) -> None:
    leaps = np.log(np.random.default_rng(2).pareto(3.0, size=100_000))
    over, _ = follow(leaps, share)
    assert np.mean(over[7 * 1440 :] > 0.0) == pytest.approx(share, rel=0.35)


def test_a_storm_of_leaps_is_forgotten_after_a_week() -> None:
    leaps = np.log(np.random.default_rng(3).pareto(3.0, size=20 * 1440))
    leaps[8 * 1440 : 8 * 1440 + 300] += 4.0
    over, _ = follow(leaps, 0.0015)
    assert (over[8 * 1440 : 8 * 1440 + 300] > 0.0).mean() > 0.3, "nothing of the storm is known at first"
    assert (over[9 * 1440 : 14 * 1440] > 0.0).mean() < 0.0005
    assert (over[16 * 1440 :] > 0.0).mean() == pytest.approx(0.0015, rel=0.6)


def test_nothing_is_a_jolt_before_anything_is_known() -> None:
    over, _ = follow(np.full(400, 50.0), 0.5)
    assert (over == -np.inf).all()


@settings(max_examples=30, deadline=None)
@given(st.lists(st.integers(1, 4000), min_size=1, max_size=5))
def test_jolts_do_not_depend_on_how_a_stream_is_cut(pieces: list[int]) -> None:
    leaps = np.random.default_rng(4).exponential(size=5000)
    whole, last = follow(leaps, 0.002)
    state: Batch | None = None
    found, begin = [], 0
    for piece in [*pieces, len(leaps)]:
        part, state = follow(leaps[begin : begin + piece], 0.002, state, begin)
        found.append(part)
        begin += piece
        if begin >= len(leaps):
            break
    np.testing.assert_array_equal(np.concatenate(found), whole)
    assert state is not None
    np.testing.assert_array_equal(state.leaps, last.leaps)


def test_one_metric_that_leaps_far_counts_as_do_many_that_leap_a_little() -> None:
    chance = np.random.default_rng(5)
    rows = chance.normal(0.0, 0.5, size=(2000, 20)).astype(np.float32)
    rows[1000, 3] += 80.0
    rows[1500] += np.where(np.arange(20) % 2, 4.0, -4.0)
    rows[1700, 7] = np.nan
    clip = np.full(20, 10.0, dtype=np.float32)
    followed = follow_rows(np.arange(2000)[None] * 60.0, rows[None], Layout(20, 1).blank(), clip[None])
    own = np.full((1, 20), 1.5, dtype=np.float32)
    (leaps,) = spikes.leaps_of(followed, clip[None], own, np.zeros_like(own))
    assert np.isfinite(leaps).all()
    # The leap, and the one back.
    assert set(np.argsort(leaps)[-4:]) == {1000, 1001, 1500, 1501}
    assert np.abs(leaps[1700:1702] - np.median(leaps)).max() < 1.0


def test_a_switch_leaps_only_beyond_the_two_values_of_training() -> None:
    rows = np.zeros((300, 3), dtype=np.float32)
    rows[100:150, 0], rows[:, 2] = 4.0, np.arange(300) % 3
    rows[:50, 0] = np.nan
    flip = spikes.flips_of(rows)
    np.testing.assert_array_equal(flip, [4.0, 0.0, 0.0])
    # It flips at 200 and back at 210; at 250 it takes a value that it never had.
    seen = np.zeros((300, 3), dtype=np.float32)
    seen[200:210, 0], seen[250:, 0] = 4.0, 12.0
    clip, own = np.full((1, 3), 10.0, dtype=np.float32), np.ones((1, 3), dtype=np.float32)
    times = np.arange(300)[None] * 60.0

    def leaps(flips: np.ndarray) -> np.ndarray:
        return spikes.leaps_of(
            follow_rows(times, seen[None], Layout(3, 1).blank(), clip), clip, own, flips[None]
        )[0]

    plain, switched = leaps(np.zeros_like(flip)), leaps(flip)
    assert (plain[[200, 210, 250]] > plain[199]).all()
    assert (switched[[200, 210]] == switched[199]).all()
    assert switched[250] > switched[199]


def test_a_leap_that_no_view_finds_rare_is_no_jolt() -> None:
    over = spikes.confirmed(np.array([[0.5, 0.5, -1.0]]), np.array([[1.0, 3.0, 3.0]]))
    np.testing.assert_array_equal(over, [[-np.inf, 0.5, -1.0]])


def test_jolts_of_many_entities_are_those_of_each() -> None:
    layout, draw = Layout(1, 1), np.random.default_rng(6)
    times = np.stack([(shift + np.arange(2000)) * MINUTE for shift in (0, 50, 1400)])
    leaps = draw.exponential(size=times.shape)
    batch = layout.join(layout.part(layout.blank(), [{}]) * 3)
    parts = np.split(np.arange(2000), (1, 2, 700, 1999))
    together = np.concatenate([spikes.follow(times[:, p], leaps[:, p], batch, 0.01) for p in parts], axis=1)
    assert np.isfinite(together).any()
    for b in range(3):
        alone = layout.blank()
        np.testing.assert_array_equal(
            spikes.follow(times[b : b + 1], leaps[b : b + 1], alone, 0.01)[0], together[b]
        )
        np.testing.assert_array_equal(alone.leaps[0], batch.leaps[b])
