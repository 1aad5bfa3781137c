"""All windows of many maps without gradients: kind after kind, in buffers that stay in the processor's cache.

What each map's windows say together, and which of them says most. A first look at every window rules out
nearly all of them: by a bound of the likelihood ratio that needs no logarithm they cannot reach `QUIET`. Only
the others, one in 250 on normal maps, are weighed; what is ruled out counts with what such windows say
together on normal maps (`quiet_together`). So a map's score is that of `scan` but for how far this strays,
which is less than a tenth of a nat on normal maps and nothing where alarms begin.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

Doubles = NDArray[np.float64]
Floats = NDArray[np.float32]

QUIET = -1.0
"""Nats, less the price, up to which a window is not weighed: normal maps reach 0 in one of ten cases."""

_MAPS = 128
"""Maps that are looked at together."""

_BUFFER = 100_000
"""Windows of so many maps that are looked at together: five such buffers lie in the processor's cache."""

_LEAST = np.float32(1e-3)  # counts that are expected of a window at least, as in `scan`


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


@dataclass(frozen=True, slots=True)
class Loudest:
    """What the windows of maps say: `score` (N,), the log of the summed likelihood ratios, and of the window
    that says most its number `best` (N,), its nats `top` (N,) and how far it pulls in sigmas, `pull` (N,); 0,
    -inf and 0 where all windows are quiet.
    """

    score: Doubles
    best: NDArray[np.int64]
    top: Doubles
    pull: Floats


def quiet_together(price: Tensor) -> float:
    """Give the log of what the windows up to `QUIET` add to the score of a normal map.

    Twice the log likelihood ratio of a window follows a chi-square with one degree of freedom (S. S. Wilks,
    Ann. Math. Stat. 9 (1938) 60): below a limit t the mean of the ratio is 2 sqrt(t / pi), losses and
    excesses half of it each. `price` (2, K): as for `sum_up`.
    """
    asked = price.double().numpy()
    each = np.sqrt(np.maximum(asked + QUIET, 0) / np.pi) * np.exp(-asked)
    return float(np.log(max(each.sum(), 1e-300)))


def sum_up(
    residual: Tensor,
    expected: Tensor,
    dispersion: Tensor,
    drift: Tensor,
    grids: tuple[Grid, ...],
    price: Tensor,
) -> Loudest:
    """Sum up what the windows of maps say.

    `residual`, `expected` (N, R, C), `dispersion`, `drift` (N,): as for `Scan`. `price` (2, K): nats that the
    evidence of each window is lessened by, of losses and of excesses.
    """
    size = len(residual)
    rest = quiet_together(price)
    found = Loudest(
        np.full(size, rest),
        np.zeros(size, dtype=np.int64),
        np.full(size, -np.inf),
        np.zeros(size, np.float32),
    )
    if not size:
        return found
    # All steps alike, so that one workspace does for all: the last is filled up with maps of nothing.
    step = -(-size // -(-size // _MAPS))
    lacking = -size % step
    residual, expected = (F.pad(x, (0, 0, 0, 0, 0, lacking)) for x in (residual, expected))
    wide, moved = (F.pad(x, (0, lacking), value=1.0) for x in (dispersion, drift.square()))
    workspace = _Workspace(grids, residual.shape[1:], step)
    for start in range(0, size, step):
        part = slice(start, start + step)
        workspace.integrate(residual[part], expected[part])
        louder = list(workspace.louder(wide[part], moved[part], price, min(step, size - start)))
        _together(louder, rest, found, part)
    return found


@dataclass(frozen=True, slots=True)
class _Louder:
    """Windows above `QUIET`: arrays (m,) of their map, number, nats and pull, by rising numbers."""

    map: NDArray[np.int64]
    window: NDArray[np.int64]
    nats: Floats
    pull: Floats


def _together(louder: list[_Louder], rest: float, found: Loudest, part: slice) -> None:
    """Write what the louder windows of a part of the maps say together."""
    maps, window = (np.concatenate([getattr(x, name) for x in louder]) for name in ("map", "window"))
    nats = np.concatenate([x.nats for x in louder]).astype(np.float64)
    top = found.top[part]
    np.maximum.at(top, maps, nats)
    # Of two windows alike the first counts, which is written last.
    most = np.flatnonzero(nats == top[maps])[::-1]
    found.best[part][maps[most]] = window[most]
    found.pull[part][maps[most]] = np.concatenate([x.pull for x in louder])[most]
    shift = np.maximum(top, rest)
    odds = np.bincount(maps, np.exp(nats - shift[maps]), len(top))
    found.score[part] = np.log(odds + np.exp(rest - shift)) + shift


@dataclass(frozen=True, slots=True)
class _Step:
    """What is done for a group of windows: differences that sum them up, and where their evidence goes.

    `differences`: minuend, subtrahend and result. `sums` (2, K, N): residuals and what is expected; `limit`,
    `spare` and `found` (K, N): memory for all the rest.
    """

    asked: slice
    differences: list[tuple[Tensor, Tensor, Tensor]]
    sums: Tensor
    limit: Tensor
    spare: Tensor
    found: NDArray[np.bool_]


class _Workspace:
    """Memory for a chunk of maps of one shape, and views of it: both are made once, not at every step."""

    def __init__(self, grids: tuple[Grid, ...], shape: torch.Size, maps: int) -> None:
        rows, columns = shape
        self.maps = maps
        # Sums from the upper left corner. Maps last, so that windows are read in rows.
        self._integrals = torch.zeros(2, rows + 1, columns + 1, maps)
        groups = groups_of(grids)
        largest = max(g.size for g in groups) * maps
        sums, limit, spare = (torch.empty(copies * largest) for copies in (2, 1, 1))
        found = np.empty(largest, dtype=np.bool_)
        self._steps: list[_Step] = []
        height, bands = 0, self._integrals
        for group in groups:
            size = group.size * maps
            step = _Step(
                slice(group.first, group.first + group.size),
                [],
                sums[: 2 * size].view(2, group.size, maps),
                limit[:size].view(group.size, maps),
                spare[:size].view(group.size, maps),
                found[:size].reshape(group.size, maps),
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

    def louder(self, wide: Tensor, moved: Tensor, price: Tensor, held: int) -> Iterator[_Louder]:
        """Find the windows of the first `held` maps that are above `QUIET`, group after group.

        With x the relative change a window of e expected counts says e h(x) nats over its variance
        `wide + moved e`, h(x) = (1 + x) ln(1 + x) - x. h(x) is at most x^2 / 2, or x^2 / (2 + x) if x < 0.
        """
        # Somewhat lower, for what the bound loses by rounding.
        least = 0.999 * (price.amin(0) + QUIET)[:, None]
        asked, dispersion, drift = price.numpy(), wide.numpy(), moved.numpy()
        for step in self._steps:
            for minuend, subtrahend, result in step.differences:
                torch.sub(minuend, subtrahend, out=result)
            residual, wanted = step.sums
            enough = least[step.asked]
            limit = torch.clamp(residual, max=0, out=step.limit).add_(wanted, alpha=2)
            limit.mul_(torch.addcmul(wide, moved, wanted, out=step.spare)).mul_(enough)
            torch.mul(residual, residual, out=step.spare)
            # Five times as fast as in torch.
            found = np.greater(step.spare.numpy(), limit.numpy(), out=step.found)
            if enough.amin() < 0:
                found |= enough.numpy() < 0
            at = np.flatnonzero(found)
            window, maps = np.divmod(at, self.maps)
            window += step.asked.start
            change, expected = (x.numpy().ravel()[at] for x in (residual, wanted))
            expected = np.maximum(expected, _LEAST)
            width = dispersion[maps] + drift[maps] * expected
            nats = _nats(change, expected) / width
            nats -= np.where(change < 0, asked[0, window], asked[1, window])
            loud = (nats > QUIET) & (maps < held)
            pull = change[loud] / np.sqrt(expected[loud] * width[loud])
            yield _Louder(maps[loud], window[loud], nats[loud], pull)


def _nats(change: Floats, expected: Floats) -> Floats:
    """Give the nats of windows (m,) with Poisson counts; see `scan`, which does the same with gradients."""
    relative = np.maximum(change / expected, np.float32(-1))
    nats: Floats = (1 + relative) * np.log1p(relative * np.float32(1 - 1e-6)) - relative
    nats *= expected
    return nats


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
