"""A process that does not outlive the one that started it."""

from __future__ import annotations

import atexit
import contextlib
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

# Runs in the child before the real program takes its place. PR_SET_PDEATHSIG (1) outlives exec; that the
# parent has not died before it was set is checked afterwards. Set here, and not by subprocess's preexec_fn,
# because that one may deadlock in a program with threads. Where there is no prctl, atexit has to do.
_DIE_WITH_PARENT = """
import os, sys
if sys.platform == "linux":
    import ctypes, signal
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)
if os.getppid() != int(sys.argv[1]):
    sys.exit("the parent is gone")
os.execvp(sys.argv[2], sys.argv[2:])
"""


class ChildProcess:
    """A running child, its output appended to `log`.

    It is in a session of its own, so that Ctrl-C reaches only the parent, which stops the child when it no
    longer needs it. If the parent dies, even by SIGKILL, so does the child (on Linux; elsewhere if the parent
    exits in an orderly way). The kernel's parent is a thread: start it from one that lives as long as the
    child should, best the main thread.
    """

    def __init__(self, command: Sequence[str], log: Path, environment: Mapping[str, str]) -> None:
        self.log = log
        with log.open("ab") as output:
            self._process = subprocess.Popen(
                [sys.executable, "-I", "-S", "-c", _DIE_WITH_PARENT, str(os.getpid()), *command],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=dict(environment),
                start_new_session=True,
            )
        atexit.register(self.kill)

    @property
    def pid(self) -> int:
        """The process id."""
        return self._process.pid

    @property
    def alive(self) -> bool:
        """Whether it still runs."""
        return self._process.poll() is None

    def stop(self, timeout_s: float) -> None:
        """SIGTERM, and SIGKILL if it still runs `timeout_s` later."""
        if self.alive:
            self._process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(timeout_s)
        self.kill()

    def kill(self) -> None:
        """SIGKILL, at once; nothing happens if it has ended already."""
        self._process.kill()
        self._process.wait()
        atexit.unregister(self.kill)

    def last_words(self, lines: int = 8) -> str:
        """Give the end of what it wrote."""
        return "\n".join(self.log.read_text(encoding="utf-8", errors="replace").splitlines()[-lines:])
