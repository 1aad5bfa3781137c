"""From explanations to what is made of them: how far to trust them, what would have to change."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from anomalyd.detectors.calibration import ALERT
from anomalyd.detectors.model import Model
from anomalyd.interpret.attribution import Attribution
from anomalyd.interpret.cases.counterfactual import fewest_cells, raw_limit, smallest_set
from anomalyd.interpret.cases.fingerprint import fingerprint
from anomalyd.interpret.fidelity import Kept, ScoreOf
from anomalyd.reports.cases.interpretation import Counterfactual, Interpretation
from anomalyd.reports.report import Evidence


def interpret(
    evidence: Evidence,
    model: Model,
    attributions: Sequence[Attribution],
    score: ScoreOf | None,
) -> Interpretation:
    """Make what can be made of the attributions of evidence, the first method's before all.

    `score` gives the raw score by what is as observed.
    """
    first = attributions[0]
    own = fingerprint(first.values, evidence.error, evidence.features)
    return Interpretation(
        trust={each.method: each.trust for each in attributions if each.trust},
        fingerprint=own,
        counterfactual=None if score is None else _counterfactual(evidence, model, first, score),
    )


def _counterfactual(
    evidence: Evidence, model: Model, attribution: Attribution, score: ScoreOf
) -> Counterfactual | None:
    """Look for the smallest set; None where the sample itself is no alert."""
    whole: Kept = np.ones((1, evidence.values.size), dtype=np.bool_)
    raw = float(score(whole)[0])
    if not evidence.score > ALERT or not np.isfinite(raw):
        return None
    centre = model.calibration.centre
    limit = raw_limit(raw, evidence.score, centre)
    search = smallest_set if evidence.values.ndim == 1 else fewest_cells
    parts, lowest = search(score, attribution.values, limit)
    columns = evidence.values.shape[-1]
    names = (
        [evidence.features[part] for part in parts]
        if evidence.values.ndim == 1
        else [f"{part // columns},{part % columns}" for part in np.sort(parts)]
    )
    # Linear as the calibration is between the centre (0.2) and the sample.
    calibrated = 0.2 + 0.8 * (lowest - centre) / (limit - centre) if limit != centre else float("nan")
    return Counterfactual(tuple(names), round(max(calibrated, 0.0), 4), lowest < limit)
