"""Hosts that training did not know, and hosts that come back after a silence."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from anomalyd.detectors.detector import Series, SeriesWindow, State, TrainingSet
from anomalyd.detectors.false_alarm_target import AlertRate
from anomalyd.detectors.model import Model, Scores
from anomalyd.detectors.training import train_model
from anomalyd.detectors.vectors.ensemble.detector import VectorEnsemble

INTERVAL = 300.0
DAY = 288
TRAINED = 4 * DAY
METRICS = 6
BEGIN = 20_000 * 86_400.0
KINDS = ("daily", "bursty", "flat")


def host(number: int, rows: int, start: int = 0) -> NDArray[np.float32]:
    """A made host with a level of its own: a daily course, bursts of half an hour, or neither."""
    kind, level = KINDS[number % 3], 50.0 + 3.0 * (number % 5)
    draw = np.random.default_rng([number, start])
    time = (start + np.arange(rows))[:, None] * INTERVAL
    values = level + draw.normal(0.0, 1.0, (rows, METRICS))
    if kind == "daily":
        values += 10.0 * np.sin(2 * np.pi * time / 86_400.0 + np.arange(METRICS))
    if kind == "bursty":
        for begin in range(int(draw.integers(60)), rows, 60):
            values[begin : begin + 6] += 8.0
    values[:, -1] = 1.9
    return values.astype(np.float32)


def times(rows: int, start: int = 0) -> NDArray[np.float64]:
    return BEGIN + (start + np.arange(rows)) * INTERVAL


@pytest.fixture(scope="module")
def model() -> Model:
    series = {f"host-{e}": Series(times(TRAINED), host(e, TRAINED)) for e in range(6)}
    return train_model(
        TrainingSet(series, tuple(f"m{f}" for f in range(METRICS))),
        kind="vector-ensemble",
        parameters={"steps": 200},
        false_alarms=AlertRate(0.001),
        seed=0,
        code_version="",
        created=0.0,
    )


def score(
    model: Model, entity: str, values: NDArray[np.float32], start: int, state: State | None = None
) -> Scores:
    (found,) = model.score([SeriesWindow(entity, times(len(values), start), values, state or {})])
    return found


def runs(score: NDArray[np.float64]) -> int:
    """Runs of three alerts and more, those closer than ten rows being one: incidents."""
    rows = np.flatnonzero(np.nan_to_num(score) > 1)
    parts = np.split(rows, np.flatnonzero(np.diff(rows) > 10) + 1)
    return sum(len(part) >= 3 for part in parts)


def test_new_hosts_alarm_no_more_than_those_that_were_trained_on(model: Model) -> None:
    """In six days, from the second hour on."""

    def incidents(numbers: range, name: str) -> int:
        found = (score(model, f"{name}-{e}", host(e, 6 * DAY, TRAINED), TRAINED) for e in numbers)
        return sum(runs(each.score[24:]) for each in found)

    assert incidents(range(6, 12), "new") <= incidents(range(6), "host")


def test_a_new_host_says_that_it_learns_for_a_day(model: Model) -> None:
    assert isinstance(model.detector, VectorEnsemble)
    first = score(model, "new", host(6, 200, TRAINED), TRAINED)
    assert first.learning
    later = score(model, "new", host(6, 120, TRAINED + 200), TRAINED + 200, first.state)
    assert not later.learning
    assert not score(model, "host-0", host(0, 20, TRAINED), TRAINED).learning


def test_a_fault_of_a_new_host_alarms_on_its_first_day(model: Model) -> None:
    found = 0
    for e in range(6, 12):
        values = host(e, 150, TRAINED)
        values[100:106, :3] *= 5.0
        found += bool((score(model, f"new-{e}", values, TRAINED).score[100:106] > 1).any())
    assert found >= 5


@pytest.mark.parametrize("cuts", [[1], [29, 30, 31], [100, 288, 289]])
def test_a_new_host_is_scored_alike_however_its_stream_is_cut(model: Model, cuts: list[int]) -> None:
    values = host(7, 300, TRAINED)
    whole = score(model, "new", values, TRAINED)
    state: State = {}
    parts = []
    for begin, end in zip([0, *cuts], [*cuts, 300], strict=True):
        part = score(model, "new", values[begin:end], TRAINED + begin, state)
        state = part.state
        parts.append(part.raw)
    np.testing.assert_allclose(np.concatenate(parts), whole.raw, atol=1e-4)


@pytest.mark.parametrize("hours", [6, 12, 18, 36, 24 * 15])
def test_coming_back_after_a_silence_is_no_alarm(model: Model, hours: int) -> None:
    for e in range(3):
        before = score(model, f"host-{e}", host(e, DAY, TRAINED), TRAINED)
        start = TRAINED + DAY + hours * 12
        after = score(model, f"host-{e}", host(e, 100, start), start, before.state)
        assert runs(after.score) == 0
        faulty = host(e, 100, start)
        faulty[60:80, 1:4] += 60.0
        assert runs(score(model, f"host-{e}", faulty, start, before.state).score) >= 1


def test_a_silence_within_a_window_is_one_between_windows(model: Model) -> None:
    values = np.concatenate([host(0, 40, TRAINED), host(0, 40, TRAINED + 200)])
    at = np.concatenate([times(40, TRAINED), times(40, TRAINED + 200)])
    (whole,) = model.score([SeriesWindow("host-0", at, values)])
    (first,) = model.score([SeriesWindow("host-0", at[:40], values[:40])])
    (second,) = model.score([SeriesWindow("host-0", at[40:], values[40:], first.state)])
    np.testing.assert_allclose(np.concatenate([first.raw, second.raw]), whole.raw, atol=1e-4)


def test_a_metric_constant_in_training_alarms_when_it_moves(model: Model) -> None:
    values = host(0, 60, TRAINED)
    values[30:, -1] = 258.0
    found = score(model, "host-0", values, TRAINED)
    assert (found.score[30:34] > 1).any()
    assert np.nanargmax(found.contribution[30]) == METRICS - 1
