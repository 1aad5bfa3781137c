"""Metrics explained by asking the detector again: what broke is blamed, also by several at once."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from anomalyd.detectors.detector import RawScores, Series, SeriesWindow, TrainingSet
from anomalyd.detectors.vectors.autoencoder import VectorAutoencoder
from anomalyd.detectors.vectors.distance import MedianDistance
from anomalyd.errors import ConfigError, ModelError
from anomalyd.interpret.expected_values import Reference, expected_course, run_lengths
from anomalyd.interpret.explain import METHODS, explain_metrics
from anomalyd.interpret.fidelity import (
    better_than_random,
    deletion_area,
    infidelity,
    insertion_area,
    score_of_metrics,
)
from anomalyd.interpret.rescoring import Rescoring
from anomalyd.interpret.root_cause import group_of, rank_causes, strength
from anomalyd.interpret.signed_error import signed_error
from anomalyd.interpret.trust import order_of, trust_of
from anomalyd.reports.report import Direction

BOTH = ("occlusion", "integrated-gradients")
F = 6


class Stands:
    """A detector that scores 1 where any metric repeats its value twice, and else 0: no gradient."""

    def score(self, windows):
        found = []
        for window in windows:
            v = window.values
            still = [(v[-1] == v[-2]) & (v[-2] == v[-3])] if len(v) > 2 else [np.zeros(v.shape[1], bool)]
            raw = np.full(len(v), float(np.any(still)))
            found.append(RawScores(raw, v, v, v, {}))
        return found


class Mute:
    """A detector in its warm-up."""

    def score(self, windows):
        v = windows[0].values
        return [RawScores(np.full(len(v), np.nan), v, v, v, {})] * len(windows)


@pytest.fixture(scope="module")
def detector():
    chance = np.random.default_rng(0)
    common = chance.normal(size=(600, 1))
    rows = (10 + common + chance.normal(size=(600, F))).astype(np.float32)
    training = TrainingSet({"pc": Series(np.arange(600.0), rows)}, tuple("abcdef"))
    return VectorAutoencoder.fit(training, {"epochs": 8, "window": 4, "hidden": 16, "code": 2})


def broken(detector, *metrics, rows=5, by=15.0):
    chance = np.random.default_rng(3)
    before = (10 + chance.normal(size=(60, F))).astype(np.float32)
    values = (10 + chance.normal(size=(rows, F))).astype(np.float32)
    values[1:, list(metrics)] += by
    expected = expected_course(before, np.full(F, 60), np.median(before, axis=0), rows)
    return Rescoring(detector, SeriesWindow("pc", np.arange(float(rows)), values), expected)


def explained(rescoring, methods=BOTH):
    away = np.abs(rescoring.window.values[-1] - rescoring.expected[-1]).astype(np.float64)
    return explain_metrics(rescoring, away, methods, budget_s=60.0, clock=lambda: 0.0)


@pytest.mark.parametrize("metrics", [(0,), (4,), (1, 3)])
def test_what_is_broken_is_blamed_by_every_method(detector, metrics):
    rescoring = broken(detector, *metrics)
    for each in explained(rescoring, METHODS):
        assert order_of(each.values)[0] in metrics, each.method
        assert trust_of(rescoring, each.values) == "good"
        score, backwards = score_of_metrics(rescoring), order_of(each.values)[::-1]
        assert better_than_random(score, each.values) > 0.5
        assert deletion_area(score, each.values) < deletion_area(score, each.values, backwards)
        assert insertion_area(score, each.values) > insertion_area(score, each.values, backwards)
        if each.method != "signed-error":
            assert infidelity(score, each.values) < infidelity(score, each.values[::-1].copy()), each.method
    worst = np.zeros(F, dtype=np.float32)
    worst[[f for f in range(F) if f not in metrics][:3]] = 1
    assert trust_of(rescoring, worst) != "good"


@pytest.mark.parametrize("metrics", [(2,), (2, 5)])
def test_what_no_gradient_shows_is_found_by_both(metrics):
    rescoring = broken(Stands(), *metrics)
    values = rescoring.window.values.copy()
    values[:, list(metrics)] = 10.5
    rescoring = Rescoring(Stands(), SeriesWindow("pc", rescoring.window.times, values), rescoring.expected)
    for each in explained(rescoring):
        assert set(order_of(each.values)[: len(metrics)].tolist()) == set(metrics), each.method


def test_a_missing_metric_is_not_blamed(detector):
    rescoring = broken(detector, 0)
    rescoring.window.values[:, 3] = np.nan
    for each in explained(rescoring):
        assert np.isnan(each.values).tolist() == [f == 3 for f in range(F)]


def test_what_was_strange_before_the_onset_is_not_blamed():
    """A detector that compares with its training holds much against metrics that moved long before."""
    chance = np.random.default_rng(0)
    rows = chance.normal(size=(400, 30)).astype(np.float32)
    rows[:, 0] = 5.0  # never moved: it counts for little at most
    detector = MedianDistance.fit(
        TrainingSet({"pc": Series(np.arange(400.0), rows)}, tuple(map(str, range(30)))), {}
    )
    usual = (rows[:60] + np.where(np.arange(30) > 0, 3.0, 0.0)).astype(np.float32)
    broken_row = usual[30:31] + chance.normal(size=(1, 30)).astype(np.float32)
    broken_row[0, 0] = 40.0
    expected = expected_course(usual, np.full(30, 60), np.median(usual, axis=0), 1)
    rescoring = Rescoring(detector, SeriesWindow("pc", np.array([60.0]), broken_row), expected)
    for each in explained(rescoring):
        assert order_of(each.values)[0] == 0, each.method
        assert each.values[0] > 0.5 * np.nansum(np.abs(each.values)), each.method


def test_what_cannot_be_explained_is_refused(detector):
    with pytest.raises(ConfigError, match="unknown method"):
        explained(broken(detector, 0), ["guess"])
    rescoring = broken(detector, 0)
    rescoring.window.values[-1] = np.nan
    with pytest.raises(ModelError, match="nothing observed"):
        explained(rescoring)


@pytest.mark.parametrize("methods", [METHODS, METHODS[1:2]])
def test_a_sample_without_a_score_is_refused(detector, methods):
    rescoring = broken(detector, 0)
    with pytest.raises(ModelError, match="gives no score"):
        explained(Rescoring(Mute(), rescoring.window, rescoring.expected), methods)


def test_the_gradients_depend_on_the_weights(detector):
    """Adebayo et al., "Sanity checks for saliency maps", NeurIPS 2018: with random weights they differ."""
    rescoring = broken(detector, 0, by=4.0)
    (before,) = explained(rescoring, ["integrated-gradients"])
    restored = VectorAutoencoder.restore(
        {
            name: tensor if not name.startswith("network.") else tensor.normal_()
            for name, tensor in ((n, t.clone()) for n, t in detector.tensors().items())
        },
        detector.config(),
    )
    (after,) = explained(Rescoring(restored, rescoring.window, rescoring.expected), ["integrated-gradients"])
    ranks = [np.argsort(np.argsort(each.values)) for each in (before, after)]
    assert np.corrcoef(*ranks)[0, 1] < 0.9


def test_the_plain_peers():
    error = np.array([-3.0, 1.0, np.nan], dtype=np.float32)
    np.testing.assert_array_equal(signed_error(error).values, np.abs(error))


def drifting(size=30.0, rows=40):
    """Rows (160, 2), of which the first metric grows from row 120 on."""
    chance = np.random.default_rng(1)
    found = 50 + chance.normal(size=(120 + rows, 2))
    found[120:, 0] += np.linspace(0, size, rows)
    return found.astype(np.float32)


@pytest.mark.parametrize("onset", [124, 130, 140])
def test_what_was_expected_is_that_of_before_a_drift_however_late_it_is_seen(onset):
    rows = drifting()
    nothing = np.full(2, np.nan, np.float32)
    reference = Reference.before(rows[:onset], rows[onset], nothing, nothing)
    assert np.all(np.abs(reference.expected - 50) < 1.0)
    assert np.all((reference.width > 0.6) & (reference.width < 1.6))


def test_what_was_expected_of_a_stuck_metric_is_that_of_before_it_stood():
    rows = np.random.default_rng(4).normal(50, 1, (100, 2)).astype(np.float32)
    rows[65:, 1] = 52.5
    nothing = np.full(2, np.nan, np.float32)
    reference = Reference.before(rows[:-1], rows[-1], nothing, nothing)
    assert np.all(np.abs(reference.expected - 50) < 1.0)
    assert (run_lengths(rows)[-1] >= reference.runs).tolist() == [False, True]


def test_a_metric_that_never_moved_is_not_stuck():
    """The size of a file system has stood since ever, and is to blame for nothing."""
    rows = np.random.default_rng(5).normal(50, 1, (80, 3)).astype(np.float32)
    rows[:, 0] = 1.2627624e10
    rows[3:, 1] = 4096.0
    rows[70:, 2] += 20
    nothing = np.full(3, np.nan, np.float32)
    reference = Reference.before(rows[:70], rows[70], nothing, np.full(3, 1.0, np.float32))
    strange = strength(reference, rows)
    assert strange[70:, :2].max() == 0.0
    assert strange[70:, 2].min() > 10.0
    causes = rank_causes(
        reference, ("disk.total", "disk.block", "cpu"), np.arange(80.0), rows, 70, np.ones(3, np.float32), 9
    )
    assert causes[0].name == "cpu"
    assert causes[0].share == pytest.approx(1.0)


def test_what_is_far_away_comes_before_what_the_detector_alone_blames():
    """A detector that looks for change holds nothing any more against a memory that rose and stays."""
    rows = np.random.default_rng(6).normal(50, 1, (80, 2)).astype(np.float32)
    rows[70:, 0] += 800
    rows[79, 1] = 53.4
    reference = Reference.before(
        rows[:70], rows[70], np.full(2, np.nan, np.float32), np.full(2, 1.0, np.float32)
    )
    causes = rank_causes(
        reference, ("used", "buffered"), np.arange(80.0), rows, 70, np.array([0.0, 3.0], np.float32), 9
    )
    assert causes[0].name == "used"


def test_causes_are_told_with_when_they_began():
    rows = np.random.default_rng(2).normal(50, 1, (80, 4)).astype(np.float32)
    rows[62:, 2] += 20
    rows[66:, 0] -= 12
    rows[58:, 3] = rows[58, 3]
    nothing = np.full(4, np.nan, np.float32)
    reference = Reference.before(rows[:62], rows[62], nothing, nothing)
    times = np.arange(80) * 10.0
    causes = rank_causes(
        reference, ("cpu.used", "b", "net.rx", "disk"), times, rows, 62, np.ones(4, np.float32), 9
    )
    found = {cause.name: (cause.direction, cause.started) for cause in causes}
    assert found["net.rx"] == (Direction.ABOVE, 620.0)
    assert found["cpu.used"] == (Direction.BELOW, 660.0)
    assert found["disk"] == (Direction.STUCK, 580.0)
    assert [a.share >= b.share for a, b in itertools.pairwise(causes)]
    assert (group_of("cpu.used"), group_of("net.rx"), group_of("3")) == ("cpu", "net", "3")


def test_what_blames_nothing_is_weak_and_costs_no_score(detector):
    rescoring = broken(detector, 1)
    scored = len(rescoring._known)
    assert trust_of(rescoring, np.zeros(F, dtype=np.float32)) == "weak"
    assert len(rescoring._known) <= scored + 2  # both ends at most
