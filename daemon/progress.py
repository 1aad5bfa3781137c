"""How a long step is shown: a progress bar on a terminal, plain log lines elsewhere."""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from anomalyd.detectors.detector import Progress as Show

_log = logging.getLogger("anomalyd.progress")

_LINE_EVERY_S = 5.0


@contextmanager
def showing(*, terminal: bool | None = None, clock: Callable[[], float] = time.monotonic) -> Iterator[Show]:
    """Give what detectors and readers tell their progress; `terminal` None looks whether stderr is one."""
    if terminal if terminal is not None else sys.stderr.isatty():
        with _bars() as bars:
            yield _Bars(bars)
    else:
        yield _Lines(clock)


def _bars() -> Progress:
    from rich.console import Console

    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("{task.fields[figures]}"),
        console=Console(stderr=True),
    )


class _Bars:
    def __init__(self, bars: Progress) -> None:
        self._bars = bars
        self._tasks: dict[str, TaskID] = {}

    def __call__(self, what: str, step: int, total: int, figures: Mapping[str, float] | None = None) -> None:
        if what not in self._tasks:
            self._tasks[what] = self._bars.add_task(what, total=total, figures="")
        self._bars.update(self._tasks[what], completed=step, total=total, figures=_text(figures))


class _Lines:
    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._last: dict[str, float] = {}

    def __call__(self, what: str, step: int, total: int, figures: Mapping[str, float] | None = None) -> None:
        now = self._clock()
        # The first and the last step always; in between not more than a person would read.
        if step < total and now - self._last.get(what, float("-inf")) < _LINE_EVERY_S:
            return
        self._last[what] = now
        _log.info("%s: %d of %d%s", what, step, total, f" {_text(figures)}" if figures else "")


def _text(figures: Mapping[str, float] | None) -> str:
    return " ".join(f"{name}={value:.4g}" for name, value in (figures or {}).items())
