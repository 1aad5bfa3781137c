"""Bring a database to this code's schema, and refuse one that is newer."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, text

from anomalyd.errors import SchemaError, StoreError
from anomalyd.reports.storage.database import Database

_LOCK = 0x616E6F6D616C7964  # "anomalyd": the number of PostgreSQL's advisory lock


def migrate(database: Database) -> None:
    """Create or upgrade the tables; processes that start together wait for each other.

    Raises:
        SchemaError: the database is newer than this code.
        StoreError: it cannot be reached or changed.

    """
    with _alone(database), database.writing() as connection:
        if not database.is_sqlite:
            connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})
        _refuse_newer(database, connection)
        command.upgrade(_config(connection), "head")


def check(database: Database) -> None:
    """Make sure that a reader understands the tables.

    Raises:
        SchemaError: the database is newer than this code.
        StoreError: it is older, or holds no reports at all; a start of the daemon mends both.

    """
    with database.reading() as connection:
        _refuse_newer(database, connection)
        found = _revision(connection)
    if found != ScriptDirectory.from_config(_config()).get_current_head():
        what = f"has the older schema {found}" if found else "holds no reports yet"
        raise StoreError(f"store {database.name} {what}; start `anomalyd run` once")


def _refuse_newer(database: Database, connection: Connection) -> None:
    found = _revision(connection)
    known = [script.revision for script in ScriptDirectory.from_config(_config()).walk_revisions()]
    if found is not None and found not in known:
        raise SchemaError(
            f"store {database.name} has schema {found}, this anomalyd knows up to {known[0]}: it was written "
            "by a newer version; upgrade anomalyd, or use another store.url"
        )


def _revision(connection: Connection) -> str | None:
    return MigrationContext.configure(connection).get_current_revision()


def _config(connection: Connection | None = None) -> Config:
    config = Config()
    config.set_main_option("script_location", "anomalyd.reports.storage:migrations")
    config.attributes["connection"] = connection
    return config


@contextmanager
def _alone(database: Database) -> Iterator[None]:
    """Let one process at a time make a file an SQLite database in WAL mode.

    SQLite does not wait when two switch to WAL at once, and the switch cannot be part of a transaction. The
    lock is on the folder: locking the file itself would interfere with SQLite's own locks.
    """
    if database.file is None:
        yield
        return
    folder = os.open(database.file.parent, os.O_RDONLY)
    try:
        fcntl.flock(folder, fcntl.LOCK_EX)
        database.use_wal()
        yield
    finally:
        os.close(folder)
