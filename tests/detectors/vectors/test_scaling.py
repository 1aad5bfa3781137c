from __future__ import annotations

import itertools
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from anomalyd.detectors.detector import Series, SeriesWindow, State, TrainingSet
from anomalyd.detectors.vectors.scale import Scale, measure
from anomalyd.detectors.vectors.scaling import LARGEST_DEVIATION, Scaling
from anomalyd.errors import ModelDamaged, ModelMismatch, TrainingError

Make = Callable[..., NDArray[np.float32]]


def measured(values: NDArray[np.floating]) -> Scale:
    return measure(values, 0.01)


def test_centre_and_width_are_those_of_a_normal_distribution() -> None:
    values = np.random.default_rng(0).normal(50.0, 4.0, (5000, 1))
    scale = measured(values)
    assert scale.centre[0] == pytest.approx(50.0, abs=0.2)
    assert scale.width[0] == pytest.approx(4.0, rel=0.05)
    assert scale.cap[0] == np.inf


def test_a_few_wild_rows_hardly_stretch_the_width_but_recurring_bursts_do() -> None:
    values = np.random.default_rng(0).normal(50.0, 4.0, (5000, 1))
    wild, bursts = values.copy(), values.copy()
    wild[1000:1020] = 1e9
    bursts[::50] = 150.0
    assert measured(wild).width[0] < 5.0
    assert measured(bursts).width[0] > 12.0


def test_a_metric_that_never_moved_counts_by_the_rarity_of_moving() -> None:
    short, long = (measured(np.full((rows, 1), 7.0)) for rows in (36, 20_000))
    assert short.width[0] == pytest.approx(0.07)  # a hundredth of its size
    assert short.cap[0] == pytest.approx(2 * np.sqrt(2 * np.log(37)), rel=1e-3)
    assert 4 < short.cap[0] < long.cap[0] < 10
    sometimes = np.full((20_000, 1), 7.0)
    sometimes[:20] = 9.0
    assert short.cap[0] < measured(sometimes).cap[0] < long.cap[0]


def test_a_steady_voltage_needs_a_lower_floor() -> None:
    values = np.random.default_rng(0).normal(3600.0, 0.5, (1000, 1))
    assert measure(values, 0.01).width[0] == pytest.approx(36.0, rel=1e-3)
    lower = measure(values, 1e-5)
    assert lower.width[0] == pytest.approx(0.5, rel=0.1)
    assert lower.cap[0] == np.inf


def test_a_constant_zero_has_a_width() -> None:
    scale = measured(np.zeros((50, 1)))
    assert (scale.centre[0], scale.width[0]) == (0.0, np.float32(0.01))


def test_a_metric_without_any_row_takes_the_fallback_and_missing_rows_do_not_count() -> None:
    fallback = measured(np.random.default_rng(0).normal(3.0, 2.0, (100, 2)))
    values = np.full((40, 2), np.nan)
    values[::2, 0] = np.random.default_rng(1).normal(100.0, 1.0, 20)
    scale = measure(values, 0.01, fallback)
    assert scale.centre[0] == pytest.approx(100.0, abs=1.0)
    assert scale.width[0] < 2.0
    assert (scale.centre[1], scale.width[1]) == (fallback.centre[1], fallback.width[1])


@pytest.fixture
def scaling(training: TrainingSet) -> Scaling:
    return Scaling.fit(training, warmup=12, floor=0.01)


def test_every_entity_has_its_own_scale(scaling: Scaling, training: TrainingSet) -> None:
    windows = [SeriesWindow(e, training.series[e].times, training.series[e].values) for e in ("a", "b")]
    joined = scaling.join(windows, 0)
    for e in (0, 1):
        deviations = joined.observed()[joined.window == e, :5]
        assert np.sqrt(np.mean(deviations**2)) == pytest.approx(1.0, rel=0.1)
    assert joined.scale.width[1, 0] > 50 * joined.scale.width[0, 0]


def test_remembered_rows_stand_before_the_new_ones(scaling: Scaling, make_metrics: Make) -> None:
    values = make_metrics(20, 4)
    (first, second) = (
        SeriesWindow("a", np.arange(10.0), values[:10]),
        SeriesWindow("b", np.arange(10.0), values[10:]),
    )
    before = scaling.join([first], 3)
    after = scaling.join([SeriesWindow("a", np.arange(2.0), values[10:12], before.states[0]), second], 3)
    assert after.deviations.shape == (3 + 2 + 3 + 10, 6)
    assert after.rows.tolist() == [3, 4, *range(8, 18)]
    np.testing.assert_array_equal(
        after.deviations[:5],
        scaling.join([SeriesWindow("a", np.arange(12.0), values[:12])], 0).deviations[7:],
    )
    assert np.isnan(after.deviations[5:8]).all()  # nothing is remembered of b yet


def test_an_entity_with_few_training_rows_learns_its_scale_from_its_warmup(
    scaling: Scaling, make_metrics: Make
) -> None:
    assert not scaling.knows("brief")
    values = make_metrics(30, 5, unit=1000.0)
    joined = scaling.join([SeriesWindow("brief", np.arange(30.0), values)], 7)
    assert joined.ready.tolist() == [False] * 12 + [True] * 18
    own = measured(values[:12])
    np.testing.assert_array_equal(joined.scale.centre[0], own.centre)
    np.testing.assert_array_equal(joined.scale.width[0], own.width)


@given(
    cuts=st.lists(st.integers(0, 40), max_size=8),
    history=st.sampled_from([0, 1, 7]),
    entity=st.sampled_from(["a", "x"]),
)
def test_the_state_does_not_depend_on_the_cut(
    cuts: list[int], history: int, entity: str, scaling_once: Scaling, rows_once: NDArray[np.float32]
) -> None:
    whole = scaling_once.join([SeriesWindow(entity, np.arange(40.0), rows_once)], history)
    state: State = {}
    parts, ready = [], []
    edges = [0, *sorted(cuts), 40]
    for start, end in itertools.pairwise(edges):
        part = scaling_once.join(
            [SeriesWindow(entity, np.arange(start, float(end)), rows_once[start:end], state)], history
        )
        state = part.states[0]
        parts.append(part.observed())
        ready.append(part.ready)
    assert np.concatenate(ready).tolist() == whole.ready.tolist()
    np.testing.assert_array_equal(np.concatenate(parts)[whole.ready], whole.observed()[whole.ready])
    assert state.keys() == whole.states[0].keys()
    for name in state:
        np.testing.assert_array_equal(state[name], whole.states[0][name])


@pytest.fixture(scope="module")
def scaling_once(training: TrainingSet) -> Scaling:
    return Scaling.fit(training, warmup=12, floor=0.01)


@pytest.fixture(scope="module")
def rows_once(make_metrics: Make) -> NDArray[np.float32]:
    values = make_metrics(40, 8)
    values[np.random.default_rng(0).random(values.shape) < 0.1] = np.nan
    return values


def test_deviations_stay_finite(scaling: Scaling) -> None:
    wild = np.array([[3e38, -3e38, np.inf, -np.inf, 0.0, np.nan]], dtype=np.float32)
    deviations = scaling.join([SeriesWindow("a", np.zeros(1), wild)], 0).observed()[0]
    assert np.abs(deviations[:4]).tolist() == [LARGEST_DEVIATION] * 4
    assert np.isnan(deviations[5])


def test_what_does_not_fit_is_refused(scaling: Scaling, make_metrics: Make) -> None:
    with pytest.raises(ModelMismatch, match=r"'a'.*\(5,\) values.*6 metrics"):
        scaling.join([SeriesWindow("a", np.zeros(1), np.zeros((1, 5), dtype=np.float32))], 0)
    state = {"recent": np.zeros((7, 5), dtype=np.float32)}
    with pytest.raises(ModelMismatch, match="another model"):
        scaling.join([SeriesWindow("a", np.zeros(1), np.zeros((1, 6), dtype=np.float32), state)], 7)
    scale = {name: np.ones(5, dtype=np.float32) for name in ("centre", "width", "cap")}
    with pytest.raises(ModelMismatch, match=r"'new'.*another model"):
        scaling.join([SeriesWindow("new", np.zeros(1), np.zeros((1, 6), dtype=np.float32), scale)], 0)
    with pytest.raises(TrainingError, match="do not fit the 5 metrics"):
        Scaling.fit(
            TrainingSet({"a": Series(np.arange(40.0), make_metrics(40, 1))}, tuple("abcde")), 12, 0.01
        )


def test_a_restored_scaling_must_fit_together(scaling: Scaling) -> None:
    tensors, config = scaling.tensors(), scaling.config()
    assert Scaling.restore(tensors, config).knows("a")
    with pytest.raises(ModelDamaged, match="do not fit its entities"):
        Scaling.restore(tensors, {**config, "entities": ["a"]})
    with pytest.raises(ModelDamaged, match=r"no 'scaling\.width'"):
        Scaling.restore({n: t for n, t in tensors.items() if n != "scaling.width"}, config)


def test_a_metric_that_was_never_seen_does_not_count() -> None:
    values = np.random.default_rng(0).normal(size=(50, 2))
    values[:, 1] = np.nan
    scale = measure(values, 0.01)
    assert scale.cap.tolist() == [np.inf, 0.0]
    # An entity that is new, and lacks a metric in its warm-up, takes over how it usually counts.
    fallback = measure(np.random.default_rng(1).normal(loc=5.0, size=(50, 2)), 0.01)
    assert measure(values, 0.01, fallback).cap.tolist() == [np.inf, np.inf]


def test_what_an_entity_never_sent_stays_missing_to_the_model_also_when_another_sends_it() -> None:
    values = np.random.default_rng(0).normal(5.0, 1.0, (50, 2))
    without = values.copy()
    without[:, 1] = np.nan
    times = np.arange(50.0)
    scaling = Scaling.fit(
        TrainingSet({"with": Series(times, values), "without": Series(times, without)}, ("a", "b")), 10, 0.01
    )
    joined = scaling.join([SeriesWindow(entity, times, values) for entity in ("with", "without")], 0)
    assert np.isfinite(joined.deviations).all(axis=0).tolist() == [True, False]
    assert np.isnan(joined.deviations[:, 1]).tolist() == [False] * 50 + [True] * 50
