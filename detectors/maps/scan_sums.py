"""All windows of many maps without gradients: kind after kind, in buffers that stay in the processor's cache.

What each map's windows say together, and which of them says most. The arithmetic is that of `scan`; done
window by window it takes five times as long, nearly all of it for memory that is taken anew at each step.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
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
    groups = groups_of(grids)
    largest = max(g.size for g in groups)
    # Taken once, not at every step: that is where the time would go.
    held = [torch.empty(copies * largest * min(_MAPS, len(residual))) for copies in (2, 1, 1)]
    least, gap = price[1, :, None], (price[0] - price[1])[:, None]
    score = torch.empty(len(residual))
    best = np.zeros(len(residual), dtype=np.int64)
    for start in range(0, len(residual), _MAPS):
        part = slice(start, start + _MAPS)
        integrals = _integrals(residual[part], expected[part])
        wide, moved = dispersion[part], drift[part].square()
        n = len(wide)
        total = torch.zeros(n)
        highest = torch.full((n,), -torch.inf)
        for group in groups:
            sums, spare, nats = (
                h[: k * group.size * n].view(*shape, group.size, n)
                for h, k, shape in zip(held, (2, 1, 1), ((2,), (), ()), strict=True)
            )
            _window_sums(integrals, group.grids, sums)
            asked = slice(group.first, group.first + group.size)
            _evidence(sums, spare, nats, wide, moved, least[asked], gap[asked])
            top = nats.amax(0)
            # Where it is higher than before; of two windows alike the first counts, which is written last.
            likelier = np.where(top > highest, top, np.nan)
            window, of = np.divmod(np.flatnonzero(nats.numpy() == likelier)[::-1], n)
            best[start + of] = group.first + window
            above = torch.maximum(highest, top)
            total *= (highest - above).exp()
            nats -= above
            total += nats.clamp_(min=_LOWEST).exp_().sum(0)
            highest = above
        score[part] = total.log() + highest
    return score, torch.from_numpy(best)


def _integrals(residual: Tensor, expected: Tensor) -> Tensor:
    """Sums from the upper left corner (2, R + 1, C + 1, N): maps last, so that windows are read in rows."""
    n, rows, columns = residual.shape
    summed = torch.zeros(2, rows + 1, columns + 1, n)
    cells = torch.stack([residual.permute(1, 2, 0), expected.permute(1, 2, 0)])
    torch.cumsum(torch.cumsum(cells, 1), 2, out=summed[:, 1:, 1:])
    return summed


def _window_sums(integrals: Tensor, grids: tuple[Grid, ...], out: Tensor) -> None:
    """Sum the windows of grids up: (2, K, N)."""
    first, height = 0, 0
    bands = integrals
    for grid in grids:
        if grid.height != height:
            height = grid.height
            tops, bottoms = (_every(tuple(t + x for t in grid.tops)) for x in (0, height))
            bands = integrals[:, bottoms] - integrals[:, tops]
        lefts, rights = (_every(tuple(c + x for c in grid.lefts)) for x in (0, grid.width))
        found = out[:, first : first + grid.size].view(2, len(grid.tops), len(grid.lefts), -1)
        torch.sub(bands[:, :, rights], bands[:, :, lefts], out=found)
        first += grid.size


@lru_cache(maxsize=1024)
def _every(places: tuple[int, ...]) -> slice | Tensor:
    """Choose places by a slice, where they lie equally far apart: it copies nothing."""
    step = places[1] - places[0] if len(places) > 1 else 1
    if places == tuple(range(places[0], places[-1] + 1, step)):
        return slice(places[0], places[-1] + 1, step)
    return torch.tensor(places)


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
