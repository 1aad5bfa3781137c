"""A job that runs away on this machine, for some seconds: CPU, memory, disk, and what it never gives back.

On a machine whose cores are filled by other work, more work is nothing to see. Threads and sockets are: how
many there are does not depend on how busy they are.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

# Each burns one core, or holds memory, or writes; all end by themselves, also if the demo dies.
_CPU = "import time\nend = time.monotonic() + {s}\nwhile time.monotonic() < end: pass"
_MEMORY = (
    "import time\nend = time.monotonic() + {s}\nheld = []\n"
    "while time.monotonic() < end:\n"
    "    if len(held) < {blocks}: held.append(bytearray(b'x') * 2**25)\n"
    "    time.sleep(0.02)"
)
_DISK = (
    "import os, time\nend = time.monotonic() + {s}\n"
    "with open({path!r}, 'wb', buffering=0) as f:\n"
    "    while time.monotonic() < end:\n"
    "        f.seek(0)\n"
    "        for _ in range(8): f.write(os.urandom(2**20) * 4)\n"
    "        os.fsync(f.fileno())\n"
    "os.unlink({path!r})"
)


_LEAK = (
    "import socket, threading, time\nend = time.monotonic() + {s}\nheld = []\n"
    "try:\n"
    "    for _ in range({threads}): threading.Thread(target=time.sleep, args=({s},), daemon=True).start()\n"
    "    while len(held) < {sockets}: held.append(socket.socket())\n"
    "except (OSError, RuntimeError): pass\n"  # as many as may be
    "time.sleep(max(0.0, end - time.monotonic()))"
)

MEMORY_BLOCKS, THREADS, SOCKETS = 32, 400, 800
"""Blocks of 32 MiB; threads and sockets within what a process may have by default."""

_PER_CORE = 4
"""Processes for each core: on a machine that is busy anyway, one more each would hardly be seen."""


@dataclass(frozen=True, slots=True)
class Burst:
    """A load that ran: its kind, and from when to when (wall clock, seconds since the epoch)."""

    kind: str
    first: float
    last: float


def load(seconds: float, folder: Path, *, clock: Callable[[], float] = time.time) -> Burst:
    """Burn every core, take memory, threads and sockets, write to the disk: all at once for some seconds."""
    first = clock()
    programs = [_CPU.format(s=seconds)] * (_PER_CORE * (os.cpu_count() or 1))
    programs.append(_MEMORY.format(s=seconds, blocks=MEMORY_BLOCKS))
    programs.append(_LEAK.format(s=seconds, threads=THREADS, sockets=SOCKETS))
    programs.append(_DISK.format(s=seconds, path=str(folder / "burst.tmp")))
    running = [subprocess.Popen([sys.executable, "-I", "-S", "-c", program]) for program in programs]
    try:
        for process in running:
            process.wait(seconds + 20)
    finally:
        for process in running:
            process.kill()
            process.wait()
        (folder / "burst.tmp").unlink(missing_ok=True)
    return Burst("load", first, clock())
