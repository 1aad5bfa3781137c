"""What is remembered of an element: the summed counts of its maps that nothing was wrong with.

The newest two maps are kept apart. They make the sum of three together with the next one, and they join the
history only if the maps after them are normal, too: a fault that begins below the threshold stays out of it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from anomalyd.detectors.detector import State
from anomalyd.detectors.maps.likelihood.places import Counts

MEMORY = 100.0
"""Maps after which a map counts 1/e of a new one: long against noise, short against ageing."""

PENDING = 2

PARTS = ("total", "weights", "pending", "trusted", "alone")
"""Names of the arrays of a history's state."""


@dataclass(frozen=True, slots=True)
class History:
    """The history of one element, immutable.

    `total` (R, C): weighted sum of the maps; `weight`, `squares`: sum of the weights and of their squares;
    `pending`: up to two newest maps (R, C), NaN where a cell is missing, and whether each is `trusted`.
    `alone`: an operator said that it is normal, whatever others of its like look like.
    """

    total: Counts
    weight: float = 0.0
    squares: float = 0.0
    pending: tuple[Counts, ...] = ()
    trusted: tuple[bool, ...] = ()
    alone: bool = False

    @classmethod
    def of(cls, state: State, shape: tuple[int, ...]) -> History:
        """Read it from a detector's state; an empty one for another shape, or for an element never seen."""
        if "total" not in state or state["total"].shape != shape:
            return cls(np.zeros(shape, dtype=np.float32))
        weight, squares = state["weights"].tolist()
        return cls(
            state["total"],
            weight,
            squares,
            tuple(state["pending"]),
            tuple(bool(t) for t in state["trusted"]),
            bool(state["alone"].any()),
        )

    def state(self) -> State:
        """Write it as a detector's state."""
        pending = np.stack(self.pending) if self.pending else np.zeros((0, *self.total.shape))
        return {
            "total": self.total,
            "weights": np.array([self.weight, self.squares]),
            "pending": pending.astype(np.float32),
            "trusted": np.array(self.trusted, dtype=np.bool_),
            "alone": np.array([self.alone]),
        }

    def settled(self) -> Counts:
        """Give the reference (R, C) without the pending maps, in counts: its variance is its mean."""
        return self.total * np.float32(self.weight / self.squares if self.squares else 0.0)

    def reference(self) -> Counts:
        """Give the reference (R, C) with those of the pending maps that are trusted."""
        total, weight, squares = self.total, self.weight, self.squares
        for drawn, trusted in zip(self.pending, self.trusted, strict=True):
            if trusted:
                total, weight, squares = _joined(total, drawn, weight, squares)
        return total * np.float32(weight / squares if squares else 0.0)

    def three(self, drawn: Counts) -> Counts | None:
        """Sum a new map (R, C) and the two before it up; None where there are not yet two."""
        if len(self.pending) < PENDING:
            return None
        return drawn + self.pending[0] + self.pending[1]

    def after(self, drawn: Counts, trusted: bool) -> History:
        """Remember a map (R, C). One that is not trusted takes the trust from the pending ones, too."""
        held = self if trusted else replace(self, trusted=(False,) * len(self.trusted))
        pending, trusts = (*held.pending, drawn), (*held.trusted, trusted)
        if len(pending) <= PENDING:
            return replace(held, pending=pending, trusted=trusts)
        total, weight, squares = held.total, held.weight, held.squares
        if trusts[0]:
            total, weight, squares = _joined(total, pending[0], weight, squares)
        return History(total, weight, squares, pending[1:], trusts[1:], self.alone)

    def only_pending(self) -> History:
        """Forget all but the newest maps, and trust these: what they show is normal from now on."""
        empty = History(np.zeros_like(self.total))
        return replace(empty, pending=self.pending, trusted=(True,) * len(self.pending), alone=True)


def _joined(total: Counts, drawn: Counts, weight: float, squares: float) -> tuple[Counts, float, float]:
    keep = np.exp(-1 / MEMORY)
    seen = np.isfinite(drawn)
    counts = drawn
    if not seen.all():
        counts = np.where(seen, drawn, 0)
        # A cell that is missing now and then must not look weak: it is filled in as the others changed.
        lit = float(counts.sum()) / max(float(total[seen].sum()), 1.0)
        counts = np.where(seen, drawn, total * lit)
    return (
        (total * np.float32(keep) + counts).astype(np.float32),
        weight * keep + 1,
        squares * keep**2 + 1,
    )
