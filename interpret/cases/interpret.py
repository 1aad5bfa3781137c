"""From explanations to what is made of them: how far to trust them, what would have to change."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from anomalyd.detectors.calibration import ALERT
from anomalyd.detectors.maps.geometries.known import geometry_like, widths_of
from anomalyd.detectors.maps.regions import describe_cells
from anomalyd.detectors.model import Model
from anomalyd.interpret.attribution import Attribution
from anomalyd.interpret.cases.counterfactual import Parts, fewest_cells, raw_limit, smallest_set
from anomalyd.interpret.cases.fingerprint import fingerprint
from anomalyd.interpret.fidelity import Kept, ScoreOf
from anomalyd.reports.cases.interpretation import Counterfactual, Interpretation
from anomalyd.reports.report import Evidence


def interpret(
    entity: str,
    evidence: Evidence,
    model: Model,
    attributions: Sequence[Attribution],
    score: ScoreOf | None,
) -> Interpretation:
    """Make what can be made of the attributions of an entity's evidence, the first method's before all.

    `score` gives the raw score by what is as observed.
    """
    first = attributions[0]
    own = fingerprint(first.values, evidence.error, evidence.features)
    return Interpretation(
        trust={each.method: each.trust for each in attributions if each.trust},
        fingerprint=own,
        counterfactual=None if score is None else _counterfactual(entity, evidence, model, first, score),
    )


def _counterfactual(
    entity: str, evidence: Evidence, model: Model, attribution: Attribution, score: ScoreOf
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
    if evidence.values.ndim == 2 and not lowest < limit:
        return None  # the element as a whole is to blame, as where it is dead: its cells tell nothing
    names = (
        [evidence.features[part] for part in parts]
        if evidence.values.ndim == 1
        else _places(parts, entity, evidence)
    )
    # Linear as the calibration is between the centre (0.2) and the sample.
    calibrated = 0.2 + 0.8 * (lowest - centre) / (limit - centre) if limit != centre else float("nan")
    return Counterfactual(tuple(names), round(max(calibrated, 0.0), 4), lowest < limit)


def _places(parts: Parts, entity: str, evidence: Evidence) -> Sequence[str]:
    """Name cells of a map, given by their number, by the places they make."""
    cells = np.zeros(evidence.values.size, dtype=np.bool_)
    cells[parts] = True
    shape = evidence.values.shape
    geometry = geometry_like(entity, widths_of(evidence.values[None]), shape[1])
    return describe_cells(cells.reshape(shape), geometry)
