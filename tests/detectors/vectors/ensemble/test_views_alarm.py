from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pytest
from numpy.typing import NDArray

from anomalyd.detectors.vectors.ensemble.alarm import views_alarm
from anomalyd.detectors.vectors.ensemble.alarm.sustained_activity import Spans
from anomalyd.detectors.vectors.ensemble.alarm.views_alarm import Heights, Shown
from anomalyd.detectors.vectors.ensemble.memory import Layout, Memory

HEIGHTS = Heights(agree=2.0, hold=0.85, stir=6.0, lasting=True, accept_s=43_200.0)
MINUTE = 60.0
DAYS = 3 * 86_400.0
BULK = np.array([[0.2, 0.4], [0.0, 0.2], [0.0, 0.2], [0.0, 0.2], [0.0, 0.2]])

LAYOUT = Layout(1, 60)
SPANS = Spans.of(np.array([MINUTE]))

Floats = NDArray[np.float64]


def start() -> Memory:
    """An entity of which nothing was seen since training."""
    batch = LAYOUT.blank()
    batch.bulk[0] = BULK
    return LAYOUT.part(batch, [{}])[0]


def told(state: Memory, *, broken: bool, since: float) -> Memory:
    batch = LAYOUT.join([state])
    views_alarm.apply_feedback(batch, 0, broken=broken, since=since)
    return LAYOUT.part(batch, [{}])[0]


def usual(count: int, seed: int = 0) -> Floats:
    return np.random.default_rng(seed).exponential(0.3, size=count)


def noise(count: int, seed: int = 5) -> Floats:
    return np.random.default_rng(seed).normal(0.0, 0.3, size=(count, 4))


@dataclass(frozen=True)
class Stream:
    """Rows of one entity, and how they come to an alarm."""

    agreement: Floats
    commotion: Floats
    jolts: Floats
    begin: float

    @classmethod
    def of(
        cls,
        agreement: Floats,
        commotion: Floats | None = None,
        jolts: Floats | None = None,
        begin: float = 0.0,
    ) -> Stream:
        n = len(agreement)
        return cls(
            agreement,
            noise(n) if commotion is None else commotion,
            np.full(n, -np.inf) if jolts is None else jolts,
            begin,
        )


def follow_all(
    streams: Sequence[Stream], states: Sequence[Memory], heights: Heights = HEIGHTS
) -> tuple[Floats, list[list[int]], list[Memory]]:
    """Follow streams of one length together."""
    n = len(streams[0].agreement)
    shown = Shown(
        np.stack([each.agreement for each in streams]),
        np.stack([each.commotion for each in streams]),
        np.stack([each.jolts for each in streams]),
        np.zeros((len(streams), n), dtype=bool),
    )
    times = np.stack([each.begin + np.arange(n) * MINUTE for each in streams])
    batch = LAYOUT.join(states)
    spans = Spans.of(np.full(len(streams), MINUTE))
    gone = views_alarm.follow(times, shown, batch, [heights] * len(streams), spans)
    return gone.over, gone.accepted, LAYOUT.part(batch, [{}] * len(streams))


def follow(
    agreement: Floats,
    state: Memory | None = None,
    *,
    commotion: Floats | None = None,
    jolts: Floats | None = None,
    heights: Heights = HEIGHTS,
    begin: float = 0.0,
) -> tuple[Floats, list[int], Memory]:
    stream = Stream.of(agreement, commotion, jolts, begin)
    (over,), (accepted,), (after,) = follow_all([stream], [state or start()], heights)
    return over, accepted, after


def test_the_views_are_quiet_once_their_quick_mean_was_low_for_ten_rows() -> None:
    quick = np.where(np.arange(40) == 20, 1.6, 1.4)[None]
    found = views_alarm.is_quiet(quick, LAYOUT.blank())[0]
    assert found[:20].all()
    assert not found[20:30].any()
    assert found[30:].all()


def test_quiet_rows_do_not_depend_on_how_a_stream_is_cut() -> None:
    quick = np.random.default_rng(1).exponential(0.5, size=(1, 200))
    memory = LAYOUT.blank()
    whole = views_alarm.is_quiet(quick, LAYOUT.blank())
    cuts = ((0, 3), (3, 4), (4, 150), (150, 200))
    found = [views_alarm.is_quiet(quick[:, begin:end], memory) for begin, end in cuts]
    np.testing.assert_array_equal(np.concatenate(found, axis=1), whole)
    assert 0 < whole.mean() < 1


def test_where_views_agree_an_alarm_begins_at_its_height_and_stays_on_a_little_below() -> None:
    _, _, state = follow(usual(3 * 1440))
    end = views_alarm.end_of(state["bulk"][0])
    over, _, _ = follow(end + np.array([1.9, 2.1, 1.9, 1.3, 1.0, 1.9]), state, begin=DAYS)
    assert (over > 0.0).tolist() == [False, True, True, True, False, False]
    assert over[1] > over[2] > over[3] > 0.0 > over[5] > over[4]


def spread(
    state: Memory, spreads: list[float], *, restless: float = 0.0, displaced: float = 0.0, unrest: float = 0.0
) -> Floats:
    """Give commotion of so many spreads, and what keeps it of so many all along."""
    # What is kept of the days before is measured anew when the stream goes on.
    median, upper = np.quantile(state["week"][:, 1:], (0.5, 0.75), axis=0)
    keeping = np.tile([restless, displaced, unrest], (len(spreads), 1))
    return np.asarray(median + np.column_stack([spreads, keeping]) * (upper - median))


def test_commotion_begins_an_alarm_which_ends_with_it() -> None:
    _, _, state = follow(usual(3 * 1440))
    course = [5.9, 6.1, 5.5, 5.1, 4.9, 5.5]
    over, _, _ = follow(usual(6), state, commotion=spread(state, course), begin=DAYS)
    assert (over > 0.0).tolist() == [False, True, True, False, False, False]


@pytest.mark.parametrize("how", [{"restless": 3.0}, {"displaced": 12.0}, {"unrest": 8.0}])
def test_commotion_lasts_while_the_hour_is_restless_or_metrics_are_displaced_or_leap(
    how: dict[str, float],
) -> None:
    _, _, state = follow(usual(3 * 1440))
    course = [1.0] * 120 + [7.0] + [1.0] * 120
    seen = spread(state, course, **how)
    over, _, _ = follow(usual(241), state, commotion=seen, begin=DAYS)
    assert not (over[:120] > 0.0).any(), "it does not begin by what keeps it"
    assert (over[120:] > 0.0).all()
    short = Heights(agree=2.0, hold=0.85, stir=6.0, lasting=False, accept_s=43_200.0)
    over, _, _ = follow(usual(241), state, commotion=seen, heights=short, begin=DAYS)
    assert np.flatnonzero(over > 0.0).tolist() == [120]


def test_told_broken_it_ends_an_hour_after_it_would_have_ended_by_itself() -> None:
    _, _, state = follow(usual(3 * 1440))
    end = views_alarm.end_of(state["bulk"][0])
    _, _, state = follow(np.full(60, end + 4.0), state, begin=DAYS)
    state = told(state, broken=True, since=DAYS)
    assert state["broken"]
    # Restless, and above the bulk, but no alarm would stay on for it.
    after = np.concatenate([np.full(30, end + 3.0), np.full(200, end + 1.0)])
    over, accepted, after_it = follow(after, state, begin=DAYS + 3600.0)
    assert (over[: 30 + 60] > 0.0).all()
    assert not (over[30 + 61 :] > 0.0).any()
    assert not accepted
    assert not after_it["broken"]


@pytest.mark.parametrize("by", ["agreement", "commotion"])
def test_what_lasts_becomes_normal_and_then_rules_the_bulk(by: str) -> None:
    _, _, state = follow(usual(3 * 1440))
    many = 2 * 1440
    high = usual(many, 3) + (views_alarm.end_of(state["bulk"][0]) + 4.0 if by == "agreement" else 0.0)
    seen = noise(many, 6)
    if by == "commotion":
        seen[:, 0] += 12.0 * (state["bulk"][1, 1] - state["bulk"][1, 0])
    over, accepted, after = follow(high, state, commotion=seen, begin=DAYS)
    assert accepted == [720]
    assert (over[:720] > 0.0).mean() > 0.97
    assert np.mean(over[721:] > 0.0) < 0.03
    row = 0 if by == "agreement" else 1
    assert after["bulk"][row, 1] > state["bulk"][row, 1] + 2.0


def test_told_normal_it_is_quiet_at_once() -> None:
    _, _, state = follow(usual(3 * 1440))
    end = views_alarm.end_of(state["bulk"][0])
    high = end + 4.0 + usual(1440, 3)
    over, _, state = follow(high[:180], state, begin=DAYS)
    assert (over > 0.0).all()
    over, accepted, _ = follow(high[180:], told(state, broken=False, since=DAYS), begin=DAYS + 10_800.0)
    assert np.mean(over > 0.0) < 0.03
    assert not accepted


def test_an_earlier_alarm_is_not_part_of_what_is_accepted() -> None:
    _, _, state = follow(usual(3 * 1440))
    end = views_alarm.end_of(state["bulk"][0])
    wave = np.concatenate([np.full(240, end + 9.0), usual(240, 4), np.full(10, end + 4.0)])
    _, _, state = follow(wave, state, begin=DAYS)
    after = told(state, broken=False, since=DAYS + 480 * MINUTE)
    # One row in ten minutes of the newest alarm, and twice as many before it.
    assert len(after["week"]) == 3
    assert views_alarm.end_of(after["bulk"][0]) < end + 8.0


def test_a_jolt_is_an_alarm_of_one_row_and_says_how_far_it_leapt() -> None:
    jolts = np.array([-1.0, 0.5, -0.1, 9.0])
    over, _, _ = follow(usual(4), jolts=jolts)
    assert (over > 0.0).tolist() == [False, True, False, True]
    assert over[1] == pytest.approx(0.5, abs=1e-5)
    assert over[3] == pytest.approx(views_alarm.LARGEST_JOLT, abs=1e-5)


def test_alarms_do_not_depend_on_how_a_stream_is_cut() -> None:
    n = 4 * 1440
    high = usual(n, 7)
    high[3000:4200] += 6.0
    seen = noise(n, 8)
    seen[5000:5300] += 4.0
    whole, accepted, last = follow(high, commotion=seen)
    assert accepted
    assert (whole > 0.0).sum() > 900
    state: Memory | None = None
    found = []
    for begin, end in ((0, 1), (1, 700), (700, 3400), (3400, 3401), (3401, 3725), (3725, n)):
        part, _, state = follow(high[begin:end], state, commotion=seen[begin:end], begin=begin * MINUTE)
        found.append(part)
    np.testing.assert_allclose(np.concatenate(found), whole, rtol=0, atol=1e-6)
    assert state is not None
    np.testing.assert_array_equal(state["week_of"], last["week_of"])


@pytest.mark.parametrize("broken", [False, True])
def test_a_row_at_a_time_is_as_all_of_them(broken: bool) -> None:
    _, _, state = follow(usual(3 * 1440))
    state = told(state, broken=True, since=DAYS) if broken else state
    n = 1000
    high, seen = usual(n, 3), noise(n, 6)
    high[50:900] += views_alarm.end_of(state["bulk"][0]) + 4.0
    seen[20:40, 0] += 12.0 * (state["bulk"][1, 1] - state["bulk"][1, 0])
    whole, accepted, after = follow(high, state, commotion=seen, begin=DAYS)
    assert bool(accepted) != broken
    found = []
    for k in range(n):
        part, taken, state = follow(
            high[k : k + 1], state, commotion=seen[k : k + 1], begin=DAYS + k * MINUTE
        )
        assert bool(taken) == (k in accepted)
        found.append(part)
    np.testing.assert_allclose(np.concatenate(found), whole, rtol=0, atol=1e-9)
    assert whole.max() > 1.0
    for name in after:
        np.testing.assert_array_equal(state[name], after[name], err_msg=name)


def test_streams_go_together_as_each_by_itself() -> None:
    n = 3 * 1440
    streams = []
    for seed in range(4):
        high, seen = usual(n, seed), noise(n, 10 + seed)
        high[1000 * seed : 1000 * seed + 900] += 6.0
        seen[2000:2200] += 2.0 * seed
        streams.append(Stream.of(high, seen, begin=seed * 7000.0))
    together, accepted, states = follow_all(streams, [start() for _ in streams])
    assert any(accepted)
    for stream, over, rows, state in zip(streams, together, accepted, states, strict=True):
        (own,), (own_rows,), (own_state,) = follow_all([stream], [start()])
        np.testing.assert_allclose(over, own, rtol=0, atol=1e-9)
        assert rows == own_rows
        for name, array in own_state.items():
            np.testing.assert_array_equal(state[name], array, err_msg=name)
