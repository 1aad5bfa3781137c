"""Metrics of the report store."""

from __future__ import annotations

from anomalyd.daemon.telemetry.families import Families


class StoreMetrics:
    """What went wrong with the store."""

    def __init__(self, families: Families) -> None:
        self._conflicts = families.counter(
            "store_conflicts", "Steps undone because another daemon was faster."
        )

    def conflict(self) -> None:
        """Count a step that was undone because another daemon had moved the offsets on."""
        self._conflicts.inc()
