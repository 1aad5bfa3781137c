"""Integrated gradients of metrics, from what was expected before the onset to what was observed.

Sundararajan, Taly and Yan, "Axiomatic attribution for deep networks", ICML 2017. The sample is taken as if it
came right after what was expected: what a detector remembers has often followed the fault by then, and would
call its end strange. Where the differentiable part of a detector explains less than half of the fall that
scoring shows (a metric that stands still raises no gradient), the same integral is taken with differences of
the detector's own score.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from anomalyd.detectors.detector import Encoded, Explainable, SeriesWindow
from anomalyd.interpret import gradients
from anomalyd.interpret.attribution import Attribution
from anomalyd.interpret.budget import Budget
from anomalyd.interpret.rescoring import Rescoring

METHOD = "integrated-gradients"

_STEPS = 32
_DIFFERENCES = 3  # points on the way where differences stand in: each costs a score for each metric
_SEEN = 0.5
_AT_MOST = 12


def metric_gradients(
    rescoring: Rescoring, strangeness: NDArray[np.float64], present: NDArray[np.bool_], budget: Budget
) -> Attribution:
    """Attribute the score of a sample to the metrics (F,) that were `present`; see `metric_occlusion`."""
    everything = np.arange(len(present))
    observed, usual = np.nan_to_num(
        rescoring.scores([rescoring.window.values, rescoring.with_expected(everything)])
    )
    if isinstance(rescoring.detector, Explainable):
        encoded = encode_against_expected(rescoring)
        with torch.no_grad():
            rise = rescoring.detector.forward(encoded.inputs, *encoded.context) - rescoring.detector.forward(
                encoded.baseline, *encoded.context
            )
        if float(rise.sum()) >= _SEEN * (observed - usual):
            per_input = gradients.integrate(rescoring.detector, encoded, _STEPS)
            values = np.where(present, gradients.fold(per_input, encoded.feature, len(present)), np.nan)
            return Attribution(METHOD, values.astype(np.float32), budget.used())
    return Attribution(METHOD, _by_differences(rescoring, strangeness, present), budget.used())


def encode_against_expected(rescoring: Rescoring) -> Encoded:
    """Encode the sample after rows that were as expected; the baseline is a sample as expected, too."""
    detector, window = rescoring.detector, rescoring.window
    assert isinstance(detector, Explainable)
    usual = rescoring.with_expected(np.arange(window.values.shape[1]))
    after = np.concatenate([usual[:-1], window.values[-1:]])
    encoded = detector.encode(SeriesWindow(window.entity, window.times, after, window.state))
    # As many rows as the detector looks at, all as expected.
    look_back = max(1, encoded.inputs[0].numel() // window.values.shape[1])
    spacing = float(np.median(np.diff(window.times))) if len(window.times) > 1 else 1.0
    times = window.times[-1] - spacing * np.arange(look_back)[::-1]
    rows = np.concatenate([usual[:-1], np.repeat(usual[-1:], look_back, axis=0)])[-look_back:]
    baseline: Tensor = detector.encode(SeriesWindow(window.entity, times, rows, window.state)).inputs
    return Encoded(encoded.inputs, baseline, encoded.context, encoded.feature)


def _by_differences(
    rescoring: Rescoring, strangeness: NDArray[np.float64], present: NDArray[np.bool_]
) -> NDArray[np.float32]:
    """Sum, over points on the way, what the score changes when one metric alone goes a step."""
    order = np.argsort(-np.where(present, strangeness, -np.inf), kind="stable")[: int(present.sum())]
    usual, rows = rescoring.with_expected(np.arange(len(present))), rescoring.window.values
    values = np.where(present, 0.0, np.nan)
    for step in range(1, _DIFFERENCES + 1):
        here, before = (
            usual + np.float32(share / _DIFFERENCES) * (rows - usual) for share in (step, step - 1)
        )
        here = rows if step == _DIFFERENCES else here
        tried = order[:_AT_MOST]
        variants = [here, before]
        variants += [_exchanged(here, before, metric) for metric in tried]
        variants += [_exchanged(before, here, metric) for metric in tried]
        scores = np.nan_to_num(rescoring.scores(variants))
        back, forth = scores[2 : 2 + len(tried)], scores[2 + len(tried) :]
        # Of two that stand still, one alone going back changes nothing: the mean of both differences.
        values[tried] += ((scores[0] - back) + (forth - scores[1])) / 2
    return values.astype(np.float32)


def _exchanged(rows: NDArray[np.float32], others: NDArray[np.float32], metric: int) -> NDArray[np.float32]:
    """Give rows (n, F) with one metric as in the others."""
    found = rows.copy()
    found[:, metric] = others[:, metric]
    return found
