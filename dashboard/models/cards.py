"""A model's card as facts: what it is, what it was trained on, how that went, and where it alerts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from anomalyd.assistant.language.phrasing import duration
from anomalyd.dashboard.wording import moment
from anomalyd.reports.adaptation import Adaptation
from anomalyd.reports.conditions import Within
from anomalyd.reports.queries import Queries, Selection
from anomalyd.reports.remark import RemarkKind
from anomalyd.reports.storage.repositories.daemon_status import DetectorStatus

if TYPE_CHECKING:
    from anomalyd.detectors.calibration import Calibration
    from anomalyd.detectors.model import Card

_NAMED = {
    "loss": "training loss",
    "validation": "validation loss",
    "steps": "epochs (or steps)",
    "held_out_rate": "held-out share above 1",
    "seconds": "seconds to train",
}

_DAY_S = 86_400.0

_FAR = 2.0
"""How many times what is wanted is told as too much."""

_SHOWN_NAMES = 12
"""Metrics or entities named; a host has hundreds, and nobody reads them here."""


def card_facts(card: Card, calibration: Calibration, sha256: str) -> list[tuple[str, str]]:
    """Give the facts of one model; times are UTC."""
    known = [
        ("kind", card.kind),
        ("trained", moment(card.created)),
        (
            "data",
            f"{moment(card.trained_from)} to {moment(card.trained_to)} "
            f"({duration(card.trained_to - card.trained_from)})",
        ),
        ("samples", f"{card.samples:,}"),
        ("entities", _names(card.entities)),
    ]
    if card.features:
        known.append(("metrics", _names(card.features)))
    known += [
        ("parameters", _parameters(card.parameters)),
        ("seed", str(card.seed)),
        ("wanted false-alarm rate", f"{calibration.false_alarm_rate:g} of the samples"),
        (
            "alert threshold",
            f"raw score {calibration.threshold:.4g}"
            + (" to begin with, then as each entity's own scores say" if calibration.follows else ""),
        ),
        (
            "normal (median)",
            f"raw score {calibration.centre:.4g}, of {calibration.samples:,} held-out samples",
        ),
    ]
    known += [(_NAMED.get(name, name), f"{value:.4g}") for name, value in card.figures.items()]
    known += [
        ("anomalyd", card.code_version or "–"),
        ("sha256 of the data", card.data_sha256),
        ("sha256 of the weights", sha256),
    ]
    return known


def realised(queries: Queries, latest: float) -> list[dict[str, str]]:
    """Give a row for each detector: alarms of the last day and week before `latest`, and their verdicts."""
    day, week = (
        dict(queries.tally(Selection(where=Within("onset", low=latest - span)), "detector"))
        for span in (_DAY_S, 7 * _DAY_S)
    )
    verdicts = queries.overview.verdicts()
    standing = {each.name: each for daemon in queries.overview.daemons() for each in daemon.detectors}
    rows = []
    for detector in sorted({*queries.detectors(), *week}):
        said = verdicts.get(detector, {})
        rows.append(
            {
                "detector": detector,
                "alarms in 24 h": f"{day.get(detector, 0):,}",
                "a day, over 7 days": f"{week.get(detector, 0) / 7:.1f}",
                **_against(standing.get(detector), day.get(detector, 0)),
                "real": str(said.get(RemarkKind.REAL, 0)),
                "false alarms": str(said.get(RemarkKind.FALSE_ALARM, 0)),
                "expected": str(said.get(RemarkKind.EXPECTED, 0)),
            }
        )
    return rows


def _against(status: DetectorStatus | None, alarms: int) -> dict[str, str]:
    """Hold what was realised against what was wanted, marked where it is more than twice as much."""
    if status is None:
        return {"wanted a day": "–", "samples that alert": "–", "wanted share": "–"}
    realised, wanted = status.rate_realised, status.rate_wanted
    share = "–" if realised is None else f"{realised:.2%}"
    if realised is not None and wanted and realised > _FAR * wanted:
        share = f"⚠ {share}"
    of_day = "–"
    if status.alarms_wanted is not None:
        over = alarms > _FAR * status.alarms_wanted
        of_day = f"{'⚠ ' if over else ''}{status.alarms_wanted:.1f}"
    return {
        "wanted a day": of_day,
        "samples that alert": share,
        "wanted share": "–" if wanted is None else f"{wanted:.2%}",
    }


def can_be_undone(each: Adaptation) -> bool:
    """Say whether an adaptation can still be undone, and nobody has asked for it."""
    return each.undoable and each.undone is None and each.undo_asked is None


def undo_state(each: Adaptation) -> str:
    """Say whether an adaptation was undone, is to be, or can be."""
    if each.undone is not None:
        return f"undone {moment(each.undone)}"
    if each.undo_asked is not None:
        return each.undo_outcome or f"asked by {each.undo_by}, waits for the daemon"
    return "can be undone" if each.undoable else "–"


def version_row(version: str, card: Card, *, at_work: bool) -> dict[str, Any]:
    """Give a row of the list of versions."""
    return {
        "version": version,
        "at work": "● yes" if at_work else "",
        "kind": card.kind,
        "trained (UTC)": moment(card.created),
        "samples": card.samples,
        "data up to (UTC)": moment(card.trained_to),
    }


def _names(names: tuple[str, ...]) -> str:
    more = f" and {len(names) - _SHOWN_NAMES} more" if len(names) > _SHOWN_NAMES else ""
    return ", ".join(names[:_SHOWN_NAMES]) + more


def _parameters(parameters: Mapping[str, Any]) -> str:
    return ", ".join(f"{name}: {value}" for name, value in sorted(parameters.items())) or "all by default"
