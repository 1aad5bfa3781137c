"""Empty cells: isolated dead ones, which experts ignore, and what the others are worth."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from anomalyd.detectors.maps.likelihood.box_sums import sums_of
from anomalyd.detectors.maps.likelihood.places import Cells, Counts, Places

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


def isolated_zeros(counts: Counts, reference: Counts, ratio: Doubles, places: Places) -> Cells:
    """Find the empty cells (N, R, C) that should count but stand alone: dead ones, which experts ignore."""
    alone: Cells = (counts == 0) & (reference > 0)
    empty = alone.copy()
    alone &= reference * ratio.astype(np.float32)[:, None, None] > 2.5  # below, it is too common to be dead
    alone[:, :, 1:] &= ~empty[:, :, :-1]
    alone[:, :, :-1] &= ~empty[:, :, 1:]
    if places.wrap:
        alone[:, :, 0] &= ~empty[:, :, -1]
        alone[:, :, -1] &= ~empty[:, :, 0]
    if places.tall:
        alone[:, 1:] &= ~empty[:, :-1]
        alone[:, :-1] &= ~empty[:, 1:]
    return alone


def empties_of(counts: Counts, reference: Counts, ratio: Doubles, places: Places) -> Empties:
    """Say what empty cells are worth in maps (N, R, C), where one may be dead without a fault."""
    # (1 - q)^b with q = ratio / (1 + ratio): that it counts nothing by chance.
    missed = reference * np.log1p(ratio).astype(np.float32)[:, None, None]
    worth: Floats = -np.log(places.benign + (1 - places.benign) * np.exp(-missed))
    excess = np.where(counts == 0, missed - worth, 0).astype(np.float32)
    flat = (worth.reshape(len(worth), -1), excess.reshape(len(worth), -1))
    return Empties(sums_of(worth, places), sums_of(excess, places), flat)
