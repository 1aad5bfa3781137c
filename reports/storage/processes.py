"""Names of processes that tell whether one has ended: where a daemon died on this host, nobody need wait."""

from __future__ import annotations

import os
import socket
from functools import cache
from pathlib import Path

import psutil

_PROC = Path("/proc")
_BEGAN, _STATE = 19, 0  # fields of /proc/PID/stat behind the name (proc_pid_stat(5)): starttime and state


def process_name(pid: int | None = None) -> str:
    """Name a process, by default this one: where it runs, its number, and when it began.

    Raises:
        psutil.NoSuchProcess: there is none.

    """
    pid = pid or os.getpid()
    return f"{_where()} {pid} {_began(pid)}"


def has_ended(name: str) -> bool:
    """Say so if the process ran where this one runs, and runs no more; of elsewhere nothing is known."""
    where, pid, began = name.rsplit(" ", 2)
    if where != _where():
        return False
    try:
        return _began(int(pid)) != began
    except psutil.NoSuchProcess:
        return True


@cache
def _where() -> str:
    """Name the host, and the table in which it looks numbers up: containers may share a name, not that."""
    try:
        return f"{socket.gethostname()} {os.readlink(_PROC / 'self' / 'ns' / 'pid')}"
    except OSError:
        return socket.gethostname()


def _began(pid: int) -> str:
    if not (_PROC / "self" / "stat").is_file():
        return f"{psutil.Process(pid).create_time():.2f}"
    # Ticks since the host began: psutil gives wall-clock time, which moves when the clock is set.
    try:
        fields = (_PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()
        boot = (_PROC / "sys" / "kernel" / "random" / "boot_id").read_text().strip()
    except (FileNotFoundError, ProcessLookupError):
        raise psutil.NoSuchProcess(pid) from None
    if fields[_STATE] in "ZX":  # it has ended, and nobody has asked how
        raise psutil.NoSuchProcess(pid)
    return f"{boot}.{fields[_BEGAN]}"
