"""Start the dashboard in this process, and say how it is started in another."""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Mapping
from pathlib import Path

from anomalyd.dashboard.settings import MODELS, SETTINGS, STORE, Settings
from anomalyd.dashboard.style import THEME
from anomalyd.errors import AnomalydError

_PAGE = Path(__file__).with_name("app.py")


def serve(
    store_url: str, *, host: str, port: int, models: Path | None = None, settings: Settings | None = None
) -> int:
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
    os.environ.update(environment(store_url, models, settings))
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


def command(host: str, port: int) -> list[str]:
    """Give the command line of the dashboard; the store comes by `environment`."""
    return [sys.executable, "-m", "streamlit", *_arguments(host, port)]


def environment(
    store_url: str, models: Path | None = None, settings: Settings | None = None
) -> Mapping[str, str]:
    """Give the environment variables that the dashboard needs beside those there are."""
    # One thread for torch, which the assistant uses: small models are far slower on two.
    needed = {STORE: store_url, "OMP_NUM_THREADS": os.environ.get("OMP_NUM_THREADS", "1")}
    if settings is not None:
        needed[SETTINGS] = settings.as_text()
    return needed if models is None else {**needed, MODELS: str(models.absolute())}


def address(host: str, port: int) -> str:
    """Give the address for a browser on this machine."""
    near = _near(host)
    return f"http://{f'[{near}]' if ':' in near else near}:{port}"


def _near(host: str) -> str:
    """Give the address at which this machine itself reaches what listens on `host`."""
    return "127.0.0.1" if host in ("", "0.0.0.0", "::") else host  # nosec B104


def answers(host: str, port: int) -> bool:
    """Say whether somebody listens there."""
    try:
        socket.create_connection((_near(host), port), timeout=1.0).close()
    except OSError:
        return False
    return True


def _free(host: str, port: int) -> int:
    if port == 0:
        with socket.create_server(("127.0.0.1", 0)) as server:
            return int(server.getsockname()[1])
    if answers(host, port):
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
