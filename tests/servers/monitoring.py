"""A Prometheus and an Alertmanager of the tests' own, and the receiver of their notifications."""

from __future__ import annotations

import json
import shutil
import subprocess
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.error import URLError
from urllib.request import urlopen

import yaml

from anomalyd.daemon.broker.ports import reserve_port

PROGRAMS = ("prometheus", "prometheus-alertmanager", "amtool")

Alert = Mapping[str, Any]


def missing_programs() -> list[str]:
    """Which of the programs are not there."""
    return [name for name in PROGRAMS if shutil.which(name) is None]


class Receiver:
    """A webhook: keeps every notification that Alertmanager sends."""

    def __init__(self) -> None:
        self.notifications: list[Mapping[str, Any]] = []
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                receiver.notifications.append(json.loads(body))
                self.send_response(200)
                self.end_headers()

            def log_message(self, *_: object) -> None: ...

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}/alerts"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))
        self._thread.start()

    def alerts(self, name: str, status: str | None = None) -> list[Alert]:
        """Every alert of a rule in all notifications, oldest first; `status` is "firing" or "resolved"."""
        return [
            alert
            for notification in list(self.notifications)
            for alert in notification["alerts"]
            if alert["labels"]["alertname"] == name and status in (None, alert["status"])
        ]

    def close(self) -> None:
        """Receive no more."""
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


class Alertmanager:
    """Debian's Alertmanager with a configuration."""

    def __init__(self, folder: Path, config: str) -> None:
        self._port = reserve_port()
        self.url = f"http://127.0.0.1:{self._port}"
        (folder / "alertmanager.yml").write_text(config)
        self._process = _start(
            folder / "alertmanager.log",
            "prometheus-alertmanager",
            f"--config.file={folder / 'alertmanager.yml'}",
            f"--storage.path={folder / 'alertmanager'}",
            f"--web.listen-address=127.0.0.1:{self._port}",
            "--cluster.listen-address=",  # alone
        )
        wait_for(f"{self.url}/-/ready", self._process, folder / "alertmanager.log")

    @property
    def address(self) -> str:
        """Host and port."""
        return f"127.0.0.1:{self._port}"

    def amtool(self, *words: str) -> str:
        """Run amtool against it: what it prints."""
        done = subprocess.run(
            ["amtool", f"--alertmanager.url={self.url}", *words], capture_output=True, text=True, timeout=280
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def stop(self) -> None:
        """End it."""
        _stop(self._process)


class Prometheus:
    """Debian's Prometheus: scrapes one daemon, evaluates rules twice a second, tells one Alertmanager."""

    def __init__(self, folder: Path, *, target: str, rules: str, alertmanager: str) -> None:
        port = reserve_port()
        self.url = f"http://127.0.0.1:{port}"
        (folder / "rules.yml").write_text(rules)
        config = {
            "global": {"scrape_interval": "500ms", "scrape_timeout": "500ms", "evaluation_interval": "500ms"},
            "rule_files": ["rules.yml"],
            "alerting": {"alertmanagers": [{"static_configs": [{"targets": [alertmanager]}]}]},
            "scrape_configs": [{"job_name": "anomalyd", "static_configs": [{"targets": [target]}]}],
        }
        (folder / "prometheus.yml").write_text(yaml.safe_dump(config))
        self._process = _start(
            folder / "prometheus.log",
            "prometheus",
            f"--config.file={folder / 'prometheus.yml'}",
            f"--storage.tsdb.path={folder / 'tsdb'}",
            f"--web.listen-address=127.0.0.1:{port}",
        )
        wait_for(f"{self.url}/-/ready", self._process, folder / "prometheus.log")

    def stop(self) -> None:
        """End it."""
        _stop(self._process)


@contextmanager
def stopping(*servers: Any) -> Iterator[None]:
    """Stop servers at the end, whatever happens."""
    try:
        yield
    finally:
        for server in servers:
            server.stop()


def wait_for(url: str, process: subprocess.Popen[bytes], log: Path, within_s: float = 180.0) -> None:
    """Wait until an address answers with 200."""
    deadline = time.monotonic() + within_s
    while time.monotonic() < deadline:
        assert process.poll() is None, log.read_text()
        try:
            with urlopen(url, timeout=1.0):
                return
        except (URLError, OSError):
            time.sleep(0.05)
    raise AssertionError(f"{url} does not answer: {log.read_text()}")


def _start(log: Path, program: str, *arguments: str) -> subprocess.Popen[bytes]:
    found = shutil.which(program)
    assert found is not None
    with log.open("wb") as output:
        return subprocess.Popen([found, *arguments], stdout=output, stderr=output, cwd=log.parent)


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(10.0)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
