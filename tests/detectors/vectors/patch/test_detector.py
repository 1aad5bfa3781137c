"""The patch detector: invariants of its state, what it learns, and what it must see."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from anomalyd.detectors.detector import (
    Adaptive,
    Explainable,
    Graded,
    Primed,
    Series,
    SeriesWindow,
    TrainingSet,
)
from anomalyd.detectors.false_alarm_target import AlertRate
from anomalyd.detectors.registry import detector_class
from anomalyd.detectors.training import train_model
from anomalyd.detectors.vectors.patch.detector import VectorPatch
from anomalyd.detectors.vectors.patch.state import NAMES
from anomalyd.errors import ModelDamaged, ModelMismatch, TrainingError
from anomalyd.verdict import Verdict

INTERVAL, ROWS, METRICS = 300.0, 3 * 288, 6
BEGIN = 20_000 * 86_400.0


def course(rows: int, seed: int, start: int = 0, level: float = 50.0) -> np.ndarray:
    """Made hosts: a daily course, noise, and a last metric that is constant."""
    draw = np.random.default_rng(seed)
    time = (start + np.arange(rows))[:, None] * INTERVAL
    daily = 10.0 * np.sin(2 * np.pi * time / 86_400.0 + np.arange(METRICS))
    values = level + daily + draw.normal(0, 1.0, (rows, METRICS))
    values[:, -1] = 1.9
    return values.astype(np.float32)


def times(rows: int, start: int = 0) -> np.ndarray:
    return BEGIN + (start + np.arange(rows)) * INTERVAL


def names() -> tuple[str, ...]:
    return tuple(f"m{f}" for f in range(METRICS))


@pytest.fixture(scope="module")
def model():
    series = {f"host-{e}": Series(times(ROWS), course(ROWS, e)) for e in range(3)}
    return train_model(
        TrainingSet(series, names()),
        kind="vector-patch",
        parameters={},
        false_alarms=AlertRate(0.001),
        seed=0,
        code_version="",
        created=0.0,
    )


@pytest.fixture(scope="module")
def detector(model) -> VectorPatch:
    return model.detector


def window(values, start: int = ROWS, state=None, entity: str = "host-0") -> SeriesWindow:
    return SeriesWindow(entity, times(len(values), start), np.asarray(values, dtype=np.float32), state or {})


def same(one, other) -> None:
    for name in ("raw", "error", "expectation", "contribution"):
        np.testing.assert_allclose(getattr(one, name), getattr(other, name), rtol=1e-5, atol=1e-5)
    assert one.state.keys() == other.state.keys() == set(NAMES)
    for name in one.state:
        np.testing.assert_allclose(
            one.state[name].astype(np.float64), other.state[name].astype(np.float64), rtol=2e-3, atol=1e-4
        )


def test_it_keeps_the_protocols(detector: VectorPatch) -> None:
    assert isinstance(detector, Adaptive)
    assert isinstance(detector, Explainable)
    assert isinstance(detector, Graded)
    assert isinstance(detector, Primed)


@settings(max_examples=12, deadline=None)
@given(st.lists(st.integers(1, 119), max_size=4, unique=True), st.booleans())
def test_scores_do_not_depend_on_where_a_stream_is_cut(
    detector: VectorPatch, cuts: list[int], known: bool
) -> None:
    entity = "host-0" if known else "host-new"
    values = course(120, 7, ROWS)
    values[40:46] += 25.0
    values[70, 2] = np.nan
    (whole,) = detector.score([window(values, entity=entity)])
    state, parts = None, []
    for start, end in zip([0, *sorted(cuts)], [*sorted(cuts), 120], strict=True):
        (part,) = detector.score([window(values[start:end], ROWS + start, state, entity)])
        parts.append(part.raw)
        state = part.state
    np.testing.assert_allclose(np.concatenate(parts), whole.raw, rtol=1e-5, atol=1e-5)
    for name in NAMES:
        np.testing.assert_allclose(
            state[name].astype(np.float64), whole.state[name].astype(np.float64), rtol=2e-3, atol=1e-4
        )


@settings(max_examples=10, deadline=None)
@given(st.dictionaries(st.integers(0, 4), st.integers(1, 9), min_size=1))
def test_scores_do_not_depend_on_who_else_is_in_the_batch(
    detector: VectorPatch, batch: dict[int, int]
) -> None:
    windows = [window(course(rows, e, ROWS), entity=f"host-{e}") for e, rows in batch.items()]
    together = detector.score(windows)
    for alone, found in zip(windows, together, strict=True):
        same(found, detector.score([alone])[0])


def test_a_fault_alarms_and_names_its_metrics(model) -> None:
    values = course(200, 5, ROWS)
    values[100:140, [1, 3]] += 40.0
    (scores,) = model.score([window(values)])
    assert not (scores.score[:100] > 1).any()
    assert (scores.score[100:106] > 1).any()
    assert set(np.argsort(-np.nanmax(scores.contribution[100:140], axis=0))[:2]) == {1, 3}


def test_a_metric_constant_in_training_alarms_when_it_moves(model) -> None:
    values = course(60, 5, ROWS)
    values[30:, -1] = 258.0
    (scores,) = model.score([window(values)])
    assert (scores.score[30:36] > 1).any()
    assert np.nanargmax(scores.contribution[30]) == METRICS - 1


@pytest.mark.parametrize("hours", [6, 12, 18, 36, 24 * 15])
def test_coming_back_after_a_gap_is_no_alarm(model, hours: int) -> None:
    (before,) = model.score([window(course(288, 5, ROWS))])
    start = ROWS + 288 + hours * 12
    (after,) = model.score([window(course(144, 6, start), start, before.state)])
    assert not (after.score[:24] > 1).any()
    assert np.mean(after.score > 1) < 0.1


def test_a_new_host_like_the_others_is_no_alarm_and_says_that_it_learns(model, detector: VectorPatch) -> None:
    (first,) = model.score([window(course(144, 11, ROWS), entity="host-new")])
    assert not (first.score > 1).any()
    assert detector.learning(first.state)
    (later,) = model.score([window(course(288, 12, ROWS + 144), ROWS + 144, first.state, "host-new")])
    assert not detector.learning(later.state)
    assert np.mean(later.score > 1) < 0.01


def test_a_fault_of_a_new_host_alarms_on_its_first_day(model) -> None:
    values = course(144, 11, ROWS)
    values[100:106, :3] *= 5.0
    (scores,) = model.score([window(values, entity="host-new")])
    assert (scores.score[100:106] > 1).any()


def test_a_metric_that_appears_is_learnt_before_it_counts() -> None:
    values = course(ROWS, 0)
    values[:, 2] = np.nan
    fitted = VectorPatch.fit(TrainingSet({"host-0": Series(times(ROWS), values)}, names()), {})
    later = course(2 * 288, 3, ROWS)
    (scores,) = fitted.score([window(later)])
    assert np.mean(scores.raw > fitted.heights()[1]) < 0.01
    assert np.isnan(scores.error[:10, 2]).all()
    assert np.isfinite(scores.error[288:, 2]).all()


def test_what_is_called_broken_goes_on_and_is_not_learnt(detector: VectorPatch) -> None:
    values = course(60, 5, ROWS)
    values[20:] += 40.0
    (scores,) = detector.score([window(values)])
    now = float(times(60, ROWS)[-1])
    told = detector.apply_feedback(scores.state, Verdict.BROKEN, now - 40 * INTERVAL, now)
    (after,) = detector.score([window(course(24, 6, ROWS + 60) + 40.0, ROWS + 60, told)])
    assert (after.raw > detector.heights()[1]).all()
    (quiet,) = detector.score([window(course(288, 6, ROWS + 84), ROWS + 84, after.state)])
    assert not (quiet.raw[-144:] > detector.heights()[1]).any()


def test_what_is_called_normal_ends_the_alarm(detector: VectorPatch) -> None:
    values = course(60, 5, ROWS)
    values[20:] += 40.0
    (scores,) = detector.score([window(values)])
    now = float(times(60, ROWS)[-1])
    told = detector.apply_feedback(scores.state, Verdict.NORMAL, now - 40 * INTERVAL, now)
    (after,) = detector.score([window(course(120, 6, ROWS + 60) + 40.0, ROWS + 60, told)])
    assert np.mean(after.raw > detector.heights()[1]) < 0.05
    undone = detector.undo(told, scores.state)
    (again,) = detector.score([window(course(12, 6, ROWS + 60) + 40.0, ROWS + 60, undone)])
    assert (again.raw > detector.heights()[1]).all()


def test_a_lasting_alarm_is_accepted_and_said(detector: VectorPatch) -> None:
    quick = VectorPatch.fit(
        TrainingSet({"host-0": Series(times(ROWS), course(ROWS, 0))}, names()), {"accept_days": 0.25}
    )
    values = course(288, 5, ROWS)
    values[50:] += 40.0
    (whole,) = quick.score([window(values)])
    assert [adaptation.what for adaptation in whole.adaptations] == ["new-normal"]
    assert not (whole.raw[-72:] > quick.heights()[1]).any()
    (first,) = quick.score([window(values[:100])])
    (second,) = quick.score([window(values[100:], ROWS + 100, first.state)])
    np.testing.assert_allclose(np.concatenate([first.raw, second.raw]), whole.raw, rtol=1e-5, atol=1e-5)


def test_forward_gives_the_score_and_its_gradient(detector: VectorPatch) -> None:
    values = course(60, 5, ROWS)
    values[59, 2] += 30.0
    encoded = detector.encode(window(values))
    (scores,) = detector.score([window(values)])
    inputs = encoded.inputs.repeat(3, 1).requires_grad_()
    raw = detector.forward(inputs, *encoded.context)
    assert raw.shape == (3,)
    np.testing.assert_allclose(raw.detach().numpy(), scores.raw[-1], rtol=1e-4, atol=1e-4)
    (gradient,) = torch.autograd.grad(raw.sum(), inputs)
    assert torch.isfinite(gradient).all()
    assert int(gradient[0].abs().argmax()) == 2
    calm = encoded.inputs.clone()
    calm[0, 2] = encoded.baseline[0, 2]
    assert float(detector.forward(calm, *encoded.context)) < float(raw[0].detach())


def test_it_is_the_same_after_being_saved(detector: VectorPatch) -> None:
    again = VectorPatch.restore(detector.tensors(), detector.config())
    values = course(40, 5, ROWS)
    same(again.score([window(values)])[0], detector.score([window(values)])[0])


def test_what_does_not_fit_is_refused(detector: VectorPatch) -> None:
    with pytest.raises(ModelMismatch, match="trained on 6 metrics"):
        detector.score([SeriesWindow("host-0", times(1), np.zeros((1, 2), dtype=np.float32))])
    with pytest.raises(ModelMismatch, match="another model"):
        detector.score([window(course(1, 0), state={"clock": np.zeros(3)})])
    with pytest.raises(ModelDamaged):
        VectorPatch.restore({}, detector.config())
    with pytest.raises(TrainingError, match="unknown parameter"):
        detector_class("vector-patch").fit(TrainingSet({}, ()), {"hidden": 3})
