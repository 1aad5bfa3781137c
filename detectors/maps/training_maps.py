"""The normal maps of a training set, each beside a reference that it was left out of."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from anomalyd.detectors.detector import TrainingSet
from anomalyd.detectors.maps.batch import MapBatch, batch_of
from anomalyd.detectors.maps.reference import Reference, References
from anomalyd.detectors.maps.simulate.luminosity import Cells, Counts

_MOST_MAPS = 4000
"""More maps than these teach the network nothing new, and need not fit into memory twice."""

_BATCH = 256

Index = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class _Group:
    """The maps (M, R, C) of one shape; `element` (M,) counts its `own` and `others` references."""

    maps: Counts
    element: Index
    luminosity: NDArray[np.float64]
    own: list[Reference]
    others: list[Reference | None]


class NormalMaps:
    """The maps of a training set that agree with their reference, drawn at random or gone through in order.

    A map helped to make its own reference, so that it agrees with it better than a new one will. Here it is
    taken out again: its counts from the sum, its luminosity from the exposure.
    """

    def __init__(self, training: TrainingSet, references: References, agreeing: Mapping[str, Cells]) -> None:
        most = max(2, _MOST_MAPS // len(agreeing))
        by_shape: dict[tuple[int, ...], list[str]] = {}
        for entity in agreeing:
            by_shape.setdefault(training.series[entity].values.shape[1:], []).append(entity)
        self._groups: list[_Group] = []
        for entities in by_shape.values():
            chosen = [_spread(np.flatnonzero(agreeing[e]), most) for e in entities]
            maps = [training.series[e].values[c] for e, c in zip(entities, chosen, strict=True)]
            own = [references.of(e, m.shape[1:]) for e, m in zip(entities, maps, strict=True)]
            light = [batch_of(m, [r] * len(m)).luminosity() for m, r in zip(maps, own, strict=True)]
            self._groups.append(
                _Group(
                    np.concatenate(maps),
                    np.repeat(np.arange(len(entities)), [len(m) for m in maps]),
                    np.concatenate(light),
                    own,
                    [references.others(e) for e in entities],
                )
            )
        sizes = np.array([len(g.maps) for g in self._groups], dtype=np.float64)
        self._share = sizes / sizes.sum()

    def in_order(self, *, unseen: bool) -> Iterator[MapBatch]:
        """Go through all maps; `unseen`: beside what would be expected had the element never been seen."""
        for group in self._groups:
            picked = np.arange(len(group.maps))
            if unseen:
                picked = picked[[group.others[e] is not None for e in group.element]]
            for start in range(0, len(picked), _BATCH):
                part = picked[start : start + _BATCH]
                yield _beside(group, part, [part], np.full(len(part), unseen))

    def draw(self, rng: np.random.Generator, size: int) -> tuple[MapBatch, MapBatch]:
        """Draw `size` pairs of maps, each of one element at two times, beside a reference without either.

        Half of the references are those of an element never seen, where there are others of its shape.
        """
        group = self._groups[int(rng.choice(len(self._groups), p=self._share))]
        first = rng.integers(len(group.maps), size=size)
        start = np.searchsorted(group.element, group.element[first])
        length = np.searchsorted(group.element, group.element[first], side="right") - start
        # Another map of the same element: one to (length - 1) places further, round the end.
        step = 1 + np.floor(rng.random(size) * np.maximum(length - 1, 1)).astype(np.int64)
        second = start + (first - start + step) % length
        unseen = (rng.random(size) < 0.5) & np.array(
            [group.others[e] is not None for e in group.element[first]]
        )
        return (
            _beside(group, first, [first, second], unseen),
            _beside(group, second, [first, second], unseen),
        )


def _spread(index: Index, most: int) -> Index:
    """Keep at most `most`, evenly spread."""
    return index if len(index) <= most else index[np.linspace(0, len(index) - 1, most).astype(np.int64)]


def _beside(group: _Group, picked: Index, left_out: list[Index], unseen: Cells) -> MapBatch:
    """Put maps beside their references, less the counts and the luminosity of those `left_out`."""
    references = []
    for element, other in zip(group.element[picked], unseen, strict=True):
        others = group.others[element]
        references.append(others if other and others is not None else group.own[element])
    batch = batch_of(group.maps[picked], references)
    total = batch.profile * batch.exposure[:, None, None]
    exposure = batch.exposure.copy()
    for index in left_out:
        light = np.where(unseen, 0, group.luminosity[index])  # the others' reference never held it
        maps = group.maps[index]
        counts = np.where(np.isfinite(maps), maps, light[:, None, None] * batch.profile)
        total = total - np.where(unseen[:, None, None], 0, counts)
        exposure -= light
    # Never to nothing: an element with few maps, one of them very bright.
    exposure = np.maximum(exposure, 0.1 * batch.exposure)
    left = np.maximum(total / exposure[:, None, None], 0.05 * batch.profile)
    return replace(batch, profile=left.astype(np.float32), exposure=exposure)
