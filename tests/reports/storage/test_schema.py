"""A database is made, upgraded, or refused; never misread."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from sqlalchemy import create_engine, text

from anomalyd.errors import SchemaError, StoreError
from anomalyd.reports.queries import Queries, Selection
from anomalyd.reports.report import Incident
from anomalyd.reports.storage.database import Database
from anomalyd.reports.storage.repositories.attempts import Attempt
from anomalyd.reports.storage.store import Step, Store, StoredChange
from anomalyd.reports.storage.tables import metadata


@pytest.fixture
def database(url: str) -> Iterator[Database]:
    database = Database.open(url)
    yield database
    database.close()


def test_the_migrations_lead_to_the_tables(store: Store, database: Database) -> None:
    with database.reading() as connection:
        context = MigrationContext.configure(connection, opts={"compare_server_default": True})
        assert compare_metadata(context, metadata) == []


def test_the_migrations_lead_to_the_tables_to_the_letter(tmp_path: Path) -> None:
    """The comparison above is blind to AUTOINCREMENT, ON DELETE and the condition of an index."""

    def statements(file: Path) -> set[str]:
        with Database.open(f"sqlite:///{file}").reading() as connection:
            rows = connection.execute(
                text("SELECT sql FROM sqlite_master WHERE sql IS NOT NULL AND name != 'alembic_version'")
            )
            return {" ".join(sql.split()).replace(" ,", ",") for sql in rows.scalars()}

    Store.open(f"sqlite:///{tmp_path}/migrated.db").close()
    engine = create_engine(f"sqlite:///{tmp_path}/created.db")
    metadata.create_all(engine)
    engine.dispose()
    assert statements(tmp_path / "migrated.db") == statements(tmp_path / "created.db")


@pytest.mark.parametrize(
    "where",
    ["severity = 'critical'", "entity = 'a' AND seen_by = 'both'", "onset < 5 AND last > 2", "run = 7"],
)
def test_a_count_reads_no_whole_reports(tmp_path: Path, where: str) -> None:
    Store.open(url := f"sqlite:///{tmp_path}/reports.db").close()
    with Database.open(url).reading() as connection:
        plan = connection.execute(text(f"EXPLAIN QUERY PLAN SELECT count(*) FROM reports WHERE {where}"))
        assert all("COVERING INDEX" in row.detail for row in plan)


def test_a_store_is_there_again(url: str, incident: Callable[..., Incident]) -> None:
    for name in ("first", "second"):
        store = Store.open(url)
        store.commit(Step("g", stored_changes=(StoredChange(incident(name), "odd"),)))
        store.close()
    queries = Queries.open(url)
    assert queries.count(Selection()) == 2
    queries.close()


def test_attempts_of_before_may_have_begun_a_whole_step(tmp_path: Path) -> None:
    engine = create_engine(url := f"sqlite:///{tmp_path}/reports.db")
    with engine.begin() as connection:
        config = Config()
        config.set_main_option("script_location", "anomalyd.reports.storage:migrations")
        config.attributes["connection"] = connection
        command.upgrade(config, "0019")
        connection.execute(text("INSERT INTO attempts VALUES ('g', 'metrics', 1, 70, 2)"))
    engine.dispose()
    store = Store.open(url)
    assert store.attempts.unfinished("g") == {("metrics", 1, 70): Attempt(alone=2, next_offset=4070)}
    store.close()


@pytest.mark.parametrize("opened", [Store.open, Queries.open])
def test_a_newer_database_is_refused(
    store: Store, url: str, database: Database, opened: Callable[[str], object]
) -> None:
    with database.writing() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(SchemaError, match=r"9999.*newer version; upgrade anomalyd"):
        opened(url)


def test_a_reader_refuses_an_older_database(store: Store, url: str, database: Database) -> None:
    with database.writing() as connection:
        connection.execute(text("DELETE FROM alembic_version"))
    with pytest.raises(StoreError, match="no reports yet; start `anomalyd run`"):
        Queries.open(url)


def test_a_reader_makes_no_database(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="no report store"):
        Queries.open(f"sqlite:///{tmp_path}/reports.db")
    assert list(tmp_path.iterdir()) == []


def test_a_reader_cannot_write(store: Store, url: str) -> None:
    reader = Database.open(url, read_only=True)
    with pytest.raises(StoreError, match=r"read-?only"), reader.writing() as connection:
        connection.execute(text("DELETE FROM reports"))
    reader.close()


def test_processes_that_start_together_wait_for_each_other(url: str) -> None:
    start = (
        "import sys; from anomalyd.reports.storage.store import Step, Store; s = Store.open(sys.argv[1]); "
        "s.commit(Step(sys.argv[2], {('t', 0): (None, 1)})); s.close()"
    )
    groups = ["a", "b", "c"]
    processes = [subprocess.Popen([sys.executable, "-c", start, url, group]) for group in groups]
    assert [process.wait(60) for process in processes] == [0, 0, 0]
    store = Store.open(url)
    assert [store.offsets(group) for group in groups] == [{("t", 0): 1}] * 3
    store.close()


def test_a_file_becomes_a_store_once(tmp_path: Path) -> None:
    """SQLite fails at once, about one time in thirty, where two make one file a WAL database."""

    def start(file: Path) -> None:
        Store.open(f"sqlite:///{file}").close()

    with ThreadPoolExecutor(4) as threads:
        for number in range(10):
            list(threads.map(start, [tmp_path / f"{number}.db"] * 4))


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("reports.db", "not a database URL; expected sqlite:///FILE"),
        ("mysql://user:secret@host/reports", "mysql is not supported"),
        ("sqlite://", "needs a plain file"),
        ("sqlite:///:memory:", "needs a plain file"),
        ("sqlite:////no/such/folder/reports.db", "no folder /no/such/folder; create it"),
        ("postgresql://user:secret@/reports?host=/no/such/folder", "user:\\*\\*\\*@.*can be reached"),
    ],
)
def test_a_url_that_leads_nowhere(url: str, why: str) -> None:
    if url.startswith("postgresql"):
        pytest.importorskip("psycopg")
    with pytest.raises(StoreError, match=why) as caught:
        Store.open(url)
    assert "secret" not in str(caught.value)


def test_a_file_that_is_no_database(tmp_path: Path) -> None:
    file = tmp_path / "reports.db"
    file.write_text("these are minutes of a meeting" * 100)
    with pytest.raises(StoreError, match="not a database"):
        Store.open(f"sqlite:///{file}")


def test_postgresql_without_its_driver(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "psycopg", None)
    with pytest.raises(StoreError, match=r"pip install 'anomalyd\[postgres\]'"):
        Store.open("postgresql://host/reports")
