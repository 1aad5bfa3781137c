"""The list of incidents in words: a row for what started together, and its members below it."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from anomalyd.assistant.language.phrasing import counted, listed
from anomalyd.dashboard.style import MARK
from anomalyd.dashboard.wording import lumisections, moment
from anomalyd.reports.relations.incident_row import RANK
from anomalyd.reports.report import Incident, Report, Status

_NAMED = 3


def row(incident: Incident, *, member: bool = False) -> dict[str, Any]:
    """Give a row of the list; a member of a group that is unfolded stands below it."""
    return {
        "severity": MARK[incident.severity],
        "status": incident.status.value,
        "entity": f"   └ {incident.entity}" if member else incident.entity,
        "since (UTC)": moment(incident.onset),
        "minutes": (incident.last - incident.onset) / 60,
        "score": incident.peak,
        "most to blame": ", ".join(incident.causes[:_NAMED]) or "–",
        "run": "" if incident.run is None else str(incident.run),
        "lumisections": lumisections(incident),
        "seen by": incident.seen_by.value,
        "detector": incident.detector,
        "report": incident.id,
    }


def group_row(members: Sequence[Incident], size: int, *, unfolded: bool) -> dict[str, Any]:
    """Give the row of `size` incidents that started together; those still open say how bad it is."""
    ongoing = [i for i in members if i.status is Status.OPEN]
    worst = max(ongoing or members, key=lambda i: RANK[i.severity])
    causes = _most_frequent(cause for i in members for cause in i.causes[:1])
    runs = {i.run for i in members if i.run is not None}
    first = members[0]
    return {
        "severity": MARK[worst.severity],
        "status": f"{len(ongoing)} open" if ongoing else Status.CLOSED.value,
        "entity": f"{'▾' if unfolded else '▸'} {size:,}: {listed([i.entity for i in members], limit=2)}",
        "since (UTC)": moment(first.onset),
        "minutes": (max(i.last for i in members) - first.onset) / 60,
        "score": max(i.peak for i in members),
        "most to blame": ", ".join(causes[:_NAMED]) or "–",
        "run": ", ".join(map(str, sorted(runs))),
        "lumisections": "",
        "seen by": listed(sorted({i.seen_by.value for i in members}), joint="or"),
        "detector": first.detector,
        "report": first.id,
    }


def _most_frequent(names: Iterable[str]) -> list[str]:
    counts: dict[str, int] = {}
    for name in names:
        counts[name] = counts.get(name, 0) + 1
    return sorted(counts, key=lambda name: -counts[name])


def summary(rows: int, fitting: int, recorded: int) -> str:
    """Say how much of what is recorded is in the list; nothing is never passed off as all well."""
    if recorded == 0:
        return "No reports yet: nothing anomalous has been recorded in this store."
    if fitting == 0:
        return f"None of the {counted(recorded, 'recorded incident')} fits these filters."
    these = counted(fitting, "incident")
    if fitting < recorded:
        these += f" of {recorded:,}"
    return f"{these} in {rows:,} rows of what started together" if rows < fitting else these


def as_csv(reports: Iterable[Report]) -> str:
    """Write incidents as CSV, with a header; times are UTC."""
    text = io.StringIO()
    writer: csv.DictWriter[str] | None = None
    for report in reports:
        i = report.incident
        about: Mapping[str, object] = {
            "report": i.id,
            "entity": i.entity,
            "detector": i.detector,
            "severity": i.severity,
            "status": i.status,
            "onset": moment(i.onset),
            "last": moment(i.last),
            "closed": "" if i.closed is None else moment(i.closed),
            "peak": f"{i.peak:.6g}",
            "autoencoder": f"{i.autoencoder:.6g}",
            "classical": f"{i.classical:.6g}",
            "seen_by": i.seen_by,
            "run": i.run,
            "first_lumisection": i.first_lumisection,
            "last_lumisection": i.last_lumisection,
            "causes": "; ".join(i.causes),
        }
        about = {name: _harmless(value) for name, value in about.items()}
        if writer is None:
            writer = csv.DictWriter(text, list(about))
            writer.writeheader()
        writer.writerow(about)
    return text.getvalue()


def _harmless(value: object) -> object:
    """Keep a spreadsheet from taking a name that came in a message for a formula."""
    return f"'{value}" if isinstance(value, str) and value[:1] in ("=", "+", "-", "@", "\t") else value
