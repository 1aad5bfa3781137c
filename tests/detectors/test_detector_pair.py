from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from anomalyd.detectors.detector import (
    NEW_NORMAL,
    Adaptation,
    Detector,
    RawScores,
    Series,
    SeriesWindow,
    State,
    TrainingSet,
)
from anomalyd.detectors.detector_pair import DetectorPair, member_state, train_pair
from anomalyd.detectors.threshold import parted
from anomalyd.detectors.training import data_sha256
from anomalyd.errors import ModelMismatch, TrainingError

Make = Callable[..., NDArray[np.float32]]


def test_a_pair_is_two_models_of_the_same_data(pair: DetectorPair, training: TrainingSet) -> None:
    assert (pair.autoencoder.card.kind, pair.classical.card.kind) == ("vector-autoencoder", "median-distance")
    assert pair.sample_kind == "vector"
    assert pair.features == training.features
    for card in (pair.autoencoder.card, pair.classical.card):
        assert card.data_sha256 == data_sha256(training)
        assert card.entities == ("a", "b", "brief")
        assert (card.samples, card.trained_from, card.trained_to) == (805, 0.0, 399.0)
    # The baseline is a witness, as seldom wrong as the detector, and has no part in the rate.
    assert pair.autoencoder.calibration.false_alarm_rate == pair.false_alarm_rate == 0.01
    assert pair.classical.calibration.false_alarm_rate == 0.01


def test_normal_rows_seldom_alert_and_a_jump_does(pair: DetectorPair, make_metrics: Make) -> None:
    values = make_metrics(1000, 5)
    (normal,) = pair.score([SeriesWindow("a", np.arange(1000.0), values)])
    assert np.mean(normal.score > 1) <= 0.03
    values[500, 1] += 40e6
    (jump,) = pair.score([SeriesWindow("a", np.arange(1000.0), values)])
    assert jump.autoencoder.score[500] > 1
    assert jump.classical.score[500] > 1
    assert jump.score[500] == jump.autoencoder.score[500]
    (jump,) = replace(pair, alert_on="either").score([SeriesWindow("a", np.arange(1000.0), values)])
    assert jump.score[500] == max(jump.autoencoder.score[500], jump.classical.score[500])


def test_the_state_of_both_is_one_state(pair: DetectorPair, make_metrics: Make) -> None:
    values = make_metrics(60, 6)
    (whole,) = pair.score([SeriesWindow("new", np.arange(60.0), values)])
    state: State = {}
    parts = []
    for start in range(0, 60, 7):
        (part,) = pair.score(
            [SeriesWindow("new", np.arange(60.0)[start : start + 7], values[start : start + 7], state)]
        )
        state = part.state
        parts.append(part.score)
    np.testing.assert_allclose(np.concatenate(parts), whole.score, rtol=1e-4)
    assert {name.split(".")[0] for name in state} == {"autoencoder", "classical"}
    own, followed = parted(member_state(state, "autoencoder"))
    assert set(own) == {"recent", "centre", "width", "cap"}
    assert followed


def test_either_is_what_one_says_where_the_other_cannot_tell(pair: DetectorPair, make_metrics: Make) -> None:
    values = make_metrics(20, 7)
    (scored,) = replace(pair, alert_on="either").score([SeriesWindow("new", np.arange(20.0), values)])
    assert np.isnan(scored.score[:12]).all()  # both in their warm-up
    assert np.isfinite(scored.score[12:]).all()


def test_metrics_that_do_not_fit_are_refused(pair: DetectorPair) -> None:
    pair.check(features=pair.features)
    with pytest.raises(ModelMismatch):
        pair.check(features=pair.features[:-1])
    with pytest.raises(ModelMismatch, match="trained on 6 metrics"):
        pair.score([SeriesWindow("a", np.arange(3.0), np.zeros((3, 5), dtype=np.float32))])


def test_the_same_data_and_seed_give_the_same_pair_and_others_another(make_metrics: Make) -> None:
    def train(seed: int) -> DetectorPair:
        training = TrainingSet({"a": Series(np.arange(80.0), make_metrics(80, 1))}, tuple("abcdef"))
        return train_pair(training, kind="vector-autoencoder", parameters={"epochs": 2}, seed=seed)

    one, same, other = train(3), train(3), train(4)
    assert one.autoencoder.calibration == same.autoencoder.calibration
    assert one.autoencoder.calibration != other.autoencoder.calibration


def test_another_classical_detector_may_be_asked_for_but_must_exist(training: TrainingSet) -> None:
    with pytest.raises(TrainingError, match="unknown kind of detector 'isolation-forest'"):
        train_pair(
            training, kind="vector-autoencoder", parameters={"epochs": 1}, classical="isolation-forest"
        )
    with pytest.raises(TrainingError, match="not a kind of autoencoder"):
        train_pair(training, kind="median-distance")


@pytest.mark.parametrize(("rows", "says"), [(0, "not one sample"), (12, "longest series has 7 samples")])
def test_too_little_data_is_refused(make_metrics: Make, rows: int, says: str) -> None:
    training = TrainingSet({"a": Series(np.arange(float(rows)), make_metrics(rows, 1))}, tuple("abcdef"))
    with pytest.raises(TrainingError, match=says):
        train_pair(training, kind="vector-autoencoder")


def test_sixty_rows_of_one_host_are_enough(make_metrics: Make) -> None:
    training = TrainingSet({"host": Series(np.arange(60.0), make_metrics(60, 1))}, tuple("abcdef"))
    pair = train_pair(training, kind="vector-autoencoder", alert_on="either")
    values = make_metrics(400, 1)[60:]
    (normal,) = pair.score([SeriesWindow("host", np.arange(340.0), values)])
    values[200:204, [1, 3]] += np.float32([60e6, 600])
    (loaded,) = pair.score([SeriesWindow("host", np.arange(340.0), values)])
    assert np.mean(normal.score > 1) < 0.02
    assert (loaded.score[200:204] > 1).all()


def test_the_hash_of_the_data_sees_every_change(training: TrainingSet) -> None:
    series = training.series["a"]
    changed = series.values.copy()
    changed[7, 3] += 1
    variants = [
        training,
        TrainingSet(training.series, (*training.features[:-1], "other")),
        TrainingSet({**training.series, "a": Series(series.times, changed)}, training.features),
        TrainingSet({**training.series, "a": Series(series.times + 1, series.values)}, training.features),
        TrainingSet({("z" if e == "a" else e): s for e, s in training.series.items()}, training.features),
    ]
    assert len({data_sha256(variant) for variant in variants}) == len(variants)
    turned = TrainingSet(dict(reversed(training.series.items())), training.features)
    assert data_sha256(turned) == data_sha256(training)


def test_the_baseline_takes_a_new_level_when_the_detector_does(
    pair: DetectorPair, make_metrics: Make
) -> None:
    """Whole or in parts; and it goes back with it."""
    values = make_metrics(500, 5)
    values[150:, 1] += 40e6
    times = np.arange(500.0)
    own: Any = Accepting(pair.autoencoder.detector, at=300.0)
    following = replace(pair, autoencoder=replace(pair.autoencoder, detector=own))
    (whole,) = following.score([SeriesWindow("a", times, values)])
    assert np.mean(whole.classical.score[200:301] > 1) > 0.9
    assert np.mean(whole.classical.score[301:] > 1) < 0.1
    state: State = {}
    parts = []
    for start in range(0, 500, 90):
        part = slice(start, start + 90)
        (scored,) = following.score([SeriesWindow("a", times[part], values[part], state)])
        state = scored.state
        parts.append(scored.classical.raw)
    np.testing.assert_allclose(np.concatenate(parts), whole.classical.raw, rtol=1e-3)
    (adaptation,) = whole.adaptations
    back = following.undo(whole.state, adaptation.before)
    assert "classical.level" in whole.state
    assert "classical.level" not in back


class Accepting:
    """A detector that takes what an entity does at a time for its new normal."""

    def __init__(self, detector: Detector, at: float) -> None:
        self._detector, self._at = detector, at

    def score(self, windows: Sequence[SeriesWindow]) -> list[RawScores]:
        found = self._detector.score(windows)
        return [
            replace(each, adaptations=(Adaptation(self._at, NEW_NORMAL, "It is.", each.state),))
            if len(w.times) and w.times[0] <= self._at <= w.times[-1]
            else each
            for w, each in zip(windows, found, strict=True)
        ]

    def undo(self, state: State, before: State) -> State:
        return state
