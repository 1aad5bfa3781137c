"""The picture of a report, drawn anew from its evidence whenever somebody looks: none is stored."""

from __future__ import annotations

import math

from anomalyd.detectors.maps.geometries.known import geometry_of
from anomalyd.interpret.attribution import Attribution
from anomalyd.interpret.pictures.drawing import draw_map, draw_vector
from anomalyd.interpret.pictures.palette import DARK, Theme
from anomalyd.reports.report import Evidence, Explanation


def explains(explanation: Explanation, evidence: Evidence | None) -> bool:
    """Say whether an explanation is of this evidence: a worse sample may have come since."""
    return (
        evidence is not None
        and explanation.evidence_time == evidence.time
        and explanation.values.shape == evidence.values.shape
    )


def picture(
    entity: str,
    evidence: Evidence,
    explanation: Explanation | None,
    title: str,
    theme: Theme = DARK,
    trust: str = "",
) -> bytes:
    """Draw the evidence of an entity as PNG, with what raised its score if an explanation says so.

    `trust`: how far to trust the explanation, as its report's interpretation says.
    """
    attribution = None
    if explanation is not None:
        attribution = Attribution(
            explanation.method, explanation.values, explanation.seconds, explanation.complete, trust
        )
    if evidence.values.ndim == 1:
        return draw_vector(
            evidence.features,
            evidence.values,
            evidence.expectation,
            evidence.error,
            attribution,
            evidence.history,
            evidence.history_times,
            evidence.time,
            title,
            width=evidence.width if evidence.width.shape == evidence.values.shape else None,
            onset=evidence.onset if math.isfinite(evidence.onset) else None,
            causes=[cause.name for cause in evidence.causes[:3]],
            theme=theme,
        )
    # Rows and columns are layers and wires where the element is a drift-tube chamber.
    geometry = geometry_of(entity)
    known = geometry is not None and geometry.shape == evidence.values.shape
    places = (geometry.row, geometry.cell, geometry.numbers) if geometry and known else ("row", "column", ())
    return draw_map(
        evidence.values, evidence.expectation, evidence.error, attribution, title, *places, theme=theme
    )
