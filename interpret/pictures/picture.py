"""The picture of a report, drawn anew from its evidence whenever somebody looks: none is stored."""

from __future__ import annotations

import math
from datetime import UTC, datetime

from anomalyd.detectors.maps.geometries.known import geometry_of
from anomalyd.interpret.attribution import Attribution
from anomalyd.interpret.pictures.drawing import draw_map, draw_vector
from anomalyd.interpret.pictures.page import Format
from anomalyd.interpret.pictures.palette import DARK, Theme
from anomalyd.reports.report import Evidence, Explanation, Incident


def explains(explanation: Explanation, evidence: Evidence | None) -> bool:
    """Say whether an explanation is of this evidence: a worse sample may have come since."""
    return (
        evidence is not None
        and explanation.evidence_time == evidence.time
        and explanation.values.shape == evidence.values.shape
    )


def picture(
    incident: Incident,
    evidence: Evidence,
    explanation: Explanation | None,
    theme: Theme = DARK,
    trust: str = "",
    form: Format = "png",
) -> bytes:
    """Draw the evidence of an incident, with what raised its score if an explanation says so.

    `trust`: how far to trust the explanation, as its report's interpretation says.
    """
    title = f"{incident.entity}  score {incident.peak:.1f}" if explanation else incident.entity
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
            _when(incident, evidence),
            width=evidence.width if evidence.width.shape == evidence.values.shape else None,
            onset=evidence.onset if math.isfinite(evidence.onset) else None,
            causes=[cause.name for cause in evidence.causes[:3]],
            form=form,
            theme=theme,
        )
    # Rows and columns are layers and wires where the element is a drift-tube chamber.
    geometry = geometry_of(incident.entity)
    known = geometry is not None and geometry.shape == evidence.values.shape
    places = (geometry.row, geometry.cell, geometry.numbers) if geometry and known else ("row", "column", ())
    return draw_map(
        evidence.values,
        evidence.expectation,
        evidence.error,
        attribution,
        title,
        _when(incident, evidence),
        *places,
        # Rows that begin at places of their own lie in a plane: an end cap is round.
        square=geometry is not None and known and any(geometry.starts),
        form=form,
        theme=theme,
    )


def _when(incident: Incident, evidence: Evidence) -> str:
    """Say when the sample was: its time, and the run and lumisections of its incident."""
    words = [f"sample of {datetime.fromtimestamp(evidence.time, UTC):%Y-%m-%d %H:%M:%S} UTC"]
    if incident.run is not None:
        words.append(f"run {incident.run}")
    first, last = incident.first_lumisection, incident.last_lumisection
    if first is not None:
        alone = last is None or last == first
        words.append(f"lumisection {first}" if alone else f"lumisections {first} to {last}")
    return ", ".join(words)
