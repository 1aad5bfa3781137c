"""Occlusion of metrics: put one back to what was expected since the onset, and see how far the score falls.

The idea is that of Zeiler and Fergus, "Visualizing and understanding convolutional networks", ECCV 2014, with
two amendments. What is blacked out takes its own course from before the onset, so that nothing else becomes
strange. And where several metrics are broken, taking away one may change little: a metric counts with the
mean of the fall when it alone is put back and the rise when it alone is broken (the first and the last term
of its Shapley value; Shapley, "A value for n-person games", 1953).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from anomalyd.interpret.attribution import Attribution
from anomalyd.interpret.budget import Budget
from anomalyd.interpret.rescoring import Rescoring

METHOD = "occlusion"

_SINGLY = 8
"""Metrics that are tried one by one: those furthest away; the others are tried together."""


def metric_occlusion(
    rescoring: Rescoring, strangeness: NDArray[np.float64], present: NDArray[np.bool_], budget: Budget
) -> Attribution:
    """Attribute the score of a sample to the metrics (F,) that were `present`.

    `strangeness` (F,): how far each departed since the onset, in usual widths. Beyond the furthest eight the
    metrics share what all of them do together by it. Both halves of the work are done whatever they take.
    """
    order = np.argsort(-np.where(present, strangeness, -np.inf), kind="stable")[: int(present.sum())]
    parts = [order[k : k + 1] for k in range(min(_SINGLY, len(order)))]
    if len(order) > _SINGLY:
        parts.append(order[_SINGLY:])
    everything = np.arange(len(present))
    rows = rescoring.window.values
    variants = [rows, rescoring.with_expected(everything)]
    variants += [rescoring.with_expected(part) for part in parts]
    variants += [rescoring.with_expected(np.setdiff1d(everything, part)) for part in parts]
    scores = np.nan_to_num(rescoring.scores(variants))
    observed, usual = scores[:2]
    without, alone = scores[2 : 2 + len(parts)], scores[2 + len(parts) :]
    blame = ((observed - without) + (alone - usual)) / 2
    values = np.full(len(present), np.nan, dtype=np.float32)
    for part, part_blame in zip(parts, blame, strict=True):
        weight = strangeness[part] if strangeness[part].sum() > 0 else np.ones(len(part))
        values[part] = part_blame * weight / weight.sum()
    return Attribution(METHOD, values, budget.used())


def occlude_group(
    rescoring: Rescoring, metrics: NDArray[np.int64], since: int = 0, until: int | None = None
) -> float:
    """Give the fall of the score when a group of metrics, in rows `since` to `until`, did as expected."""
    rows = rescoring.window.values.copy()
    part = (slice(since, until), metrics)
    rows[part] = np.where(np.isnan(rows[part]), np.nan, rescoring.expected[part])
    observed, without = rescoring.scores([rescoring.window.values, rows])
    return float(observed - without)
