"""The database behind the store: SQLite in WAL mode, or PostgreSQL; transactions, and honest errors."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any, Self

from sqlalchemy import URL, Connection, Engine, Table, create_engine, event, make_url
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import ArgumentError, SQLAlchemyError

from anomalyd.errors import StoreError, StoreFailure

_BUSY_S = 5.0  # a writer of another process holds the lock for milliseconds; longer means that it hangs
_CONNECT_S = 5

# A server that is gone without a word (its host died, a failover moved the address) is noticed within half a
# minute, not after the two hours that TCP would take.
_KEEPALIVE = {
    "connect_timeout": _CONNECT_S,
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 20_000,
}

Insert = sqlite.Insert | postgresql.Insert


class Database:
    """An engine, with a transaction for readers and one for writers."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._writer = engine.execution_options(writing=True)
        # SQLite lets one writer in at a time and has the others poll; threads of one process queue here.
        self._one_writer = threading.Lock()
        self.name = engine.url.render_as_string(hide_password=True)
        self.is_sqlite = engine.dialect.name == "sqlite"

    @classmethod
    def open(cls, url: str, *, read_only: bool = False) -> Self:
        """Open the database at an SQLAlchemy URL; nothing is connected yet.

        Raises:
            StoreError: not a URL, a database that is not supported, its driver or its folder is missing.

        """
        known = "sqlite:///FILE or postgresql://USER:PASSWORD@HOST/DATABASE"
        try:
            parsed = make_url(url)
        except ArgumentError:
            # The text is not shown: it may hold a password.
            raise StoreError(f"store.url is not a database URL; expected {known}") from None
        if parsed.get_backend_name() == "sqlite":
            return cls(_open_sqlite(parsed, read_only))
        if parsed.get_backend_name() in ("postgresql", "postgres"):
            return cls(_open_postgresql(parsed, read_only))
        raise StoreError(f"store.url: {parsed.drivername} is not supported; expected {known}")

    @property
    def file(self) -> Path | None:
        """Where SQLite keeps it; None for PostgreSQL."""
        return Path(self._engine.url.database or "") if self.is_sqlite else None

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """A transaction that only reads; in SQLite it sees one moment and waits for no writer.

        Raises:
            StoreError: the database cannot be reached or cannot do it.

        """
        with self._honest(), self._engine.begin() as connection:
            yield connection

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """A transaction that is committed as a whole, or leaves nothing after an exception.

        Raises:
            StoreError: the database cannot be reached or cannot do it.

        """
        with self._one_writer, self._honest(), self._writer.begin() as connection:
            yield connection

    @contextmanager
    def alone(self) -> Iterator[Connection]:
        """A connection outside of any transaction, for what cannot be part of one.

        Raises:
            StoreError: the database cannot be reached or cannot do it.

        """
        plain = self._engine.execution_options(isolation_level="AUTOCOMMIT")
        with self._one_writer, self._honest(), plain.connect() as connection:
            yield connection

    def use_wal(self) -> None:
        """Make the SQLite file one that is read while somebody writes; it remembers.

        Raises:
            StoreError: the file cannot be opened, or lies where WAL does not work.

        """
        with self._honest():
            connection = self._engine.raw_connection()
            try:
                mode = connection.cursor().execute("PRAGMA journal_mode=WAL").fetchone()
            finally:
                connection.close()
        if mode != ("wal",):
            raise StoreError(
                f"store {self.name}: SQLite cannot use its write-ahead log there; use a local disk"
            )

    def insert(self, table: Table) -> Insert:
        """Give an INSERT that knows ON CONFLICT, in this database's dialect."""
        return sqlite.insert(table) if self.is_sqlite else postgresql.insert(table)

    def upsert(self, table: Table) -> Insert:
        """Give an INSERT of whole rows that replaces a row with the same primary key."""
        statement = self.insert(table)
        keys = {column.name for column in table.primary_key}
        rest = {c.name: statement.excluded[c.name] for c in table.c if c.name not in keys}
        return statement.on_conflict_do_update(index_elements=sorted(keys), set_=rest)

    def close(self) -> None:
        """Close every connection."""
        self._engine.dispose()

    @contextmanager
    def _honest(self) -> Iterator[None]:
        try:
            yield
        # Beside SQLAlchemy's own: what fails while a connection is prepared, an integer beyond 64 bits, and
        # text that is not valid Unicode.
        except (SQLAlchemyError, sqlite3.Error, OverflowError, UnicodeEncodeError) as error:
            reason = getattr(error, "orig", None) or error
            raise StoreError(
                f"store {self.name}: {' '.join(str(reason).split())}; "
                "check that the database can be reached and written, then try again",
                _kind(reason, getattr(error, "connection_invalidated", False)),
            ) from error


_TOLD_BY = {
    StoreFailure.LOCKED: ("database is locked", "database table is locked", "lock timeout"),
    StoreFailure.READ_ONLY: ("readonly database", "read-only transaction", "during recovery"),
    StoreFailure.FULL: ("disk is full", "no space left", "disk full", "could not extend file"),
    StoreFailure.UNREACHABLE: ("unable to open", "disk i/o error", "connection"),
}
"""Words of the drivers' messages, in the order in which they are looked for."""


def _kind(reason: object, disconnected: bool) -> StoreFailure:
    if disconnected:
        return StoreFailure.UNREACHABLE
    text = str(reason).lower()
    for failure, words in _TOLD_BY.items():
        if any(word in text for word in words):
            return failure
    # PostgreSQL's OperationalError without a code: no server has answered.
    if type(reason).__module__.startswith("psycopg") and getattr(reason, "sqlstate", "") is None:
        return StoreFailure.UNREACHABLE
    return StoreFailure.OTHER


def _open_sqlite(url: URL, read_only: bool) -> Engine:
    if url.database in (None, "", ":memory:") or (url.database or "").startswith("file:"):
        raise StoreError("store.url: SQLite needs a plain file, as in sqlite:///anomalyd.db")
    # Fixed now, so that a later change of the working folder cannot begin a second, empty database.
    file = Path(url.database or "").absolute()
    if not file.parent.is_dir():
        raise StoreError(f"store.url: there is no folder {file.parent}; create it, or correct the path")
    if read_only and not file.exists():
        raise StoreError(f"there is no report store {file} yet; `anomalyd run` creates it")
    place = url.set(database=str(file))
    return _kept_sqlite(place) if read_only else _sqlite_engine(place, read_only=False)


# The page of a dashboard opens the store anew at each look. The engine holds no connection meanwhile, but it
# knows the statements that were compiled, which takes longer than most of them.
@lru_cache(maxsize=16)
def _kept_sqlite(url: URL) -> Engine:
    return _sqlite_engine(url, read_only=True)


def _sqlite_engine(url: URL, *, read_only: bool) -> Engine:
    engine = create_engine(
        url,
        # isolation_level None: Python's sqlite3 begins no transactions of its own, `begin` below does.
        connect_args={"timeout": _BUSY_S, "isolation_level": None},
    )

    @event.listens_for(engine, "connect")
    def prepare(connection: Any, record: Any) -> None:
        connection.execute("PRAGMA foreign_keys=ON")
        # In WAL mode NORMAL survives a killed process whole. A power cut may take the last commits back, but
        # only as a whole: the offsets go back with the reports, and their messages are read again.
        connection.execute("PRAGMA synchronous=NORMAL")
        if read_only:
            connection.execute("PRAGMA query_only=ON")

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        if connection.get_execution_options().get("isolation_level") == "AUTOCOMMIT":
            return
        # A writer takes the lock at once: one that read first would fail where another wrote in between.
        writing = connection.get_execution_options().get("writing", False)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writing else "BEGIN")

    return engine


def _open_postgresql(url: URL, read_only: bool) -> Engine:
    return _kept_postgresql(url) if read_only else _postgresql_engine(url)


@lru_cache(maxsize=16)
def _kept_postgresql(url: URL) -> Engine:
    return _postgresql_engine(url).execution_options(postgresql_readonly=True)


def _postgresql_engine(url: URL) -> Engine:
    # A daemon lives longer than a server: pre_ping notices a connection that a restart has cut.
    try:
        return create_engine(
            url.set(drivername="postgresql+psycopg"),
            pool_pre_ping=True,
            connect_args={name: value for name, value in _KEEPALIVE.items() if name not in url.query},
        )
    except ImportError as error:
        raise StoreError("store.url: PostgreSQL needs psycopg: pip install 'anomalyd[postgres]'") from error
