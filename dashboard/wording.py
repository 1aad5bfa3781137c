"""Times, scores and states in words, the same on every page."""

from __future__ import annotations

import math
from datetime import UTC, datetime

from anomalyd.assistant.language.phrasing import duration
from anomalyd.reports.report import Incident

SILENT_S = 120.0
"""Without data for so long something is wrong: hosts send every second, chambers every lumisection (23 s)."""


def moment(time: float) -> str:
    """Write a time (seconds since the epoch) in UTC, so that text sorts as time does."""
    return f"{datetime.fromtimestamp(time, UTC):%Y-%m-%d %H:%M:%S}"


def score(value: float) -> str:
    """Write a calibrated score; NaN is a detector that could not tell."""
    if math.isnan(value):
        return "could not tell"
    return f"{value:.3g}" if value < 1000 else f"{value:,.0f}"


def freshness(latest: float | None, now: float) -> tuple[bool, str]:
    """Say how old the latest sample is (event times, seconds since the epoch), and whether that is well."""
    if latest is None:
        return False, "nothing received yet"
    age = now - latest
    if age >= SILENT_S:
        return False, f"no data for {duration(age)}: the latest sample is of {moment(latest)} UTC"
    return True, f"data up to {moment(latest)} UTC"


def lumisections(incident: Incident) -> str:
    """Say which lumisections an incident touched, "" where there are none."""
    first, last = incident.first_lumisection, incident.last_lumisection
    if first is None:
        return ""
    return str(first) if last in (None, first) else f"{first} to {last}"
