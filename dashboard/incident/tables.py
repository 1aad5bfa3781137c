"""One incident as tables: its facts, its causes, and who is to blame, in numbers as people read them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray

from anomalyd.assistant.language.phrasing import duration
from anomalyd.dashboard.wording import lumisections, moment, score
from anomalyd.detectors.maps.geometry import Geometry
from anomalyd.interpret.pictures.vector_drawing import whole_shares
from anomalyd.reports.adaptation import Adaptation
from anomalyd.reports.feedback import OperatorFeedback
from anomalyd.reports.report import Evidence, Report
from anomalyd.reports.step import Point
from anomalyd.reports.units import human

MOST_ROWS = 30
"""Metrics or cells that are listed: more than any fault's heart has, and still a quick page."""


def facts(report: Report) -> list[tuple[str, str]]:
    """Give the facts of a report, those first that a shifter asks for first; times are UTC."""
    i = report.incident
    known = [
        ("onset", moment(i.onset)),
        ("last anomalous", moment(i.last)),
        ("normal since", moment(i.closed) if i.closed is not None else "– (still open)"),
        ("lasted", f"{duration(i.last - i.onset)}, {i.samples:,} anomalous samples"),
        ("peak score", f"{score(i.peak)} at {moment(i.peak_time)}"),
        ("autoencoder", score(i.autoencoder)),
        ("classical test", score(i.classical)),
        ("seen by", "both" if i.seen_by == "both" else f"only the {_WITNESS[i.seen_by.value]}"),
    ]
    if i.run is not None:
        known.append(("run", str(i.run)))
    if i.first_lumisection is not None:
        known.append(("lumisection", lumisections(i)))
    return known


def provenance(report: Report, evidence: Evidence | None) -> list[tuple[str, str]]:
    """Say which model and which data it comes from."""
    i = report.incident
    return [
        ("detector", i.detector),
        ("model", i.model),
        ("explained sample", moment(evidence.time) if evidence is not None else "–"),
        ("first record (topic/partition/offset)", i.source or "–"),
        ("recorded", moment(report.recorded)),
        ("report", f"{i.id}, revision {report.revision}"),
    ]


_WITNESS = {"autoencoder": "autoencoder", "classical": "classical test"}


def course(points: Sequence[Point]) -> list[dict[str, Any]]:
    """Give the course of the score, a row for each sample and detector; a score nobody could give is None."""
    return [
        {"time": datetime.fromtimestamp(point.time, UTC), "score": value, "who": who}
        for point in points
        for who, value in (("autoencoder", point.autoencoder), ("classical test", point.classical))
    ]


def causes(evidence: Evidence) -> list[dict[str, str]]:
    """Give a row for each cause, the worst first; the one that departed first is marked."""
    first = evidence.first_mover
    return [
        {
            "metric": c.name + ("  ◀ moved first" if c is first else ""),
            "what": f"{c.direction}",
            "seen": human(c.seen, c.name),
            "expected": human(c.expected, c.name),
            "difference": _sigmas(c.sigmas),
            "share": f"{100 * c.share:.0f} %",
            "departed (UTC)": moment(c.started) if math.isfinite(c.started) else "–",
        }
        for c in evidence.causes
    ]


def blame(
    values: NDArray[np.float32], evidence: Evidence | None, geometry: Geometry | None
) -> list[dict[str, str]]:
    """Give who is to blame, most first: each metric, or the cells of a map that are most to blame.

    `values` (F,) or (R, C) is an attribution of this very evidence. Without evidence there are no names of
    metrics, and nothing observed. Without a geometry a map has rows and columns, counted from 1. Shares are
    of what raises the score; what lowers it has none.
    """
    flat = values.astype(np.float64).ravel()
    order = np.argsort(-np.nan_to_num(flat, nan=-np.inf), kind="stable")
    if values.ndim == 2:
        order = order[np.isfinite(flat[order])]
    shares = whole_shares(flat)
    rows = []
    for index in order[:MOST_ROWS]:
        place = np.unravel_index(int(index), values.shape)
        share = f"{shares[index]} %" if shares[index] else "< 1 %" if flat[index] > 0 else "–"
        name, metric = _name(place, evidence, geometry)
        observed = _observed(evidence, place, metric) if evidence is not None else {}
        rows.append({**name, "share": share, **observed})
    return rows


def adaptations(found: Sequence[Adaptation], entity: str) -> list[Adaptation]:
    """Give the adaptations of this very entity: a name may hold what a pattern means."""
    return [each for each in found if each.entity == entity]


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
) -> tuple[dict[str, str], str]:
    """Give the place in the words of the field, and the metric whose unit its numbers have."""
    if len(place) == 2:
        row, column = int(place[0]), int(place[1])
        if geometry is None:
            return {"row": f"{row + 1}", "column": f"{column + 1}"}, ""
        return {geometry.row: f"{geometry.numbers[row]}", geometry.cell: f"{column + 1}"}, ""
    metric = evidence.features[place[0]] if evidence is not None else f"number {int(place[0]) + 1}"
    return {"metric": metric}, metric


def _observed(evidence: Evidence, place: tuple[np.intp, ...], metric: str) -> dict[str, str]:
    return {
        "seen": human(float(evidence.values[place]), metric),
        "expected": human(float(evidence.expectation[place]), metric),
        "difference": _sigmas(float(evidence.error[place])),
    }


def _sigmas(value: float) -> str:
    return f"{value:+.1f} σ" if math.isfinite(value) else "–"
