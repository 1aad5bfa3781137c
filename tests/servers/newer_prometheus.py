"""A Prometheus that sends remote write 2.0, and a VictoriaMetrics that takes OTLP.

Those of Debian's stable release are too old. `make newer-prometheus` fetches both from its unstable release
into `build/newer`, and installs nothing.
"""

from __future__ import annotations

import os
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import yaml
from monitoring import wait_for

from anomalyd.daemon.broker.ports import reserve_port

_FOLDER = Path(__file__).parents[2] / "build" / "newer" / "usr" / "bin"
HOW = "`make newer-prometheus` fetches it from Debian's unstable release"


def program(name: str) -> Path | None:
    """Give the program, None where it was not fetched or does not run here."""
    found = Path(os.environ.get("NEWER_PROMETHEUS", _FOLDER)) / name
    try:
        subprocess.run([found, "--version"], check=True, capture_output=True, timeout=60)
    except (OSError, subprocess.SubprocessError):
        return None
    return found


@contextmanager
def prometheus(folder: Path, remote_write: str) -> Iterator[str]:
    """Start a Prometheus 3 that sends what it scrapes of itself by remote write 2.0: its address."""
    port = reserve_port()
    url = f"http://127.0.0.1:{port}"
    of_itself = {"job_name": "prometheus", "static_configs": [{"targets": [f"127.0.0.1:{port}"]}]}
    to = {
        "url": remote_write,
        "protobuf_message": "io.prometheus.write.v2.Request",
        "queue_config": {"batch_send_deadline": "200ms"},
    }
    config = {
        "global": {"scrape_interval": "500ms", "scrape_timeout": "500ms"},
        "scrape_configs": [of_itself],
        "remote_write": [to],
    }
    (folder / "prometheus.yml").write_text(yaml.safe_dump(config))
    command = [
        program("prometheus"),
        f"--config.file={folder / 'prometheus.yml'}",
        f"--storage.tsdb.path={folder / 'tsdb'}",
        f"--web.listen-address=127.0.0.1:{port}",
    ]
    with _running(command, folder / "prometheus.log", f"{url}/-/ready"):
        yield url


@contextmanager
def victoria_metrics(folder: Path) -> Iterator[str]:
    """Start a VictoriaMetrics: its address."""
    url = f"127.0.0.1:{reserve_port()}"
    command = [
        program("victoria-metrics"),
        f"-storageDataPath={folder / 'data'}",
        f"-httpListenAddr={url}",
        "-retentionPeriod=100y",
        "-memory.allowedBytes=200MB",
    ]
    with _running(command, folder / "victoria-metrics.log", f"http://{url}/health"):
        yield f"http://{url}"


@contextmanager
def _running(command: list[Any], log: Path, ready: str) -> Iterator[None]:
    with log.open("wb") as output:
        process = subprocess.Popen(command, stdout=output, stderr=output, cwd=log.parent)
    try:
        wait_for(ready, process, log)
        yield
    finally:
        process.terminate()
        process.wait(60)


@contextmanager
def write_receiver(wanted: int) -> Iterator[tuple[str, list[tuple[dict[str, str], bytes]], threading.Event]]:
    """Take remote-write requests as an adapter before Kafka does.

    Gives its address, (headers, body) of each request, and what is set once there are `wanted` of them.
    """
    requests: list[tuple[dict[str, str], bytes]] = []
    enough = threading.Event()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            requests.append((dict(self.headers), body))
            self.send_response(204)
            # Specification of remote write 2.0: without them the sender takes it that nothing was written.
            for kind in ("Samples", "Histograms", "Exemplars"):
                self.send_header(f"X-Prometheus-Remote-Write-{kind}-Written", "1000000")
            self.end_headers()
            if len(requests) >= wanted:
                enough.set()

        def log_message(self, format: str, *args: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/write", requests, enough
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
