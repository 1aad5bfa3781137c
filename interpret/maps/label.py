"""From one cell of a report's map to an operator's label of the fault around it."""

from __future__ import annotations

import numpy as np

from anomalyd.detectors.maps.geometries.known import geometry_of
from anomalyd.detectors.maps.regions import describe_region
from anomalyd.errors import ModelMismatch
from anomalyd.interpret.maps.outline import outline
from anomalyd.reports.cases.outline import Outline
from anomalyd.reports.report import Evidence, Incident


def outline_of(incident: Incident, evidence: Evidence, row: int, column: int, who: str) -> Outline:
    """Outline the fault around a cell of a report's evidence (R, C).

    `row` carries the number people use (a layer's), `column` counts from 1.

    Raises:
        ModelMismatch: there is no such cell.

    """
    geometry = geometry_of(incident.entity)
    if geometry is not None and geometry.shape != evidence.values.shape:
        geometry = None
    if geometry is None:
        place = row - 1
    elif row in geometry.numbers:
        place = geometry.row_of(row)
    else:
        numbers = ", ".join(map(str, geometry.numbers))
        raise ModelMismatch(f"{incident.entity}: no {geometry.row} {row}; it has {numbers}")
    region = outline(evidence.values, evidence.expectation, place, column - 1, geometry)
    blame = region.cells.astype(np.float32)
    return Outline(
        report=incident.id,
        who=who,
        row=place,
        column=column - 1,
        cells=tuple((int(r), int(c)) for r, c in np.argwhere(region.cells)),
        units=region.units,
        polygons=region.polygons,
        seen=region.seen,
        expected=region.expected,
        nats=region.nats,
        text=describe_region(evidence.values, evidence.expectation, blame, geometry),
    )
