"""What systemd hears of `anomalyd run` on its socket, from the start over a new configuration to the end."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from anomalyd.daemon.broker.ports import reserve_port

HEARD_WITHIN_S = 120.0


@pytest.fixture
def systemd(tmp_path: Path) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as hearing:
        hearing.bind(str(tmp_path / "notify"))
        hearing.settimeout(HEARD_WITHIN_S)
        yield hearing


def heard(systemd: socket.socket, first: str) -> list[str]:
    """The next message that begins with `first`, in lines; the loop's own sign of life may come before it."""
    while not (text := systemd.recv(1000).decode()).startswith(first):
        assert text == "WATCHDOG=1"
    return text.split("\n")


def test_systemd_hears_all_that_it_needs(systemd: socket.socket, tmp_path: Path) -> None:
    config = {
        # Nobody answers there: that the daemon runs does not hang on Kafka.
        "kafka": {"bootstrap_servers": [f"127.0.0.1:{reserve_port()}"]},
        "inputs": [{"topic": "t"}],
        "detectors": [{"name": "d", "kind": "vector-autoencoder"}],
        "store": {"url": f"sqlite:///{tmp_path}/reports.db", "models": str(tmp_path / "models")},
        "metrics": {"port": 0},
    }
    file = tmp_path / "anomalyd.yaml"
    file.write_text(yaml.safe_dump(config))
    with (tmp_path / "log").open("wb") as log:
        daemon = subprocess.Popen(
            [sys.executable, "-c", "from anomalyd.daemon.cli import main; main()", "run", "-c", str(file)],
            stdout=log,
            stderr=log,
            env={**os.environ, "NOTIFY_SOCKET": str(tmp_path / "notify")},
        )
    try:
        heard(systemd, "READY=1")
        heard(systemd, "WATCHDOG=1")
        file.write_text(yaml.safe_dump({**config, "explain": {"enabled": False}}))
        daemon.send_signal(signal.SIGHUP)
        told = heard(systemd, "RELOADING=1")
        assert told[1].startswith("MONOTONIC_USEC=")  # systemd takes no RELOADING=1 without it
        heard(systemd, "READY=1")
        heard(systemd, "WATCHDOG=1")
        daemon.send_signal(signal.SIGTERM)
        heard(systemd, "STOPPING=1")
        assert daemon.wait(HEARD_WITHIN_S) == 0
    finally:
        daemon.kill()
        daemon.wait()
