from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from anomalyd.detectors.detector import Encoded, SeriesWindow
from anomalyd.errors import ConfigError, ModelError, ModelMismatch
from anomalyd.interpret.explain import METHODS, explain

BOTH = ["occlusion", "integrated-gradients"]
ROWS = np.array([[1, 3, 1, 1], [1, 1, 4, np.nan]], dtype=np.float32)
# weight * (value - 1)^2, summed over the two rows; the last metric is missing now.
ANSWERABLE = [0, 2 * 4, 3 * 9, np.nan]


def explained(detector, window, methods=BOTH, budget_s=1e9):
    shape = window.values.shape[1:]
    return explain(detector, window, methods, shape=shape, budget_s=budget_s, clock=detector.clock)


@pytest.mark.parametrize("method", BOTH)
def test_each_metric_gets_what_it_added_over_the_whole_window(quadratic, window, method):
    (found,) = explained(quadratic([1, 2, 3, 4]), window(ROWS), [method])
    assert (found.method, found.complete) == (method, True)
    assert found.values.dtype == np.float32
    np.testing.assert_allclose(found.values, ANSWERABLE, rtol=1e-4)


def test_methods_keep_their_order(quadratic, window):
    assert [a.method for a in explained(quadratic([1, 2, 3, 4]), window(ROWS), BOTH[::-1])] == BOTH[::-1]
    assert explained(quadratic([1, 2, 3, 4]), window(ROWS), []) == []


def test_the_detector_is_asked_in_batches_of_at_most_16(quadratic, window):
    detector = quadratic([1.0] * 100)
    explained(detector, window(np.ones((2, 100)) * 2))
    assert max(detector.batches) == 16
    assert len(detector.batches) < 20


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000), st.floats(0.1, 5.0))
def test_integrated_gradients_add_up_to_the_change_of_the_score(seed, size):
    chance = torch.Generator().manual_seed(seed)
    first, second = torch.randn(12, 20, generator=chance), torch.randn(20, generator=chance)

    class Network:
        clock = staticmethod(lambda: 0.0)

        def encode(self, window):
            inputs = torch.from_numpy(window.values[-1:])
            return Encoded(inputs, torch.zeros_like(inputs), (), torch.arange(12))

        def forward(self, inputs):
            return torch.relu(inputs @ first) @ second.abs() + (inputs**2).sum(1)

    values = size * torch.randn(1, 12, generator=chance).numpy()
    (found,) = explained(Network(), SeriesWindow("a", np.zeros(1), values), ["integrated-gradients"])
    with torch.no_grad():
        change = Network().forward(torch.from_numpy(values)) - Network().forward(torch.zeros(1, 12))
    assert found.complete
    assert float(found.values.sum()) == pytest.approx(float(change), rel=0.011)


def test_a_clipped_score_is_integrated_finer_until_it_adds_up(quadratic, window):
    detector = quadratic([1.0, 1.0])
    whole = detector.forward
    # Flat beyond 4: eight points on the way miss where it stops to rise.
    detector.forward = lambda inputs, *context: whole(inputs, *context).clamp(max=4.0)
    (found,) = explained(detector, window([[1, 1], [31, 1]]), ["integrated-gradients"])
    assert found.complete
    assert found.values.sum() == pytest.approx(4.0, rel=0.1)
    assert sum(detector.batches) > 100


def test_occlusion_that_runs_out_of_time_has_tried_the_most_suspicious(quadratic, window):
    detector = quadratic([1.0] * 1000)
    detector.cost = 1.0
    values = np.ones((2, 1000))
    values[1, 900], values[0, 3] = 9, -5
    (found,) = explained(detector, window(values), ["occlusion"], budget_s=3.0)
    assert not found.complete
    assert found.values[[900, 3]].tolist() == [64, 36]
    assert np.isnan(found.values).sum() == 1000 - 64
    # One look before, then one call of 64: the score itself and four batches.
    assert found.seconds == 5.0


def test_gradients_that_run_out_of_time_are_the_coarser_sum(quadratic, window):
    detector = quadratic([1.0, 1.0])
    whole = detector.forward
    detector.forward = lambda inputs, *context: whole(inputs, *context).clamp(max=4.0)
    detector.cost = 1.0
    (found,) = explained(detector, window([[1, 1], [31, 1]]), ["integrated-gradients"], budget_s=6.0)
    assert not found.complete
    assert np.isfinite(found.values).all()
    # 8 points: one batch, and the scores of both ends. Twice as many would not fit.
    assert found.seconds <= 6.0


def test_time_is_shared_so_that_the_second_method_has_its_turn(quadratic, window):
    detector = quadratic([1.0] * 10_000)
    detector.cost = 1.0
    first, second = explained(detector, window(np.ones((2, 10_000)) * 3), budget_s=100.0)
    assert not first.complete
    assert 50.0 <= first.seconds <= 55.0
    assert second.complete


@pytest.mark.parametrize("budget_s", [0.0, 1e-9])
def test_no_time_at_all_still_gives_a_first_look(quadratic, window, budget_s):
    detector = quadratic([1.0, 1.0, 1.0, 1.0])
    detector.cost = 1.0
    for found in explained(detector, window(ROWS), budget_s=budget_s):
        np.testing.assert_allclose(found.values, [0, 4, 9, np.nan], rtol=1e-4)


def test_an_unknown_method_is_named_with_the_known_ones(quadratic, window):
    with pytest.raises(ConfigError, match=r"unknown method 'lime'; known: occlusion, integrated-gradients"):
        explained(quadratic([1, 2, 3, 4]), window(ROWS), ["occlusion", "lime"])
    assert list(METHODS[:2]) == BOTH


def test_a_sample_of_another_shape_is_refused(quadratic, window):
    detector = quadratic([1, 2, 3, 4])
    with pytest.raises(ModelMismatch, match="no sample of shape"):
        explain(detector, window(ROWS), BOTH, shape=(5,), budget_s=1, clock=detector.clock)
    with pytest.raises(ModelMismatch, match="at least one sample"):
        explained(detector, window(ROWS[:0]))


def test_inputs_that_point_outside_the_sample_are_refused(quadratic, window):
    detector = quadratic([1, 2, 3, 4])
    encode = detector.encode

    def too_far(window):
        e = encode(window)
        return Encoded(e.inputs, e.baseline, e.context, e.feature + 1)

    detector.encode = too_far
    with pytest.raises(ModelMismatch, match="cell 4"):
        explained(detector, window(ROWS[:1]))


def test_a_sample_without_a_score_cannot_be_explained(quadratic, window):
    detector = quadratic([1, 2, np.nan, 4])
    with pytest.raises(ModelError, match="nothing to explain"):
        explained(detector, window(ROWS))


def highlighted(values):
    return np.nan_to_num(values) >= np.nanmax(values) / 2


@pytest.mark.parametrize("method", BOTH)
def test_a_dead_region_of_a_map_is_highlighted(worst, window, method):
    chance = np.random.default_rng(3)
    counts = chance.poisson(50, (1, 12, 60)).astype(np.float32)
    counts[0, :, 57:] = np.nan
    truth = np.zeros((12, 60), dtype=bool)
    truth[4, 16:32] = True
    counts[0, truth] = 0
    (found,) = explained(worst, window(counts), [method])
    assert found.complete
    assert np.array_equal(np.isnan(found.values), np.isnan(counts[0]))
    mine = highlighted(found.values)
    assert (mine & truth).sum() / mine.sum() > 0.9
    assert np.nansum(np.where(truth, found.values, 0)) > 0.8 * np.nansum(np.clip(found.values, 0, None))


@pytest.mark.parametrize("method", BOTH)
@pytest.mark.parametrize("rows", [(4,), (2, 8), (1, 5, 9)])
def test_places_that_are_equally_broken_are_all_blamed(worst, window, method, rows):
    """The score is that of the worst place: putting one of them back alone changes next to nothing."""
    counts = np.random.default_rng(4).poisson(50, (1, 12, 60)).astype(np.float32)
    for k, row in enumerate(rows):
        counts[0, row, 10 * k : 10 * k + 24] = k  # the first is a little worse
    (found,) = explained(worst, window(counts), [method])
    blame = np.clip(found.values, 0, None)
    share = blame.sum(axis=1)[list(rows)] / blame.sum()
    assert share.min() > 0.5 / len(rows)
    assert share.sum() > 0.9
    assert found.trust == "good"
    assert found.complete


def test_a_map_cut_short_is_blurred_but_whole(worst, window):
    counts = np.full((1, 12, 60), 50, dtype=np.float32)
    counts[0, 4, 16:32] = 0
    worst.cost = 1.0
    (found,) = explained(worst, window(counts), ["occlusion"], budget_s=1.0)
    assert not found.complete
    assert np.isfinite(found.values).all()
    assert np.argmax(found.values.max(axis=1)) == 4


@pytest.mark.parametrize("shape", [(1, 1), (1, 50), (3, 2), (2, 17)])
def test_maps_smaller_than_the_windows_are_covered(worst, window, shape):
    worst.run = 1
    counts = np.full((1, *shape), 50, dtype=np.float32)
    counts[0, -1, -1] = 0
    (found,) = explained(worst, window(counts), ["occlusion"])
    assert found.values.shape == shape
    assert np.isfinite(found.values).all()
    assert np.argmax(found.values) == counts.size - 1


def test_a_wholly_masked_map_is_refused(worst, window):
    with pytest.raises(ModelError, match="nothing observed"):
        explained(worst, window(np.full((1, 2, 3), np.nan)))
