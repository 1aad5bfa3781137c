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

_LIKELY = 2.0
"""Log odds from which what is left of a map, once the worst places are put right, holds another one: where
one is broken another is named sooner than a map would alert."""

_MOST_LOOKS = 8  # of which some may be at a place that was told before

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
    """A single cell that is dead, nearly dead or hot: `row` and `column` of the array, and its counts.

    `before`: whether the element's history has it so.
    """

    row: int
    column: int
    seen: float
    expected: float
    before: bool = False


@dataclass(frozen=True, slots=True)
class Findings:
    """All likely places of a map, the likeliest first, and its odd cells, which alone are no fault: the new
    ones first.

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
            before = sum(o.before for o in self.odd)
            as_before = f" ({before} as before)" if before else ""
            told.append(f"{count}{as_before}, no fault by themselves: {named}{more}")
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
    for _ in range(_MOST_LOOKS):
        (scored,) = score([replace(window, times=window.times[-1:], values=left[None], exposure=None)])
        raw, blame = float(scored.raw[0]), scored.contribution[0]
        if found and not raw > _LIKELY:
            break
        cells = highlighted(blame) & np.isfinite(drawn)
        if not cells.any():
            break
        expectation = _beside_the_rest(scored.expectation[0], left, cells)
        # The same place once more: what was put in its stead is not all that a history expects.
        if 2 * (cells & told).sum() <= cells.sum():
            seen, expected = float(drawn[cells].sum()), float(np.nansum(expectation[cells]))
            text = describe_region(drawn, expectation, blame, geometry)
            found.append(FoundPlace(f"{text} ({seen:.0f} of {expected:.0f})", cells, seen, expected, raw))
        told |= cells
        put_right = np.rint(np.nan_to_num(expectation[cells]))
        if len(found) == MOST_PLACES or np.array_equal(put_right, left[cells]):
            break
        left[cells] = put_right
    return tuple(found)


def _beside_the_rest(
    expectation: NDArray[np.float32], counts: NDArray[np.float32], cells: NDArray[np.bool_]
) -> NDArray[np.float32]:
    """Scale what is expected (R, C) to the counts (R, C) outside of broken `cells` (R, C).

    As it comes it adds up to the counts of the whole map, with what is lost in them.
    """
    rest = np.isfinite(counts) & np.isfinite(expectation) & ~cells
    usual = float(expectation[rest].sum(dtype=np.float64))
    seen = float(counts[rest].sum(dtype=np.float64))
    return np.asarray(expectation * (seen / usual if min(seen, usual) > 0 else 1.0), dtype=np.float32)
