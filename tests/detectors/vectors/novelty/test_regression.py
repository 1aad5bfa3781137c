"""The regression of metrics on each other: what it leaves over shows who goes its own way."""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from anomalyd.detectors.vectors.by_entity import EntityArrays
from anomalyd.detectors.vectors.ensemble.fusion.references import refer
from anomalyd.detectors.vectors.ensemble.memory import Layout
from anomalyd.detectors.vectors.novelty import control_chart, reference, regression
from anomalyd.detectors.vectors.novelty.regression import LAGS, Regression

ROWS, METRICS = 400, 5
ONE = np.array([0])


def _plant(seed: int, rows: int = 2 * ROWS) -> NDArray[np.float32]:
    """Four metrics that a load moves, and one that goes its own way; of unit variance."""
    draw = np.random.default_rng(seed)
    load = np.sin(2 * np.pi * np.arange(rows) / 70.0 + draw.uniform(0, 6)) * np.sqrt(2.0)
    values = 0.15 * draw.normal(size=(rows, METRICS)) + load[:, None] * [1, -1, 1, -1, 0]
    values[:, -1] *= 6.0
    return values.astype(np.float32)


def _left_over(train: NDArray[np.float32], rows: NDArray[np.float32]) -> NDArray[np.float32]:
    fitted, _ = regression.measure(train)
    return fitted.residuals(ONE, np.concatenate([train[-LAGS:], rows])[None])[0]


def test_what_moves_as_it_did_leaves_unit_width_over_and_who_leaves_the_others_is_seen() -> None:
    values = _plant(1)
    train, rows = values[:ROWS], values[ROWS:].copy()
    usual = _left_over(train, rows)
    assert np.all(np.abs(usual.std(axis=0) - 1.0) < 0.15)
    rows[200:, 2] += 0.8  # less than the load moves it
    left = _left_over(train, rows)
    assert np.abs(left[200:, 2].mean()) > 3.0
    assert np.argmax(np.abs(left[200:].mean(axis=0))) == 2


def test_the_load_is_no_news_to_charts_of_what_is_left_over_and_a_bias_is() -> None:
    values = _plant(2)
    train, rows = values[:ROWS], values[ROWS:].copy()
    rows[200:, 2] += 0.8
    _, left = regression.measure(train)
    missing = np.zeros((1, ROWS, METRICS), dtype=bool)

    def out(chart: control_chart.ControlChart, given: NDArray[np.float32]) -> NDArray[np.bool_]:
        blank = control_chart.blank(1, METRICS)
        found = np.maximum(*control_chart.follow(chart, ONE, given[None], missing, blank))
        return np.asarray(found[0] > control_chart.ALARM)

    residual = out(control_chart.measure(left), _left_over(train, rows))
    plain = out(control_chart.measure(train), rows)
    assert residual[:200].mean() < 0.05
    assert residual[220:].mean() > 0.95
    assert plain[220:].mean() < 0.5


def test_a_stream_may_be_cut_anywhere() -> None:
    values = _plant(3)
    fitted, _ = regression.measure(values[:ROWS])
    whole = fitted.residuals(ONE, values[None, ROWS - LAGS :])
    cuts = [ROWS, ROWS + 1, ROWS + 37, 2 * ROWS]
    parts = [fitted.residuals(ONE, values[None, a - LAGS : b]) for a, b in itertools.pairwise(cuts)]
    np.testing.assert_allclose(np.concatenate(parts, axis=1), whole, rtol=1e-6, atol=1e-6)


def test_a_fit_with_more_metrics_than_half_the_rows_is_not_believed() -> None:
    """Noise of 149 metrics on a hundred rows: told well where it was fitted, and nowhere else."""
    noise = np.random.default_rng(4).normal(size=(300, 149)).astype(np.float32)
    left = _left_over(noise[:100], noise[100:])
    assert 0.5 < np.median(left.std(axis=0)) < 1.5


def test_who_is_told_from_what_is_missing_says_nothing() -> None:
    fitted, _ = regression.measure(_plant(5)[:ROWS])
    missing = np.zeros((1, 3, METRICS), dtype=bool)
    assert not fitted.untold(ONE, missing).any()
    missing[0, 1, 0] = True
    untold = fitted.untold(ONE, missing)
    assert untold[0, 1, :4].all()
    assert not untold[0, [0, 2]].any()


@pytest.mark.parametrize("rows", [1, 5])
def test_of_a_handful_of_rows_nothing_is_told(rows: int) -> None:
    given = _plant(6)[:rows]
    fitted, left = regression.measure(given)
    np.testing.assert_array_equal(left, given)
    np.testing.assert_array_equal(
        fitted.residuals(ONE, np.concatenate([given[:1]] * LAGS + [given])[None])[0], given
    )


def _known(rows: NDArray[np.float32]) -> reference.Reference:
    return reference.measure(rows, np.full(METRICS, 7.0, dtype=np.float32), 0)


def test_a_model_of_earlier_versions_has_no_regression_and_charts_say_what_they_said() -> None:
    tensors = {
        name: each
        for name, each in reference.as_tensors(_known(_plant(7)[:ROWS])).items()
        if not name.startswith(("regression.", "residual."))
    }
    found = reference.from_tensors(tensors)
    rows = _plant(8)[None, : LAGS + 30]
    np.testing.assert_array_equal(found.regression.residuals(ONE, rows), rows[:, LAGS:])
    assert found.residual is found.chart


def test_after_a_long_training_charts_are_not_looked_at_whatever_the_regression_says() -> None:
    known, rows = _known(_plant(9)[:ROWS]), _plant(9)[None, ROWS : ROWS + 50]
    broken = replace(known, regression=Regression(*(torch.full_like(t, 0.5) for t in _tensors(known))))
    clip = np.full((1, METRICS), 7.0, dtype=np.float32)
    for brief in (False, True):
        memory, again = Layout(METRICS, 1).blank(), Layout(METRICS, 1).blank()
        looked = np.array([brief])
        found = refer(reference.stacked(EntityArrays.of([]), known), memory, ONE, rows, clip, looked)
        without = refer(reference.stacked(EntityArrays.of([]), broken), again, ONE, rows, clip, looked)
        assert found.chart.any() == brief
        assert memory.residual_charts.any() == brief
        for name in ("patch", "row", "plane"):
            np.testing.assert_array_equal(getattr(found, name), getattr(without, name))
        assert np.array_equal(found.chart, without.chart) == (not brief)


def _tensors(known: reference.Reference) -> list[torch.Tensor]:
    return [getattr(known.regression, name) for name in Regression.__slots__]
