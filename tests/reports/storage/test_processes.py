"""Whether a process has ended, seen from another, also where clocks are set and containers share a name."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from anomalyd.reports.storage import processes
from anomalyd.reports.storage.processes import has_ended, process_name


def test_a_process_runs_until_it_has_ended() -> None:
    assert not has_ended(process_name())
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        name = process_name(process.pid)
        assert not has_ended(name)
        process.kill()
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
        assert has_ended(name), "nobody has asked how it ended, and it has"
        process.wait()
        assert has_ended(name)
    with pytest.raises(psutil.NoSuchProcess):
        process_name(process.pid)


def test_a_number_that_another_process_got_is_not_the_same_process() -> None:
    where, pid, _ = process_name().rsplit(" ", 2)
    assert has_ended(f"{where} {pid} 1")


def test_of_processes_elsewhere_nothing_is_known() -> None:
    """Another host, or a container of this one that has the host's name and numbers of its own."""
    where, pid, began = process_name().rsplit(" ", 2)
    host = where.split(" ")[0]
    for elsewhere in ("elsewhere", host, f"{host} pid:[1]"):
        assert not has_ended(f"{elsewhere} {pid} {began}x")


def test_a_clock_that_is_set_ends_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    name = process_name()
    monkeypatch.setattr(psutil.Process, "create_time", lambda _: 1.0)
    if (Path("/proc") / "self" / "stat").is_file():
        assert not has_ended(name)


def test_where_there_is_no_proc_the_time_tells(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(processes, "_PROC", tmp_path)
    processes._where.cache_clear()
    try:
        name = process_name()
        assert not has_ended(name)
        assert has_ended(name.rpartition(" ")[0] + " 1.00")
    finally:
        processes._where.cache_clear()
