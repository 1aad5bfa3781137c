"""The course of a training: passed on to who watches, and kept as the figures of a model's card."""

from __future__ import annotations

import math
from collections.abc import Mapping

from anomalyd.detectors.detector import Progress


class TrainingLog:
    """A `Progress` that remembers the figures of the weights that training keeps.

    Where a step reports a "validation", those of the lowest one are kept (early stopping keeps its weights),
    else those of the last step.
    """

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._kept: dict[str, dict[str, float]] = {}
        self._steps: dict[str, int] = {}

    def __call__(self, what: str, step: int, total: int, figures: Mapping[str, float] | None = None) -> None:
        """Pass it on, and remember it."""
        self._progress(what, step, total, figures)
        if not figures:
            return
        self._steps[what] = step
        before = self._kept.get(what, {}).get("validation", math.inf)
        if "validation" not in figures or not figures["validation"] >= before:
            self._kept[what] = dict(figures)

    def figures(self) -> dict[str, float]:
        """Give the figures and how many "steps" it took; with more than one part, under the parts' names."""
        parts = {what: {**kept, "steps": float(self._steps[what])} for what, kept in self._kept.items()}
        if len(parts) == 1:
            return next(iter(parts.values()))
        return {f"{what}: {name}": value for what, part in parts.items() for name, value in part.items()}
