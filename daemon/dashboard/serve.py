"""Start the dashboard: in this process, or as a child whose address is known."""

from __future__ import annotations

import os
import socket
import sys
import time
from collections.abc import Mapping
from pathlib import Path

from anomalyd.daemon.broker.child import ChildProcess
from anomalyd.daemon.broker.ports import reserve_port
from anomalyd.daemon.dashboard.look import THEME
from anomalyd.daemon.dashboard.models import MODELS
from anomalyd.daemon.dashboard.store import STORE
from anomalyd.errors import AnomalydError

_PAGE = Path(__file__).with_name("app.py")
_READY_WITHIN_S = 60.0  # Streamlit's first import takes seconds, many more while a demo trains beside it
_STOPS_WITHIN_S = 5.0


def serve(store_url: str, *, host: str, port: int, models: Path | None = None) -> int:
    """Serve the dashboard until Ctrl-C or SIGTERM, and give the exit status.

    `models` is the folder of trained models, None if there is none to show. Port 0 takes a free one. The
    store may come later: the page says what is missing and looks again.

    Raises:
        AnomalydError: the port is taken, or the address is not one of this machine.

    """
    port = _free(host, port)
    from click import Abort
    from streamlit.web.cli import main

    # By the environment, because the URL may hold a password and everybody can read a command line.
    os.environ.update(environment(store_url, models))
    print(f"dashboard: {address(host, port)}", flush=True)
    try:
        main(_arguments(host, port), standalone_mode=False)
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else 1
    except Abort:
        return 0  # Ctrl-C came before Streamlit had its own way to end
    except OSError as error:
        raise AnomalydError(
            f"the dashboard cannot listen on {host}, port {port}: {error}; choose another --host or --port"
        ) from error
    return 0


class Dashboard:
    """A dashboard that runs as a child process; it ends with its parent."""

    def __init__(self, process: ChildProcess, url: str) -> None:
        self._process = process
        self.url = url
        """Where a browser finds it."""

    @property
    def alive(self) -> bool:
        """Whether its process runs."""
        return self._process.alive

    def stop(self) -> None:
        """Stop it; nothing happens if it has ended already."""
        self._process.stop(_STOPS_WITHIN_S)


def start(store_url: str, *, log: Path, host: str = "127.0.0.1", port: int = 0) -> Dashboard:
    """Start the dashboard as a child process that writes to `log`, and wait until it answers.

    Raises:
        AnomalydError: the port is taken, or it died, or does not answer in time; with its last words.

    """
    port = _free(host, port)
    process = ChildProcess(command(host, port), log, os.environ | environment(store_url))
    deadline = time.monotonic() + _READY_WITHIN_S
    while not _answers(host, port):
        ended = not process.alive
        if ended or time.monotonic() > deadline:
            process.kill()
            what = "died while starting" if ended else f"did not answer after {_READY_WITHIN_S:g} s"
            raise AnomalydError(f"the dashboard {what}; its last words ({log}):\n{process.last_words()}")
        time.sleep(0.1)
    return Dashboard(process, address(host, port))


def command(host: str, port: int) -> list[str]:
    """Give the command line of the dashboard; the store comes by `environment`."""
    return [sys.executable, "-m", "streamlit", *_arguments(host, port)]


def environment(store_url: str, models: Path | None = None) -> Mapping[str, str]:
    """Give the environment variables that the dashboard needs beside those there are."""
    # One thread for torch, which the assistant uses: small models are far slower on two.
    needed = {STORE: store_url, "OMP_NUM_THREADS": os.environ.get("OMP_NUM_THREADS", "1")}
    return needed if models is None else {**needed, MODELS: str(models.absolute())}


def address(host: str, port: int) -> str:
    """Give the address for a browser on this machine."""
    near = _near(host)
    return f"http://{f'[{near}]' if ':' in near else near}:{port}"


def _near(host: str) -> str:
    """Give the address at which this machine itself reaches what listens on `host`."""
    return "127.0.0.1" if host in ("", "0.0.0.0", "::") else host


def _answers(host: str, port: int) -> bool:
    try:
        socket.create_connection((_near(host), port), timeout=1.0).close()
    except OSError:
        return False
    return True


def _free(host: str, port: int) -> int:
    if port == 0:
        return reserve_port()
    if _answers(host, port):
        raise AnomalydError(f"port {port} is taken; choose another with --port (0 takes a free one)")
    return port


def _arguments(host: str, port: int) -> list[str]:
    options = {
        "server.address": host,
        "server.port": str(port),
        "server.headless": "true",
        "server.fileWatcherType": "none",
        "browser.gatherUsageStats": "false",
        "client.toolbarMode": "minimal",
        # A bug is told in the log; a shifter has no use for a traceback.
        "client.showErrorDetails": "none",
        "logger.hideWelcomeMessage": "true",
        **{f"theme.{name}": value for name, value in THEME.items()},
    }
    return ["run", str(_PAGE), *(f"--{name}={value}" for name, value in options.items())]
