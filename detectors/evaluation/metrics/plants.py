"""Made-up plants: a few hundred rows of a control system to train on, then minutes that are not normal.

Eight sensors, a row a second: two vibrations, a current, a coarse pressure, two temperatures, a voltage in
steps, a flow. Their noise is white or remembers, some plants are cycled or wander with a load, and in most of
them the temperatures still rise or fall from the start. The fault makes up about half of the rows after the
training.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

FAULTS = ("level shift", "ramp", "growing oscillation", "sticking valve")
TRAINING_ROWS, TEST_ROWS = 400, 750
SENSORS = 8

_TEMPERATURES = (4, 5)
_FAULTY = (0, 1, 2, 3, 6, 7)
"""The temperatures are too slow to show a fault in minutes."""

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Plant:
    """One plant: `train` (T, F), `test` (U, F) right behind it, with a `fault` in rows `begin` to `end`."""

    train: NDArray[np.float32]
    test: NDArray[np.float32]
    fault: str
    begin: int
    end: int

    @property
    def label(self) -> NDArray[np.uint8]:
        """Which rows (U,) of `test` are faulty."""
        rows = np.arange(len(self.test))
        return ((rows >= self.begin) & (rows < self.end)).astype(np.uint8)


def make_plant(fault: str, seed: int, training_rows: int = TRAINING_ROWS) -> Plant:
    """Make a plant with one of `FAULTS` in it."""
    draw = np.random.default_rng([seed, FAULTS.index(fault)])
    rows = training_rows + TEST_ROWS
    values = _sensors(_load(draw, rows), draw)
    begin = int(draw.integers(120, 250))
    end = min(begin + int(draw.integers(300, 430)), TEST_ROWS - 40)
    part = values[training_rows + begin : training_rows + end]
    before = values[training_rows + begin - 1]
    _lay(fault, part, before, values[:training_rows].std(axis=0), draw)
    values = (draw.uniform(0.0, 60.0, SENSORS) + values) * 10.0 ** draw.uniform(-2.0, 2.5, SENSORS)
    narrow = values.astype(np.float32)
    return Plant(narrow[:training_rows], narrow[training_rows:], fault, begin, end)


def _load(draw: np.random.Generator, rows: int) -> Floats:
    """Give the load (rows,): steady, a sine, switched on and off, or wandering."""
    wave = np.sin(2.0 * np.pi * np.arange(rows) / draw.uniform(25.0, 120.0))
    return (np.zeros(rows), wave, _lagged(np.sign(wave), 0.25), _remembering(draw, rows, 0.98))[
        int(draw.integers(4))
    ]


def _sensors(load: Floats, draw: np.random.Generator) -> Floats:
    """Give the sensors (rows, F), in widths of their noise."""
    rows = len(load)
    since = np.arange(rows) + draw.uniform(0.0, 300.0)
    heat = (1.0 - np.exp(-since / draw.uniform(200.0, 1500.0))) * draw.choice([-1.0, 0.0, 1.0])
    found = np.empty((rows, SENSORS))
    for f in range(SENSORS):
        if f in _TEMPERATURES:
            wander = np.cumsum(draw.normal(size=rows)) * draw.uniform(0.0, 0.1)
            found[:, f] = 0.3 * _noise(draw, rows) + heat * draw.uniform(4.0, 12.0) + wander
        else:
            gain = draw.normal() * (1.2 if f % 2 else 0.3)
            found[:, f] = _noise(draw, rows) + gain * load
    found[:, :2] = np.abs(found[:, :2] + 4.0)  # vibrations are amplitudes
    found[:, 3], found[:, 6] = np.round(found[:, 3] * 1.2) / 1.2, np.round(found[:, 6] * 2.0) / 2.0
    return found


def _lay(fault: str, part: Floats, before: Floats, width: Floats, draw: np.random.Generator) -> None:
    """Lay a fault on rows (n, F), on two to four sensors; `before` (F,): the row before it."""
    who = draw.choice(_FAULTY, int(draw.integers(2, 5)), replace=False)
    size = draw.choice([-1.0, 1.0], len(who)) * draw.uniform(2.0, 6.0) * width[who]
    rows = np.arange(len(part))[:, None]
    onset = np.minimum(1.0, rows / draw.uniform(3.0, 40.0))
    grows = rows / len(part)
    if fault == "level shift":
        part[:, who] += 0.75 * onset * size
    elif fault == "ramp":
        part[:, who] += 1.6 * grows * size
    elif fault == "growing oscillation":
        part[:, who] += 1.2 * grows * np.sin(2.0 * np.pi * rows / draw.uniform(5.0, 40.0)) * size
    else:
        stuck, others = who[:2], who[2:]
        part[:, stuck] = before[stuck] + 0.05 * width[stuck] * draw.normal(size=(len(part), len(stuck)))
        part[:, others] += 0.4 * onset * size[2:]


def _noise(draw: np.random.Generator, rows: int) -> Floats:
    """Give noise (rows,) of unit variance, of one of four colours."""
    memories = ((0.0,), (0.7,), (0.95,), (0.5, 0.9, 0.99))[int(draw.integers(4))]
    found: Floats = np.sum([_remembering(draw, rows, m) for m in memories], axis=0) / np.sqrt(len(memories))
    return found


def _remembering(draw: np.random.Generator, rows: int, memory: float) -> Floats:
    return _lagged(draw.normal(size=rows) * np.sqrt((1.0 + memory) / (1.0 - memory)), 1.0 - memory)


def _lagged(values: Floats, weight: float) -> Floats:
    """Give what follows values (rows,) with a lag of first order."""
    found, level = np.empty_like(values), 0.0
    for t, value in enumerate(values.tolist()):
        level += weight * (value - level)
        found[t] = level
    return found
