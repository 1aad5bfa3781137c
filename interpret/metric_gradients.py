"""Integrated gradients of metrics, from what was expected before the onset to what was observed.

Sundararajan, Taly and Yan, "Axiomatic attribution for deep networks", ICML 2017. The sample is taken as if it
came right after what was expected: what a detector remembers has often followed the fault by then, and would
call its end strange. Where the differentiable part of a detector explains less than half of the fall that
scoring shows (a metric that stands still raises no gradient), the same integral is taken with differences of
the detector's own score.
"""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from anomalyd.detectors.detector import Encoded, EncodesInputs, Explainable, SeriesWindow
from anomalyd.interpret.analytical import integrated_gradients
from anomalyd.interpret.attribution import Attribution, folded
from anomalyd.interpret.budget import Budget
from anomalyd.interpret.rescoring import Rescoring
from anomalyd.interpret.root_cause import departed

METHOD = "integrated-gradients"

_STEPS = 32
_DIFFERENCES = 2  # steps on the way where differences stand in: each costs two scores for each metric
_SEEN = 0.5


def metric_gradients(
    rescoring: Rescoring, strangeness: NDArray[np.float64], present: NDArray[np.bool_], budget: Budget
) -> Attribution:
    """Attribute the score of a sample to the metrics (F,) that were `present`; see `metric_occlusion`."""
    tried = departed(strangeness, present)
    if isinstance(rescoring.detector, Explainable):
        observed, usual = rescoring.ends()
        encoded = encode_against_expected(rescoring, tried)
        with torch.no_grad():
            rise = rescoring.detector.forward(encoded.inputs, *encoded.context) - rescoring.detector.forward(
                encoded.baseline, *encoded.context
            )
        if float(rise.sum()) >= _SEEN * (observed - usual):
            per_input = integrated_gradients.integrate(rescoring.detector, encoded, _STEPS)
            return folded(METHOD, per_input, encoded.feature, present, budget)
    return Attribution(METHOD, _by_differences(rescoring, tried, present), budget.used())


def encode_against_expected(rescoring: Rescoring, tried: NDArray[np.int64]) -> Encoded:
    """Encode the sample after rows that were as expected; the baseline is a sample as expected, too.

    Only the metrics `tried` are as observed in the sample; the others are as expected in both.
    """
    detector, window = rescoring.detector, rescoring.window
    assert isinstance(detector, Explainable)
    usual = rescoring.with_expected(np.arange(rescoring.metrics))
    last = usual[-1:].copy()
    last[:, tried] = window.values[-1:, tried]
    after = np.concatenate([usual[:-1], last])
    encoded = detector.encode(SeriesWindow(window.entity, window.times, after, window.state))
    # As many rows as the detector looks at, all as expected.
    look_back = max(1, encoded.inputs[0].numel() // rescoring.metrics)
    spacing = float(np.median(np.diff(window.times))) if len(window.times) > 1 else 1.0
    times = window.times[-1] - spacing * np.arange(look_back)[::-1]
    rows = np.concatenate([usual[:-1], np.repeat(usual[-1:], look_back, axis=0)])[-look_back:]
    at_last = SeriesWindow(window.entity, times, rows, window.state)
    return replace(encoded, baseline=_inputs_of(detector, at_last))


def _inputs_of(detector: Explainable, window: SeriesWindow) -> Tensor:
    return (
        detector.encode_inputs(window)
        if isinstance(detector, EncodesInputs)
        else detector.encode(window).inputs
    )


def _by_differences(
    rescoring: Rescoring, tried: NDArray[np.int64], present: NDArray[np.bool_]
) -> NDArray[np.float32]:
    """Sum, over points on the way, what the score changes when one metric alone goes a step."""
    values = np.where(present, 0.0, np.nan)
    if len(tried) == 1:  # the whole way is its own
        observed, usual = rescoring.ends()
        values[tried] = observed - usual
        return values.astype(np.float32)
    usual_rows, rows = rescoring.with_expected(np.arange(len(present))), rescoring.window.values
    away = rows - usual_rows
    points = [usual_rows + np.float32(k / _DIFFERENCES) * away for k in range(_DIFFERENCES)]
    points.append(rows)
    variants = list(points)
    for before, here in itertools.pairwise(points):
        variants += [_exchanged(here, before, metric) for metric in tried]
        variants += [_exchanged(before, here, metric) for metric in tried]
    scores = np.nan_to_num(rescoring.scores(variants))
    on_way, alone = scores[: len(points)], scores[len(points) :].reshape(_DIFFERENCES, 2, len(tried))
    for before, here, (back, forth) in zip(on_way, on_way[1:], alone, strict=False):
        # Of two that stand still, one alone going back changes nothing: the mean of both differences.
        values[tried] += ((here - back) + (forth - before)) / 2
    return values.astype(np.float32)


def _exchanged(rows: NDArray[np.float32], others: NDArray[np.float32], metric: int) -> NDArray[np.float32]:
    """Give rows (n, F) with one metric as in the others."""
    found = rows.copy()
    found[:, metric] = others[:, metric]
    return found
