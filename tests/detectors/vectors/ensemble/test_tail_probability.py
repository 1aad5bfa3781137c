from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from anomalyd.detectors.vectors.ensemble.memory import CHANNEL_COUNT, Batch, Layout
from anomalyd.detectors.vectors.ensemble.tail_probability import EACH_S, KEPT, Rarity, Trained, samples_of
from anomalyd.detectors.vectors.ensemble.tail_probability import follow as follow_all

DAY = 86_400.0


def shown(
    seed: int, count: int = 4000, channels: int = CHANNEL_COUNT
) -> np.ndarray[tuple[int, int], np.dtype[np.float16]]:
    return np.random.default_rng(seed).normal(size=(count, channels)).astype(np.float16)


def after_training(past: np.ndarray, until: float) -> Batch:
    """What is remembered of an entity before its first row."""
    batch, rarity = Layout(1, 1).blank(), Rarity.measure(past)
    batch.steps[0], batch.tail[0] = rarity.steps.numpy(), rarity.tail.numpy()
    batch.rarity_day[0] = until // DAY
    return batch


def follow(
    times: np.ndarray, values: torch.Tensor, past: np.ndarray, until: float, memory: Batch
) -> torch.Tensor:
    return follow_all(times[None], values[None], Trained([past], np.array([until])), memory)[0]


def test_a_value_is_as_rare_as_the_share_that_lay_above_it() -> None:
    rarity = Rarity.measure(shown(1, channels=2))
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
    rising = torch.tensor(sorted(values))[:, None].repeat(1, CHANNEL_COUNT)
    assert (torch.diff(Rarity.measure(shown(3)).nats(rising), dim=0) >= 0).all()


def test_a_gradient_comes_through_inside_and_beyond_the_data() -> None:
    values = torch.tensor([[0.3, 9.0]], requires_grad=True)
    torch.autograd.backward(Rarity.measure(shown(4, channels=2)).nats(values).sum())
    assert values.grad is not None
    assert (values.grad > 0).all()


@settings(deadline=None)
@given(st.lists(st.integers(1, 300), min_size=1, max_size=6))
def test_it_does_not_matter_where_a_stream_is_cut(lengths: list[int]) -> None:
    past, count = shown(5, 700), sum(lengths)
    times = 10 * DAY + 4000.0 + np.arange(count) * 700.0
    drawn = np.random.default_rng(6).normal(size=(count, CHANNEL_COUNT)).astype(np.float32)
    values = torch.from_numpy(drawn)
    after, memory = after_training(past, 10 * DAY), after_training(past, 10 * DAY)
    whole = follow(times, values, past, 10 * DAY, after)
    found, at = [], 0
    for length in lengths:
        part = slice(at, at + length)
        found.append(follow(times[part], values[part], past, 10 * DAY, memory))
        at += length
    torch.testing.assert_close(torch.cat(found), whole)
    for name in ("steps", "tail", "rarity_day", "half_hour"):
        np.testing.assert_array_equal(getattr(memory, name), getattr(after, name))
    np.testing.assert_array_equal(memory.shown[0], after.shown[0])


def test_what_lasts_for_weeks_is_rare_no_longer_but_not_what_is_not_learnt_from() -> None:
    past, times = shown(7, 1000), 20 * DAY + np.arange(1, 30 * 48) * EACH_S
    high = torch.full((len(times), CHANNEL_COUNT), 4.0)
    state = after_training(past, 20 * DAY)
    state.broken[:] = True
    learnt = follow(times, high, past, 20 * DAY, after_training(past, 20 * DAY))
    kept = follow(times, high, past, 20 * DAY, state)
    assert float(learnt[-1, 0]) < 3.6 < 6.0 < float(learnt[0, 0])
    assert float(kept[-1, 0]) == float(kept[0, 0])
    assert not len(state.shown[0])


def test_training_rows_are_not_taken_twice_and_the_oldest_are_forgotten() -> None:
    times = np.arange(90 * 48) * EACH_S
    values = np.random.default_rng(8).normal(size=(len(times), CHANNEL_COUNT)).astype(np.float32)
    past = samples_of(times, values)
    np.testing.assert_array_equal(past, values[-KEPT:].astype(np.float16))
    state = after_training(past, float(times[-1]))
    follow(times, torch.from_numpy(values), past, float(times[-1]), state)
    assert not len(state.shown[0])


def test_short_training_keeps_more_than_a_value_of_each_half_hour() -> None:
    times = np.arange(500) * 60.0
    assert len(samples_of(times, np.zeros((500, 3)))) == 500
