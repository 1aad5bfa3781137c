"""The threshold follows each entity's own scores, within bounds, and unlearns nothing by alerting."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from safetensors.numpy import load, save

from anomalyd.detectors.calibration import Calibration, fit_calibration
from anomalyd.detectors.detector import Series, SeriesWindow, State, TrainingSet
from anomalyd.detectors.false_alarm_target import AlertRate
from anomalyd.detectors.model import Model, Scores
from anomalyd.detectors.threshold import apply_feedback, follow, parted
from anomalyd.detectors.training import train_model
from anomalyd.verdict import Verdict

RATE = 0.002
DAY = 288
"""Rows of a day, one every five minutes."""

Floats = NDArray[np.float64]


def scores(rows: int, seed: int) -> Floats:
    return np.random.default_rng(seed).gamma(4.0, 1.0, rows)


def times(rows: int, start: float = 0.0) -> Floats:
    return start + 300.0 * np.arange(rows)


@pytest.fixture(scope="module")
def calibration() -> Calibration:
    return fit_calibration(scores(10 * DAY, 0), RATE)


@pytest.fixture(scope="module")
def dirty() -> Calibration:
    """Of a training with a day of trouble that nobody labelled."""
    held_out = scores(10 * DAY, 0)
    held_out[-DAY // 4 :] += 10.0
    return fit_calibration(held_out, RATE)


def alerts(calibration: Calibration, raw: Floats, factors: Floats) -> NDArray[np.bool_]:
    return calibration(raw, factors) > 1.0


@given(
    cuts=st.lists(st.integers(0, 300), max_size=6),
    gaps=st.lists(st.sampled_from([1.0, 60.0, 300.0, 4000.0, 50_000.0]), min_size=300, max_size=300),
    seed=st.integers(0, 99),
)
def test_it_does_not_matter_where_a_stream_is_cut(
    calibration: Calibration, cuts: list[int], gaps: list[float], seed: int
) -> None:
    chance = np.random.default_rng(seed)
    at, raw = 1e9 + np.cumsum(gaps), scores(300, seed)
    raw[chance.random(300) < 0.1] *= 9.0
    raw[chance.random(300) < 0.1] = np.nan
    whole, after = follow(calibration, at, raw, {})
    state: State = {}
    parts = []
    edges = sorted({0, *cuts, 300})
    for start, end in itertools.pairwise(edges):
        factors, kept = follow(calibration, at[start:end], raw[start:end], state)
        state = load(save(dict(kept)))  # as the daemon keeps it over a restart
        parts.append(factors)
    assert np.array_equal(np.concatenate(parts), whole)
    assert all(np.array_equal(state[name], array) for name, array in after.items())


def test_a_row_at_a_time_gives_what_all_at_once_give(calibration: Calibration) -> None:
    chance = np.random.default_rng(3)
    at = 1e9 + np.cumsum(chance.choice([1.0, 30.0, 300.0, 4000.0], 2000, p=[0.3, 0.6, 0.09, 0.01]))
    raw = scores(2000, 3)
    raw[chance.random(2000) < 0.1] *= 9.0
    raw[chance.random(2000) < 0.05] = np.nan
    whole, after = follow(calibration, at, raw, {})
    state: State = {}
    found = []
    for row in range(2000):
        before = {name: array.copy() for name, array in state.items()}
        factors, course = follow(calibration, at[row : row + 1], raw[row : row + 1], state)
        assert all(np.array_equal(state[name], array) for name, array in before.items())
        state = course
        found.append(factors)
    assert np.array_equal(np.concatenate(found), whole)
    assert all(np.array_equal(state[name], array) for name, array in after.items())


def test_it_comes_down_from_a_trouble_of_training(dirty: Calibration) -> None:
    raw = scores(28 * DAY, 1)
    assert not (dirty(raw) > 1).any()
    factors, _ = follow(dirty, times(len(raw)), raw, {})
    realised = np.mean(alerts(dirty, raw, factors)[DAY:])
    assert RATE / 2 < realised < 2 * RATE


def test_it_rises_with_what_grows_restless_but_not_without_bound(calibration: Calibration) -> None:
    raw = 1.5 * scores(28 * DAY, 2)
    before = np.mean(calibration(raw) > 1)
    factors, _ = follow(calibration, times(len(raw)), raw, {})
    assert before > 5 * RATE
    assert np.mean(alerts(calibration, raw, factors)[DAY:]) < 2 * RATE
    raw[::12] *= 50.0
    wild, _ = follow(calibration, times(len(raw)), raw, {})
    assert factors.max() < wild.max() == 4.0


def test_alerts_do_not_ratchet_it_down(calibration: Calibration) -> None:
    raw = scores(56 * DAY, 3)
    factors, _ = follow(calibration, times(len(raw)), raw, {})
    assert 0.8 < np.median(factors[-14 * DAY :]) / np.median(factors[7 * DAY : 21 * DAY]) < 1.25
    assert RATE / 2 < np.mean(alerts(calibration, raw, factors)[-28 * DAY :]) < 2 * RATE


def test_a_long_anomaly_does_not_hide_itself(calibration: Calibration) -> None:
    raw = scores(14 * DAY, 4)
    raw[7 * DAY : 10 * DAY] += 40.0
    factors, _ = follow(calibration, times(len(raw)), raw, {})
    assert alerts(calibration, raw, factors)[7 * DAY : 10 * DAY].all()
    assert factors[10 * DAY] < 1.5 * factors[7 * DAY]


def test_before_three_hours_it_is_that_of_training(dirty: Calibration) -> None:
    factors, _ = follow(dirty, times(100), scores(100, 5), {})
    assert (factors[:36] == 1.0).all()
    assert factors[-1] < 1.0


def test_what_is_remembered_is_bounded(calibration: Calibration) -> None:
    raw = scores(20 * DAY, 6)
    raw[10 * DAY :] += 1e9
    _, state = follow(calibration, times(len(raw)), raw, {})
    assert sum(array.nbytes for array in state.values()) < 5000


@pytest.fixture
def alarmed(calibration: Calibration) -> dict[str, NDArray[Any]]:
    """A week, and six hours of an anomaly."""
    raw = scores(7 * DAY, 7)
    raw[-72:] += 100.0
    return follow(calibration, times(len(raw)), raw, {})[1]


def after(calibration: Calibration, state: State, raised: float) -> tuple[Floats, NDArray[np.bool_]]:
    raw = scores(2 * DAY, 8) + raised
    factors, _ = follow(calibration, times(len(raw), 7 * DAY * 300.0), raw, state)
    return factors, alerts(calibration, raw, factors)


def test_told_normal_it_learns_what_it_left_out(
    calibration: Calibration, alarmed: dict[str, NDArray[Any]]
) -> None:
    assert after(calibration, alarmed, 100.0)[1].all()
    assert (
        np.mean(after(calibration, apply_feedback(calibration, alarmed, Verdict.NORMAL), 100.0)[1]) < 5 * RATE
    )


def test_told_broken_it_keeps_nothing_of_it(
    calibration: Calibration, alarmed: dict[str, NDArray[Any]]
) -> None:
    state = apply_feedback(calibration, alarmed, Verdict.BROKEN)
    assert np.count_nonzero(alarmed["threshold.kept"] < 0) - 3 == np.count_nonzero(
        state["threshold.kept"] < 0
    )
    factors, alert = after(calibration, state, 100.0)
    assert alert.all()
    quiet, _ = after(calibration, state, 0.0)
    # While it lasts nothing is learnt; an hour after its end all is as before.
    assert len(np.unique(factors[48:])) == 1
    assert len(np.unique(quiet[48:])) > 1


def test_a_word_without_an_alarm_changes_nothing(calibration: Calibration) -> None:
    _, state = follow(calibration, times(3 * DAY), np.minimum(scores(3 * DAY, 9), 6.0), {})
    for word in Verdict:
        same = apply_feedback(calibration, state, word)
        assert np.array_equal(same["threshold.kept"], state["threshold.kept"])


def trained(kind: str, parameters: dict[str, Any]) -> Model:
    values = np.random.default_rng(0).normal(size=(3 * DAY, 4)).astype(np.float32)
    return train_model(
        TrainingSet({"a": Series(times(3 * DAY), values)}, tuple("wxyz")),
        kind=kind,
        parameters=parameters,
        false_alarms=AlertRate(RATE),
        seed=0,
        code_version="test",
        created=0.0,
    )


def seen(model: Model) -> tuple[Scores, Floats, NDArray[np.float32]]:
    """What a model says of a day and a half, and of six hours of an anomaly; the times and rows after it."""
    values = np.random.default_rng(1).normal(size=(2 * DAY, 4)).astype(np.float32)
    values[-72:, 0] += 60.0
    (scored,) = model.score([SeriesWindow("a", times(2 * DAY), values)])
    return scored, times(40, 2 * DAY * 300.0), values[-40:]


def test_a_model_follows_and_a_word_on_it_is_undone() -> None:
    model = trained("median-distance", {})
    scored, later, values = seen(model)
    assert model.calibration.follows
    assert model.adaptive
    assert (scored.score[-72:] > 1).all()
    (quiet,) = model.score(
        [SeriesWindow("a", later, values, model.apply_feedback(scored.state, Verdict.NORMAL, 0.0, later[0]))]
    )
    assert np.mean(quiet.score > 1) < 0.1
    (again,) = model.score([SeriesWindow("a", later, values, model.undo(quiet.state, scored.state))])
    assert (again.score > 1).all()


def test_where_the_threshold_is_known_it_stays() -> None:
    model = trained("vector-ensemble", {"steps": 20})
    values = np.random.default_rng(1).normal(size=(50, 4)).astype(np.float32)
    (scored,) = model.score([SeriesWindow("a", times(50, 1e6), values)])
    assert not model.calibration.follows
    assert not parted(scored.state)[1]
