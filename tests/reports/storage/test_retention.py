"""The store shrinks: evidence first, reports last, what people said never; and 10,000 reports stay small."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from anomalyd.reports.queries import Queries, Selection
from anomalyd.reports.report import Evidence, Explanation, Incident, Severity, Status
from anomalyd.reports.storage.repositories.retention import Pruned, RetentionLimits
from anomalyd.reports.storage.store import Step, Store, StoredChange

DAY = 86_400.0
WALL_CLOCK = 1_795_500_000.0


@pytest.fixture
def kept(
    store: Store, queries: Queries, incident: Callable[..., Incident], evidence: Callable[[float], Evidence]
) -> Callable[[], dict[str, bool]]:
    """Five explained reports, one still open; gives which are there, and whether with evidence."""
    for name, severity, age_days in (
        ("old-warning", Severity.WARNING, 100),
        ("new-warning", Severity.WARNING, 1),
        ("old-error", Severity.ERROR, 100),
        ("old-critical", Severity.CRITICAL, 100),
        ("open", Severity.WARNING, None),
    ):
        made = incident(name, severity=severity, entity=f"host/{name}")
        if age_days is not None:
            made = replace(made, status=Status.CLOSED, closed=WALL_CLOCK - age_days * DAY)
        store.commit(Step("g", stored_changes=(StoredChange(made, "odd", evidence(1030.0)),)))
        explanation = Explanation("occlusion", 1030.0, np.ones(2, dtype=np.float32), 0.1, True)
        store.explain(name, 1030.0, [explanation])

    def look() -> dict[str, bool]:
        found = queries.reports(Selection())
        for report in found:
            has_evidence = queries.evidence(report.incident.id) is not None
            assert bool(report.explained_by) == has_evidence
        return {r.incident.id: queries.evidence(r.incident.id) is not None for r in found}

    return look


def test_what_is_old_goes_by_severity(store: Store, kept: Callable[[], dict[str, bool]]) -> None:
    limits = RetentionLimits(
        evidence_s={Severity.WARNING: 30 * DAY, Severity.ERROR: 30 * DAY},
        reports_s={Severity.WARNING: 90 * DAY},
    )
    assert store.retention.prune(limits) == Pruned(evidence=1, reports=1)
    assert kept() == {"new-warning": True, "old-error": False, "old-critical": True, "open": True}
    assert store.retention.prune(limits) == Pruned()
    assert store.unexplained(10) == []


def test_what_is_too_much_goes_evidence_first_and_the_mildest(
    store: Store, kept: Callable[[], dict[str, bool]]
) -> None:
    whole = sum(size.bytes for size in store.retention.sizes().values())
    assert store.retention.prune(RetentionLimits(bytes=whole)) == Pruned()
    assert store.retention.prune(RetentionLimits(bytes=whole - 1)) == Pruned(evidence=1)
    assert [name for name, has in kept().items() if not has] == ["old-warning"]
    assert store.retention.prune(RetentionLimits(bytes=1)) == Pruned(evidence=3, reports=4)
    assert kept() == {"open": True}  # what goes on is not over


def test_a_pass_takes_no_more_than_it_may(store: Store, kept: Callable[[], dict[str, bool]]) -> None:
    limits = RetentionLimits(evidence_s=dict.fromkeys(Severity, 1.0))
    assert store.retention.prune(limits, at_most=1) == Pruned(evidence=3)  # one of each severity
    assert store.retention.prune(limits, at_most=1) == Pruned(evidence=1)
    assert store.retention.prune(limits, at_most=1) == Pruned()


def test_a_file_shrinks(tmp_path: Path, incident: Callable[..., Incident]) -> None:
    file = tmp_path / "reports.db"
    store = Store.open(f"sqlite:///{file}", clock=lambda: WALL_CLOCK)
    fill(store, incident, 300)
    store.retention.vacuum()
    full = file.stat().st_size
    assert store.retention.prune(RetentionLimits(evidence_s=dict.fromkeys(Severity, 1.0))) == Pruned(
        evidence=300
    )
    store.retention.vacuum()
    assert file.stat().st_size < full / 3
    store.close()


def test_ten_thousand_reports_take_less_than_200_mb(
    tmp_path: Path, incident: Callable[..., Incident]
) -> None:
    """By a thousand of them, with evidence of 38 metrics and two hours of their history."""
    file = tmp_path / "reports.db"
    store = Store.open(f"sqlite:///{file}", clock=time.time)
    fill(store, incident, 1000)
    store.retention.vacuum()
    store.close()
    print(f"a report takes {file.stat().st_size / 1000:.0f} bytes")
    assert file.stat().st_size * 10 < 200e6


def fill(store: Store, incident: Callable[..., Incident], reports: int) -> None:
    """Keep reports with evidence as of a host of 38 metrics: rounded, as agents send them."""
    chance = np.random.default_rng(1)
    names = tuple(f"metric{n}" for n in range(38))
    changes = []
    explained: list[tuple[str, list[Any]]] = []
    for n in range(reports):
        history = chance.normal(50, 9, (120, 38)).round(1).astype(np.float32)
        row = history[-1]
        evidence = Evidence(
            1030.0,
            names,
            row,
            row + 1,
            row / 7,
            row / 3,
            np.arange(120.0),
            history,
            {"a.window": history[-8:]},
        )
        closed = {"status": Status.CLOSED, "closed": WALL_CLOCK - 100 * DAY}
        changes.append(StoredChange(incident(f"r{n:05}", **closed), "It was odd. " * 12, evidence))
        both = [Explanation(m, 1030.0, row / 9, 0.2, True) for m in ("occlusion", "integrated-gradients")]
        explained.append((f"r{n:05}", both))
    store.commit(Step("g", stored_changes=tuple(changes)))
    for id_, explanations in explained:
        store.explain(id_, 1030.0, explanations)
