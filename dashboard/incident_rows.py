"""The list of incidents in words: its rows, its order, what is open, and how fresh the data are."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from anomalyd.assistant.language.phrasing import counted, duration
from anomalyd.dashboard.style import MARK
from anomalyd.reports.report import Incident, Report, Severity, Status

SILENT_S = 120.0
"""Without data for so long something is wrong: hosts send every second, chambers every lumisection (23 s)."""

RANK = {severity: rank for rank, severity in enumerate(Severity)}


def moment(time: float) -> str:
    """Write a time (seconds since the epoch) in UTC, so that text sorts as time does."""
    return f"{datetime.fromtimestamp(time, UTC):%Y-%m-%d %H:%M:%S}"


def score(value: float) -> str:
    """Write a calibrated score; NaN is a detector that could not tell."""
    return "could not tell" if math.isnan(value) else f"{value:.3g}"


def in_order(reports: Sequence[Report]) -> list[Report]:
    """Put what needs somebody first: open before closed, open ones by severity, then the latest."""

    def urgency(report: Report) -> tuple[bool, int, float]:
        i = report.incident
        is_open = i.status is Status.OPEN
        return (not is_open, -RANK[i.severity] if is_open else 0, -i.onset)

    return sorted(reports, key=urgency)


def row(incident: Incident) -> dict[str, Any]:
    """Give a row of the list."""
    return {
        "status": incident.status.value,
        "severity": MARK[incident.severity],
        "entity": incident.entity,
        "since (UTC)": moment(incident.onset),
        "minutes": (incident.last - incident.onset) / 60,
        "score": incident.peak,
        "seen by": incident.seen_by.value,
        "most to blame": ", ".join(incident.causes[:3]) or "–",
        "detector": incident.detector,
        "report": incident.id,
    }


def open_counts(tally: Sequence[tuple[str, int]]) -> Mapping[Severity, int]:
    """Give how many are open of each severity, the worst first; those with none are left out."""
    counts = {Severity(name): count for name, count in tally}
    return {severity: counts[severity] for severity in sorted(counts, key=lambda s: -RANK[s])}


def freshness(latest: float | None, now: float) -> tuple[bool, str]:
    """Say how old the latest sample is (event times, seconds since the epoch), and whether that is well."""
    if latest is None:
        return False, "nothing received yet"
    age = now - latest
    if age >= SILENT_S:
        return False, f"no data for {duration(age)}: the latest sample is of {moment(latest)} UTC"
    return True, f"data up to {moment(latest)} UTC"


def summary(shown: int, fitting: int, recorded: int) -> str:
    """Say how much of what is recorded is in the list; nothing is never passed off as all well."""
    if recorded == 0:
        return "No reports yet: nothing anomalous has been recorded in this store."
    if fitting == 0:
        return f"None of the {counted(recorded, 'recorded incident')} fits these filters."
    these = counted(fitting, "incident")
    if fitting < recorded:
        these += f" of {recorded:,}"
    return f"{these}, of which the {shown:,} most urgent are listed" if shown < fitting else these
