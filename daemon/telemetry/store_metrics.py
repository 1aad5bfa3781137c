"""Metrics of the report store."""

from __future__ import annotations

from anomalyd.daemon.telemetry.metric_factory import Families
from anomalyd.errors import StoreFailure


class StoreMetrics:
    """What went wrong with the store."""

    def __init__(self, families: Families) -> None:
        self._conflicts = families.counter(
            "store_conflicts", "Steps undone because another daemon was faster."
        )
        self._errors = families.counter(
            "store_errors", "Times the report store could not do what was asked.", "kind"
        )
        self._writable = families.gauge("store_writable", "Whether the report store could last be written.")
        self._pruned = families.counter(
            "store_pruned", "Reports whose evidence, or that, retention let go.", "what"
        )
        for what in ("evidence", "reports"):
            self._pruned.labels(what)
        for failure in StoreFailure:
            self._errors.labels(failure)

    def error(self, failure: StoreFailure) -> None:
        """Count a time that the store could not do what was asked."""
        self._errors.labels(failure).inc()

    def pruned(self, evidence: int, reports: int) -> None:
        """Count reports that lost their evidence, and those that are gone."""
        self._pruned.labels("evidence").inc(evidence)
        self._pruned.labels("reports").inc(reports)

    def writable(self, is_so: bool) -> None:
        """Say whether the store could be written when that was last tried."""
        self._writable.set(is_so)

    def conflict(self) -> None:
        """Count a step that was undone because another daemon had moved the offsets on."""
        self._conflicts.inc()
