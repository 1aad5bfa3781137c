from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from anomalyd.detectors.vectors.ensemble.tail_probability import EACH_S, KEPT, Rarity, follow, samples_of

DAY = 86_400.0


def shown(
    seed: int, count: int = 4000, channels: int = 2
) -> np.ndarray[tuple[int, int], np.dtype[np.float16]]:
    return np.random.default_rng(seed).normal(size=(count, channels)).astype(np.float16)


def test_a_value_is_as_rare_as_the_share_that_lay_above_it() -> None:
    rarity = Rarity.measure(shown(1))
    values = torch.tensor([[0.0, 0.0], [1.2816, 1.2816], [-9.0, -9.0]])
    nats = rarity.nats(values)
    assert nats[0].tolist() == pytest.approx([math.log(2.0)] * 2, abs=0.06)
    assert nats[1].tolist() == pytest.approx([math.log(10.0)] * 2, abs=0.15)
    assert nats[2].tolist() == [0.0, 0.0]


def test_beyond_the_data_it_goes_on_rising_at_the_rate_of_the_tail() -> None:
    samples = np.random.default_rng(2).exponential(0.5, size=(20_000, 1)).astype(np.float16)
    nats = Rarity.measure(samples).nats(torch.tensor([[5.0], [10.0]]))
    assert nats[:, 0].tolist() == pytest.approx([10.0, 20.0], rel=0.15)


def test_what_never_moved_is_not_rare_while_it_stands_still() -> None:
    rarity = Rarity.measure(np.full((600, 1), -6.9, dtype=np.float16))
    still = float(np.float16(-6.9))
    assert float(rarity.nats(torch.tensor([[still]]))[0, 0]) == 0.0
    assert math.isfinite(float(rarity.nats(torch.tensor([[3.0]]))[0, 0]))


@settings(deadline=None)
@given(st.lists(st.floats(-8.0, 8.0), min_size=2, max_size=40))
def test_more_is_never_less_rare(values: list[float]) -> None:
    rising = torch.tensor(sorted(values))[:, None].repeat(1, 2)
    assert (torch.diff(Rarity.measure(shown(3)).nats(rising), dim=0) >= 0).all()


def test_a_gradient_comes_through_inside_and_beyond_the_data() -> None:
    values = torch.tensor([[0.3, 9.0]], requires_grad=True)
    torch.autograd.backward(Rarity.measure(shown(4)).nats(values).sum())
    assert values.grad is not None
    assert (values.grad > 0).all()


@settings(deadline=None)
@given(st.lists(st.integers(1, 300), min_size=1, max_size=6))
def test_it_does_not_matter_where_a_stream_is_cut(lengths: list[int]) -> None:
    past = shown(5, 700)
    count, begin = sum(lengths), Rarity.measure(past)
    times = 10 * DAY + 4000.0 + np.arange(count) * 700.0
    values = torch.from_numpy(np.random.default_rng(6).normal(size=(count, 2)).astype(np.float32))
    whole, after = follow(times, values, past, 10 * DAY, begin, {}, learn=True)
    state: dict[str, np.ndarray[tuple[int, ...], np.dtype[np.generic]]] = {}
    found, at = [], 0
    for length in lengths:
        part, state = follow(
            times[at : at + length], values[at : at + length], past, 10 * DAY, begin, state, learn=True
        )
        found.append(part)
        at += length
    torch.testing.assert_close(torch.cat(found), whole)
    for name in after:
        np.testing.assert_array_equal(state[name], after[name])


def test_what_lasts_for_weeks_is_rare_no_longer_but_not_what_is_not_learnt_from() -> None:
    past = shown(7, 1000, 1)
    begin, times = Rarity.measure(past), 20 * DAY + np.arange(1, 30 * 48) * EACH_S
    high = torch.full((len(times), 1), 4.0)
    learnt, _ = follow(times, high, past, 20 * DAY, begin, {}, learn=True)
    kept, state = follow(times, high, past, 20 * DAY, begin, {}, learn=False)
    assert float(learnt[-1, 0]) < 3.6 < 6.0 < float(learnt[0, 0])
    assert float(kept[-1, 0]) == float(kept[0, 0])
    assert not len(state["shown"])


def test_training_rows_are_not_taken_twice_and_the_oldest_are_forgotten() -> None:
    times = np.arange(90 * 48) * EACH_S
    values = np.random.default_rng(8).normal(size=(len(times), 2)).astype(np.float32)
    past = samples_of(times, values)
    np.testing.assert_array_equal(past, values[-KEPT:].astype(np.float16))
    _, state = follow(
        times, torch.from_numpy(values), past, float(times[-1]), Rarity.measure(past), {}, learn=True
    )
    assert not len(state["shown"])


def test_short_training_keeps_more_than_a_value_of_each_half_hour() -> None:
    times = np.arange(500) * 60.0
    assert len(samples_of(times, np.zeros((500, 3)))) == 500
