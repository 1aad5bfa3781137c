from __future__ import annotations

import re
import shutil
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from anomalyd.detectors.detector import EncodesInputs, Explainable, Series, SeriesWindow, State, TrainingSet
from anomalyd.detectors.false_alarm_target import AlertRate
from anomalyd.detectors.model import WEIGHTS, Model, load_model, save_model
from anomalyd.detectors.training import train_model
from anomalyd.detectors.vectors.by_entity import EntityArrays
from anomalyd.detectors.vectors.ensemble.detector import VectorEnsemble
from anomalyd.detectors.vectors.ensemble.ewma import ewma
from anomalyd.detectors.vectors.ensemble.memory import Layout
from anomalyd.detectors.vectors.ensemble.reference_windows import look_around
from anomalyd.detectors.vectors.ensemble.rounding import slots_of
from anomalyd.errors import ModelDamaged, ModelMismatch, TrainingError
from anomalyd.verdict import Verdict

Rows = NDArray[np.float32]

INTERVAL = 300.0
DAY = 288
FEATURES = tuple(f"m{f}" for f in range(8))
CONFIG = {"steps": 60, "hidden": 32, "code": 8}


def rows(days: float, seed: int, first_day: float = 0.0) -> Rows:
    """Eight metrics of a machine with a daily course, two hidden causes, and noise."""
    n = int(days * DAY)
    chance = np.random.default_rng(seed)
    day = 2.0 * np.pi * (np.arange(n) / DAY + first_day)
    hidden = np.column_stack([np.sin(day), np.cos(day), np.full(n, 2.0)])
    mixing = np.random.default_rng(7).normal(size=(3, 8))
    return (hidden @ mixing + 0.1 * chance.normal(size=(n, 8))).astype(np.float32)


def times(n: int, first_day: float = 0.0) -> NDArray[np.float64]:
    return 1.7e9 - 1.7e9 % 86_400 + first_day * 86_400 + np.arange(n) * INTERVAL


@pytest.fixture(scope="module")
def training() -> TrainingSet:
    values = rows(10, 1)
    return TrainingSet({"a": Series(times(len(values)), values)}, FEATURES)


def train(training: TrainingSet, seed: int = 0, **more: float) -> Model:
    return train_model(
        training,
        kind="vector-ensemble",
        parameters={**CONFIG, **more},
        false_alarms=AlertRate(1e-3),
        seed=seed,
        code_version="test",
        created=0.0,
    )


@pytest.fixture(scope="module")
def model(training: TrainingSet) -> Model:
    return train(training)


def score(
    model: Model, values: Rows, first_day: float = 10.0, state: State | None = None
) -> tuple[Rows, State]:
    """Stream rows in pieces of 100: calibrated scores and the state behind."""
    at, state, found = times(len(values), first_day), state or {}, []
    for k in range(0, len(values), 100):
        (scored,) = model.score([SeriesWindow("a", at[k : k + 100], values[k : k + 100], state)])
        state = scored.state
        found.append(scored.score)
    return np.concatenate(found), state


def test_scores_do_not_depend_on_how_the_stream_is_cut(model: Model) -> None:
    values = rows(2, 5)
    values[200:230] += 3.0
    values[np.random.default_rng(0).random(values.shape) < 0.03] = np.nan
    values[300] = np.nan
    at = times(len(values), 10.0)
    (whole,) = model.score([SeriesWindow("a", at, values)])
    for cut in (1, 47):
        state: State = {}
        found = []
        for k in range(0, len(values), cut):
            (scored,) = model.score([SeriesWindow("a", at[k : k + cut], values[k : k + cut], state)])
            state = scored.state
            found.append(scored.raw)
        np.testing.assert_allclose(np.concatenate(found), whole.raw, rtol=2e-3, atol=2e-3)


def test_a_stored_state_scores_as_the_remembered_one_does(model: Model) -> None:
    values = rows(3, 5)
    values[150:160] = np.nan
    _, state = score(model, values[:-100])
    at = times(len(values), 10.0)[-100:]
    stored = {name: np.array(array) for name, array in state.items()}
    (one,), (other,) = (model.score([SeriesWindow("a", at, values[-100:], each)]) for each in (state, stored))
    np.testing.assert_array_equal(one.raw, other.raw)
    for name, array in one.state.items():
        np.testing.assert_array_equal(array, other.state[name], err_msg=name)


def test_a_state_of_finer_numbers_as_before_is_read_and_rounded(model: Model) -> None:
    values = rows(3, 5)
    _, state = score(model, values[:-100])
    at = times(len(values), 10.0)[-100:]
    before = {name: np.array(array) for name, array in state.items()}
    before["slots"] = (slots_of(before.pop("slot_steps")).astype(np.float32) + 0.004).astype(np.float16)
    before |= {name: before[name].astype(np.float32) for name in ("week", "height_week")}
    del before["alarms"], before["above"]
    (one,), (other,) = (model.score([SeriesWindow("a", at, values[-100:], each)]) for each in (state, before))
    np.testing.assert_array_equal(one.raw, other.raw)


def test_no_score_uses_anything_later(model: Model) -> None:
    values = rows(1, 6)
    changed = values.copy()
    changed[150:] += 50.0
    at = times(len(values), 10.0)
    (before,), (after,) = (
        model.score([SeriesWindow("a", at, values)]),
        model.score([SeriesWindow("a", at, changed)]),
    )
    np.testing.assert_allclose(before.raw[:150], after.raw[:150], rtol=1e-5)
    assert after.raw[150] > 2 * before.raw[150]


def test_a_step_alerts_and_the_usual_does_not(model: Model) -> None:
    values = rows(3, 8)
    values[DAY : DAY + 60, :4] += 4.0
    found, _ = score(model, values)
    assert np.mean(found[:DAY] > 1) < 0.02
    assert (found[DAY : DAY + 12] > 1).any()
    assert np.mean(found[DAY : DAY + 60] > 1) > 0.5


def test_the_word_normal_ends_an_alarm_and_broken_keeps_it(model: Model) -> None:
    step = rows(2, 9)
    step[100:, :4] += 4.0
    _, state = score(model, step[:140])
    at = times(len(step), 10.0)
    silent, _ = score(
        model,
        step[140:],
        10.0 + 140 / DAY,
        model.apply_feedback(state, Verdict.NORMAL, float(at[100]), float(at[139])),
    )
    alarmed, held = score(
        model,
        step[140:],
        10.0 + 140 / DAY,
        model.apply_feedback(state, Verdict.BROKEN, float(at[100]), float(at[139])),
    )
    assert np.mean(silent[36:] > 1) < 0.1
    assert np.mean(alarmed > 1) > 0.9
    # What is broken is not learnt: back to normal it is quiet, and then no longer held.
    after, left = score(model, rows(2, 10), 12.0, held)
    assert held["broken"]
    assert not left["broken"]
    # The slow views take a hundred rows to forget a jump.
    assert np.mean(after[DAY:] > 1) < 0.1


def test_a_lasting_alarm_becomes_the_new_normal_and_can_be_undone(training: TrainingSet) -> None:
    model = train(training, accept_days=0.5)
    step = rows(2, 11)
    step[100:, :4] += 4.0
    at = times(len(step), 10.0)
    (scored,) = model.score([SeriesWindow("a", at, step)])
    (adapted,) = scored.adaptations
    assert adapted.what == "new-normal"
    assert 0.45 * 86_400 <= adapted.time - at[100] <= 0.6 * 86_400
    accepted = int(np.searchsorted(at, adapted.time))
    assert np.mean(scored.score[accepted + 36 :] > 1) < 0.1
    back = model.undo(scored.state, adapted.before)
    again, _ = score(model, step[-40:], 12.0, back)
    # Held until nothing but the word would hold it for an hour (twelve rows); then it is learnt from again.
    assert np.mean(again[6:24] > 1) > 0.9
    # Undone, the patience does not run again: it is not assumed a second time.
    (once_more,) = model.score([SeriesWindow("a", times(400, 12.0), step[np.arange(400) % 100 + 400], back)])
    assert not once_more.adaptations


def test_it_is_the_same_after_saving(model: Model, tmp_path: Path) -> None:
    folder = tmp_path / "model"
    save_model(model, folder)
    again = load_model(folder)
    values = rows(1, 12)
    np.testing.assert_array_equal(score(model, values)[0], score(again, values)[0])


def test_the_same_data_and_seed_give_the_same_model(training: TrainingSet, model: Model) -> None:
    torch.manual_seed(99)
    again, other = train(training), train(training, seed=1)
    for name, tensor in model.detector.tensors().items():
        np.testing.assert_array_equal(tensor, again.detector.tensors()[name], err_msg=name)
    assert not torch.equal(
        model.detector.tensors()["network.layers.0.weight"],
        other.detector.tensors()["network.layers.0.weight"],
    )


def test_it_begins_where_training_ended_but_not_before(model: Model, training: TrainingSet) -> None:
    assert isinstance(model.detector, VectorEnsemble)
    empty = model.detector.prime({})
    values = rows(1, 13)
    at = times(len(values), 10.0)
    (primed,) = model.detector.score([SeriesWindow("a", at, values)])
    (fresh,) = empty.score([SeriesWindow("a", at, values)])
    assert not np.allclose(primed.raw[:5], fresh.raw[:5])
    earlier = SeriesWindow("a", times(50), training.series["a"].values[:50])
    np.testing.assert_array_equal(model.detector.score([earlier])[0].raw, empty.score([earlier])[0].raw)


def test_an_unknown_entity_is_scored_after_its_warm_up(model: Model) -> None:
    values = rows(1, 14) * 100
    (scored,) = model.score([SeriesWindow("new", times(len(values), 10.0), values)])
    assert np.isnan(scored.score[:11]).all()
    assert np.isfinite(scored.score[12:]).all()


def test_forward_is_the_score_and_differentiable(model: Model) -> None:
    detector = model.detector
    assert isinstance(detector, Explainable)
    assert detector.adaptive
    values = rows(0.5, 15)
    values[-1, 3] += 1.0  # well within what a metric counts for at most: beyond it nothing changes
    window = SeriesWindow("a", times(len(values), 10.0), values)
    encoded = detector.encode(window)
    inputs = encoded.inputs.clone().requires_grad_(True)
    found = detector.forward(inputs, *encoded.context)
    (scored,) = detector.score([window])
    assert float(found.detach()[0]) == pytest.approx(float(scored.raw[-1]), rel=1e-3)
    (gradient,) = torch.autograd.grad(found.sum(), inputs)
    assert float(gradient[0, 3]) > 0
    calm = detector.forward(encoded.baseline, *encoded.context)
    assert float(calm[0]) < float(found.detach()[0])
    assert int(np.nanargmax(scored.contribution[-1])) == 3


@pytest.mark.parametrize("entity", ["a", "new"])
def test_inputs_alone_are_those_of_the_whole(model: Model, entity: str) -> None:
    detector = model.detector
    assert isinstance(detector, EncodesInputs)
    assert isinstance(detector, Explainable)
    values = rows(0.5, 15)
    values[-1, 2] = np.nan
    at = times(len(values), 10.0)
    (before,) = detector.score([SeriesWindow(entity, at[:-4], values[:-4])])
    for count in (1, 4):
        window = SeriesWindow(entity, at[-count:], values[-count:], before.state)
        assert np.array_equal(detector.encode_inputs(window).numpy(), detector.encode(window).inputs.numpy())


def test_what_does_not_fit_is_refused(model: Model, training: TrainingSet) -> None:
    _, state = score(model, rows(0.1, 16))
    bad: Mapping[str, NDArray[np.float32]] = {**state, "recent": np.zeros((15, 3), dtype=np.float32)}
    with pytest.raises(ModelMismatch, match="another model"):
        model.score([SeriesWindow("a", times(1, 11.0), rows(0.1, 1)[:1], bad)])
    with pytest.raises(TrainingError, match="steps"):
        VectorEnsemble.fit(training, {"steps": 0})


def test_a_model_of_another_version_is_refused(model: Model) -> None:
    tensors, config = model.detector.tensors(), model.detector.config()
    other = {re.sub(r"(primed\.\w+)\.since", r"\1.alarm", name): each for name, each in tensors.items()}
    with pytest.raises(ModelDamaged, match="another version; train it again"):
        VectorEnsemble.restore(other, config)


def test_a_model_of_earlier_versions_scores_the_same(model: Model) -> None:
    """They stored a tensor for each name of each entity."""
    tensors, config = model.detector.tensors(), model.detector.config()
    old = {n: t for n, t in tensors.items() if n.split(".")[1] not in ("values", "shapes")}
    for prefix in ("usual", "reference", "primed"):
        own = EntityArrays.restore(tensors, prefix, 1).at(0)
        old |= {f"{prefix}.0.{name}": torch.from_numpy(array) for name, array in own.items()}
    values = rows(1, 9)
    found = [
        detector.score([SeriesWindow("a", times(DAY, 11.0), values, {})])[0]
        for detector in (model.detector, VectorEnsemble.restore(old, config))
    ]
    (now, then) = found
    np.testing.assert_array_equal(now.raw, then.raw)
    for name in now.state:
        np.testing.assert_array_equal(now.state[name], then.state[name])


def test_many_entities_together_are_scored_as_each_by_itself(model: Model) -> None:
    names, at = ("a", "b", "c"), times(DAY, 10.0)
    values = {name: rows(1, 20 + k) * (1 + k) for k, name in enumerate(names)}
    values["b"][100:140, 2] += 5.0
    values["c"][50:60] = np.nan
    states: dict[str, State] = {name: {} for name in names}
    found: dict[str, list[Rows]] = {name: [] for name in names}
    for begin, end in ((0, 1), (1, 2), (2, 40), (40, 41), (41, DAY)):
        windows = [SeriesWindow(n, at[begin:end], values[n][begin:end], states[n]) for n in names]
        for name, scored in zip(names, model.score(windows), strict=True):
            states[name] = scored.state
            found[name].append(scored.score)
    for name in names:
        (alone,) = model.score([SeriesWindow(name, at, values[name])])
        np.testing.assert_allclose(np.concatenate(found[name]), alone.score, rtol=2e-3, atol=2e-3)


def test_ewma_is_what_its_formula_says() -> None:
    chance = np.random.default_rng(0)
    values, before = chance.normal(size=(150, 3)), np.ones(3)
    wanted, y = [], before
    for row in values:
        y = 0.9 * y + 0.1 * row
        wanted.append(y)
    np.testing.assert_allclose(ewma(values, 0.1, before), wanted, rtol=1e-9)


def test_what_a_row_is_compared_with() -> None:
    days = rows(9, 17)
    around = look_around(times(len(days))[None], days[None], Layout(8, 1).blank())
    k = 8 * DAY + 140
    np.testing.assert_allclose(around.mean5[0, k], days[k - 5 : k].mean(axis=0), rtol=1e-4)
    np.testing.assert_allclose(around.median15[0, k], np.median(days[k - 15 : k], axis=0), rtol=1e-4)
    same = np.stack([days[k - d * DAY] for d in range(1, 8)]).mean(axis=0)
    assert np.abs(around.profile[0, k] - same).max() < 0.25
    # Half a day away the course is elsewhere: the profile knows the time of day, the day's median does not.
    assert np.abs(around.day[0, k] - same).max() > 0.5


def test_a_metric_that_is_stuck_alerts_is_blamed_and_may_be_accepted(model: Model) -> None:
    values = rows(3, 8)
    values[DAY:, 2] = values[DAY, 2]
    found, state = score(model, values[: DAY + 80])
    assert np.mean(found[: DAY + 30] > 1) < 0.05
    assert (found[DAY + 40 :] > 1).all()
    (scored,) = model.score([SeriesWindow("a", times(len(values), 10.0), values)])
    assert (scored.contribution[DAY + 60].argmax()) == 2
    now = float(times(DAY + 80, 10.0)[-1])
    rest, _ = score(
        model,
        values[DAY + 80 :],
        10.0 + (DAY + 80) / DAY,
        model.apply_feedback(state, Verdict.NORMAL, now - 3600, now),
    )
    assert np.mean(rest > 1) < 0.05


def test_a_loaded_model_stays_in_its_file_even_when_that_is_replaced_or_deleted(
    model: Model, training: TrainingSet, tmp_path: Path
) -> None:
    folder = tmp_path / "kept"
    save_model(model, folder)
    loaded = load_model(folder)
    assert str(folder / WEIGHTS) in Path("/proc/self/maps").read_text()
    save_model(train(training, seed=1), folder)
    shutil.rmtree(folder)
    values = rows(1, 5)
    np.testing.assert_array_equal(score(loaded, values)[0], score(model, values)[0])
