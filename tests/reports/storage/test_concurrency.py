"""Readers, writers and killed processes on one database."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from sqlalchemy import text

from anomalyd.errors import StoreConflict
from anomalyd.reports.queries import Queries, Selection
from anomalyd.reports.report import Incident
from anomalyd.reports.storage.database import Database
from anomalyd.reports.storage.store import Step, Store, StoredChange

MakeIncident = Callable[..., Incident]


def test_a_reader_waits_for_no_writer(
    url: str, store: Store, queries: Queries, incident: MakeIncident
) -> None:
    store.commit(Step("g", stored_changes=(StoredChange(incident("a"), "odd"),)))
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
            stored_change = StoredChange(incident(f"report-{here or 0}", entity=f"host/{number}"), "odd")
            try:
                mine.commit(Step("g", {("t", 0): (here, (here or 0) + 1)}, (stored_change,)))
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


def test_a_writer_that_reads_first_is_not_overtaken(sqlite: str) -> None:
    """Two processes' worth of databases count up: neither reads what the other is about to replace."""
    databases = [Database.open(sqlite), Database.open(sqlite)]
    turns = 40
    with databases[0].writing() as connection:
        connection.execute(text("CREATE TABLE counter (n INTEGER)"))
        connection.execute(text("INSERT INTO counter VALUES (0)"))

    def count_up(database: Database) -> None:
        for _ in range(turns):
            with database.writing() as connection:
                n = connection.execute(text("SELECT n FROM counter")).scalar_one()
                connection.execute(text("UPDATE counter SET n = :n"), {"n": n + 1})

    with ThreadPoolExecutor(2) as threads:
        list(threads.map(count_up, databases))
    with databases[0].reading() as connection:
        assert connection.execute(text("SELECT n FROM counter")).scalar_one() == 2 * turns
    for database in databases:
        database.close()


KILLED = """
import os, signal, sys
from anomalyd.reports.storage.repositories.entity_states import StateChanges, StateSnapshot
from anomalyd.reports.storage.store import OutboxEntry, Step, Store

class Deadly(dict):
    def items(self):
        os.kill(os.getpid(), signal.SIGKILL)

def state(blob):
    return StateChanges((StateSnapshot("d", "e", "v1", 1.0, blob),))

store = Store.open(sys.argv[1])
store.commit(Step("g", {("t", 0): (None, 1)}, states=state(b"whole")))
store.commit(Step("g", {("t", 0): (1, 2)}, states=state(b"torn"), activity=Deadly(e=None)))
"""


def test_a_killed_writer_leaves_whole_steps(url: str) -> None:
    killed = subprocess.run([sys.executable, "-c", KILLED, url], timeout=60, check=False)
    assert killed.returncode == -9
    store = Store.open(url)
    assert store.offsets("g") == {("t", 0): 1}
    assert store.states.snapshots("d", ["e"])["e"].state == b"whole"
    store.commit(Step("g", {("t", 0): (1, 2)}))  # nothing is locked
    store.close()


def test_a_restarted_server_is_found_again(postgresql: str) -> None:
    """What a restart of PostgreSQL does to a connection that lies in the pool."""
    store, database = Store.open(postgresql), Database.open(postgresql)
    assert store.offsets("g") == {}
    with database.writing() as connection:
        connection.execute(
            text("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid != pg_backend_pid()")
        )
    store.commit(Step("g", {("t", 0): (None, 1)}))
    assert store.offsets("g") == {("t", 0): 1}
    database.close()
    store.close()
