"""What is remembered of an element: the summed counts of its maps that nothing was wrong with.

The newest two maps are kept apart. They make the sum of three together with the next one, and they join the
history only if the maps after them are normal, too: a fault that begins below the threshold stays out of it.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np

from anomalyd.detectors.detector import State
from anomalyd.detectors.maps.places.places import Counts

MEMORY = 100.0
"""Maps after which a map counts 1/e of a new one: long against noise, short against ageing."""

PENDING = 2

PARTS = ("total", "weight", "squares", "pending", "trusted", "alone")
"""Names of the arrays of a history's state."""


@dataclass(frozen=True, slots=True)
class WeightedSum:
    """Maps summed up: `total` (R, C); `weight`, `squares`: sums of their weights, and of these squared."""

    total: Counts
    weight: float = 0.0
    squares: float = 0.0

    def joined(self, drawn: Counts) -> WeightedSum:
        """Add a map (R, C), NaN where a cell is missing; older ones count a little less from now on."""
        keep = float(np.exp(-1 / MEMORY))
        counts, total = drawn, self.total
        there = float(drawn.sum())
        if there != there:
            seen = np.isfinite(drawn)
            counts = np.where(seen, drawn, 0)
            # A cell that is missing now and then must not look weak: it is filled in as the others changed.
            lit = float(counts.sum()) / max(float(total[seen].sum()), 1.0)
            counts = np.where(seen, drawn, total * lit)
        grown = total * np.float32(keep)
        grown += counts
        return WeightedSum(grown, self.weight * keep + 1, self.squares * keep**2 + 1)

    def reference(self) -> Counts:
        """Give it as a reference (R, C), in counts: its variance is its mean."""
        return self.total * np.float32(self.weight / self.squares if self.squares else 0.0)


@dataclass(frozen=True, slots=True)
class History:
    """The history of one element, immutable.

    `settled`: the maps that nothing was wrong with; `pending`: up to two newest maps (R, C), NaN where a cell
    is missing, and whether each is `trusted`. `alone`: an operator said that it is normal, whatever others of
    its like look like. `following`: what `settled` becomes with each of the pending maps that is trusted, if
    that was worked out before.
    """

    settled: WeightedSum
    pending: tuple[Counts, ...] = ()
    trusted: tuple[bool, ...] = ()
    alone: bool = False
    following: tuple[WeightedSum, ...] | None = field(default=None, compare=False)

    @classmethod
    def of(cls, state: State, shape: tuple[int, ...]) -> History:
        """Read it from a detector's state; an empty one for another shape, or for an element never seen."""
        if "squares" not in state or state["total"].shape != shape:
            return cls(WeightedSum(np.zeros(shape, dtype=np.float32)))
        return cls(
            WeightedSum(state["total"], state["weight"].item(), state["squares"].item()),
            tuple(state["pending"]),
            tuple(bool(t) for t in state["trusted"]),
            bool(state["alone"].item()),
        )

    def state(self) -> State:
        """Write it as a detector's state."""
        shape = self.settled.total.shape
        pending = np.stack(self.pending) if self.pending else np.zeros((0, *shape))
        return {
            "total": self.settled.total,
            "weight": np.array([self.settled.weight]),
            "squares": np.array([self.settled.squares]),
            "pending": pending.astype(np.float32),
            "trusted": np.array(self.trusted, dtype=np.bool_),
            "alone": np.array([self.alone]),
        }

    def sums(self) -> tuple[WeightedSum, ...]:
        """Give what `settled` becomes with each of the pending maps that is trusted."""
        if self.following is not None:
            return self.following
        found, last = [], self.settled
        for drawn, trusted in zip(self.pending, self.trusted, strict=True):
            last = last.joined(drawn) if trusted else last
            found.append(last)
        return tuple(found)

    def reference(self) -> Counts:
        """Give the reference (R, C) with those of the pending maps that are trusted."""
        sums = self.sums()
        return (sums[-1] if sums else self.settled).reference()

    def three(self, drawn: Counts) -> Counts | None:
        """Sum a new map (R, C) and the two before it up; None where there are not yet two."""
        if len(self.pending) < PENDING:
            return None
        return drawn + self.pending[0] + self.pending[1]

    def after(self, drawn: Counts, trusted: bool) -> History:
        """Remember a map (R, C). One that is not trusted takes the trust from the pending ones, too."""
        pending = (*self.pending, drawn)
        if not trusted:
            held = replace(self, pending=pending, trusted=(False,) * len(pending), following=None)
            return (
                held
                if len(pending) <= PENDING
                else replace(held, pending=pending[1:], trusted=held.trusted[1:])
            )
        sums = self.sums()
        following = (*sums, (sums[-1] if sums else self.settled).joined(drawn))
        trusts = (*self.trusted, True)
        if len(pending) <= PENDING:
            return History(self.settled, pending, trusts, self.alone, following)
        return History(following[0], pending[1:], trusts[1:], self.alone, following[1:])

    def only_pending(self) -> History:
        """Forget all but the newest maps, and trust these: what they show is normal from now on."""
        empty = WeightedSum(np.zeros_like(self.settled.total))
        return History(empty, self.pending, (True,) * len(self.pending), alone=True)
