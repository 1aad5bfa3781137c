"""Tuning: the past is trained on and the future judged; studies go on where they were."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from anomalyd.detectors.detector import Series, TrainingSet
from anomalyd.detectors.evaluation.metrics.competitor import Competitor
from anomalyd.detectors.evaluation.metrics.labelled import Labelled
from anomalyd.detectors.parameters import read_parameters
from anomalyd.detectors.registry import detector_class, kinds
from anomalyd.detectors.tuning import study
from anomalyd.detectors.tuning.folds import Fold, folds_with_labels, folds_without_labels, judge
from anomalyd.detectors.tuning.injection import KINDS
from anomalyd.detectors.tuning.space import search_space
from anomalyd.detectors.tuning.study import tune
from anomalyd.errors import MissingExtra, TrainingError

Make = Callable[..., NDArray[np.float32]]
CLASSICAL = Competitor("median-distance")


@pytest.fixture
def history(make_metrics: Make) -> TrainingSet:
    times = np.arange(1200, dtype=np.float64)
    return TrainingSet(
        {
            "a": Series(times, make_metrics(1200, 1)),
            "b": Series(times, make_metrics(1200, 2)),
            "brief": Series(times[:40], make_metrics(40, 3)),
        },
        tuple(f"m{f}" for f in range(6)),
    )


@pytest.fixture
def folds(history: TrainingSet) -> list[Fold]:
    return folds_without_labels(history)


def test_what_a_kind_declares_can_be_set_to_anything_in_its_range() -> None:
    declared = 0
    for kind in kinds():
        known = detector_class(kind).parameters_class
        if known is None or not any(f.metadata.get("tune") for f in fields(known)):
            with pytest.raises(TrainingError, match="declares no parameter to tune"):
                search_space(kind)
            continue
        for dimension in search_space(kind):
            declared += 1
            assert dimension.least <= dimension.default <= dimension.most
            assert not dimension.log or dimension.least > 0
            for value in (dimension.least, dimension.most, dimension.default):
                given = int(value) if dimension.whole else value
                read_parameters(kind, known, {dimension.name: given})
    assert declared >= 8


def test_folds_train_on_what_is_older_than_what_they_judge(folds: list[Fold], history: TrainingSet) -> None:
    assert len(folds) == 3
    for number, fold in enumerate(folds, 1):
        assert {e: len(s.times) for e, s in fold.training.series.items()} == {
            "a": 300 * number,
            "b": 300 * number,
            "brief": 10 * number,
        }
        assert [scene.entity for scene in fold.scenes] == ["a", "b"]
        for scene in fold.scenes:
            assert scene.times[0] > fold.training.series[scene.entity].times[-1]
            assert len(scene.times) == 300
            assert len(scene.labels) == len(KINDS)
            untouched = np.all([label == 0 for label in scene.labels], axis=0)
            whole = history.series[scene.entity].values[300 * number : 300 * (number + 1)]
            np.testing.assert_array_equal(scene.values[untouched], whole[untouched])
            for kind, label in enumerate(scene.labels):
                assert (label == 1).any()
                others = [other for k, other in enumerate(scene.labels) if k != kind]
                np.testing.assert_array_equal(label == -1, np.any([o == 1 for o in others], axis=0))


def test_labelled_series_are_judged_half_by_half(make_metrics: Make) -> None:
    label = np.zeros(300, dtype=np.uint8)
    label[200:210] = 1
    series = Labelled("one", make_metrics(400, 1), make_metrics(300, 2), label, (), np.zeros((0, 6)), 60.0)
    (fold,) = folds_with_labels([series])  # the first half has no anomaly
    assert len(fold.training.series["one"].times) == 550
    (scene,) = fold.scenes
    assert scene.times[0] == 550 * 60.0
    np.testing.assert_array_equal(scene.values, series.test[150:])
    np.testing.assert_array_equal(scene.labels[0], label[150:])
    nothing = Labelled("two", series.train, series.test, np.zeros(300, np.uint8), (), series.causes, 60.0)
    with pytest.raises(TrainingError, match="no anomaly is labelled"):
        folds_with_labels([nothing])


def test_too_short_a_history_is_refused(history: TrainingSet) -> None:
    brief = TrainingSet({"brief": history.series["brief"]}, history.features)
    with pytest.raises(TrainingError, match="the longest has 40 samples, at least 400"):
        folds_without_labels(brief)


def test_a_detector_that_sees_more_is_judged_better(folds: list[Fold]) -> None:
    seeing = judge(CLASSICAL, folds[0])
    blind = judge(Competitor("median-distance", {"floor": 1.0, "clip": 1.0}), folds[0])
    assert 0.0 < blind < seeing < 1.0


def test_what_is_found_is_never_worse_than_what_was_given(folds: list[Fold], tmp_path: Path) -> None:
    given = Competitor("median-distance", {"floor": 1.0, "warmup": 12})
    found = tune(given, folds, tmp_path / "study", trials=4)
    assert found.trials == 4
    assert found.given == pytest.approx(np.mean([judge(given, fold) for fold in folds]))
    assert found.objective >= found.given
    assert set(found.best) == {d.name for d in search_space("median-distance")}
    again = Competitor("median-distance", {"warmup": 12, **found.best})
    assert found.objective == pytest.approx(np.mean([judge(again, fold) for fold in folds]))


def test_a_study_goes_on_and_the_same_seed_gives_the_same(folds: list[Fold], tmp_path: Path) -> None:
    steps: list[tuple[int, int]] = []
    at_once = tune(CLASSICAL, folds, tmp_path / "once", trials=5)
    tune(CLASSICAL, folds, tmp_path / "twice", trials=2)
    resumed = tune(
        CLASSICAL,
        folds,
        tmp_path / "twice",
        trials=5,
        progress=lambda what, step, total, figures=None: steps.append((step, total)),
    )
    assert resumed == at_once
    assert steps == [(2, 5), (3, 5), (4, 5), (5, 5)]
    assert tune(CLASSICAL, folds, tmp_path / "twice", trials=5) == at_once  # there is nothing left to do


def test_several_trials_at_once_are_all_kept(folds: list[Fold], tmp_path: Path) -> None:
    found = tune(CLASSICAL, folds, tmp_path / "study", trials=5, jobs=2)
    assert found.trials == 5
    assert found.objective >= found.given


def test_a_study_of_other_data_or_settings_is_refused(
    folds: list[Fold], history: TrainingSet, tmp_path: Path
) -> None:
    tune(CLASSICAL, folds, tmp_path / "study", trials=1)
    others = (
        (CLASSICAL, folds_without_labels(history, seed=1)),
        (Competitor("median-distance", {"warmup": 12}), folds),
        (Competitor("median-distance", seed=1), folds),
    )
    for competitor, its_folds in others:
        with pytest.raises(TrainingError, match="study of other data or settings"):
            tune(competitor, its_folds, tmp_path / "study", trials=2)
    (tmp_path / "text").write_text("no journal\n")
    with pytest.raises(TrainingError, match="cannot be used as the file of a study"):
        tune(CLASSICAL, folds, tmp_path / "text", trials=1)


def test_an_error_that_every_trial_would_have_is_told_at_once(folds: list[Fold], tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="unknown parameter 'wings'"):
        tune(Competitor("median-distance", {"wings": 2}), folds, tmp_path / "study", trials=3)


def test_parameters_that_cannot_be_trained_are_only_a_bad_trial(
    folds: list[Fold], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    judged = 0

    def sometimes(competitor: Competitor, fold: Fold) -> float:
        nonlocal judged
        judged += 1
        if judged == len(folds) + 1:
            raise TrainingError("too wide for this data")
        return 0.5

    monkeypatch.setattr(study, "judge", sometimes)
    assert tune(CLASSICAL, folds, tmp_path / "study", trials=3).trials == 3


def test_an_autoencoder_is_judged_without_its_peer(folds: list[Fold], tmp_path: Path) -> None:
    given = Competitor("vector-autoencoder", parameters={"epochs": 1})
    found = tune(given, folds[:1], tmp_path / "study", trials=1)
    alone = Competitor("vector-autoencoder", parameters={"epochs": 1}, alone=True)
    assert alone.detectors == ("vector-autoencoder",)
    assert found.given == pytest.approx(judge(alone, folds[0]))


def test_without_optuna_it_is_said_how_to_get_it(
    folds: list[Fold], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "optuna", None)
    with pytest.raises(MissingExtra, match=r"pip install 'anomalyd\[tune\]'"):
        tune(CLASSICAL, folds, tmp_path / "study", trials=1)
