"""Bring a database to this code's schema, and refuse one that is newer."""

from __future__ import annotations

import fcntl
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from importlib import resources
from typing import TYPE_CHECKING

from sqlalchemy import Connection, inspect, text

from anomalyd.errors import SchemaError, StoreError
from anomalyd.reports.storage.database import Database

if TYPE_CHECKING:
    from alembic.config import Config

_LOCK = 0x616E6F6D616C7964  # "anomalyd": the number of PostgreSQL's advisory lock


def migrate(database: Database) -> None:
    """Create or upgrade the tables; processes that start together wait for each other.

    Raises:
        SchemaError: the database is newer than this code.
        StoreError: it cannot be reached or changed.

    """
    with _alone(database):
        if not _is_current(database):
            _upgrade(database)


def _is_current(database: Database) -> bool:
    """Say whether there is nothing to do: then a start waits for nobody who writes."""
    with database.reading() as connection:
        return _revision(connection) == revisions()[-1]


def _upgrade(database: Database) -> None:
    from alembic import command

    with database.writing() as connection:
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
    if found != revisions()[-1]:
        what = f"has the older schema {found}" if found else "holds no reports yet"
        raise StoreError(f"store {database.name} {what}; start `anomalyd run` once")


def _refuse_newer(database: Database, connection: Connection) -> None:
    found = _revision(connection)
    known = revisions()
    if found is not None and found not in known:
        raise SchemaError(
            f"store {database.name} has schema {found}, this anomalyd knows up to {known[-1]}: it was "
            "written by a newer version; upgrade anomalyd, or use another store.url"
        )


@cache
def revisions() -> tuple[str, ...]:
    """Give the revisions that this code knows, oldest first, by the names of their files.

    Alembic gives the same; but it takes a quarter of a second to import, which every command would wait for.
    """
    folder = resources.files("anomalyd.reports.storage.migrations") / "versions"
    names = (re.match(r"([0-9]{4})_\w+\.py$", file.name) for file in folder.iterdir())
    return tuple(sorted(name[1] for name in names if name))


def _revision(connection: Connection) -> str | None:
    if not inspect(connection).has_table("alembic_version"):
        return None
    found: str | None = connection.execute(text("SELECT version_num FROM alembic_version")).scalar()
    return found


def _config(connection: Connection) -> Config:
    from alembic.config import Config

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
