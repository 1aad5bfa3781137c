"""What is wrong with one map, place by place, and which single cells are odd."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from anomalyd.detectors.detector import RawScores, SeriesWindow
from anomalyd.detectors.maps.geometry import Geometry
from anomalyd.detectors.maps.regions import describe_region, highlighted

MOST_PLACES = 5

_LIKELY = 4.0
"""Log odds from which what is left of a map, once the worst places are put right, holds another one."""

_MOST_ODD = 8  # odd cells that are named; the others are counted


@dataclass(frozen=True, slots=True)
class FoundPlace:
    """A place that is broken: its `cells` (R, C), counts `seen` and `expected`, and the log odds `nats`.

    `text`: as `describe_region`, with the counts.
    """

    text: str
    cells: NDArray[np.bool_]
    seen: float
    expected: float
    nats: float

    @property
    def efficiency(self) -> float:
        """Counts seen of one that is expected; above 1 where it is hot."""
        return self.seen / max(self.expected, 1e-9)


@dataclass(frozen=True, slots=True)
class OddCell:
    """A single cell that is dead, nearly dead or hot: `row` and `column` of the array, and its counts."""

    row: int
    column: int
    seen: float
    expected: float


@dataclass(frozen=True, slots=True)
class Findings:
    """All likely places of a map, the likeliest first, and its odd cells, which alone are no fault.

    `beside`: what it was compared with, where that is not its own history.
    """

    places: tuple[FoundPlace, ...]
    odd: tuple[OddCell, ...]
    beside: tuple[str, ...] = ()

    def lines(self, geometry: Geometry | None) -> tuple[str, ...]:
        """Say it in words: a line a place, and one for the odd cells."""
        told = [place.text for place in self.places]
        if self.odd:
            named = "; ".join(_odd_text(o, geometry) for o in self.odd[:_MOST_ODD])
            more = f"; and {len(self.odd) - _MOST_ODD} more" if len(self.odd) > _MOST_ODD else ""
            count = f"{len(self.odd)} odd cell{'s' if len(self.odd) > 1 else ''}"
            told.append(f"{count}, no fault by themselves: {named}{more}")
        return (*told, *self.beside)


@runtime_checkable
class Locating(Protocol):
    """A detector of maps that tells all the places that are wrong."""

    def findings(self, window: SeriesWindow) -> Findings:
        """Say all that is wrong with the last map of a window, given the state before it."""


def _odd_text(odd: OddCell, geometry: Geometry | None) -> str:
    row_word, cell_word, number = "row", "column", odd.row + 1
    if geometry is not None:
        row_word, cell_word, number = geometry.row, geometry.cell, geometry.numbers[odd.row]
    return f"{row_word} {number} {cell_word} {odd.column + 1} counts {odd.seen:.0f} of {odd.expected:.0f}"


def find_places(
    window: SeriesWindow,
    score: Callable[[Sequence[SeriesWindow]], list[RawScores]],
    geometry: Geometry | None,
) -> tuple[FoundPlace, ...]:
    """Find all likely places of a window's last map: the worst, what is left once it is put right, ..."""
    drawn = window.values[-1].astype(np.float32)
    left, told = drawn.copy(), np.zeros(drawn.shape, dtype=bool)
    found: list[FoundPlace] = []
    for number in range(MOST_PLACES):
        (scored,) = score([replace(window, times=window.times[-1:], values=left[None], exposure=None)])
        raw, expectation, blame = float(scored.raw[0]), scored.expectation[0], scored.contribution[0]
        if number and not raw > _LIKELY:
            break
        cells = highlighted(blame) & np.isfinite(drawn)
        # The same place once more: what was put in its stead is not all that a history expects.
        if not cells.any() or 2 * (cells & told).sum() > cells.sum():
            break
        told |= cells
        seen, expected = float(drawn[cells].sum()), float(np.nansum(expectation[cells]))
        text = describe_region(drawn, expectation, blame, geometry)
        found.append(FoundPlace(f"{text} ({seen:.0f} of {expected:.0f})", cells, seen, expected, raw))
        put_right = np.rint(np.nan_to_num(expectation[cells]))
        if np.array_equal(put_right, left[cells]):
            break
        left[cells] = put_right
    return tuple(found)
