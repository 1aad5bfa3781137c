"""The server: its port, its end, and what it is started with."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest

from anomalyd.daemon.broker.ports import is_taken, reserve_port
from anomalyd.dashboard.serve import command, environment, serve
from anomalyd.dashboard.settings import SETTINGS, Settings
from anomalyd.errors import AnomalydError


def test_an_address_of_another_machine_is_refused(url, monkeypatch):
    monkeypatch.setattr(os, "environ", dict(os.environ))  # `serve` is the process: it adds to its environment
    taken_by_tests = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    with pytest.raises(AnomalydError, match=r"cannot listen on 203\.0\.113\.1"):
        serve(url, host="203.0.113.1", port=0)
    assert taken_by_tests == {number: signal.getsignal(number) for number in taken_by_tests}


def test_ctrl_c_ends_it_in_good_order(url, tmp_path):
    port = reserve_port()
    code = (
        "import sys; from anomalyd.dashboard.serve import serve;"
        f"sys.exit(serve({url!r}, host='127.0.0.1', port={port}))"
    )
    with (tmp_path / "log").open("wb") as log:
        process = subprocess.Popen([sys.executable, "-c", code], stdout=log, stderr=log, cwd=tmp_path)
    try:
        # Only once Streamlit says that it serves are its signal handlers in place.
        deadline = time.monotonic() + 240
        while not is_taken(port):
            assert process.poll() is None, (tmp_path / "log").read_text()
            assert time.monotonic() < deadline
            time.sleep(0.05)
        with urllib.request.urlopen(f"http://127.0.0.1:{port}", timeout=60) as answer:
            assert answer.status == 200
        with pytest.raises(AnomalydError, match=f"port {port} is taken"):
            serve(url, host="127.0.0.1", port=port)
        process.send_signal(signal.SIGINT)
        assert process.wait(120) == 0
    finally:
        process.kill()
        process.wait()
    assert not is_taken(port)
    assert f"dashboard: http://127.0.0.1:{port}" in (tmp_path / "log").read_text()


def test_the_password_is_not_on_the_command_line():
    secret = "postgresql://watcher:hunter2@db/reports"
    assert "hunter2" not in " ".join(command("127.0.0.1", 8501))
    assert environment(secret)["ANOMALYD_STORE"] == secret
    assert environment(secret, Path("models"))["ANOMALYD_MODELS"] == str(Path.cwd() / "models")
    assert environment(secret).keys() <= {"ANOMALYD_STORE", "OMP_NUM_THREADS"} | os.environ.keys()


def test_the_settings_come_by_the_environment():
    settings = Settings("X-Forwarded-User", annotate=("ada",), groups={"storage": ("ds-*",)}, index="i")
    assert Settings.from_environment(environment("sqlite:///x", settings=settings)) == settings
    assert Settings.from_environment({}) == Settings()
    assert SETTINGS not in environment("sqlite:///x")
