"""A fresh database of each kind, and incidents to put into it."""

from __future__ import annotations

import importlib.util
import itertools
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from anomalyd.reports.queries import Queries
from anomalyd.reports.report import Evidence, Incident, SeenBy, Severity, Status
from anomalyd.reports.storage.store import Store

WALL_CLOCK = 1_795_500_000.0


class Cluster:
    """A private PostgreSQL on a Unix socket in a folder of its own."""

    def __init__(self, programs: Path, folder: Path) -> None:
        self._numbers = itertools.count()
        self._socket = folder
        # PostgreSQL refuses to run as root.
        owner: dict[str, Any] = {"cwd": folder}
        if os.geteuid() == 0:
            account = pwd.getpwnam("postgres")
            os.chown(folder, account.pw_uid, account.pw_gid)
            owner |= {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": []}
        data = folder / "data"
        subprocess.run(
            [programs / "initdb", "-D", data, "-U", "postgres", "-A", "trust", "-E", "UTF8", "--no-sync"],
            check=True,
            capture_output=True,
            **owner,
        )
        settings = ["listen_addresses=", "fsync=off", "autovacuum=off", "shared_buffers=16MB"]
        arguments = [word for setting in settings for word in ("-c", setting)]
        with (folder / "log").open("wb") as log:
            self._server = subprocess.Popen(
                [programs / "postgres", "-D", data, "-k", folder, *arguments],
                stdout=log,
                stderr=log,
                **owner,
            )
        try:
            self._wait()
        except BaseException:
            self.stop()
            raise

    def _wait(self) -> None:
        import psycopg

        deadline = time.monotonic() + 30
        while True:
            try:
                psycopg.connect(self._address).close()
            except psycopg.OperationalError:
                log = (self._socket / "log").read_text()
                assert self._server.poll() is None, log
                assert time.monotonic() < deadline, log
                time.sleep(0.05)
            else:
                return

    @property
    def _address(self) -> str:
        return f"postgresql://postgres@/postgres?host={self._socket}"

    def new_schema(self) -> str:
        """Create an empty schema and give a URL that leads into it."""
        import psycopg

        name = f"reports_{next(self._numbers)}"
        with psycopg.connect(self._address, autocommit=True) as connection:
            connection.execute(f"CREATE SCHEMA {name}")  # a database of its own would be 7 MB and 100 ms
        return f"{self._address}&options=-csearch_path%3D{name}"

    def stop(self) -> None:
        self._server.send_signal(signal.SIGQUIT)
        self._server.wait(20)


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    if importlib.util.find_spec("psycopg") is None:
        pytest.skip("no psycopg: pip install 'anomalyd[postgres]'")
    found = shutil.which("initdb") or next(Path("/usr/lib/postgresql").glob("*/bin/initdb"), None)
    if found is None:
        pytest.skip("no PostgreSQL server programs (initdb): apt-get install postgresql")
    # Not below pytest's own folder: the user postgres may not enter that one.
    folder = Path(tempfile.mkdtemp(prefix="anomalyd-pg-"))
    try:
        cluster = Cluster(Path(found).resolve().parent, folder)
        yield cluster
        cluster.stop()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def sqlite(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path}/reports.db"


@pytest.fixture
def postgresql(cluster: Cluster) -> str:
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
