"""Which hidden units tell anomalous samples from normal ones, and whether that is more than chance.

The area under the ROC curve of how unusually each unit fires, either way (Mann and Whitney, 1947). With
hundreds of units the best one separates by chance: so labels are exchanged at random, and a unit counts if
few exchanges give any unit an area as large (max statistic: Westfall and Young, "Resampling-based multiple
testing", 1993).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

_EXCHANGES = 1000


@dataclass(frozen=True, slots=True)
class RankedUnit:
    """A unit of a layer: `area` under the ROC curve of its response, and its corrected `p`.

    `side` is 1 where most anomalous samples make it fire more, -1 where less.
    """

    layer: str
    unit: int
    area: float
    p: float
    side: int


def rank_units(
    normal: Mapping[str, NDArray[np.float32]], anomalous: Mapping[str, NDArray[np.float32]], seed: int = 0
) -> list[RankedUnit]:
    """Rank the units of all layers by their responses (N, U) and (A, U), those that separate best first."""
    layers = list(normal)
    fired = [np.hstack([x[layer] for layer in layers]) for x in (normal, anomalous)]
    sides = np.where(fired[1].mean(axis=0) >= 0, 1, -1)
    together = np.abs(np.concatenate(fired))
    n, a = len(normal[layers[0]]), len(anomalous[layers[0]])
    ranks = np.stack([_ranks(column) for column in together.T], axis=1)
    areas = _areas(ranks, np.arange(n + a)[None] >= n)[0]
    rng = np.random.default_rng(seed)
    exchanged = np.stack([rng.permutation(n + a) >= n for _ in range(_EXCHANGES)])
    highest = _areas(ranks, exchanged).max(axis=1)
    places = [(layer, unit) for layer in layers for unit in range(normal[layer].shape[1])]
    found = [
        RankedUnit(
            layer,
            unit,
            float(area),
            float((1 + np.count_nonzero(highest >= area)) / (1 + _EXCHANGES)),
            int(side),
        )
        for (layer, unit), area, side in zip(places, areas, sides, strict=True)
    ]
    return sorted(found, key=lambda unit: (-unit.area, unit.layer, unit.unit))


def _ranks(values: NDArray[np.float32]) -> NDArray[np.float64]:
    """Give the ranks (N,) of values, from 1; equal ones have the mean of theirs."""
    ordered = np.sort(values)
    below, upto = (np.searchsorted(ordered, values, "left"), np.searchsorted(ordered, values, "right"))
    found: NDArray[np.float64] = (below + upto + 1) / 2.0
    return found


def _areas(ranks: NDArray[np.float64], anomalous: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Give the areas (K, U) of ranks (N, U) for each labelling (K, N)."""
    count = anomalous.sum(axis=1, keepdims=True).astype(np.float64)
    others = anomalous.shape[1] - count
    found: NDArray[np.float64] = (anomalous.astype(np.float64) @ ranks - count * (count + 1) / 2) / (
        count * others
    )
    return found
