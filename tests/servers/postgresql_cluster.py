"""A PostgreSQL of the tests' own."""

from __future__ import annotations

import itertools
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self


class Cluster:
    """A private PostgreSQL on a Unix socket in a folder of its own."""

    def __init__(self, programs: Path, folder: Path, *, copy_of: Path | None = None) -> None:
        self._numbers = itertools.count()
        self.folder = self._socket = folder
        # PostgreSQL refuses to run as root.
        owner: dict[str, Any] = {"cwd": folder}
        if os.geteuid() == 0:
            account = pwd.getpwnam("postgres")
            os.chown(folder, account.pw_uid, account.pw_gid)
            owner |= {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": []}
        data = folder / "data"
        made: list[Any] = [
            *(programs / "initdb", "-D", data, "-U", "postgres", "-A", "trust", "-E", "UTF8", "--no-sync")
        ]
        if copy_of is not None:  # a standby that follows it
            made = [
                programs / "pg_basebackup",
                "-D",
                data,
                "-R",
                "-U",
                "postgres",
                "-h",
                copy_of,
                "-c",
                "fast",
            ]
        subprocess.run(made, check=True, capture_output=True, **owner)
        self._programs, self._data, self._owner = programs, data, owner
        self.start()

    def start(self) -> None:
        """Begin to serve; returns when it answers."""
        settings = ["listen_addresses=", "fsync=off", "autovacuum=off", "shared_buffers=16MB"]
        arguments = [word for setting in settings for word in ("-c", setting)]
        with (self._socket / "log").open("wb") as log:
            self._server = subprocess.Popen(
                [self._programs / "postgres", "-D", self._data, "-k", self._socket, *arguments],
                stdout=log,
                stderr=log,
                **self._owner,
            )
        try:
            self._wait()
        except BaseException:
            self.stop()
            raise

    def _wait(self) -> None:
        import psycopg

        deadline = time.monotonic() + 180
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

    def stop(self, how: str = "immediate") -> None:
        """End it: `fast` hangs up and closes its files, `immediate` leaves them as after a crash."""
        self._server.send_signal({"fast": signal.SIGINT, "immediate": signal.SIGQUIT}[how])
        self._server.wait(120)

    def start_again(self) -> None:
        """Begin to serve, unless it does."""
        if self._server.poll() is not None:
            self.start()

    @contextmanager
    def standby(self) -> Iterator[Self]:
        """Make a cluster that follows this one, so that nothing is committed here that is not there."""
        import psycopg

        folder = Path(tempfile.mkdtemp(prefix="anomalyd-pg-"))
        with psycopg.connect(self._address, autocommit=True) as connection:
            try:
                standby = type(self)(self._programs, folder, copy_of=self._socket)
                connection.execute("ALTER SYSTEM SET synchronous_standby_names = '*'")
                connection.execute("SELECT pg_reload_conf()")
                try:
                    yield standby
                finally:
                    standby.stop()
            finally:
                self.start_again()
                shutil.rmtree(folder, ignore_errors=True)
        with psycopg.connect(self._address, autocommit=True) as connection:
            connection.execute("ALTER SYSTEM RESET synchronous_standby_names")
            connection.execute("SELECT pg_reload_conf()")

    def promote(self) -> None:
        """Make a standby the primary."""
        subprocess.run(
            [self._programs / "pg_ctl", "promote", "-D", self._data, "-t", "120"],
            check=True,
            capture_output=True,
            **self._owner,
        )

    def cut_connections(self) -> None:
        """Hang up on everybody."""
        import psycopg

        with psycopg.connect(self._address, autocommit=True) as connection:
            connection.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid() "
                "AND backend_type = 'client backend'"
            )
