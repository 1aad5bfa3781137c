"""A fault of an element type's recipes at one place of one element."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from anomalyd.detectors.maps.geometries.file import ElementType
from anomalyd.detectors.maps.geometry import Geometry
from anomalyd.detectors.maps.simulate.limit import places_of_fault
from anomalyd.near_names import did_you_mean


@dataclass(frozen=True, slots=True)
class PlacedFault:
    """A fault of a `kind`; `factors` (R, C): how many times the usual counts each cell shows."""

    kind: str
    factors: NDArray[np.float32]

    @classmethod
    def draw(cls, element_type: ElementType, kind: str, geometry: Geometry, rng: np.random.Generator) -> Self:
        """Draw a fault of a kind, of any of its strengths, somewhere in an element.

        Raises:
            ValueError: the type has no such kind.

        """
        for recipe in element_type.faults:
            if recipe.kind == kind:
                places = places_of_fault(geometry, recipe, float(rng.choice(recipe.factors)))
                return cls(kind, places.factors[int(rng.integers(len(places.factors)))])
        known = list(dict.fromkeys(f.kind for f in element_type.faults))
        raise ValueError(
            f"fault kind {kind!r}: unknown to {element_type.name}; {did_you_mean(kind, known)}"
            f"there are {', '.join(known) or 'none'}"
        )

    def cells(self, element: Geometry) -> NDArray[np.bool_]:
        """Give the cells (R, C) it touches."""
        touched: NDArray[np.bool_] = (self.factors != 1) & element.mask()
        return touched

    def apply(
        self,
        counts: NDArray[np.int64],
        expected: NDArray[np.float64],
        element: Geometry,
        rng: np.random.Generator,
    ) -> NDArray[np.int64]:
        """Put the fault into counts (R, C) drawn around `expected`: thin them binomially, or add hot hits."""
        lost = rng.binomial(counts, np.minimum(self.factors, 1))
        return np.asarray(lost + rng.poisson(expected * np.maximum(self.factors - 1, 0)))
