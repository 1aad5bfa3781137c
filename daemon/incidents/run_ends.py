"""The end of a run: its summary, kept and sent, once nothing more comes of it."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass

from anomalyd.daemon.kafka.messages import run_entry
from anomalyd.errors import AnomalydError
from anomalyd.reports.queries import Queries
from anomalyd.reports.run_summary import as_text, best_references
from anomalyd.reports.storage.store import Store

_log = logging.getLogger(__name__)

SETTLED_S, SILENT_S = 60.0, 1800.0
"""A run is over when no map of it came for so long: once a run with a higher number has begun, and without.

What still comes of it afterwards is summed up again.
"""

LOOK_S = 20.0
"""How often to look."""

_NEAREST = 10
"""Runs before it that are asked whether they are a good reference for a run."""


@dataclass(slots=True)
class _Seen:
    """How many maps were seen of a run, and since when no other came (of the stopwatch)."""

    maps: int
    since: float


class RunEnds:
    """Sums runs up as they end; what it needs to know is in the store, so that a restart loses none."""

    def __init__(
        self,
        store: Store,
        queries: Queries,
        output_topic: str | None,
        *,
        stopwatch: Callable[[], float] = time.monotonic,
        on_end: Callable[[], None] = lambda: None,
    ) -> None:
        self._store = store
        self._queries = queries
        self._topic = output_topic
        self._stopwatch = stopwatch
        self._on_end = on_end
        self._seen: dict[int, _Seen] = {}

    def look(self) -> str | None:
        """Sum up the runs that are over; says what kept it from doing so, None if nothing did."""
        try:
            for run, maps in self._over():
                self._sum_up(run, maps)
        except AnomalydError as error:
            _log.warning("runs are summed up later: %s", error)
            return str(error)
        return None

    def _over(self) -> list[tuple[int, int]]:
        book, now = self._store.run_summaries, self._stopwatch()
        known, seen = book.summed_up(), book.seen()
        newest = max(seen, default=0)
        over = []
        for run, maps in seen.items():
            if known.get(run) == maps:
                self._seen.pop(run, None)
                continue
            before = self._seen.get(run)
            if before is None or before.maps != maps:
                self._seen[run] = _Seen(maps, now)
            elif now - before.since >= (SETTLED_S if run < newest else SILENT_S):
                over.append((run, maps))
        return over

    def _sum_up(self, run: int, maps: int) -> None:
        summary = self._queries.run_summary(run)
        others = [r for r in self._queries.runs() if r < run][-_NEAREST:]
        near = {r: self._queries.run_summary(r) for r in others}
        references = [near[r] for r in best_references(summary, near.values())[:1]]
        text = as_text(summary, references)
        entries = () if self._topic is None else (run_entry(summary, references, text, self._topic),)
        if self._store.run_summaries.keep(summary, maps, entries):
            _log.info("the end of a run: %s", text)
            self._on_end()
