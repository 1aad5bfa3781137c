"""From explanations to what is made of them: how far to trust them, what would have to change."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from anomalyd.detectors.calibration import ALERT, SCORE_OF_CENTRE
from anomalyd.detectors.maps.geometries.known import geometry_like, widths_of
from anomalyd.detectors.maps.geometry import Geometry
from anomalyd.detectors.maps.regions import WHOLE, describe_cells, highlighted
from anomalyd.detectors.maps.units import unit_cells
from anomalyd.detectors.model import Model
from anomalyd.interpret.attribution import Attribution
from anomalyd.interpret.cases.counterfactual import (
    Parts,
    fewest_cells,
    fewest_units,
    raw_limit,
    smallest_set,
)
from anomalyd.interpret.cases.fingerprint import fingerprint
from anomalyd.interpret.fidelity import Kept, ScoreOf
from anomalyd.reports.cases.interpretation import Counterfactual, Interpretation
from anomalyd.reports.report import Evidence

_FEW = 3
"""Cells that are named one by one; of more, the hardware unit is named if they are a good part of it."""

_PART, _MOST = 0.4, 0.6
"""Part of the cells of hardware units, or of a map, from which these are named instead; and part of a map
that units may hold at most."""


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
        counterfactual=_with_usual_total(evidence)
        if score is None
        else _counterfactual(entity, evidence, model, first, score),
    )


def _with_usual_total(evidence: Evidence) -> Counterfactual | None:
    """Say what the map would score if it had the total that was expected; None where nobody can say that."""
    total = evidence.total
    if total is None or not np.isfinite(total.expected) or not evidence.score > ALERT:
        return None
    # Of no counts nothing but the usual shape can be said, whose calibrated score is that of the centre.
    score = round(total.otherwise if np.isfinite(total.otherwise) else SCORE_OF_CENTRE, 4)
    return Counterfactual(
        ("its total",), score, score < ALERT, observed=round(evidence.score, 4), total=round(total.expected)
    )


def _counterfactual(
    entity: str, evidence: Evidence, model: Model, attribution: Attribution, score: ScoreOf
) -> Counterfactual | None:
    """Look for the smallest set; None where the sample itself is no alert."""
    observed, expected = (np.full((1, evidence.values.size), kept) for kept in (True, False))
    raw = float(score(observed)[0])
    if not evidence.score > ALERT or not np.isfinite(raw):
        return None
    centre = model.calibration.centre
    limit = raw_limit(raw, evidence.score, centre)
    if evidence.values.ndim == 1:
        parts, lowest = smallest_set(score, attribution.values, limit)
        names: Sequence[str] = [evidence.features[part] for part in parts]
    elif not np.nan_to_num(evidence.values).any():
        return None  # it is dead as a whole: its cells tell nothing
    else:
        names, lowest = _of_map(score, attribution.values, limit, entity, evidence)

    def calibrated(some: float) -> float:
        # Linear as the calibration is between the centre (0.2) and the sample.
        found = 0.2 + 0.8 * (some - centre) / (limit - centre) if limit != centre else float("nan")
        return round(max(found, 0.0), 4)

    return Counterfactual(
        tuple(names),
        calibrated(lowest),
        lowest < limit,
        observed=round(evidence.score, 4),
        whole=calibrated(float(score(expected)[0])),
        since=_put_back_since(evidence),
    )


def _put_back_since(evidence: Evidence) -> float:
    """Give the event time of the first row that is put back with the sample; NaN of a map, which has none."""
    if evidence.values.ndim == 2:
        return float("nan")
    return float(evidence.lead_times[0]) if len(evidence.lead_times) else evidence.time


def _of_map(
    score: ScoreOf, blame: NDArray[np.float32], limit: float, entity: str, evidence: Evidence
) -> tuple[Sequence[str], float]:
    """Name few cells, hardware units, places or the whole map; and give the raw score without them."""
    nothing: Kept = np.zeros((1, blame.size), dtype=np.bool_)
    without_all = float(score(nothing)[0])
    if without_all >= limit:
        return (WHOLE,), without_all
    present = int(np.isfinite(blame).sum())
    cells, left = fewest_cells(score, blame, limit)
    if left >= limit or len(cells) > _FEW:
        named = _named(blame, entity, evidence)
        chosen, without = fewest_units(score, blame.size, [each for _, each in named], limit)
        held = len(np.unique(np.concatenate([named[k][1] for k in chosen]))) if chosen else 0
        natural = held <= _MOST * present and (left >= limit or len(cells) >= _PART * held)
        if without < limit and natural:
            return [named[k][0] for k in chosen], without
    if left >= limit or len(cells) >= _PART * present:
        return (WHOLE,), without_all
    return _places(cells, entity, evidence), left


def _named(blame: NDArray[np.float32], entity: str, evidence: Evidence) -> list[tuple[str, Parts]]:
    """Name the hardware units of a map and the place that is blamed most, and give the cells of each."""
    present = np.isfinite(blame)
    geometry = _geometry(entity, evidence)
    named = [(name, np.flatnonzero(inside & present)) for name, inside in unit_cells(geometry)]
    worst = np.flatnonzero(highlighted(blame))
    names = _places(worst, entity, evidence)
    return [*named, (names[0], worst)] if len(names) == 1 else named


def _places(parts: Parts, entity: str, evidence: Evidence) -> Sequence[str]:
    """Name cells of a map, given by their number, by the places they make."""
    cells = np.zeros(evidence.values.size, dtype=np.bool_)
    cells[parts] = True
    return describe_cells(cells.reshape(evidence.values.shape), _geometry(entity, evidence))


def _geometry(entity: str, evidence: Evidence) -> Geometry:
    return geometry_like(entity, widths_of(evidence.values[None]), evidence.values.shape[1])
