"""Control charts: what they see, what they follow, and that a stream may be cut anywhere."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from anomalyd.detectors.vectors.ensemble.fusion.final_alarm import brief_of
from anomalyd.detectors.vectors.novelty import control_chart
from anomalyd.detectors.vectors.novelty.memory import worth_of

ROWS, METRICS = 400, 4
ONE = np.array([0])
OPENS = control_chart.ALARM


def _series(seed: int, rows: int = ROWS + 600) -> NDArray[np.float32]:
    """Rows of unit variance, the last metric drifting by two widths in the training."""
    values = np.random.default_rng(seed).normal(size=(rows, METRICS)).astype(np.float32)
    values[:, -1] += 2.0 * (np.arange(rows, dtype=np.float32) / ROWS - 0.5)
    return values


def _charted(
    train: NDArray[np.float32], rows: NDArray[np.float32], missing: NDArray[np.bool_] | None = None
) -> NDArray[np.float64]:
    chart, state = control_chart.measure(train), control_chart.blank(1, METRICS)
    absent = np.zeros(rows.shape, dtype=bool) if missing is None else missing
    control_chart.follow(chart, ONE, train[None], np.zeros((1, *train.shape), dtype=bool), state)
    return np.maximum(*control_chart.follow(chart, ONE, rows[None], absent[None], state))[0]


def test_what_goes_on_as_it_did_is_in_control_though_a_metric_drifts_on() -> None:
    for seed in range(3):
        values = _series(seed)
        assert np.mean(_charted(values[:ROWS], values[ROWS:]) > OPENS) < 0.05


@pytest.mark.parametrize("fault", ["level", "oscillation", "stuck"])
def test_a_level_an_oscillation_and_a_metric_that_sticks_are_out_of_control_to_their_end(fault: str) -> None:
    values = _series(5)
    train, rows = values[:ROWS], values[ROWS:]
    if fault == "level":
        rows[200:, 0] += 4.0
    elif fault == "oscillation":
        rows[200:, 0] += 5.0 * np.sin(np.arange(400, dtype=np.float32))
    else:
        rows[200:, 0] = rows[200, 0]
    out = _charted(train, rows) > OPENS
    assert out[:200].mean() < 0.05
    assert out[300:].mean() > 0.95


def test_one_metric_among_many_alarms_alone() -> None:
    """The energy of all of them would hide it: 149 metrics, as a host sends them."""
    rows = np.random.default_rng(4).normal(size=(160, 149)).astype(np.float32)
    rows[130:, 60] += 10.0
    chart, state = control_chart.measure(rows[:100]), control_chart.blank(1, 149)
    none_missing = np.zeros((1, 160, 149), dtype=bool)
    _, out = control_chart.follow(chart, ONE, rows[None], none_missing, state)
    assert not np.any(out[0, :130] > OPENS)
    assert np.all(out[0, 135:] > OPENS)


def test_a_burst_is_over_soon_after_its_end() -> None:
    values = _series(6)
    train, rows = values[:ROWS], values[ROWS:]
    rows[200:210, 1] += 300.0
    out = _charted(train, rows) > OPENS
    assert out[202:210].all()
    assert not out[260:].any()


def test_a_stream_may_be_cut_anywhere() -> None:
    values = _series(2, ROWS + 90)
    chart = control_chart.measure(values[:ROWS])
    rows, known = values[None, ROWS:], np.zeros((1, 90, METRICS), dtype=bool)
    whole, cut = control_chart.blank(1, METRICS), control_chart.blank(1, METRICS)
    at_once = control_chart.follow(chart, ONE, rows, known, whole)
    parts = [
        control_chart.follow(chart, ONE, rows[:, part], known[:, part], cut)
        for part in (slice(0, 1), slice(1, 40), slice(40, 90))
    ]
    np.testing.assert_array_equal(np.concatenate(parts, axis=2), at_once)
    np.testing.assert_array_equal(cut, whole)


def test_a_metric_that_is_missing_says_nothing() -> None:
    values = _series(3)
    train, rows = values[:ROWS], values[ROWS:].copy()
    missing = np.zeros(rows.shape, dtype=bool)
    missing[100:, 0] = True
    rows[100:, 0] = rows[99, 0]  # as gaps are filled
    assert np.mean(_charted(train, rows, missing) > OPENS) < 0.05
    missing[:] = True
    assert np.all(_charted(train, rows, missing) < 0.0)


@pytest.mark.parametrize(
    ("rows", "interval_s", "switches", "brief"),
    [
        (400, 1.0, 0.0, 1.0),  # a plant
        (1000, 5.0, 0.0, 1.0),
        (400, 600.0, 0.0, 1.0),
        (750, 600.0, 0.0, 0.5),
        (540, 60.0, 0.9, 0.0),  # telemetry: commands that are on or off
        (2000, 60.0, 0.0, 0.0),
        (2000, 300.0, 0.0, 0.0),
    ],
)
def test_charts_stand_for_all_else_after_a_brief_training(
    rows: int, interval_s: float, switches: float, brief: float
) -> None:
    worth = worth_of(rows, switches)
    assert brief_of(*(np.array([float(each)]) for each in (rows, interval_s, worth)))[0] == pytest.approx(
        brief
    )
