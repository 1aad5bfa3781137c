"""Occlusion of metrics: put one back to what was expected since the onset, and see how far the score falls.

The idea is that of Zeiler and Fergus, "Visualizing and understanding convolutional networks", ECCV 2014, with
three amendments. What is blacked out takes its own course from before the onset, so that nothing else becomes
strange. Where several metrics are broken, taking away one may change little: a metric counts with the mean of
the fall when it alone is put back and the rise when it alone is broken (the first and the last term of its
Shapley value; Shapley, "A value for n-person games", 1953). And only metrics that departed since the onset
are tried: a detector that compares with its training holds something against all the others, too, but did
so before.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from anomalyd.interpret.attribution import Attribution
from anomalyd.interpret.budget import Budget
from anomalyd.interpret.rescoring import Rescoring
from anomalyd.interpret.root_cause import clearly_departed, departed

METHOD = "occlusion"

_EXPLAINED = 0.3
"""Part of the fall that the departed metrics must bring together, or else the others are tried as well."""


def metric_occlusion(
    rescoring: Rescoring, strangeness: NDArray[np.float64], present: NDArray[np.bool_], budget: Budget
) -> Attribution:
    """Attribute the score of a sample to the metrics (F,) that were `present`.

    `strangeness` (F,): how far each departed since the onset, in usual widths. Metrics that did not depart
    have 0, unless those that did bring less than 30 % of the fall and none is clearly away: then the others
    share what all of them do together by their strangeness. All of the work is done whatever it takes.
    """
    tried = departed(strangeness, present)
    everything = np.arange(len(present))
    others = np.setdiff1d(np.flatnonzero(present), tried)
    parts = [tried[k : k + 1] for k in range(len(tried))]
    scores = rescoring.scores_without(
        [(), everything, tried, *parts, *(np.setdiff1d(everything, part) for part in parts)]
    )
    observed, usual, together = scores[:3]
    without, alone = scores[3 : 3 + len(parts)], scores[3 + len(parts) :]
    values = np.where(present, 0.0, np.nan).astype(np.float32)
    values[tried] = ((observed - without) + (alone - usual)) / 2
    little = observed - together < _EXPLAINED * (observed - usual)
    if len(others) and little and not clearly_departed(strangeness[present]):
        without, alone = rescoring.scores_without([others, np.setdiff1d(everything, others)])
        weight = strangeness[others] if strangeness[others].sum() > 0 else np.ones(len(others))
        values[others] = ((observed - without) + (alone - usual)) / 2 * weight / weight.sum()
    return Attribution(METHOD, values, budget.used())
