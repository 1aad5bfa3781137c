"""The variational autoencoder, the forecaster, and the PCA that follows: what each has of its own."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.nn import functional

from anomalyd.detectors.detector import Adaptive, Explainable, SeriesWindow
from anomalyd.detectors.registry import detector_class
from anomalyd.detectors.vectors.adaptive_pca import AdaptivePca
from anomalyd.detectors.vectors.forecast import TemporalNetwork, VectorForecast
from anomalyd.detectors.vectors.variational import VariationalNetwork, VectorVariational
from anomalyd.verdict import Verdict

NETWORKS = ("vector-variational", "vector-forecast")
FITTED = {
    "vector-variational": {"epochs": 8, "warmup": 12},
    "vector-forecast": {"epochs": 8, "warmup": 12, "window": 8},
    "adaptive-pca": {"warmup": 12, "accept": 240, "memory": 300},
}


@pytest.fixture(scope="module", params=FITTED)
def detector(request, training):
    return detector_class(request.param).fit(training, FITTED[request.param], seed=1)


def series_window(values, start: int = 1000, state=None, entity: str = "a") -> SeriesWindow:
    times = start + np.arange(len(values), dtype=np.float64)
    return SeriesWindow(entity, times, np.asarray(values, dtype=np.float32), state or {})


def test_a_metric_that_leaves_the_others_is_found_and_blamed(detector, make_metrics):
    values = make_metrics(60, 5)
    values[50:, 2] += 8 * values[:, 2].std()
    (found,) = detector.score([series_window(values)])
    assert np.nanmin(found.raw[50:52]) > np.nanquantile(found.raw[10:50], 0.95)
    assert np.nanargmax(found.contribution[50]) == 2


def test_scores_do_not_depend_on_how_a_stream_is_cut(detector, make_metrics):
    values = make_metrics(130, 6)
    values[40] = np.nan
    (whole,) = detector.score([series_window(values)])
    state, parts = {}, []
    for start, stop in ((0, 1), (1, 59), (59, 64), (64, 130)):
        (part,) = detector.score([series_window(values[start:stop], 1000 + start, state)])
        parts.append(part.raw)
        state = part.state
    np.testing.assert_allclose(np.concatenate(parts), whole.raw, rtol=1e-4, atol=1e-5)


def test_a_row_without_any_value_has_no_score(detector, make_metrics):
    values = make_metrics(20, 7)
    values[10] = np.nan
    (found,) = detector.score([series_window(values)])
    assert np.isnan(found.raw[10])
    assert np.isfinite(found.raw[11:]).all()


@pytest.mark.parametrize("kind", NETWORKS)
def test_what_is_explained_is_what_was_scored(kind, training, make_metrics):
    fitted = detector_class(kind).fit(training, FITTED[kind], seed=1)
    assert isinstance(fitted, Explainable)
    values = make_metrics(30, 8)
    (found,) = fitted.score([series_window(values)])
    encoded = fitted.encode(series_window(values))
    with torch.no_grad():
        again = fitted.forward(encoded.inputs, *encoded.context)
    assert float(again) == pytest.approx(found.raw[-1], rel=1e-4)


def test_a_forecast_does_not_look_at_the_row_it_tells():
    torch.manual_seed(0)
    network = TemporalNetwork(3, 9, 8, 1).eval()
    windows, missing = torch.randn(4, 9, 3), torch.zeros(1, 9, 3, dtype=torch.bool)
    other = windows.clone()
    other[:, -1] += 5
    torch.testing.assert_close(network(windows, missing), network(other, missing))
    other[:, 0] += 5  # the oldest row is within its reach
    assert not torch.allclose(network(windows, missing), network(other, missing))


def test_a_forecaster_has_a_longer_past_by_default():
    assert VectorForecast.parameters_class().window > VectorVariational.parameters_class().window


def test_the_variational_code_is_drawn_in_training_only():
    torch.manual_seed(0)
    network = VariationalNetwork(3, 4, 8, 2).eval()
    windows, missing = torch.randn(16, 4, 3), torch.zeros(1, 4, 3, dtype=torch.bool)
    torch.testing.assert_close(network(windows, missing), network(windows, missing))
    chance = torch.Generator().manual_seed(1)
    (one, more), (two, _) = (network.learn(windows, missing, chance) for _ in range(2))
    assert not torch.allclose(one, two)
    assert float(more.detach()) > 0


@pytest.mark.parametrize("window", [2, 3, 4, 5, 7, 8, 31, 32, 33, 40])
def test_the_forecast_is_that_of_dilated_causal_convolutions(window):
    torch.manual_seed(0)
    network = TemporalNetwork(metrics=5, window=window, hidden=8, code=2)
    windows, missing = torch.randn(4, window, 5), torch.rand(4, window, 5) < 0.1
    past = torch.cat([windows, missing.float()], dim=2)[:, :-1].transpose(1, 2)
    hidden = network.enter(past)
    reach = 1
    for k, block in enumerate(network.blocks):
        padded = functional.pad(hidden, (2 * 2**k, 0))
        change = functional.conv1d(padded, block.weight, block.bias, dilation=2**k)
        hidden = hidden + functional.gelu(change)
        reach += 2 * 2**k
    assert reach >= window - 1
    expected = windows[:, -2] + network.leave(hidden[:, :, -1])
    torch.testing.assert_close(network(windows, missing), expected, atol=1e-5, rtol=1e-5)


@pytest.fixture
def pca(training) -> AdaptivePca:
    return AdaptivePca.fit(training, FITTED["adaptive-pca"], seed=0)


def test_the_plane_follows_a_slow_drift_that_a_frozen_one_alerts_on(pca, training, make_metrics):
    values = make_metrics(3000, 9)
    drift = np.linspace(0, 6, 3000)[:, None] * values.std(0)[None, :] * np.array([1, 0, 0, 0, 0, 0])
    frozen = AdaptivePca.fit(training, FITTED["adaptive-pca"] | {"memory": 10_000_000}, seed=0)
    (follows,) = pca.score([series_window(values + drift)])
    (stays,) = frozen.score([series_window(values + drift)])
    assert np.median(follows.raw[-200:]) < 0.6 * np.median(stays.raw[-200:])


def broken(make_metrics, rows: int):
    values = make_metrics(rows, 10)
    values[60:, 1] += 12 * values[:, 1].std()
    return values


def test_a_long_alarm_becomes_the_new_normal_and_is_recorded(pca, make_metrics):
    (found,) = pca.score([series_window(broken(make_metrics, 600))])
    (news,) = found.adaptations
    assert news.what == "new-normal"
    assert 1000 + 60 + 239 <= news.time <= 1000 + 60 + 360
    assert np.median(found.raw[500:]) < 0.5 * np.median(found.raw[70:200])
    undone = pca.undo(found.state, news.before)
    (after,) = pca.score([series_window(broken(make_metrics, 90)[60:], 1600, undone)])
    assert np.median(after.raw) > 0.7 * np.median(found.raw[70:200])


def test_an_operators_word_settles_it(pca, make_metrics):
    assert isinstance(pca, Adaptive)
    values = broken(make_metrics, 600)
    (begun,) = pca.score([series_window(values[:100])])
    (goes_on,) = pca.score(
        [series_window(values[100:], 1100, pca.apply_feedback(begun.state, Verdict.BROKEN, 1060, 1100))]
    )
    assert not goes_on.adaptations
    assert np.median(goes_on.raw[-100:]) > 0.8 * np.median(begun.raw[70:])
    (settled,) = pca.score(
        [series_window(values[100:160], 1100, pca.apply_feedback(begun.state, Verdict.NORMAL, 1060, 1100))]
    )
    assert np.median(settled.raw) < 0.5 * np.median(begun.raw[70:])
