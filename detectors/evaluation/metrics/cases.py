"""Constructed cases: what drifts, steps, lasts, freezes or vanishes, laid on made-up machines.

Drift and a long anomaly look alike while they last, so no labelled folder tells what a detector does with
either. Here it is known to the row.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from anomalyd.detectors.evaluation.metrics.machines import DAY, HOUR, Machine
from anomalyd.verdict import Verdict

START = 3 * DAY
"""The row of the test half at which every case begins: three days tell what is false."""

TOLD_AFTER = 2 * HOUR
"""The operator looks two hours later."""

Lay = Callable[[Machine, NDArray[np.float64]], None]


@dataclass(frozen=True, slots=True)
class Case:
    """One case: its `name`, what a good detector does (`wanted`), and how it is laid on a machine.

    `rows`: how long it lasts; None: it stays. `metrics`: the machine's size. `word`: what the operator says
    of it, `TOLD_AFTER` rows after it began; None: nothing. `lay` changes the rows from `START` on, as long as
    it lasts.
    """

    name: str
    wanted: str
    lay: Lay
    rows: int | None = None
    metrics: int = 20
    word: Verdict | None = None

    def laid_on(self, machine: Machine) -> NDArray[np.float32]:
        """Give the machine's test half (U, F) with the case in it."""
        values = machine.test.copy()
        self.lay(machine, values[START : self.end])
        return values.astype(np.float32)

    @property
    def end(self) -> int | None:
        """The first row after it; None: it stays."""
        return None if self.rows is None else START + self.rows


def _nothing(machine: Machine, rows: NDArray[np.float64]) -> None:
    pass


def _drift(machine: Machine, rows: NDArray[np.float64]) -> None:
    """Eight metrics move by four sigma in seven days, some up, some down."""
    rows[:, 2:10] += np.linspace(0.0, 4.0, len(rows))[:, None] * (_signs(8) * machine.sigma[2:10])


def _displaced(machine: Machine, rows: NDArray[np.float64]) -> None:
    """Six metrics stand eight sigma away."""
    rows[:, 3:9] += 8.0 * _signs(6) * machine.sigma[3:9]


def _phase(machine: Machine, rows: NDArray[np.float64]) -> None:
    """The daily cycle comes eight hours later."""
    rows += (machine.daily(8.0) - machine.daily())[START : START + len(rows)]


def _freezes(machine: Machine, rows: NDArray[np.float64]) -> None:
    """One metric stays where it is."""
    rows[:, 5] = rows[0, 5]


def _disappears(machine: Machine, rows: NDArray[np.float64]) -> None:
    """One metric is sent no more."""
    rows[:, 5] = np.nan


def _zero_moves(machine: Machine, rows: NDArray[np.float64]) -> None:
    """The metric that was always zero counts something."""
    rows[:, -1] = np.random.default_rng(7).poisson(3.0, size=len(rows))


def _one_jumps(machine: Machine, rows: NDArray[np.float64]) -> None:
    """One metric stands ten sigma away."""
    rows[:, 17] += 10.0 * machine.sigma[17]


def _signs(count: int) -> NDArray[np.float64]:
    return np.where(np.arange(count) % 3 == 2, -1.0, 1.0)


CASES = (
    Case("nothing", "quiet", _nothing),
    Case("slow drift: 8 metrics, 4 sigma in 7 days", "quiet", _drift),
    Case("step that stays: 6 metrics, 8 sigma", "alert, then accept it", _displaced),
    Case("... told normal after 2 h", "quiet from then on", _displaced, word=Verdict.NORMAL),
    Case("two-day anomaly: 6 metrics, 8 sigma", "alert to its end", _displaced, rows=2 * DAY),
    Case("... told broken after 2 h", "alert to its end", _displaced, rows=2 * DAY, word=Verdict.BROKEN),
    Case("daily cycle 8 h later", "alert, then accept it", _phase),
    Case("a metric becomes constant", "alert", _freezes),
    Case("a metric disappears", "quiet on the others", _disappears),
    Case("always zero, moves for 12 h", "alert to its end", _zero_moves, rows=12 * HOUR),
    Case("1 of 200 jumps 10 sigma for 6 h", "alert to its end", _one_jumps, rows=6 * HOUR, metrics=200),
)
