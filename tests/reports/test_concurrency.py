"""Readers, writers and killed processes on one database."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import text

from anomalyd.errors import StoreConflict
from anomalyd.reports.database import Database
from anomalyd.reports.queries import Queries, Selection
from anomalyd.reports.report import Incident
from anomalyd.reports.store import Finding, Step, Store

MakeIncident = Callable[..., Incident]


def test_a_reader_waits_for_no_writer(
    url: str, store: Store, queries: Queries, incident: MakeIncident
) -> None:
    store.commit(Step("g", findings=(Finding(incident("a"), "odd"),)))
    database = Database.open(url)
    with database.writing() as connection:
        connection.execute(text("DELETE FROM reports"))
        assert queries.count(Selection()) == 1  # as it was before; and at once, not after the busy timeout
        assert len(store.open_incidents()) == 1
    assert queries.count(Selection()) == 0
    database.close()


def test_writers_share_one_database(url: str, store: Store, queries: Queries, incident: MakeIncident) -> None:
    """Two daemons, two threads each, race for one partition: each offset is taken exactly once."""
    other = Store.open(url)
    turns = 15

    def race(number: int) -> int:
        mine, conflicts, taken = (store, other)[number % 2], 0, 0
        while taken < turns:
            here = mine.offsets("g").get(("t", 0))
            finding = Finding(incident(f"report-{here or 0}", entity=f"host/{number}"), "odd")
            try:
                mine.commit(Step("g", {("t", 0): (here, (here or 0) + 1)}, (finding,)))
                taken += 1
            except StoreConflict:
                conflicts += 1
        return conflicts

    with ThreadPoolExecutor(4) as threads:
        list(threads.map(race, range(4)))
    assert store.offsets("g") == {("t", 0): 4 * turns}
    reports = queries.reports(Selection())
    assert len(reports) == 4 * turns
    assert {report.revision for report in reports} == {0}  # a loser's finding has never touched a winner's
    assert queries.tally(Selection(), "entity") == [(f"host/{number}", turns) for number in range(4)]
    other.close()


KILLED = """
import os, signal, sys
from anomalyd.reports.store import OutboxEntry, Step, Store

class Deadly(dict):
    def items(self):
        os.kill(os.getpid(), signal.SIGKILL)

store = Store.open(sys.argv[1])
store.commit(Step("g", {("t", 0): (None, 1)}, states={("d", "e"): b"whole"}))
store.commit(Step("g", {("t", 0): (1, 2)}, states={("d", "e"): b"torn"}, activity=Deadly(e=None)))
"""


def test_a_killed_writer_leaves_whole_steps(url: str) -> None:
    killed = subprocess.run([sys.executable, "-c", KILLED, url], timeout=60, check=False)
    assert killed.returncode == -9
    store = Store.open(url)
    assert store.offsets("g") == {("t", 0): 1}
    assert store.entity_states("d") == {"e": b"whole"}
    store.commit(Step("g", {("t", 0): (1, 2)}))  # nothing is locked
    store.close()


def test_a_restarted_server_is_found_again(store: Store, url: str) -> None:
    """What a restart of PostgreSQL does to a connection that lies in the pool."""
    if url.startswith("sqlite"):
        pytest.skip("SQLite has no server")
    assert store.offsets("g") == {}
    database = Database.open(url)
    with database.writing() as connection:
        connection.execute(
            text(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid != pg_backend_pid() "
                "AND datname = current_database()"
            )
        )
    database.close()
    store.commit(Step("g", {("t", 0): (None, 1)}))
    assert store.offsets("g") == {("t", 0): 1}
