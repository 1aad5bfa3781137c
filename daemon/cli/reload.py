"""A changed configuration file, noticed while the daemon runs: on SIGHUP, and by its content."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from pathlib import Path

from anomalyd.daemon.config.config import Config, load_config
from anomalyd.errors import AnomalydError

_log = logging.getLogger(__name__)


class ConfigWatch:
    """Looks at the file every few seconds, and at once when asked.

    By content and not by time: Kubernetes swaps a symbolic link for a ConfigMap. A file that cannot be used
    is told of once, and the configuration at work stays.

    Arguments:
        file: the configuration file.
        at_work: what was read from it.
        on_changed: told once that the file holds another good configuration.
        on_refused: told of each content that is refused.
        every_s: the pause between two looks.

    """

    def __init__(
        self,
        file: Path,
        at_work: Config,
        *,
        on_changed: Callable[[], None],
        on_refused: Callable[[], None],
        every_s: float = 5.0,
    ) -> None:
        self._file = file
        self._at_work = at_work
        self._on_changed = on_changed
        self._on_refused = on_refused
        self._every_s = every_s
        self._refused = ""
        self._asked = threading.Event()
        self._thread = threading.Thread(target=self._run, name="config", daemon=True)

    def start(self) -> None:
        """Begin to look."""
        self._thread.start()

    def ask(self) -> None:
        """Look now."""
        self._asked.set()

    def look(self) -> bool:
        """Look once; says whether another configuration is to be taken."""
        try:
            found = load_config(self._file)
        except AnomalydError as error:
            if str(error) != self._refused:
                _log.error("the changed configuration is refused, the last one stays at work: %s", error)
                self._refused = str(error)
                self._on_refused()
            return False
        self._refused = ""
        if found == self._at_work:
            return False
        _log.info("%s has changed: starting again with it", self._file)
        self._on_changed()
        return True

    def _run(self) -> None:
        while not self.look():
            self._asked.wait(self._every_s)
            self._asked.clear()
