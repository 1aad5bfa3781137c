"""Single cells of a map that are dead or hot: what is new of them first, then what always was so."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from anomalyd.detectors.maps.findings import OddCell
from anomalyd.detectors.maps.geometry import Geometry
from anomalyd.detectors.maps.history.memory import Memory
from anomalyd.detectors.maps.neighbours.cleaning import CERTAIN, stands_alone
from anomalyd.detectors.maps.neighbours.evidence import LocalEvidence
from anomalyd.detectors.maps.places.places import Cells, Counts


def odd_cells(
    drawn: Counts, local: LocalEvidence, memory: Memory, geometry: Geometry, told: Cells
) -> tuple[OddCell, ...]:
    """Tell the odd cells of a map (R, C), NaN where missing, that lie in no place that is told (R, C).

    `local`: what the map says of itself. Beside it stands what the element remembers: a cell that is far from
    its own history is new, and the farthest comes first; one that is odd beside its neighbours alone was so
    before.
    """
    odd = local.odd[0] & ~told
    expected = local.expected[0]
    new, usual, pull = _changed(drawn, memory, geometry, told)
    far = np.abs(np.nan_to_num(drawn) - expected) / np.sqrt(np.maximum(expected, 1))
    known = memory.history.settled.weight > 0
    cells = [
        (not new[r, c], -float(pull[r, c] if new[r, c] else far[r, c]), r, c)
        for r, c in np.argwhere(odd | new).tolist()
    ]
    return tuple(
        OddCell(
            r, c, float(drawn[r, c]), float(usual[r, c] if new[r, c] else expected[r, c]), known and before
        )
        for before, _, r, c in sorted(cells)
    )


def _changed(
    drawn: Counts, memory: Memory, geometry: Geometry, told: Cells
) -> tuple[Cells, Counts, NDArray[np.float32]]:
    """Find single cells (R, C) that are far from their history; what it expects of each, and their pull."""
    reference = memory.history.reference()
    usable = np.isfinite(drawn) & geometry.mask() & ~told
    counts = np.where(usable, drawn, 0)
    behind = float(reference[usable].sum(dtype=np.float64))
    ratio = float(counts.sum(dtype=np.float64)) / behind if behind > 0 else 0.0
    usual = np.asarray(reference * ratio, dtype=np.float32)
    width = (1 + ratio) * float(np.exp(max(memory.scatter.mean, 0.0)))
    pull = np.where(usable, np.abs(counts - usual) / np.sqrt(np.maximum(usual * width, 1)), 0)
    far = pull > CERTAIN if behind > 0 else np.zeros(drawn.shape, dtype=np.bool_)
    alone = stands_alone(far[None], far[None], geometry.wrap)[0]
    return alone, usual, pull.astype(np.float32)
