"""How the elements of a type behave, for the simulation: what is normal, and which faults there are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class Normal:
    """The normal maps of a type: Poisson counts about a shape that differs from element to element.

    `counts`: usual mean counts of a cell; `luminosity_spread`: relative scatter from map to map; `dead`:
    share of isolated dead cells, which are no fault; `slope`, `curvature`, `waves`: relative size of parts
    of the shape along the rows (mean and spread, spread, spread); `rows`, `cells`, `segments`: spread of
    whole rows, of single cells, of segments. `tracks`: least and largest variance over the mean of the sum of
    four sister rows (a track crosses all of them); `clusters`: of single cells (read out together); each
    element draws its own.
    """

    counts: float
    luminosity_spread: float = 0.2
    dead: float = 0.005
    slope: tuple[float, float] = (0.0, 0.0)
    curvature: float = 0.0
    waves: float = 0.0
    rows: float = 0.0
    cells: float = 0.0
    segments: float = 0.0
    tracks: tuple[float, float] = (1.0, 1.0)
    clusters: tuple[float, float] = (1.0, 1.0)


@dataclass(frozen=True, slots=True)
class FaultRecipe:
    """A kind of fault: where it may be, and how many times the usual counts its cells show there.

    `place`: "box" (`size` rows x columns anywhere), "run" (`size` 1 x columns of one row), "unit" (`size[1]`
    columns through all rows of a unit), "both" (the same in all units of one view), "row" (all of the row
    numbered `size[0]`, 0: of any row), "segment" (all of a segment of the kind `segment`), "smooth" (a dip of
    Gaussian shape through all rows, whose full width at half its depth is `width` of a row's length).
    `factors`: 0 is dead, .9 a loss of a tenth, 2 twice too hot.
    """

    kind: str
    place: Literal["box", "run", "unit", "both", "row", "segment", "smooth"]
    factors: tuple[float, ...]
    size: tuple[int, int] = (1, 1)
    segment: str = ""
    width: float = 0.0
