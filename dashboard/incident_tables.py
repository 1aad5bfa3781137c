"""One incident as tables: its facts, the course of its score, and who is to blame in numbers."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray

from anomalyd.assistant.language.phrasing import duration
from anomalyd.dashboard.incident_rows import moment, score
from anomalyd.detectors.maps.geometry import Geometry
from anomalyd.reports.adaptation import Adaptation
from anomalyd.reports.feedback import OperatorFeedback
from anomalyd.reports.report import Evidence, Report
from anomalyd.reports.step import Point

MOST_CELLS = 200
"""Cells of a map that are listed: more than any fault's heart has, and still a quick page."""


def facts(report: Report) -> list[tuple[str, str]]:
    """Give the facts of a report, those first that a shifter asks for first; times are UTC."""
    i = report.incident
    known = [
        ("onset", moment(i.onset)),
        ("last anomalous", moment(i.last)),
        ("normal since", moment(i.closed) if i.closed is not None else "– (still open)"),
        ("lasted", f"{duration(i.last - i.onset)}, {i.samples} anomalous samples"),
        ("peak score", f"{score(i.peak)} at {moment(i.peak_time)}"),
        ("autoencoder", score(i.autoencoder)),
        ("classical test", score(i.classical)),
        ("seen by", i.seen_by.value),
        ("detector", i.detector),
        ("model", i.model),
    ]
    if i.run is not None:
        known.append(("run", str(i.run)))
    if i.first_lumisection is not None:
        last = i.last_lumisection
        until = "" if last in (None, i.first_lumisection) else f" to {last}"
        known.append(("lumisection", f"{i.first_lumisection}{until}"))
    known += [
        ("source", i.source or "–"),
        ("recorded", moment(report.recorded)),
        ("report", f"{i.id}, revision {report.revision}"),
    ]
    return known


def course(points: Sequence[Point]) -> list[dict[str, Any]]:
    """Give the course of the score, a row for each sample and detector; a score nobody could give is None."""
    return [
        {"time": datetime.fromtimestamp(point.time, UTC), "score": value, "who": who}
        for point in points
        for who, value in (("autoencoder", point.autoencoder), ("classical test", point.classical))
    ]


def blame(
    values: NDArray[np.float32], evidence: Evidence | None, geometry: Geometry | None
) -> list[dict[str, Any]]:
    """Give who is to blame, most first: each metric, or the cells of a map that are most to blame.

    `values` (F,) or (R, C) is an attribution of this very evidence. Without evidence there are no names of
    metrics, and nothing observed. Without a geometry a map has rows and columns, counted from 1.
    """
    flat = values.astype(np.float64).ravel()
    order = np.argsort(-np.nan_to_num(flat, nan=-np.inf), kind="stable")
    if values.ndim == 2:
        order = order[np.isfinite(flat[order])][:MOST_CELLS]
    rows = []
    for index in order:
        place = np.unravel_index(int(index), values.shape)
        rows.append(
            {
                **_name(place, evidence, geometry),
                "share of the raw score": _finite(flat[index]),
                **(_observed(evidence, place) if evidence is not None else {}),
            }
        )
    return rows


def adaptations(found: Sequence[Adaptation], entity: str) -> list[dict[str, Any]]:
    """Give a row for each adaptation of an entity; times are UTC."""
    return [
        {
            "at (UTC)": moment(each.time),
            "what": each.what,
            "assumed": each.text,
            "undone": "" if each.undone is None else moment(each.undone),
            "undo": each.undo_outcome or (f"anomalyd adaptations undo {each.id}" if each.undoable else "–"),
        }
        for each in found
        if each.entity == entity  # a name may hold what a pattern means
    ]


def words(found: Sequence[OperatorFeedback], entity: str) -> list[dict[str, Any]]:
    """Give a row for each word on an entity; times are UTC."""
    return [
        {
            "at (UTC)": moment(each.recorded),
            "who": each.who,
            "said": each.word.value,
            "because": each.reason,
            "came of it": each.outcome if each.applied is not None else "waits for the daemon",
        }
        for each in found
        if each.entity == entity
    ]


def fits(values: NDArray[np.float32], time: float, evidence: Evidence | None) -> bool:
    """Say whether an attribution of the sample at `time` is of this evidence.

    An incident gets a worse sample while it goes on; its explanation follows later.
    """
    return evidence is not None and time == evidence.time and values.shape == evidence.values.shape


def _name(
    place: tuple[np.intp, ...], evidence: Evidence | None, geometry: Geometry | None
) -> dict[str, str | int]:
    if len(place) == 2:
        row, column = int(place[0]), int(place[1])
        if geometry is None:
            return {"row": row + 1, "column": column + 1}
        return {geometry.row: geometry.numbers[row], geometry.cell: column + 1}
    if evidence is None:
        return {"metric": f"number {int(place[0]) + 1}"}
    return {"metric": evidence.features[place[0]]}


def _observed(evidence: Evidence, place: tuple[np.intp, ...]) -> dict[str, float | None]:
    return {
        "observed": _finite(evidence.values[place]),
        "expected": _finite(evidence.expectation[place]),
        "difference (σ)": _finite(evidence.error[place]),
    }


def _finite(value: float | np.floating[Any]) -> float | None:
    return float(value) if math.isfinite(value) else None
