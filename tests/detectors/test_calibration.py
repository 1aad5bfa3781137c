from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from anomalyd.detectors.calibration import fit_calibration, fit_log_odds
from anomalyd.errors import TrainingError

any_raw = arrays(np.float64, st.integers(10, 200), elements=st.floats(allow_infinity=False))


@given(raw=any_raw, rate=st.floats(1e-6, 0.5), asked=any_raw)
def test_any_raw_score_maps_monotonically_to_a_finite_positive_score(
    raw: np.ndarray, rate: float, asked: np.ndarray
) -> None:
    if np.isfinite(raw).sum() < 10:
        return
    calibration = fit_calibration(raw, rate)
    known = np.sort(asked[~np.isnan(asked)])
    scores = calibration(known)
    assert np.isfinite(scores).all()
    assert (scores >= 0).all()
    assert (np.diff(scores) >= 0).all()
    assert calibration.threshold > calibration.centre
    assert np.isnan(calibration(asked)).tolist() == np.isnan(asked).tolist()


@given(
    raw=arrays(np.float64, st.integers(10, 100), elements=st.floats(-1e6, 1e6)),
    rate=st.floats(1e-5, 0.2),
)
def test_one_is_reached_exactly_at_the_threshold(raw: np.ndarray, rate: float) -> None:
    calibration = fit_calibration(raw, rate)
    at, centre = calibration(np.array([calibration.threshold, calibration.centre]))
    assert at == pytest.approx(1.0)
    assert centre == pytest.approx(0.2)


@pytest.mark.parametrize("tail", ["normal", "exponential", "gamma", "lognormal"])
def test_the_wanted_rate_is_kept_on_scores_not_seen(tail: str) -> None:
    def draw(n: int, seed: int) -> np.ndarray:
        chance = np.random.default_rng(seed)
        return {
            "normal": lambda: chance.normal(5, 2, n),
            "exponential": lambda: chance.exponential(3.0, n),
            "gamma": lambda: chance.gamma(2.0, 1.0, n),
            "lognormal": lambda: chance.lognormal(0.0, 0.5, n),
        }[tail]()

    rates = [
        np.mean(fit_calibration(draw(5000, seed), 1e-3)(draw(200_000, 100 + seed)) > 1) for seed in range(5)
    ]
    # Erring upwards (fewer alarms) is allowed up to a factor of thirty, downwards up to two.
    assert 3e-5 < np.mean(rates) < 2e-3


@pytest.mark.parametrize("n", [12, 24, 60])
def test_few_samples_err_upwards_but_not_without_bound(n: int) -> None:
    rates, thresholds = [], []
    for seed in range(200):
        chance = np.random.default_rng(seed)
        calibration = fit_calibration(chance.gamma(4.0, 1.0, n), 1e-3)
        rates.append(np.mean(calibration(chance.gamma(4.0, 1.0, 5000)) > 1))
        thresholds.append(calibration.threshold)
    true = 13.06  # the 99.9 % quantile of this gamma distribution
    assert np.mean(rates) < 3e-3
    assert true < np.median(thresholds) < 4 * true


def test_a_few_unlabelled_anomalies_hardly_move_the_threshold() -> None:
    chance = np.random.default_rng(0)
    clean = chance.gamma(4.0, 1.0, 2000)
    dirty = clean.copy()
    dirty[700:710] = 500.0
    before, after = (fit_calibration(raw, 1e-3).threshold for raw in (clean, dirty))
    assert before < after < 1.5 * before
    small = chance.gamma(4.0, 1.0, 60)
    small[3] = 500.0
    assert fit_calibration(small, 1e-3).threshold < 60


@pytest.mark.parametrize("constant", [0.0, -3.0, 2.5, 1e90])
def test_constant_scores_do_not_alert_and_a_larger_one_does(constant: float) -> None:
    calibration = fit_calibration(np.full(50, constant), 1e-3)
    same, double = calibration(np.array([constant, constant + max(1.0, abs(constant))]))
    assert same < 1 < double


def test_a_rate_inside_the_data_is_their_quantile() -> None:
    calibration = fit_calibration(np.linspace(0.0, 1.0, 1001), 0.3)
    assert calibration.threshold == pytest.approx(0.7, abs=1e-3)


def test_ties_with_rare_positive_scores_stay_below_the_rate() -> None:
    raw = np.zeros(1000)
    raw[::50] = np.linspace(1, 2, 20)
    calibration = fit_calibration(raw, 1e-3)
    assert np.mean(calibration(raw) > 1) <= 1e-3


def test_infinite_scores_stay_finite_and_ordered() -> None:
    low, high = fit_calibration(np.arange(100.0), 1e-3)(np.array([-np.inf, np.inf]))
    assert 0 <= low < 1 < high < math.inf


@pytest.mark.parametrize("rate", [0.0, 1.0, -0.1, math.nan])
def test_an_impossible_rate_is_refused(rate: float) -> None:
    with pytest.raises(TrainingError, match="between 0 and 1"):
        fit_calibration(np.arange(100.0), rate)


def test_too_few_scores_are_refused_and_nan_does_not_count() -> None:
    with pytest.raises(TrainingError, match="only 9 scores"):
        fit_calibration(np.append(np.arange(9.0), [np.nan] * 50), 1e-3)


def odds(n: int, seed: int, share: float = 0.03, scale: float = 0.7) -> np.ndarray:
    """Log odds of normal samples: half a prior that nothing is broken, and an exponential tail."""
    rng = np.random.default_rng(seed)
    return np.where(rng.random(n) < share, rng.exponential(scale, n), -rng.random(n))


@pytest.mark.parametrize("rate", [0.0005, 0.001, 0.02])
def test_the_tail_of_log_odds_is_known(rate):
    """Of the heaviest tail that is reckoned with: as wanted. Of a lighter one: fewer, never more."""
    heavy = {"share": 0.1, "scale": 1.0}
    fitted = fit_log_odds(odds(2000, 1, **heavy), rate)
    realised = float(np.mean(fitted(odds(400_000, 2, **heavy)) > 1))
    assert rate / 1.7 < realised < 1.7 * rate
    lighter = fit_log_odds(odds(2000, 1), rate)
    assert float(np.mean(lighter(odds(400_000, 2)) > 1)) < rate


def test_broken_samples_in_training_do_not_raise_the_threshold_of_log_odds_beyond_its_bound():
    normal = odds(1000, 3)
    fitted = fit_log_odds(np.r_[normal, np.full(100, 300.0)], 0.001)
    assert fitted.threshold <= -np.log(0.001) + 1e-9
    assert fitted(np.array([300.0]))[0] > 1


def test_odds_that_are_wrong_are_not_believed():
    wrong = np.random.default_rng(4).normal(20.0, 3.0, 1000)
    assert fit_log_odds(wrong, 0.001).threshold > 20.0
