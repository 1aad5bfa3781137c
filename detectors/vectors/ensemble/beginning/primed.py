"""What training left of its entities: an entity's first window after training begins from it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
from torch import Tensor

from anomalyd.detectors.detector import SeriesWindow, State
from anomalyd.detectors.vectors.by_entity import EntityArrays
from anomalyd.detectors.vectors.ensemble.reference_windows import SLOT_S


@dataclass(frozen=True, slots=True)
class Primed:
    """States of entities as named arrays, left where they lie, which may be a file: each is wanted once.

    `places`: of each entity, its number in `arrays`.
    """

    places: Mapping[str, int]
    arrays: EntityArrays

    @classmethod
    def of(cls, states: Mapping[str, State]) -> Self:
        """Put states together."""
        return cls({entity: e for e, entity in enumerate(states)}, EntityArrays.of(list(states.values())))

    @classmethod
    def restore(cls, tensors: Mapping[str, Tensor], entities: Sequence[str]) -> Self:
        """Give those of entities that a model's tensors hold; as `EntityArrays.restore`."""
        arrays = EntityArrays.restore(tensors, "primed", len(entities))
        return cls({entity: e for e, entity in enumerate(entities)}, arrays)

    def tensors(self) -> dict[str, Tensor]:
        """Give all states by name, for safetensors."""
        return self.arrays.tensors("primed")

    def is_due(self, window: SeriesWindow) -> bool:
        """Say whether a window may begin from what training left: it is not of before its end."""
        place = self.places.get(window.entity)
        return place is not None and bool(np.all(window.times // SLOT_S >= self.arrays.get(place, "slot")))

    def at(self, entity: str) -> State:
        """Give the state of an entity."""
        return self.arrays.at(self.places[entity])
