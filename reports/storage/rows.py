"""Incidents, reports and explanations as rows of the tables, and back."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

from sqlalchemy import Row, func, select

from anomalyd.reports.evidence import decode_array, encode_array
from anomalyd.reports.report import Explanation, Incident, Provenance, Report
from anomalyd.reports.storage import tables as t

INCIDENT = tuple(field.name for field in fields(Incident))

incident_columns = tuple(t.reports.c[name] for name in INCIDENT)

_explained_by = (
    select(func.aggregate_strings(t.explanations.c.method, "\n"))
    .where(t.explanations.c.report == t.reports.c.id)
    .scalar_subquery()
    .label("explained_by")
)

_adaptations = (
    select(func.aggregate_strings(t.adaptations.c.id, "\n"))
    .where(
        t.adaptations.c.entity == t.reports.c.entity,
        t.adaptations.c.detector == t.reports.c.detector,
        t.adaptations.c.time >= t.reports.c.onset,
        t.adaptations.c.time <= func.coalesce(t.reports.c.closed, t.adaptations.c.time),
    )
    .scalar_subquery()
    .label("adaptations")
)

report_columns = (
    *incident_columns,
    t.reports.c.narrative,
    t.reports.c.revision,
    t.reports.c.explain_error,
    t.reports.c.recorded,
    t.reports.c.code_version,
    t.reports.c.config_hash,
    t.reports.c.until,
    _explained_by,
    _adaptations,
)


def incident_row(incident: Incident) -> dict[str, Any]:
    """Give the values of `incident_columns`."""
    return {name: getattr(incident, name) for name in INCIDENT}


def incident_of(row: Row[Any]) -> Incident:
    """Read an incident from a row that has `incident_columns`."""
    return Incident(**{name: getattr(row, name) for name in INCIDENT})


def report_of(row: Row[Any]) -> Report:
    """Read a report from a row that has `report_columns`."""
    return Report(
        incident=incident_of(row),
        narrative=row.narrative,
        revision=row.revision,
        explained_by=tuple(sorted(row.explained_by.split("\n"))) if row.explained_by else (),
        explain_error=row.explain_error,
        recorded=row.recorded,
        adaptations=tuple(sorted(row.adaptations.split("\n"))) if row.adaptations else (),
        provenance=Provenance(row.code_version or "", row.config_hash or "", row.until or ""),
    )


def explanation_row(report_id: str, rank: int, explanation: Explanation) -> dict[str, Any]:
    """Give a row of `explanations`; `rank` keeps their order."""
    return {
        "report": report_id,
        "rank": rank,
        "method": explanation.method,
        "evidence_time": explanation.evidence_time,
        "attribution": encode_array(explanation.values),
        "seconds": explanation.seconds,
        "complete": explanation.complete,
    }


def explanation_of(row: Row[Any]) -> Explanation:
    """Read an explanation from a row of `explanations`."""
    return Explanation(
        method=row.method,
        evidence_time=row.evidence_time,
        values=decode_array(row.attribution),
        seconds=row.seconds,
        complete=row.complete,
    )
