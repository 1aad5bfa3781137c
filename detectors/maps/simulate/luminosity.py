"""How much a map was lit: luminosity times exposure, from the map alone, whatever is broken in it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Counts = NDArray[np.float32]
Cells = NDArray[np.bool_]

_BLOCK = 8
"""Cells of a block along a row: enough counts for a ratio, small enough that a fault fills few blocks."""

_AGREES = 3.0  # sigmas within which a block takes part in the final, efficient estimate


def block_sums(cells: NDArray[np.float32]) -> NDArray[np.float64]:
    """Sum (..., R, C) over blocks of cells along the rows: (..., R * ceil(C / 8))."""
    sums = np.add.reduceat(cells, np.arange(0, cells.shape[-1], _BLOCK), axis=-1)
    return sums.reshape(*cells.shape[:-2], -1).astype(np.float64)


def luminosity(
    counts: Counts, profile: Counts, weight: Cells, spread: float | NDArray[np.float64]
) -> NDArray[np.float64]:
    """Estimate the luminosity (N,) of maps (N, R, C): their mean counts a cell were nothing broken.

    `profile` (N, R, C) is the relative rate of the cells, `weight` those that count, `spread` how much a
    profile may be wrong (relative, (N,) or one for all). The median over blocks of observed to expected holds
    as long as fewer than half of the blocks are broken; the blocks that agree with it then give the estimate.
    0 for a map without a usable cell.
    """
    observed = block_sums(counts * weight)
    expected = block_sums(profile * weight)
    lit = expected > 0
    ratio = np.divide(observed, expected, out=np.full_like(observed, np.inf), where=lit)
    blocks = lit.sum(1)
    ratio.sort(axis=1)
    rows = np.arange(len(ratio))
    middle = (
        ratio[rows, np.maximum(blocks - 1, 0) // 2] + ratio[rows, np.minimum(blocks // 2, ratio.shape[1] - 1)]
    ) / 2
    rough = np.where(blocks > 0, middle, 0.0)[:, None]
    guess = rough * expected
    sigma = np.sqrt(np.maximum(guess, 1) + (np.reshape(spread, (-1, 1)) * guess) ** 2)
    agrees = lit & (np.abs(observed - guess) <= _AGREES * sigma)
    lit_sum = (expected * agrees).sum(1)
    agreed = (observed * agrees).sum(1)
    light: NDArray[np.float64] = np.divide(agreed, lit_sum, out=rough[:, 0].copy(), where=lit_sum > 0)
    return light


def isolated_zeros(counts: Counts, expected: NDArray[np.floating], usable: Cells) -> Cells:
    """Find the empty cells (N, R, C) that should count but stand alone: dead wires, which experts ignore.

    Empty cells beside or above one another are no accident and stay.
    """
    empty = usable & (counts == 0)
    neighbour = np.zeros_like(empty)
    neighbour[:, :, 1:] |= empty[:, :, :-1]
    neighbour[:, :, :-1] |= empty[:, :, 1:]
    neighbour[:, 1:] |= empty[:, :-1]
    neighbour[:, :-1] |= empty[:, 1:]
    # Below 2.5 counts an empty cell is too common to be called dead.
    isolated: Cells = empty & (expected > 2.5) & ~neighbour
    return isolated
