"""Anomalies of known size put into metric vectors: what to look for where nobody has labelled anything."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from anomalyd.errors import TrainingError

LEAST_ROWS = 100
"""Fewer rows hold no anomaly of each kind and something normal between them."""

_ROWS_AN_EVENT = 150
"""One event in so many rows: with four kinds about a tenth of the rows are anomalous, at most a fifth."""

Rows = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Injected:
    """Rows with anomalies, `values` (n, F), and of which kind each is, `kind` (n,): -1 none, else `KINDS`."""

    values: NDArray[np.float32]
    kind: NDArray[np.int8]


def _spike(rows: Rows, sigma: Rows, chance: np.random.Generator) -> None:
    """One or two metrics stand eight sigma away."""
    some = _some(sigma, 1, 2, chance)
    rows[:, some] += chance.choice([-8.0, 8.0], size=len(some)) * sigma[some]


def _shift(rows: Rows, sigma: Rows, chance: np.random.Generator) -> None:
    """Several metrics stand three sigma away, each its own way."""
    some = _some(sigma, 2, 6, chance)
    rows[:, some] += chance.choice([-3.0, 3.0], size=len(some)) * sigma[some]


def _stuck(rows: Rows, sigma: Rows, chance: np.random.Generator) -> None:
    """Several metrics stay where they are."""
    some = _some(sigma, 2, 6, chance)
    rows[:, some] = rows[0, some]


def _turbulence(rows: Rows, sigma: Rows, chance: np.random.Generator) -> None:
    """Several metrics become noisy: two sigma of white noise."""
    some = _some(sigma, 2, 6, chance)
    rows[:, some] += 2.0 * sigma[some] * chance.normal(size=(len(rows), len(some)))


Lay = Callable[[Rows, Rows, np.random.Generator], None]

KINDS: dict[str, tuple[Lay, int, int]] = {
    "spike": (_spike, 1, 3),
    "shift": (_shift, 15, 60),
    "stuck": (_stuck, 15, 60),
    "turbulence": (_turbulence, 10, 45),
}
"""How each kind is laid on rows (m, F), and for how many rows, least and most."""


def inject(values: NDArray[np.float32], sigma: NDArray[np.floating], seed: int) -> Injected:
    """Put anomalies of every kind into rows (n, F) at places that the seed chooses; none meets another.

    `sigma` (F,): how far each metric usually moves; those that never do (0 or NaN) are left alone.

    Raises:
        TrainingError: fewer than `LEAST_ROWS` rows, or no metric moves.

    """
    usual = np.nan_to_num(np.asarray(sigma, dtype=np.float64))
    if len(values) < LEAST_ROWS:
        raise TrainingError(f"{len(values)} rows to put anomalies into; at least {LEAST_ROWS} are needed")
    if not (usual > 0).any():
        raise TrainingError("no metric moves in the training data: there is nothing to tell anomalies by")
    chance = np.random.default_rng(seed)
    changed, kind = values.astype(np.float64), np.full(len(values), -1, dtype=np.int8)
    events = max(len(KINDS), len(values) // _ROWS_AN_EVENT)
    slots = np.linspace(0, len(values), events + 1).astype(int)
    of_slot = chance.permutation(np.arange(events) % len(KINDS))
    for slot, which in enumerate(of_slot):
        lay, least, most = list(KINDS.values())[which]
        room = slots[slot + 1] - slots[slot]
        # Half of a slot at most, so that rows between two events are normal.
        lasts = int(min(chance.integers(least, most + 1), room // 2))
        start = int(slots[slot] + chance.integers(1, room - lasts + 1))
        lay(changed[start : start + lasts], usual, chance)
        kind[start : start + lasts] = which
    return Injected(changed.astype(np.float32), kind)


def _some(sigma: Rows, least: int, most: int, chance: np.random.Generator) -> NDArray[np.intp]:
    """Choose metrics that move."""
    moving = np.flatnonzero(sigma > 0)
    return chance.permutation(moving)[: chance.integers(least, most + 1)]
