"""Empty cells: isolated dead ones, which experts ignore, and what the others are worth."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from anomalyd.detectors.maps.places.box_sums import sums_of
from anomalyd.detectors.maps.places.places import Cells, Counts, Places

_DEAD_SHARE = 0.15
"""Share of what it should count up to which a cell is as good as dead: a dead wire still counts
some noise."""

_HOT_SHARE, _HOT_PULL = 1.5, 5.0
_LIKE_EXCESS = 0.25  # share of a hot cell's excess from which its neighbour is like it

Floats = NDArray[np.float32]
Doubles = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Empties:
    """Sums as of `sums_of`: what each cell is `worth` if empty, and how much more the empty ones seem worth.

    `flat`: both (N, R * C), not summed.

    A place with a few dead cells in it must not win by counting these as if none could be benign.
    """

    worth: Floats
    excess: Floats
    flat: tuple[Floats, Floats]


def isolated_odd(counts: Counts, reference: Counts, ratio: Doubles, places: Places) -> Cells:
    """Find single cells (N, R, C) that are dead, nearly dead or hot, which experts ignore.

    Hot ones only where a dead one is benign, too.
    """
    expected = reference * ratio.astype(np.float32)[:, None, None]
    dead: Cells = (counts == 0) & (reference > 0)
    if places.benign:
        dead |= (counts < _DEAD_SHARE * expected) & (reference > 0)
    alone = _alone(dead, dead, places)
    alone &= expected > 2.5  # below, it is too common to be dead
    if places.benign:
        scatter = np.sqrt(np.maximum(expected * (1 + ratio.astype(np.float32)[:, None, None]), 1))
        hot = (counts > _HOT_SHARE * expected) & (counts > expected + _HOT_PULL * scatter)
        alone |= hot & (reference > 0) & ~_warm_beside(counts - expected, places)
    return alone


def _alone(cells: Cells, like: Cells, places: Places) -> Cells:
    """Keep those of the cells that have no neighbour which is like them."""
    alone = cells.copy()
    alone[:, :, 1:] &= ~like[:, :, :-1]
    alone[:, :, :-1] &= ~like[:, :, 1:]
    if places.wrap:
        alone[:, :, 0] &= ~like[:, :, -1]
        alone[:, :, -1] &= ~like[:, :, 0]
    if places.tall:
        alone[:, 1:] &= ~like[:, :-1]
        alone[:, :-1] &= ~like[:, 1:]
    return alone


def _warm_beside(excess: Floats, places: Places) -> Cells:
    """Say which cells have a neighbour in their row with a like excess."""
    most = np.zeros_like(excess)
    most[:, :, 1:] = excess[:, :, :-1]
    np.maximum(most[:, :, :-1], excess[:, :, 1:], out=most[:, :, :-1])
    if places.wrap:
        most[:, :, 0] = np.maximum(most[:, :, 0], excess[:, :, -1])
        most[:, :, -1] = np.maximum(most[:, :, -1], excess[:, :, 0])
    return np.asarray(most > _LIKE_EXCESS * excess)


def empties_of(counts: Counts, reference: Counts, ratio: Doubles, places: Places) -> Empties:
    """Say what empty cells are worth in maps (N, R, C), where one may be dead without a fault."""
    # (1 - q)^b with q = ratio / (1 + ratio): that it counts nothing by chance.
    missed = reference * np.log1p(ratio).astype(np.float32)[:, None, None]
    worth: Floats = -np.log(places.benign + (1 - places.benign) * np.exp(-missed))
    excess = np.where(counts == 0, missed - worth, 0).astype(np.float32)
    flat = (worth.reshape(len(worth), -1), excess.reshape(len(worth), -1))
    return Empties(sums_of(worth, places), sums_of(excess, places), flat)
