"""The methods of a report, one after the other, within a time budget.

Importing this loads captum (about a second): do it where explanations are made, beside the scoring path.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray

from anomalyd.detectors.detector import Detector, Encoded, Explainable, SeriesWindow
from anomalyd.errors import ConfigError, ModelError, ModelMismatch
from anomalyd.interpret import metric_gradients, metric_occlusion, occlusion, signed_error
from anomalyd.interpret.analytical import (
    deconvolution,
    deep_lift,
    guided_backpropagation,
    integrated_gradients,
)
from anomalyd.interpret.attribution import Attribution
from anomalyd.interpret.budget import Budget
from anomalyd.interpret.maps.place_after_place import place_after_place
from anomalyd.interpret.maps.rescored_map import RescoredMap
from anomalyd.interpret.maps.windows import Scale
from anomalyd.interpret.rescoring import Rescoring
from anomalyd.interpret.root_cause import departed
from anomalyd.interpret.trust import trust_of, trust_of_map

Method = Callable[[Explainable, Encoded, NDArray[np.bool_], Budget], Attribution]
MetricMethod = Callable[[Rescoring, NDArray[np.float64], NDArray[np.bool_], Budget], Attribution]

_NO_SCORE = (
    "{entity}: the detector gives no score for this sample, so there is nothing to explain; explain a sample"
    " that was scored, with the state the entity had before it"
)

ANALYTICAL: Mapping[str, Method] = {
    integrated_gradients.METHOD: integrated_gradients.integrated_gradients,
    guided_backpropagation.METHOD: guided_backpropagation.guided_backpropagation,
    deconvolution.METHOD: deconvolution.deconvolution,
    deep_lift.METHOD: deep_lift.deep_lift,
}
"""Methods that go back through the network: a detector without gradients is not asked for them."""

_BY_THE_SCORE = (occlusion.METHOD, integrated_gradients.METHOD)
"""Methods whose attribution is what the score falls by: what hides behind a worse place they do not see."""

METHODS = (occlusion.METHOD, *ANALYTICAL, signed_error.METHOD)


def explain_metrics(
    rescoring: Rescoring,
    strangeness: NDArray[np.float64],
    methods: Sequence[str],
    *,
    budget_s: float,
    clock: Callable[[], float],
    error: NDArray[np.float32] | None = None,
) -> list[Attribution]:
    """Say what raised the raw score of the last row of metrics, against what was expected before its onset.

    `strangeness` (F,) as in `metric_occlusion`, `error` (F,) for the plain peer; the rest as in `explain`.

    Raises:
        ConfigError, ModelError: as `explain`.

    """
    _check_methods(methods)
    window = rescoring.window
    _check_sample(window, window.values.shape[1:])
    if occlusion.METHOD not in methods[:1]:  # which asks for it with all else in one batch
        _check_scored(rescoring)
    total = Budget(budget_s, clock)
    present = np.isfinite(window.values[-1])
    found = []
    for done, name in enumerate(methods):
        if name in ANALYTICAL and not isinstance(rescoring.detector, Explainable):
            continue
        share = Budget(total.left() / (len(methods) - done), clock)
        attribution = _of_metrics(name, rescoring, strangeness, present, share, error)
        _check_scored(rescoring)
        found.append(replace(attribution, trust=trust_of(rescoring, attribution.values)))
    return found


def _of_metrics(
    name: str,
    rescoring: Rescoring,
    strangeness: NDArray[np.float64],
    present: NDArray[np.bool_],
    budget: Budget,
    error: NDArray[np.float32] | None,
) -> Attribution:
    if name == occlusion.METHOD:
        return metric_occlusion.metric_occlusion(rescoring, strangeness, present, budget)
    if name == integrated_gradients.METHOD:
        return metric_gradients.metric_gradients(rescoring, strangeness, present, budget)
    if name == signed_error.METHOD:
        return signed_error.signed_error(
            strangeness.astype(np.float32) if error is None else np.where(present, error, np.nan)
        )
    assert isinstance(rescoring.detector, Explainable)
    encoded = metric_gradients.encode_against_expected(rescoring, departed(strangeness, present))
    return ANALYTICAL[name](rescoring.detector, encoded, present, budget)


def explain(
    detector: Explainable | Detector,
    window: SeriesWindow,
    methods: Sequence[str],
    *,
    shape: tuple[int, ...],
    budget_s: float,
    clock: Callable[[], float],
    units: Scale | None = None,
    error: NDArray[np.float32] | None = None,
) -> list[Attribution]:
    """Say what raised the raw score of the last sample of a window, by each of the methods, in their order.

    `shape` is (F,) or (R, C), that of a sample; the attributions have it, with NaN for missing metrics and
    masked cells. `budget_s` is for all methods together, in seconds of `clock` (never backwards); each may
    use an equal share of what is left. A method whose share runs out returns what it has, with
    `complete=False`; its first chunk of work is always done. `units`: the hardware units of a map; `error`:
    the detector's, for the plain peer. A detector of maps without gradients is asked for its score instead,
    and the methods that need a gradient are left out.

    Raises:
        ConfigError: a method that nobody knows.
        ModelMismatch: the sample, or what the detector makes of it, is not of this shape.
        ModelError: the detector gives no finite score (a warm-up, nothing but missing values).

    """
    _check_methods(methods)
    total = Budget(budget_s, clock)
    _check_sample(window, shape)
    asked = differentiable(detector, window)
    encoded = asked.encode(window)
    _check_encoded(asked, window, encoded, shape)
    present = np.isfinite(window.values[-1])
    found = []
    for done, name in enumerate(methods):
        if name in ANALYTICAL and isinstance(asked, RescoredMap):
            continue
        share = Budget(total.left() / (len(methods) - done), clock)
        if name == signed_error.METHOD:
            away = (encoded.inputs - encoded.baseline)[0].numpy() if error is None else error
            found.append(signed_error.signed_error(np.where(present, away, np.nan).astype(np.float32)))
        else:
            found.append(_of_sample(name, asked, encoded, present, share, units))
        if present.ndim == 2 and not found[-1].trust:
            found[-1] = replace(found[-1], trust=trust_of_map(asked, encoded, found[-1].values))
    return found


def _of_sample(
    name: str,
    detector: Explainable,
    encoded: Encoded,
    present: NDArray[np.bool_],
    budget: Budget,
    units: Scale | None,
) -> Attribution:
    def method(some: Encoded) -> Attribution:
        if name == occlusion.METHOD:
            return occlusion.occlusion(detector, some, present, budget, units)
        return ANALYTICAL[name](detector, some, present, budget)

    if present.ndim == 2 and name in _BY_THE_SCORE:
        return place_after_place(method, detector, encoded, budget)
    return method(encoded)


def differentiable(detector: Explainable | Detector, window: SeriesWindow) -> Explainable:
    """Give the detector, or, if it has no gradient, a stand-in that asks it for scores of the last map."""
    return detector if isinstance(detector, Explainable) else RescoredMap(detector, window)


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


def _check_scored(rescoring: Rescoring) -> None:
    if not np.isfinite(rescoring.observed()):
        raise ModelError(_NO_SCORE.format(entity=rescoring.window.entity))


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
