"""The methods of a report, one after the other, within a time budget.

Importing this loads captum (about a second): do it where explanations are made, beside the scoring path.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray

from anomalyd.detectors.detector import Encoded, Explainable, SeriesWindow
from anomalyd.errors import ConfigError, ModelError, ModelMismatch
from anomalyd.interpret import gradients, metric_gradients, metric_occlusion, occlusion
from anomalyd.interpret.attribution import Attribution
from anomalyd.interpret.budget import Budget
from anomalyd.interpret.rescoring import Rescoring
from anomalyd.interpret.trust import trust_of

Method = Callable[[Explainable, Encoded, NDArray[np.bool_], Budget], Attribution]

_NO_SCORE = (
    "{entity}: the detector gives no score for this sample, so there is nothing to explain; explain a sample"
    " that was scored, with the state the entity had before it"
)

METHODS: Mapping[str, Method] = {
    occlusion.METHOD: occlusion.occlusion,
    gradients.METHOD: gradients.integrated_gradients,
}


MetricMethod = Callable[[Rescoring, NDArray[np.float64], NDArray[np.bool_], Budget], Attribution]

METRIC_METHODS: Mapping[str, MetricMethod] = {
    metric_occlusion.METHOD: metric_occlusion.metric_occlusion,
    metric_gradients.METHOD: metric_gradients.metric_gradients,
}


def explain_metrics(
    rescoring: Rescoring,
    strangeness: NDArray[np.float64],
    methods: Sequence[str],
    *,
    budget_s: float,
    clock: Callable[[], float],
) -> list[Attribution]:
    """Say what raised the raw score of the last row of metrics, against what was expected before its onset.

    `strangeness` (F,) as in `metric_occlusion`; the rest as in `explain`.

    Raises:
        ConfigError, ModelError: as `explain`.

    """
    _check_methods(methods)
    window = rescoring.window
    _check_sample(window, window.values.shape[1:])
    if not np.isfinite(rescoring.scores([window.values])[0]):
        raise ModelError(_NO_SCORE.format(entity=window.entity))
    total = Budget(budget_s, clock)
    present = np.isfinite(window.values[-1])
    found = []
    for done, name in enumerate(methods):
        share = Budget(total.left() / (len(methods) - done), clock)
        attribution = METRIC_METHODS[name](rescoring, strangeness, present, share)
        found.append(replace(attribution, trust=trust_of(rescoring, attribution.values)))
    return found


def explain(
    detector: Explainable,
    window: SeriesWindow,
    methods: Sequence[str],
    *,
    shape: tuple[int, ...],
    budget_s: float,
    clock: Callable[[], float],
) -> list[Attribution]:
    """Say what raised the raw score of the last sample of a window, by each of the methods, in their order.

    `shape` is (F,) or (R, C), that of a sample; the attributions have it, with NaN for missing metrics and
    masked cells. `budget_s` is for all methods together, in seconds of `clock` (never backwards); each may
    use an equal share of what is left. A method whose share runs out returns what it has, with
    `complete=False`; its first chunk of work is always done.

    Raises:
        ConfigError: a method that nobody knows.
        ModelMismatch: the sample, or what the detector makes of it, is not of this shape.
        ModelError: the detector gives no finite score (a warm-up, nothing but missing values).

    """
    _check_methods(methods)
    total = Budget(budget_s, clock)
    _check_sample(window, shape)
    encoded = detector.encode(window)
    _check_encoded(detector, window, encoded, shape)
    present = np.isfinite(window.values[-1])
    found = []
    for done, name in enumerate(methods):
        share = Budget(total.left() / (len(methods) - done), clock)
        found.append(METHODS[name](detector, encoded, present, share))
    return found


def _check_methods(methods: Sequence[str]) -> None:
    for name in methods:
        if name not in METHODS:
            raise ConfigError(f"explain.methods: unknown method {name!r}; known: {', '.join(METHODS)}")


def _check_sample(window: SeriesWindow, shape: tuple[int, ...]) -> None:
    if not len(window.values) or window.values.shape[1:] != shape:
        raise ModelMismatch(
            f"{window.entity}: a window of shape {window.values.shape} holds no sample of shape {shape};"
            " give at least one sample of the shape that was scored"
        )
    if not np.isfinite(window.values[-1]).any():
        raise ModelError(f"{window.entity}: nothing observed in this sample, so there is nothing to explain")


def _check_encoded(
    detector: Explainable, window: SeriesWindow, encoded: Encoded, shape: tuple[int, ...]
) -> None:
    if int(encoded.feature.max()) >= int(np.prod(shape)):
        raise ModelMismatch(
            f"{window.entity}: the detector's inputs point at metric or cell {int(encoded.feature.max())},"
            f" a sample of shape {shape} has fewer; the model was trained for another kind of input"
        )
    with torch.no_grad():
        score = float(detector.forward(encoded.inputs, *encoded.context))
    if not np.isfinite(score):
        raise ModelError(_NO_SCORE.format(entity=window.entity))
