"""A fresh database of each kind, and incidents to put into it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from anomalyd.reports.queries import Queries
from anomalyd.reports.report import Evidence, Incident, SeenBy, Severity, Status
from anomalyd.reports.storage.store import Store

WALL_CLOCK = 1_795_500_000.0


@pytest.fixture
def sqlite(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path}/reports.db"


@pytest.fixture
def postgresql(cluster: Any) -> str:
    return cluster.new_schema()


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest) -> str:
    """The URL of an empty database."""
    url: str = request.getfixturevalue(request.param)
    return url


@pytest.fixture
def store(url: str) -> Iterator[Store]:
    store = Store.open(url, clock=lambda: WALL_CLOCK)
    yield store
    store.close()


@pytest.fixture
def queries(store: Store, url: str) -> Iterator[Queries]:
    queries = Queries.open(url)
    yield queries
    queries.close()


@pytest.fixture(scope="session")
def incident() -> Callable[..., Incident]:
    """Give an open incident of one host, changed as told."""

    def make(id: str = "incident", **changes: Any) -> Incident:
        given: dict[str, Any] = {
            "detector": "hosts",
            "entity": "host/pc1",
            "sample_kind": "vector",
            "severity": Severity.ERROR,
            "status": Status.OPEN,
            "onset": 1000.0,
            "last": 1060.0,
            "closed": None,
            "samples": 7,
            "peak": 3.5,
            "peak_time": 1030.0,
            "autoencoder": 3.5,
            "classical": 2.25,
            "seen_by": SeenBy.BOTH,
            "causes": ("cpu", "load1"),
            "model": "20261123T211500Z-1a2b3c4d",
            "source": "hosts/0/17",
        }
        return Incident(id=id, **{**given, **changes})

    return make


@pytest.fixture(scope="session")
def evidence() -> Callable[[float], Evidence]:
    """Give the evidence of a two-metric vector at a time."""

    def make(time: float) -> Evidence:
        return Evidence(
            time=time,
            features=("cpu", "load1"),
            values=np.array([0.98, np.nan], dtype=np.float32),
            expectation=np.array([0.31, 1.0], dtype=np.float32),
            error=np.array([12.3, np.nan], dtype=np.float32),
            contribution=np.array([9.0, np.nan], dtype=np.float32),
            history_times=np.array([time - 2, time - 1]),
            history=np.ones((2, 2), dtype=np.float32),
            state={"autoencoder.window": np.zeros((7, 2), dtype=np.float32)},
        )

    return make
