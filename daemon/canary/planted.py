"""Canaries of what an entity has just sent: the same again, and the same with a fault that none may miss."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from anomalyd.daemon.intake.formats.canary import Canary
from anomalyd.daemon.stages import Sample, Scored
from anomalyd.detectors.calibration import ALERT

_STRENGTH = 30.0
"""In scatters of a metric: a fault that every kind of detector sees in one sample."""


@dataclass(frozen=True, slots=True)
class Template:
    """A normal sample of an entity; `scatter`: how much each metric of it varies."""

    detector: str
    sample: Sample
    scatter: dict[str, float]

    def canaries(self, now: float) -> tuple[Canary, Canary]:
        """Make a healthy and a faulty canary, sent at `now`."""
        sample = self.sample
        values = None if sample.values is None else dict(sample.values)
        faulty = None if values is None else self._jump(values)
        cells = None if sample.map is None else _broken(sample.map)
        return (
            Canary(self.detector, "healthy", sample.entity, now, values, sample.map),
            Canary(self.detector, "faulty", sample.entity, now, faulty, cells),
        )

    def _jump(self, values: dict[str, float | None]) -> dict[str, float | None]:
        """Move every metric, each second one downwards: no common trend explains that."""
        return {
            name: None if value is None else value + _STRENGTH * self.scatter.get(name, 0.0) * (-1) ** place
            for place, (name, value) in enumerate(values.items())
        }


def template_of(scored: Scored, features: tuple[str, ...]) -> Template | None:
    """Make a template of the last sample of a window; None unless it is normal, and known well enough."""
    score = scored.scores.score[-1]
    if scored.late or scored.scores.learning or not score <= ALERT:
        return None
    scatter: dict[str, float] = {}
    if scored.window.values.ndim == 2:
        rows = np.concatenate([scored.recent, scored.window.values])
        scatter = dict(zip(features, _scatters(rows), strict=True))
    return Template(scored.detector, scored.samples[-1], scatter)


def _scatters(rows: NDArray[np.float32]) -> list[float]:
    """Give the scatter (F,) of metrics (n, F); of one that hardly changes, a tenth of its height."""
    filled = np.where(np.isfinite(rows), rows, 0.0).astype(np.float64)
    found = np.maximum(filled.std(axis=0), 0.1 * np.abs(filled[-1]))
    return [float(each) for each in np.where(found > 0, found, 1.0)]


def _broken(cells: NDArray[np.float32]) -> NDArray[np.float32]:
    """Kill the first half of the cells of a map, and make the other one noisy; masked cells stay masked."""
    first = np.arange(cells.size).reshape(cells.shape) < cells.size / 2
    return np.where(first, cells * 0, cells * 3 + 10).astype(np.float32)
