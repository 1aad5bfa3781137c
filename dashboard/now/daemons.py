"""How the daemons stand, by what they last wrote to the store: silence is told, and never taken for well."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from anomalyd.assistant.language.phrasing import counted, duration
from anomalyd.dashboard.wording import moment
from anomalyd.reports.step import CanaryCheck
from anomalyd.reports.storage.repositories.daemon_status import DaemonStatus

_MISSED = 5
"""Writes in a row that may fail to come."""
_CANARY_S = 300.0
"""One is sent every minute, unless the configuration says otherwise."""
_STILL_S = 30.0
"""A step of many large maps takes seconds; a loop that stands still for longer is told."""


@dataclass(frozen=True, slots=True)
class Said:
    """A short text on a daemon, and whether all is well."""

    well: bool
    text: str


def of_all(daemons: Sequence[DaemonStatus], now: float) -> list[Said]:
    """Say what is wrong with each daemon, and of those that are well how many there are.

    `now`: wall-clock time, seconds since the epoch. One that ended in order is no trouble while another
    works.
    """
    if not daemons:
        return [Said(False, "no daemon has written to this store yet")]
    working = [each for each in daemons if _trouble(each, now, alone=True) is None]
    told = [
        Said(False, trouble)
        for each in daemons
        if (trouble := _trouble(each, now, alone=len(daemons) == 1)) and not (each.stopped and working)
    ]
    if working:
        behind = sum(sum(each.lag.values()) for each in working)
        up = "daemon up" if len(working) == 1 else f"{len(working)} daemons up"
        told.insert(0, Said(True, f"{up} · consumer lag {counted(behind, 'record')}"))
    return told


def _trouble(each: DaemonStatus, now: float, *, alone: bool) -> str | None:
    name = "the daemon" if alone else f"daemon {each.instance}"
    silent = max(0.0, now - each.seen)
    if each.stopped:
        return f"{name} was stopped {duration(silent)} ago"
    if silent > _MISSED * each.every_s:
        return f"no news from {name} for {duration(silent)}: it is down, or cannot write to the store"
    if each.seen - each.turned > _STILL_S:
        return f"{name} hangs: its loop has stood still for {duration(each.seen - each.turned)}"
    if each.missing:
        return f"{name} is not ready: " + "; ".join(f"{what}: {why}" for what, why in each.missing.items())
    return None


def of_canaries(checks: Sequence[CanaryCheck], now: float) -> list[Said]:
    """Say whether the synthetic samples that go through the real topics come back, and are judged right."""
    wrong = [
        Said(
            False,
            f"a {each.kind} canary of {each.detector} "
            + ("raised an alarm" if each.kind == "healthy" else "was not found"),
        )
        for each in checks
        if not each.right
    ]
    late = {each.detector: now - each.sent for each in checks if now - each.sent > _CANARY_S}
    missed = [
        Said(False, f"no canary of {name} has come back for {duration(age)}")
        for name, age in sorted(late.items())
    ]
    if checks and not wrong and not missed:
        slowest = max(each.latency_s for each in checks)
        return [Said(True, f"canary well, through in {slowest:.1f} s")]
    return wrong + missed


def details(each: DaemonStatus, now: float) -> dict[str, str]:
    """Give a row of the list of daemons."""
    lag = ", ".join(f"{topic} {records:,}" for topic, records in sorted(each.lag.items()))
    return {
        "daemon": each.instance,
        "version": each.version,
        "started (UTC)": moment(each.started),
        "last news": f"{duration(max(0.0, now - each.seen))} ago",
        "newest event (UTC)": "–" if each.newest is None else moment(each.newest),
        "consumer lag, records": lag or "no partition",
    }
