from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from anomalyd.detectors.vectors import alarm
from anomalyd.detectors.vectors.alarm import Heights

HEIGHTS = Heights(open=2.0, hold=0.85, accept_s=43_200.0, jolts=0.0015)
MINUTE = 60.0


def usual(count: int, seed: int = 0) -> NDArray[np.float64]:
    return np.random.default_rng(seed).exponential(0.3, size=count)


def follow(
    means: NDArray[np.float64],
    state: dict[str, NDArray[Any]] | None = None,
    *,
    jolts: NDArray[np.float64] | None = None,
    heights: Heights = HEIGHTS,
    begin: float = 0.0,
) -> tuple[NDArray[np.float64], list[int], dict[str, NDArray[Any]]]:
    return alarm.follow(
        begin + np.arange(len(means)) * MINUTE,
        means,
        np.zeros(len(means)) if jolts is None else jolts,
        np.zeros(len(means), dtype=bool),
        state or alarm.start(np.array([0.2, 0.4]), 1.0),
        heights,
    )


def test_a_slow_mean_is_believed_while_a_quick_one_was_near_it_of_late() -> None:
    slow = np.full(60, 4.0)
    quick = np.where(np.arange(60) < 10, 4.0, 0.5)
    believed, _ = alarm.believed(slow, quick, None)
    assert believed[:39] == pytest.approx(3.6)
    assert believed[39:] == pytest.approx(0.1)


def test_what_is_believed_does_not_depend_on_how_a_stream_is_cut() -> None:
    chance = np.random.default_rng(1)
    slow, quick = chance.exponential(1.0, size=(2, 200))
    whole, after = alarm.believed(slow, quick, None)
    found, lately = [], None
    for begin, end in ((0, 3), (3, 4), (4, 150), (150, 200)):
        part, lately = alarm.believed(slow[begin:end], quick[begin:end], lately)
        found.append(part)
    np.testing.assert_array_equal(np.concatenate(found), whole)
    assert lately is not None
    np.testing.assert_array_equal(lately, after)


def test_an_alarm_begins_at_its_height_and_stays_on_a_little_below() -> None:
    _, _, state = follow(usual(3 * 1440))
    end = alarm.end_of(state["bulk"])
    course = end + np.array([1.9, 2.1, 1.9, 1.3, 1.0, 1.9])
    raw, _, _ = follow(course, state, begin=3 * 86_400.0)
    assert (raw > HEIGHTS.open).tolist() == [False, True, True, True, False, False]


def test_told_broken_it_ends_an_hour_after_it_would_have_ended_by_itself() -> None:
    _, _, state = follow(usual(3 * 1440))
    end = alarm.end_of(state["bulk"])
    at = 3 * 86_400.0
    _, _, state = follow(np.full(60, end + 4.0), state, begin=at)
    state = alarm.told(state, broken=True, since=at)
    # Restless, and above the bulk, but no alarm would stay on for it.
    after = np.concatenate([np.full(30, end + 3.0), np.full(200, end + 1.0)])
    raw, accepted, _ = follow(after, state, begin=at + 3600.0)
    alerts = raw > HEIGHTS.open
    assert alerts[: 30 + 60].all()
    assert not alerts[30 + 61 :].any()
    assert not accepted


def test_jolts_are_as_rare_as_was_asked_for() -> None:
    chance = np.random.default_rng(2)
    moves = chance.pareto(3.0, size=60_000)
    quiet = np.zeros(len(moves))
    counts = []
    for share in (0.004, 0.0004):
        start = alarm.start(np.array([0.2, 0.4]), float(np.quantile(moves, 1.0 - share)))
        raw, _, _ = follow(quiet, start, jolts=moves, heights=Heights(2.0, 0.85, 43_200.0, share))
        counts.append(int((raw > 2.0).sum()))
    assert counts[0] == pytest.approx(240, rel=0.3)
    assert counts[1] == pytest.approx(24, rel=0.5)


def test_what_lasts_becomes_normal_and_its_sums_then_rule_the_bulk() -> None:
    _, _, state = follow(usual(3 * 1440))
    high = alarm.end_of(state["bulk"]) + 4.0 + usual(1440, 3)
    raw, accepted, after = follow(high, state, begin=3 * 86_400.0)
    assert accepted == [720]
    assert (raw[:720] > HEIGHTS.open).all()
    assert np.mean(raw[721:] > HEIGHTS.open) < 0.02
    assert alarm.end_of(after["bulk"]) > alarm.end_of(state["bulk"])
