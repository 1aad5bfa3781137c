"""A store filled with 40 varied reports of six hosts and five chambers, seen on a Monday afternoon."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from anomalyd.assistant.answer import Assistant
from anomalyd.assistant.encoder import Encoder
from anomalyd.reports.narrative import narrate
from anomalyd.reports.queries import Queries
from anomalyd.reports.report import Evidence, Explanation, Incident, SeenBy, Severity, Status
from anomalyd.reports.step import Activity, Step, StoredChange
from anomalyd.reports.storage.store import Store

HOUR, DAY = 3600.0, 86400.0


def utc(day: int, hour: int = 0, minute: int = 0, second: int = 0) -> float:
    """A time in November 2026."""
    return datetime(2026, 11, day, hour, minute, second, tzinfo=UTC).timestamp()


NOW = utc(23, 15)  # a Monday

HOSTS = ("host/node01", "host/node02", "host/node17", "host/storage1", "host/storage2", "host/pc1")
CHAMBERS = ("DT/W-2/MB1/S04", "DT/W-2/MB1/S05", "DT/W+1/MB3/S10", "DT/W0/MB4/S13", "DT/W+2/MB2/S01")
SILENT, SILENT_SINCE = "host/storage2", utc(22, 22)
QUIET = ("DT/W+2/MB2/S01", "host/storage2")
"""Entities that sent data and never had an incident."""
GAP = (utc(22, 10), utc(22, 12))
"""Hours in which nothing was received from anybody."""

FEATURES = ("cpu.user", "mem.available", "disk.sda.write", "net.eth0.errors", "load.1")
REGIONS = (
    "layer 9, wires 1-49: 31 % of expected",
    "layers 1-4, wires 16-32: no hits",
    "layer 3, wire 7: 5.2 x expected (hot)",
    "layer 6: no hits",
)


@dataclass(frozen=True)
class Case:
    """One incident of the list below, in short."""

    entity: str
    onset: float
    seconds: float | None  # None: still open
    peak: float
    seen_by: SeenBy
    cause: int
    run: int | None = None


B, A, C = SeenBy.BOTH, SeenBy.AUTOENCODER, SeenBy.CLASSICAL
N1, N2, N17, S1, PC = HOSTS[0], HOSTS[1], HOSTS[2], HOSTS[3], HOSTS[5]
W4, W5, W10, W13 = CHAMBERS[:4]

CASES = (
    # Friday 20
    Case(N1, utc(20, 1, 10), 300, 1.4, A, 0),
    Case(N1, utc(20, 9, 30), 600, 2.2, B, 0),
    Case(N2, utc(20, 11, 0), 60, 1.2, C, 1),
    Case(W4, utc(20, 14, 0), 1200, 6.1, B, 0, 321900),
    Case(W5, utc(20, 14, 5), 900, 2.6, B, 1, 321900),
    Case(W10, utc(20, 14, 30), 240, 1.1, A, 2, 321900),
    Case(PC, utc(20, 18, 45), 4000, 3.3, B, 4),
    Case(S1, utc(20, 20, 0), 7200, 5.5, B, 2),
    Case(S1, utc(20, 23, 50), 1800, 2.4, B, 2),  # goes on over midnight
    # Saturday 21
    Case(N17, utc(21, 2, 15), 900, 4.2, A, 3),
    Case(N17, utc(21, 3, 30), 300, 1.9, A, 3),
    Case(N1, utc(21, 6, 0), 120, 1.3, C, 4),
    Case(N2, utc(21, 8, 20), 660, 2.0, B, 0),
    Case(W4, utc(21, 10, 0), 2400, 7.7, B, 0, 321905),
    Case(W13, utc(21, 10, 10), 600, 1.6, C, 3, 321905),
    Case(W5, utc(21, 10, 20), 300, 1.2, A, 1, 321905),
    Case(PC, utc(21, 13, 0), 180, 1.15, A, 1),
    Case(PC, utc(21, 16, 40), 2000, 2.8, B, 1),
    Case(N1, utc(21, 19, 6), 45, 8.4, B, 3),
    Case(S1, utc(21, 22, 30), 3000, 3.9, B, 2),
    # Sunday 22
    Case(N2, utc(22, 0, 0), 600, 1.7, A, 4),  # begins at midnight
    Case(N17, utc(22, 1, 0), 1500, 2.1, B, 0),
    Case(N17, utc(22, 4, 0), 60, 1.05, C, 0),
    Case(W10, utc(22, 13, 0), 1800, 3.0, B, 2, 321909),
    Case(W10, utc(22, 14, 0), 600, 1.9, A, 2, 321909),
    Case(W4, utc(22, 14, 10), 900, 5.0, B, 0, 321909),
    Case(PC, utc(22, 17, 0), 240, 1.3, A, 4),
    Case(N1, utc(22, 20, 15), 400, 2.3, B, 1),
    Case(N17, utc(22, 21, 30), 3600, 4.4, B, 1),
    Case(S1, utc(22, 23, 45), 1200, 6.6, B, 2),  # goes on over midnight
    # Monday 23, until 15:00
    Case(N2, utc(23, 2, 40), 300, 1.5, A, 0),
    Case(N17, utc(23, 3, 0), 600, 2.9, B, 3),
    Case(N1, utc(23, 7, 15), 90, 1.25, C, 4),
    Case(W5, utc(23, 8, 0), 480, 2.05, A, 1, 321912),
    Case(W13, utc(23, 9, 0), 1500, 3.6, B, 3, 321912),
    Case(PC, utc(23, 11, 30), 720, 1.8, B, 1),
    Case(N17, utc(23, 13, 0), 900, 9.3, B, 3),
    Case(W4, utc(23, 14, 20), None, 7.0, B, 0, 321912),
    Case(N1, utc(23, 14, 40), None, 2.7, B, 0),
    Case(S1, utc(23, 14, 55), None, 1.6, A, 2),
)


def incident_of(case: Case) -> Incident:
    """Spell a case out, with the severities of the default alert policy."""
    is_map = case.run is not None
    last = NOW - 5 if case.seconds is None else case.onset + case.seconds
    severity = Severity.CRITICAL if case.peak >= 5 else Severity.ERROR if case.peak >= 2 else Severity.WARNING
    weak = 0.6
    return Incident(
        id=hashlib.sha256(f"{case.entity}{case.onset}".encode()).hexdigest()[:16],
        detector="chambers" if is_map else "host-metrics",
        entity=case.entity,
        sample_kind="map" if is_map else "vector",
        severity=severity,
        status=Status.OPEN if case.seconds is None else Status.CLOSED,
        onset=case.onset,
        last=last,
        closed=None if case.seconds is None else last + 10,
        samples=int(last - case.onset) // 5 + 3,
        peak=case.peak,
        peak_time=case.onset + (last - case.onset) / 2,
        autoencoder=weak if case.seen_by is C else case.peak,
        classical=weak if case.seen_by is A else case.peak - 0.04,
        seen_by=case.seen_by,
        causes=(REGIONS[case.cause],) if is_map else (FEATURES[case.cause], FEATURES[case.cause - 1]),
        model="20261119T120000Z-1a2b3c4d",
        run=case.run,
        first_lumisection=int(case.onset) // 60 % 500 if is_map else None,
        last_lumisection=int(case.onset) // 60 % 500 + 7 if is_map else None,
        source="metrics/0/1",
    )


def evidence_of(incident: Incident) -> Evidence:
    """A worst sample in which the first cause stands out."""
    if incident.sample_kind == "map":
        values = np.full((4, 6), 50.0, dtype=np.float32)
        values[1] = 0.0
        expectation = np.full((4, 6), 50.0, dtype=np.float32)
        features: tuple[str, ...] = ()
        history = np.empty((0, 4, 6), dtype=np.float32)
    else:
        features = FEATURES
        expectation = np.full(len(FEATURES), 0.25, dtype=np.float32)
        values = expectation.copy()
        values[FEATURES.index(incident.causes[0])] = 0.97
        history = np.empty((0, len(FEATURES)), dtype=np.float32)
    error = (values - expectation) / 0.1
    return Evidence(
        time=incident.peak_time,
        features=features,
        values=values,
        expectation=expectation,
        error=error,
        contribution=np.abs(error),
        history_times=np.empty(0),
        history=history,
    )


INCIDENTS = tuple(incident_of(case) for case in CASES)


def activity_steps() -> Iterator[Step]:
    """Hour by hour, what everybody sent: hosts every 5 s, chambers every 25 s."""
    for hour in range(int((NOW - utc(20)) // HOUR)):
        start = utc(20) + hour * HOUR
        if GAP[0] <= start < GAP[1]:
            continue
        yield Step(
            "test",
            activity={
                name: Activity(kind, start, start + HOUR - every, int(HOUR // every))
                for names, kind, every in ((HOSTS, "vector", 5.0), (CHAMBERS, "map", 25.0))
                for name in names
                if name != SILENT or start < SILENT_SINCE
            },
        )


@pytest.fixture(scope="session")
def store_url(tmp_path_factory: pytest.TempPathFactory) -> str:
    path: Path = tmp_path_factory.mktemp("assistant") / "reports.db"
    url = f"sqlite:///{path}"
    store = Store.open(url, clock=lambda: NOW)
    stored_changes = tuple(StoredChange(i, narrate(i, evidence_of(i)), evidence_of(i)) for i in INCIDENTS)
    store.commit(Step("test", stored_changes=stored_changes))
    for step in activity_steps():
        store.commit(step)
    for i in INCIDENTS[:-1]:  # the newest waits for its explanation
        values = (
            np.maximum(evidence_of(i).error, 0) if i.sample_kind == "vector" else evidence_of(i).contribution
        )
        explained = Explanation("occlusion", i.peak_time, values.astype(np.float32), 0.1, True)
        store.explain(i.id, i.peak_time, [explained])
    store.close()
    return url


@pytest.fixture(scope="session")
def queries(store_url: str) -> Iterator[Queries]:
    opened = Queries.open(store_url)
    yield opened
    opened.close()


@pytest.fixture
def assistant(queries: Queries) -> Assistant:
    """An assistant that has nothing but the grammar."""
    return Assistant(queries, clock=lambda: NOW)


@pytest.fixture(scope="session")
def encoder() -> Encoder:
    return Encoder.load()


@pytest.fixture(scope="session")
def now() -> float:
    return NOW


@pytest.fixture(scope="session", name="utc")
def utc_fixture() -> Callable[..., float]:
    return utc


@pytest.fixture(scope="session")
def all_incidents() -> tuple[Incident, ...]:
    return INCIDENTS
