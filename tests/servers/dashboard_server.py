"""The dashboard in a process of its own, on an address whose store can be exchanged."""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from anomalyd.daemon.broker.ports import is_taken, reserve_port
from anomalyd.dashboard.settings import Settings

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
_START_S = 120


class Dashboard:
    """A running dashboard; `folder` holds its store and its models."""

    def __init__(self, folder: Path, address: str) -> None:
        self.folder = folder
        self.address = address
        self.url = f"sqlite:///{folder}/reports.db"

    def show(self, store: Path | None) -> None:
        """Put a copy of another store (SQLite) in the place of the one that is shown; None: none at all."""
        place = self.folder / "reports.db"
        for leftover in self.folder.glob("reports.db*"):
            leftover.unlink()
        if store is not None:
            with sqlite3.connect(store) as source, sqlite3.connect(self.folder / "copy.db") as copy:
                source.backup(copy)
            source.close()
            copy.close()
            os.replace(self.folder / "copy.db", place)


@contextmanager
def dashboard(
    folder: Path, settings: Settings | None = None, secrets: Callable[[str], str] | None = None
) -> Iterator[Dashboard]:
    """Start the dashboard on a store in this folder, and end it.

    `secrets` gives Streamlit's secrets (TOML) by the address that it will have.
    """
    port = reserve_port()
    found = Dashboard(folder, f"http://127.0.0.1:{port}")
    if secrets is not None:
        (folder / ".streamlit").mkdir()
        (folder / ".streamlit" / "secrets.toml").write_text(secrets(found.address))
    code = (
        "import sys; from pathlib import Path; from anomalyd.dashboard.serve import serve;"
        "from anomalyd.dashboard.settings import Settings;"
        f"sys.exit(serve({found.url!r}, host='127.0.0.1', port={port},"
        f"models=Path({str(folder / 'models')!r}), settings={settings or Settings()!r}))"
    )
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen([sys.executable, "-c", code], stdout=log, stderr=log, cwd=folder)
        try:
            deadline = time.monotonic() + _START_S
            while not is_taken(port):
                assert process.poll() is None, (folder / "log").read_text()
                assert time.monotonic() < deadline, (folder / "log").read_text()
                time.sleep(0.05)
            yield found
        finally:
            process.terminate()
            process.wait(120)
