"""How far rows are from all that training showed: patches of each metric, and the row itself.

Both are looked at on every fourth row, and smoothed. The row counts where training was short: of many days
there is no memory small enough to hold all rows that are normal, and drift makes every row new.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from anomalyd.detectors.vectors.by_entity import EntityArrays
from anomalyd.detectors.vectors.novelty import nats, patches

_TOP = 3
"""The metrics that are newest count: one that is new is diluted by the others."""

STRIDE = 4
SMOOTHING = 0.115
"""Of the newest of every fourth row: .03 a row."""

CODES = 128
_MOST_PATCHES = 2500
"""Patches of training that tell how far they are from one another."""

_ROWS = 2048
_LEAST_TAIL, _LEAST_TAIL_CONSTANT = 0.05, 0.5
_RARE = 20.0
_WORTH, _WORTH_MOST, _WORTH_ROWS = 300.0, 2.0, 0.05


@dataclass(frozen=True, slots=True)
class Memory:
    """What is normal of one entity of F metrics.

    `codes` (1, F, 128, 8) of training patches, and how far such patches are from one another: `steps`
    (1, F, 33), `tail` (1, F). `rows` (1, R, F) of training, and `row_steps` (1, 33), `row_tail` (1,).
    `worth` (1,): what the memory weighs.
    """

    codes: Tensor
    steps: Tensor
    tail: Tensor
    rows: Tensor
    row_steps: Tensor
    row_tail: Tensor
    worth: Tensor

    def single(self) -> Memory:
        """Give the same in single precision."""
        return Memory(*(getattr(self, name).float() for name in Memory.__slots__))

    def patch_nats(self, codes: Tensor, observed: Tensor) -> Tensor:
        """Give how new patches are, by their codes (K, F, 8): the three metrics that are newest, (K,)."""
        away = torch.log(patches.distances(codes, self.codes) + 0.05)
        each = nats.nats(away, self.steps, self.tail) * observed
        largest = torch.topk(each, min(_TOP, each.shape[1]), dim=1, sorted=False).values
        return largest.mean(dim=1)

    def row_distance(self, rows: Tensor) -> Tensor:
        """Give how far rows (K, F) are from the nearest of training (K,), but no further than is rare: what
        is smoothed is soon over. 0 where no row is remembered."""
        if self.rows.shape[1] == 0:
            return rows.new_zeros(len(rows))
        known = torch.isfinite(self.steps[..., -1])
        held = self.rows[0]
        looked = rows * known
        # Which is nearest by matrix products, how far it is without: they round, and a stream may be cut
        # anywhere.
        size = held.square().sum(-1)
        near = [torch.addmm(size, part, held.T, alpha=-2.0).argmin(1) for part in patches.tiles(looked)]
        nearest = (looked - held[torch.cat(near)[: len(rows)]]).square().sum(-1).sqrt()
        rare = torch.exp(self.row_steps[:, -1] + _RARE * self.row_tail)
        return torch.minimum(nearest, rare)


@dataclass(frozen=True, slots=True)
class Memories:
    """What is normal of N entities. Memories are large: each but the `last` is left where it lies, `before`
    it, under the names of `Memory` after a prefix.

    `row_steps` (N, 33), `row_tail`, `worth` (N,): of all of them; `has_rows` (N,): which remember rows.
    """

    before: EntityArrays
    prefix: str
    last: Memory
    row_steps: Tensor
    row_tail: Tensor
    worth: Tensor
    has_rows: NDArray[np.bool_]

    @classmethod
    def of(cls, before: EntityArrays, prefix: str, last: Memory) -> Memories:
        """Put memories together."""

        def together(name: str) -> Tensor:
            return torch.from_numpy(before.stacked_with(prefix + name, getattr(last, name).numpy())[:, 0])

        rows = [*(before.get(e, prefix + "rows").shape[1] for e in range(before.count)), last.rows.shape[1]]
        worth, known = together("worth"), np.array(rows) > 0
        return cls(before, prefix, last, together("row_steps"), together("row_tail"), worth, known)

    def at(self, place: int) -> Memory:
        """Give the memory of the entity at a place, in single precision."""
        if place == self.before.count:
            return self.last.single()
        own = (self.before.get(place, self.prefix + name) for name in Memory.__slots__)
        return Memory(*map(torch.from_numpy, own)).single()

    def row_nats(self, places: NDArray[np.int64], level: Tensor) -> Tensor:
        """Give how rare smoothed distances (K,) of the entities at `places` (K,) are, (K,)."""
        at = torch.from_numpy(places)
        return nats.nats(torch.log(level + 0.05), self.row_steps[at], self.row_tail[at])


def worth_of(rows: int, binary: float) -> float:
    """Give what a memory weighs, of an entity trained on so many rows: all of a short training is known, and
    commands that are on or off repeat themselves. `binary`: share of metrics with two values at most."""
    return min(_WORTH / (rows * max(1.0 - binary, 0.01)), _WORTH_MOST)


def moving_of(rows: NDArray[np.float64], worth: NDArray[np.float64]) -> NDArray[np.float64]:
    """Give the share of metrics that are no switches, at most: of memories of so many rows (N,), by their
    worth."""
    return _WORTH / np.maximum(rows * worth, _WORTH)


def remember(rows: NDArray[np.float32], observed: NDArray[np.bool_], seed: int) -> Memory:
    """Make the memory of training rows (T, F) without gaps."""
    count, metrics = rows.shape
    draw = np.random.default_rng(seed)
    binary = np.mean([len(np.unique(rows[:, f])) <= 2 for f in range(metrics)])
    worth = worth_of(count, float(binary))
    # A series shorter than a patch begins with its first row.
    filled = np.concatenate([np.repeat(rows[:1], max(0, 2 * patches.ROWS - count), axis=0), rows])
    ends = np.arange(patches.ROWS - 1, len(filled), STRIDE)
    ends = ends[:: -(-len(ends) // _MOST_PATCHES)]
    codes = torch.cat(
        [
            patches.encode(torch.from_numpy(patches.patches_of(filled, part)))
            for part in np.array_split(ends, len(ends) // 512 + 1)
        ]
    )
    chosen = np.sort(draw.choice(len(ends), min(CODES, len(ends)), replace=False))
    memory = codes[chosen]
    if len(chosen) < CODES:
        memory = torch.cat([memory, memory[:1].expand(CODES - len(chosen), -1, -1)])
        chosen = np.concatenate([chosen, np.repeat(chosen[:1], CODES - len(chosen))])
    away = _held_out(codes, ends, memory, ends[chosen])
    constant = rows.std(axis=0) < 1e-6
    least = np.where(constant, _LEAST_TAIL_CONSTANT, _LEAST_TAIL).astype(np.float32)
    steps, tail = nats.measure(np.log(away + 0.05), least)
    # What was never seen is not new when it comes.
    steps[~observed.any(axis=0)] = np.inf
    held, apart = _remember_rows(rows, worth, draw)
    row_steps, row_tail = nats.measure(np.log(apart + 0.05), _LEAST_TAIL)
    return Memory(
        memory.permute(1, 0, 2)[None].half(),
        torch.from_numpy(steps)[None],
        torch.from_numpy(tail)[None],
        torch.from_numpy(held)[None].half(),
        torch.from_numpy(row_steps)[None],
        torch.from_numpy(np.asarray(row_tail))[None],
        torch.tensor([worth]),
    )


def _held_out(
    codes: Tensor, ends: NDArray[np.int64], memory: Tensor, own: NDArray[np.int64]
) -> NDArray[np.float32]:
    """Give how far training codes (P, F, 8) are from those remembered (M, F, 8) of other times (P, F)."""
    found = []
    places = torch.from_numpy(own)
    for part in np.array_split(np.arange(len(ends)), len(ends) // 256 + 1):
        each = codes[part].permute(1, 0, 2)
        kept = memory.permute(1, 0, 2)
        away = torch.cdist(each, kept)
        near = (torch.from_numpy(ends[part])[:, None] - places).abs() < patches.ROWS
        away = away.masked_fill(near, torch.inf)
        nearest = away.amin(dim=2).T
        found.append(torch.where(torch.isfinite(nearest), nearest, 0.0))
    return torch.cat(found).numpy()


def _remember_rows(
    rows: NDArray[np.float32], worth: float, draw: np.random.Generator
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Give the rows remembered (R, F), and the smoothed distances (P,) of training rows from those of other
    times."""
    if worth < _WORTH_ROWS:
        return rows[:0], np.zeros(100, dtype=np.float32)
    count = len(rows)
    kept = np.sort(draw.choice(count, min(_ROWS, count), replace=False))
    looked = np.arange(0, count, STRIDE)
    away = torch.cdist(torch.from_numpy(rows[looked]), torch.from_numpy(rows[kept]))
    near = torch.from_numpy(np.abs(looked[:, None] - kept) < patches.ROWS)
    nearest = away.masked_fill(near, torch.inf).amin(dim=1)
    apart = torch.where(torch.isfinite(nearest), nearest, 0.0).tolist()
    level, levels = apart[0], []
    for one in apart:
        level += SMOOTHING * (one - level)
        levels.append(level)
    return rows[kept], np.array(levels, dtype=np.float32)
