from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from anomalyd.detectors.detector import Series, SeriesWindow, State, TrainingSet
from anomalyd.detectors.vectors.autoencoder import VectorAutoencoder
from anomalyd.errors import ModelMismatch, TrainingError

Make = Callable[..., NDArray[np.float32]]

CONFIG = {"epochs": 15, "warmup": 12}


@pytest.fixture(scope="module")
def autoencoder(training: TrainingSet) -> VectorAutoencoder:
    return VectorAutoencoder.fit(training, CONFIG)


@pytest.fixture(scope="module")
def rows_once(make_metrics: Make) -> NDArray[np.float32]:
    """Rows with gaps: single metrics, a whole row, and a spike."""
    values = make_metrics(60, 8)
    values[np.random.default_rng(0).random(values.shape) < 0.05] = np.nan
    values[33] = np.nan
    values[45, 1] = 1e9
    return values


def test_the_same_data_and_seed_give_a_bit_identical_model(
    training: TrainingSet, autoencoder: VectorAutoencoder
) -> None:
    torch.manual_seed(123)  # nobody else's random numbers matter
    again, other = (VectorAutoencoder.fit(training, CONFIG, seed=seed) for seed in (0, 1))
    for name, tensor in autoencoder.tensors().items():
        assert torch.equal(tensor, again.tensors()[name]), name
    assert not torch.equal(
        autoencoder.tensors()["network.values.weight"], other.tensors()["network.values.weight"]
    )


def test_training_tells_how_the_loss_falls(training: TrainingSet) -> None:
    told: list[tuple[int, int, Mapping[str, float]]] = []

    def watch(what: str, step: int, total: int, figures: Mapping[str, float] | None = None) -> None:
        assert what == "vector-autoencoder"
        told.append((step, total, dict(figures or {})))

    VectorAutoencoder.fit(training, CONFIG, progress=watch)
    assert [step for step, _, _ in told] == list(range(1, len(told) + 1))
    assert told[-1][0] <= told[-1][1]
    assert told[-1][2]["loss"] < 0.7 * told[0][2]["loss"]
    assert told[-1][2]["validation"] < 0.7 * told[0][2]["validation"]


@given(cuts=st.lists(st.integers(0, 60), max_size=8), entity=st.sampled_from(["a", "never seen"]))
def test_scores_do_not_depend_on_the_cut(
    autoencoder: VectorAutoencoder, rows_once: NDArray[np.float32], cuts: list[int], entity: str
) -> None:
    (whole,) = autoencoder.score([SeriesWindow(entity, np.arange(60.0), rows_once)])
    state: State = {}
    parts = []
    edges = [0, *sorted(cuts), 60]
    for start, end in itertools.pairwise(edges):
        # Another entity in the batch must not matter either.
        other = SeriesWindow("b", np.arange(3.0), rows_once[:3])
        part, _ = autoencoder.score(
            [SeriesWindow(entity, np.arange(start, float(end)), rows_once[start:end], state), other]
        )
        state = part.state
        parts.append(part)
    for name in ("raw", "error", "expectation", "contribution"):
        cut = np.concatenate([getattr(part, name) for part in parts])
        ready = np.arange(60) >= (12 if entity == "never seen" else 0)  # before, expectations are a guess
        np.testing.assert_allclose(cut[ready], getattr(whole, name)[ready], rtol=2e-3, atol=2e-4)
    np.testing.assert_allclose(np.concatenate([p.raw for p in parts]), whole.raw, rtol=1e-4)
    assert state.keys() == whole.state.keys()
    for name in state:
        np.testing.assert_array_equal(state[name], whole.state[name])


def test_an_entity_never_seen_is_scored_like_a_known_one_after_its_warmup(
    autoencoder: VectorAutoencoder, make_metrics: Make
) -> None:
    (new,) = autoencoder.score([SeriesWindow("new", np.arange(200.0), make_metrics(200, 5, unit=1e-4))])
    (known,) = autoencoder.score([SeriesWindow("a", np.arange(200.0), make_metrics(200, 5))])
    assert np.isnan(new.raw[:12]).all()
    assert np.isnan(new.error[:12]).all()
    assert np.median(new.raw[12:]) < 2 * np.median(known.raw[12:])


@pytest.mark.parametrize("metric", range(6))
def test_a_metric_that_jumps_raises_the_score_and_is_first_to_blame(
    autoencoder: VectorAutoencoder, make_metrics: Make, metric: int
) -> None:
    values = make_metrics(100, 6)
    (before,) = autoencoder.score([SeriesWindow("a", np.arange(100.0), values)])
    values[80, metric] += 15 * max(float(values[:, metric].std()), 0.07)
    (after,) = autoencoder.score([SeriesWindow("a", np.arange(100.0), values)])
    assert after.raw[80] > before.raw.max()
    assert np.argmax(after.contribution[80]) == metric
    assert after.error[80, metric] > 4
    np.testing.assert_array_equal(after.raw[:80], before.raw[:80])  # causal


def test_it_sees_what_a_metric_alone_does_not_show(
    autoencoder: VectorAutoencoder, make_metrics: Make
) -> None:
    values = make_metrics(300, 6)
    (before,) = autoencoder.score([SeriesWindow("a", np.arange(300.0), values)])
    torn = values.copy()
    torn[:, 0] = torn[::-1, 0]  # each value is usual, its company is not
    (after,) = autoencoder.score([SeriesWindow("a", np.arange(300.0), torn)])
    assert np.median(after.raw) > 1.5 * np.median(before.raw)


def test_the_expectation_is_in_the_units_of_the_values(
    autoencoder: VectorAutoencoder, make_metrics: Make
) -> None:
    for entity, unit in (("a", 1.0), ("b", 100.0)):
        values = make_metrics(200, 6, unit=unit)
        (scored,) = autoencoder.score([SeriesWindow(entity, np.arange(200.0), values)])
        residual = np.abs(scored.expectation - values)[:, :5]
        assert (np.median(residual, axis=0) < 0.6 * values[:, :5].std(axis=0)).all()


def test_missing_values_are_not_scored_and_not_mistaken_for_usual_ones(
    autoencoder: VectorAutoencoder, rows_once: NDArray[np.float32]
) -> None:
    (scored,) = autoencoder.score([SeriesWindow("a", np.arange(60.0), rows_once)])
    missing = np.isnan(rows_once)
    assert np.array_equal(np.isnan(scored.error), missing)
    assert np.array_equal(np.isnan(scored.contribution), missing)
    assert np.flatnonzero(np.isnan(scored.raw)).tolist() == [33]
    assert np.isfinite(scored.expectation).all()


def test_the_raw_score_is_what_the_explained_function_gives(
    autoencoder: VectorAutoencoder, rows_once: NDArray[np.float32]
) -> None:
    for end in (1, 20, 46, 60):
        series_window = SeriesWindow("a", np.arange(float(end)), rows_once[:end])
        (scored,) = autoencoder.score([series_window])
        encoded = autoencoder.encode(series_window)
        raw = autoencoder.forward(encoded.inputs, *encoded.context)
        assert float(raw) == pytest.approx(scored.raw[-1], rel=1e-4)
        assert encoded.inputs.shape == encoded.baseline.shape == (1, 8, 6)
        seen = encoded.feature >= 0
        assert torch.equal(encoded.feature[seen], torch.arange(6).expand(8, 6)[seen])
        assert not encoded.inputs[0][~seen].any()


def test_the_explained_function_is_differentiable_and_takes_many_inputs_with_one_context(
    autoencoder: VectorAutoencoder, rows_once: NDArray[np.float32]
) -> None:
    encoded = autoencoder.encode(SeriesWindow("a", np.arange(46.0), rows_once[:46]))
    inputs = torch.cat([encoded.baseline, encoded.inputs]).requires_grad_()
    raw = autoencoder.forward(inputs, *encoded.context)
    assert raw[1] > 3 * raw[0]
    raw[1].backward()
    assert inputs.grad is not None
    assert inputs.grad[1].abs().sum() > 0
    assert inputs.grad[0].abs().sum() == 0


def test_entities_of_one_training_set_share_the_network(training: TrainingSet, make_metrics: Make) -> None:
    """A brief entity is scored with what the network learnt from the others, as soon as it has a scale."""
    fitted = VectorAutoencoder.fit(training, CONFIG)
    values = make_metrics(60, 9)
    (scored,) = fitted.score([SeriesWindow("brief", np.arange(60.0), values)])
    torn = values.copy()
    torn[30:, 0] = torn[:29:-1, 0]
    (broken,) = fitted.score([SeriesWindow("brief", np.arange(60.0), torn)])
    assert np.median(broken.raw[30:]) > 1.3 * np.median(scored.raw[30:])


@pytest.mark.parametrize("parameters", [{"windw": 8}, {"window": 0}, {"code": -1}, {"epochs": 1.5}])
def test_an_impossible_parameter_is_refused(training: TrainingSet, parameters: dict[str, float]) -> None:
    with pytest.raises(TrainingError, match=f"vector-autoencoder.*{next(iter(parameters))}"):
        VectorAutoencoder.fit(training, parameters)


@pytest.mark.parametrize("window", [1, 2, 30])
def test_any_window_works(training: TrainingSet, make_metrics: Make, window: int) -> None:
    fitted = VectorAutoencoder.fit(training, {"epochs": 1, "window": window, "top": 50})
    (scored,) = fitted.score([SeriesWindow("a", np.arange(9.0), make_metrics(9, 1))])
    assert np.isfinite(scored.raw).all()
    assert len(scored.state.get("recent", ())) == min(window - 1, 9)


def test_training_with_missing_values_and_a_metric_that_is_never_there(make_metrics: Make) -> None:
    values = make_metrics(100, 1)
    values[np.random.default_rng(0).random(values.shape) < 0.3] = np.nan
    values[:, 2] = np.nan
    fitted = VectorAutoencoder.fit(
        TrainingSet({"a": Series(np.arange(100.0), values)}, tuple("abcdef")), CONFIG
    )
    (scored,) = fitted.score([SeriesWindow("a", np.arange(100.0), values)])
    assert np.isfinite(scored.raw).all()
    assert all(torch.isfinite(t).all() for n, t in fitted.tensors().items() if n != "scaling.cap")


def test_empty_batches_and_stretches(autoencoder: VectorAutoencoder) -> None:
    assert autoencoder.score([]) == []
    (scored,) = autoencoder.score([SeriesWindow("a", np.empty(0), np.empty((0, 6), dtype=np.float32))])
    assert scored.raw.shape == (0,)
    with pytest.raises(ModelMismatch):
        autoencoder.score([SeriesWindow("a", np.zeros(1), np.zeros((1, 7), dtype=np.float32))])
