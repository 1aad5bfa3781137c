"""Made-up machines: seeded metric vectors whose every part is known, to lay constructed cases on."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

INTERVAL_S = 300.0
HOUR = 12
"""Rows an hour."""
DAY = 24 * HOUR
"""Rows a day."""

TRAINING_ROWS = 10 * DAY
TEST_ROWS = 10 * DAY

_MEMORY_H = (1.0, 6.0, 48.0)
"""How long each of the hidden loads remembers: jobs, a shift, a slow wander that is no drift."""
_WANDER = (1.0, 0.8, 0.5)
"""How far each moves, in a metric's own units."""
_NOISE = 0.3
_BURSTS_A_DAY = 4.0
_BURST_ROWS = 6
"""Longest burst; half an hour."""
_BURST_HEIGHT = 1.5
"""Mean height of a burst, in a metric's own units."""
_GROUP = 4
"""Metrics that a burst moves together."""


@dataclass(frozen=True, slots=True)
class Machine:
    """One made-up machine: `train` (T, F), `test` (U, F) right behind it, and what they are made of.

    `sigma` (F,): each metric's training standard deviation. `cycle` (F,): how far each follows the daily
    cycle. The last metric is always zero.
    """

    train: NDArray[np.float64]
    test: NDArray[np.float64]
    sigma: NDArray[np.float64]
    cycle: NDArray[np.float64]

    def daily(self, shift_h: float = 0.0) -> NDArray[np.float64]:
        """Give the daily cycle's part (U, F) of `test`, as it would be `shift_h` hours later."""
        return _shape_of_day(np.arange(TRAINING_ROWS, TRAINING_ROWS + TEST_ROWS), shift_h) * self.cycle


def make_machine(seed: int, metrics: int = 20) -> Machine:
    """Make a machine: a daily cycle, loads that metrics share, noise, and bursts of half an hour at most.

    Its units lie between 1e-3 and 1e8; ten days to train on, ten to test, a row every five minutes.
    """
    chance = np.random.default_rng([seed, metrics])
    rows = TRAINING_ROWS + TEST_ROWS
    values = _NOISE * chance.normal(size=(rows, metrics))
    for memory, wander in zip(_MEMORY_H, _WANDER, strict=True):
        values += np.outer(_load(rows, memory, chance), wander * chance.normal(size=metrics))
    values += _bursts(rows, metrics, chance)
    cycle = chance.normal(size=metrics)
    values += _shape_of_day(np.arange(rows), 0.0) * cycle
    unit = 10.0 ** chance.uniform(-3.0, 8.0, size=metrics)
    unit[-1] = 0.0
    values = (10.0 + values) * unit
    train, test = values[:TRAINING_ROWS], values[TRAINING_ROWS:]
    return Machine(train, test, train.std(axis=0), cycle * unit)


def _shape_of_day(rows: NDArray[np.int64], shift_h: float) -> NDArray[np.float64]:
    """Give the day's shape (n, 1): a broad top and a smaller second one."""
    angle = 2.0 * np.pi * (rows / DAY - shift_h / 24.0)
    return (np.sin(angle) + 0.4 * np.sin(2.0 * angle + 1.0))[:, None]


def _load(rows: int, memory_h: float, chance: np.random.Generator) -> NDArray[np.float64]:
    """Give a hidden load (rows,) of unit variance that forgets with this time constant."""
    keep = np.exp(-1.0 / (memory_h * HOUR))
    load = chance.normal(size=rows)
    for row in range(1, rows):
        load[row] = keep * load[row - 1] + np.sqrt(1.0 - keep**2) * load[row]
    return load


def _bursts(rows: int, metrics: int, chance: np.random.Generator) -> NDArray[np.float64]:
    """Give bursts (rows, metrics): each moves one of a few fixed groups of metrics, upwards."""
    found = np.zeros((rows, metrics))
    for start in chance.integers(0, rows, size=chance.poisson(_BURSTS_A_DAY * rows / DAY)):
        lasts = chance.integers(1, _BURST_ROWS + 1)
        group = _GROUP * chance.integers(-(-metrics // _GROUP))
        found[start : start + lasts, group : group + _GROUP] += chance.exponential(_BURST_HEIGHT)
    return found
