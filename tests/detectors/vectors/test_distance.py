from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

from anomalyd.detectors.detector import Series, SeriesWindow, State, TrainingSet
from anomalyd.detectors.vectors.distance import MedianDistance
from anomalyd.errors import ModelDamaged, TrainingError
from anomalyd.verdict import Verdict

Make = Callable[..., NDArray[np.float32]]


@pytest.fixture(scope="module")
def distance(training: TrainingSet) -> MedianDistance:
    return MedianDistance.fit(training, {"warmup": 12})


def test_error_is_robust_sigmas_from_the_median() -> None:
    values = np.random.default_rng(0).normal(10.0, 2.0, (2000, 2)).astype(np.float32)
    fitted = MedianDistance.fit(TrainingSet({"a": Series(np.arange(2000.0), values)}, ("x", "y")), {})
    row = np.array([[16.0, 10.0]], dtype=np.float32)
    (scored,) = fitted.score([SeriesWindow("a", np.zeros(1), row)])
    np.testing.assert_allclose(scored.error, [[3.0, 0.0]], atol=0.15)
    np.testing.assert_allclose(scored.expectation, [[10.0, 10.0]], atol=0.15)
    assert scored.raw[0] == pytest.approx(np.sqrt(9 / 2 + 0.3 * 9 / 2), rel=0.1)
    assert set(scored.state) == {"lately"}


def test_the_metric_that_jumps_is_to_blame_and_missing_ones_are_not(
    distance: MedianDistance, make_metrics: Make
) -> None:
    values = make_metrics(20, 5)
    values[10, 3] += 500
    values[10, 4] = np.nan
    values[15] = np.nan
    (scored,) = distance.score([SeriesWindow("a", np.arange(20.0), values)])
    assert np.nanargmax(scored.contribution[10]) == 3
    assert np.isnan(scored.contribution[10, 4])
    assert np.isnan(scored.error[10, 4])
    assert np.nanargmax(scored.raw) == 10
    assert np.flatnonzero(np.isnan(scored.raw)).tolist() == [15]


def test_a_batch_gives_what_its_stretches_give_alone(distance: MedianDistance, make_metrics: Make) -> None:
    windows = [
        SeriesWindow(e, np.arange(float(n)), make_metrics(n, n))
        for e, n in (("a", 3), ("new", 15), ("b", 0), ("b2", 1))
    ]
    for alone, together in zip(windows, distance.score(windows), strict=True):
        (single,) = distance.score([alone])
        np.testing.assert_array_equal(single.raw, together.raw)
        np.testing.assert_array_equal(single.error, together.error)
        assert len(together.raw) == len(alone.times)
    assert distance.score([]) == []


def test_a_damaged_configuration_and_an_unknown_parameter_are_refused(
    distance: MedianDistance, training: TrainingSet
) -> None:
    with pytest.raises(ModelDamaged, match="median-distance"):
        MedianDistance.restore(distance.tensors(), {"scaling": {}})
    with pytest.raises(TrainingError, match="median-distance: unknown parameter 'window'"):
        MedianDistance.fit(training, {"window": 8})


def test_told_normal_it_counts_from_where_the_metrics_are_now(
    distance: MedianDistance, make_metrics: Make
) -> None:
    values = make_metrics(600, 5)
    values[200:, 1] += 40e6
    times = np.arange(600.0)
    (before,) = distance.score([SeriesWindow("a", times[:400], values[:400])])
    broken = distance.apply_feedback(before.state, Verdict.BROKEN, 200.0, 399.0)
    told = distance.apply_feedback(before.state, Verdict.NORMAL, 200.0, 399.0)
    (still,) = distance.score([SeriesWindow("a", times[400:], values[400:], broken)])
    (calm,) = distance.score([SeriesWindow("a", times[400:], values[400:], told)])
    usual = np.median(before.raw[:200])
    assert np.median(still.raw) > 5 * usual
    assert np.median(calm.raw) < 1.5 * usual
    assert abs(calm.expectation[0, 1] - np.median(values[200:, 1])) < 5e6
    back = distance.undo(calm.state, before.state)
    (again,) = distance.score([SeriesWindow("a", times[400:], values[400:], back)])
    np.testing.assert_allclose(again.raw, still.raw)


def test_what_is_remembered_does_not_depend_on_how_a_stream_is_cut(
    distance: MedianDistance, make_metrics: Make
) -> None:
    values = make_metrics(120, 9)
    values[30:50, 2] = np.nan
    (whole,) = distance.score([SeriesWindow("a", np.arange(120.0), values)])
    state: State = {}
    for start in range(0, 120, 7):
        part = slice(start, start + 7)
        (scored,) = distance.score([SeriesWindow("a", np.arange(120.0)[part], values[part], state)])
        state = scored.state
    np.testing.assert_allclose(state["lately"], whole.state["lately"], rtol=1e-4)
