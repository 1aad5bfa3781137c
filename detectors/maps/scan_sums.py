"""All windows of many maps without gradients: kind after kind, in buffers that stay in the processor's cache.

What each map's windows say together, and which of them says most. The arithmetic is that of `scan`; done
window by window it takes five times as long, nearly all of it for memory that is taken anew at each step.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

_MAPS = 64
"""Maps that are looked at together."""

_BUFFER = 50_000
"""Windows of so many maps that are looked at together: five such buffers lie in the processor's cache."""

_LOWEST = -60.0
"""Nats below the highest where exp gives denormal numbers, which take many times as long."""


@dataclass(frozen=True, slots=True)
class Grid:
    """The windows of one height and width: their first rows, and their first columns.

    Windows are listed row by row: the one at `tops[i]`, `lefts[j]` is the (i * len(lefts) + j)-th.
    """

    height: int
    width: int
    tops: tuple[int, ...]
    lefts: tuple[int, ...]

    @property
    def size(self) -> int:
        """How many windows there are."""
        return len(self.tops) * len(self.lefts)


@dataclass(frozen=True, slots=True)
class Group:
    """Some grids after one another, and the number of the first of their windows among all."""

    grids: tuple[Grid, ...]
    first: int
    size: int


@lru_cache(maxsize=64)
def groups_of(grids: tuple[Grid, ...]) -> tuple[Group, ...]:
    """Put small grids together, as far as a buffer goes."""
    groups: list[Group] = []
    some: list[Grid] = []
    first = size = 0
    for grid in grids:
        if some and (size + grid.size) * _MAPS > _BUFFER:
            groups.append(Group(tuple(some), first, size))
            some, first, size = [], first + size, 0
        some.append(grid)
        size += grid.size
    return (*groups, Group(tuple(some), first, size))


def sum_up(
    residual: Tensor,
    expected: Tensor,
    dispersion: Tensor,
    drift: Tensor,
    grids: tuple[Grid, ...],
    price: Tensor,
) -> tuple[Tensor, Tensor]:
    """Give the log of the summed likelihood ratios of maps (N,), and the number of the likeliest window (N,).

    `residual`, `expected` (N, R, C), `dispersion`, `drift` (N,): as for `Scan`. `price` (2, K): nats that the
    evidence of each window is lessened by, of losses and of excesses.
    """
    least, gap = price[1, :, None], (price[0] - price[1])[:, None]
    score = torch.empty(len(residual))
    best = torch.zeros(len(residual), dtype=torch.int64)
    workspace: _Workspace | None = None
    for start in range(0, len(residual), _MAPS):
        part = slice(start, start + _MAPS)
        wide, moved = dispersion[part], drift[part].square()
        if workspace is None or workspace.maps != len(wide):
            workspace = _Workspace(grids, residual.shape[1:], len(wide))
        workspace.integrate(residual[part], expected[part])
        score[part] = workspace.together(wide, moved, least, gap, best.numpy()[part])
    return score, best


@dataclass(frozen=True, slots=True)
class _Step:
    """What is done for a group of windows: differences that sum them up, and where their evidence goes.

    `differences`: minuend, subtrahend and result. `sums` (2, K, N): residuals and what is expected; `spare`,
    `nats` and `found` (K, N): memory for all the rest.
    """

    asked: slice
    differences: list[tuple[Tensor, Tensor, Tensor]]
    sums: Tensor
    spare: Tensor
    nats: Tensor
    found: Tensor


class _Workspace:
    """Memory for a chunk of maps of one shape, and views of it: both are made once, not at every step."""

    def __init__(self, grids: tuple[Grid, ...], shape: torch.Size, maps: int) -> None:
        rows, columns = shape
        self.maps = maps
        # Sums from the upper left corner. Maps last, so that windows are read in rows.
        self._integrals = torch.zeros(2, rows + 1, columns + 1, maps)
        groups = groups_of(grids)
        largest = max(g.size for g in groups) * maps
        sums, spare, nats = (torch.empty(copies * largest) for copies in (2, 1, 1))
        found = torch.empty(largest, dtype=torch.bool)
        self._steps: list[_Step] = []
        height, bands = 0, self._integrals
        for group in groups:
            size = group.size * maps
            step = _Step(
                slice(group.first, group.first + group.size),
                [],
                sums[: 2 * size].view(2, group.size, maps),
                *(each[:size].view(group.size, maps) for each in (spare, nats, found)),
            )
            at = 0
            for grid in group.grids:
                if grid.height != height:
                    height = grid.height
                    bands = torch.empty(2, len(grid.tops), columns + 1, maps)
                    step.differences.extend(_differences(self._integrals, grid.tops, height, bands, 1))
                into = step.sums[:, at : at + grid.size].view(2, len(grid.tops), len(grid.lefts), maps)
                step.differences.extend(_differences(bands, grid.lefts, grid.width, into, 2))
                at += grid.size
            self._steps.append(step)

    def integrate(self, residual: Tensor, expected: Tensor) -> None:
        """Take maps (N, R, C)."""
        inner = self._integrals[:, 1:, 1:]
        for held, cells in zip(inner, (residual, expected), strict=True):
            held.copy_(cells.permute(1, 2, 0))
        inner.cumsum_(1).cumsum_(2)

    def together(
        self, wide: Tensor, moved: Tensor, least: Tensor, gap: Tensor, best: NDArray[np.int64]
    ) -> Tensor:
        """Give the log of the summed likelihood ratios (N,); the likeliest windows are written to `best`."""
        total = torch.zeros(self.maps)
        highest = torch.full((self.maps,), -torch.inf)
        for step in self._steps:
            for minuend, subtrahend, result in step.differences:
                torch.sub(minuend, subtrahend, out=result)
            nats = step.nats
            _evidence(step.sums, step.spare, nats, wide, moved, least[step.asked], gap[step.asked])
            top = nats.amax(0)
            # Where it is higher than before; of two windows alike the first counts, which is written last.
            torch.eq(nats, torch.where(top > highest, top, torch.nan), out=step.found)
            window, of = np.divmod(np.flatnonzero(step.found.numpy())[::-1], self.maps)
            best[of] = step.asked.start + window
            above = torch.maximum(highest, top)
            total *= (highest - above).exp()
            total += nats.sub_(above).clamp_(min=_LOWEST).exp_().sum(0)
            highest = above
        return total.log() + highest


def _differences(
    sums: Tensor, starts: tuple[int, ...], size: int, into: Tensor, dim: int
) -> list[tuple[Tensor, Tensor, Tensor]]:
    """List the differences of what lies `size` apart along a dimension, behind each of the `starts`.

    These lie equally far apart but for the last, which is flush with the end.
    """
    apart = starts[1] - starts[0] if len(starts) > 1 else 1
    even = len(starts) if (starts[-1] - starts[0]) % apart == 0 else len(starts) - 1
    before = (slice(None),) * dim
    found = []
    for first, last in ((0, even), (even, len(starts))):
        if first == last:
            continue
        low = slice(starts[first], starts[last - 1] + 1, apart)
        high = slice(low.start + size, low.stop + size, apart)
        found.append((sums[*before, high], sums[*before, low], into[*before, first:last]))
    return found


def _evidence(
    sums: Tensor, change: Tensor, log: Tensor, wide: Tensor, moved: Tensor, least: Tensor, gap: Tensor
) -> None:
    """Make the evidence (K, N) of the sums (2, K, N) of residuals and of what is expected, into `log`.

    `sums` and `change` (K, N) are written over. See `scan`, which does the same where gradients are wanted.
    """
    residual, wanted = sums
    wanted.clamp_(min=1e-3)
    torch.div(residual, wanted, out=change).clamp_(min=-1)
    torch.mul(change, 1 - 1e-6, out=log).log1p_()
    # (1 + change) log - change
    torch.addcmul(log, change, log, out=log).sub_(change).mul_(wanted)
    log.div_(wanted.mul_(moved).add_(wide))
    # A loss has a price of its own.
    lost = residual.clamp_(max=0).sign_()
    log.sub_(least).addcmul_(lost, gap)
