"""What systemd hears of the daemon."""

from __future__ import annotations

import socket
from pathlib import Path

from anomalyd.daemon.watchdog import Watchdog


def test_systemd_hears_that_it_is_ready_and_that_the_loop_goes_round(tmp_path: Path) -> None:
    now = [100.0]
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as hearing:
        hearing.bind(str(tmp_path / "notify"))
        hearing.settimeout(5.0)
        watchdog = Watchdog({"NOTIFY_SOCKET": str(tmp_path / "notify")}, clock=lambda: now[0])
        watchdog.ready()
        for _ in range(100):  # a busy second
            watchdog.beat()
            now[0] += 0.02
        watchdog.stopping()
        heard = [hearing.recv(100).decode() for _ in range(4)]
    assert heard == ["READY=1", "WATCHDOG=1", "WATCHDOG=1", "STOPPING=1"]


def test_nobody_listening_is_no_fault(tmp_path: Path) -> None:
    Watchdog({}).beat()
    Watchdog({"NOTIFY_SOCKET": str(tmp_path / "gone")}).beat()
