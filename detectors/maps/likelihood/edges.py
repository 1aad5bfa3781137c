"""Where exactly a broken place ends: the scan looks at some sizes only."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from anomalyd.detectors.maps.places.places import Cells, Counts, Places

Doubles = NDArray[np.float64]

_FAINTEST, _BRIGHTEST = 0.02, 50.0
"""Efficiencies are taken to lie within: the logarithm of none is not finite."""

_REACH = 3
"""Edges move by a third of the extent at most, or `_REACH` - 1 cells: what lies beyond is another fault."""

_ROUNDS = 2


def sharpened(
    counts: Counts, reference: Counts, places: Places, number: int, place: int, ratio: tuple[float, float]
) -> tuple[Cells, float]:
    """Move the edges of a run or box to where the likelihood ratio of its efficiency is highest.

    `counts`, `reference` (R, C); `ratio`: its counts, and what was expected. Gives the cells (R, C), and by
    how many nats they are likelier than the place itself.
    """
    rows = np.flatnonzero(places.groups[places.families[number].group[place // _starts(places, number)]])
    cells = places.cells_of(number, place)
    inside = float(reference[cells].sum(dtype=np.float64))
    observed, expected = ratio
    if inside <= 0 or expected <= 0:
        return cells, 0.0
    efficiency = float(np.clip(observed / expected, _FAINTEST, _BRIGHTEST))
    gains = counts * np.log(efficiency) - reference * (expected / inside * (efficiency - 1))
    before = float(gains[cells].sum(dtype=np.float64))
    columns = np.flatnonzero(cells[rows[0]])
    # A run that goes round the end is turned to the middle.
    width, turn = len(columns), 0
    if places.wrap:
        start = int(place % _starts(places, number))
        turn = (places.shape[1] - width) // 2 - start
        gains = np.roll(gains, turn, axis=1)
        columns = np.arange(start + turn, start + turn + width)
    left, right = int(columns[0]), int(columns[-1]) + 1
    top, bottom = int(rows[0]), int(rows[-1]) + 1
    for _ in range(_ROUNDS):
        if places.tall:
            top, bottom = _moved(gains[:, left:right].sum(1, dtype=np.float64), top, bottom)
            rows = np.arange(top, bottom)
        left, right = _moved(gains[rows].sum(0, dtype=np.float64), left, right)
    found = np.zeros(places.shape, dtype=np.bool_)
    found[rows[:, None], (np.arange(left, right) - turn) % places.shape[1]] = True
    return found, float(gains[rows, left:right].sum(dtype=np.float64)) - before


def _starts(places: Places, number: int) -> int:
    return places.starts(places.families[number])


def _moved(gains: Doubles, first: int, last: int) -> tuple[int, int]:
    """Move both ends of a run to where the sum of the `gains` (n,) is highest."""
    reach = max(_REACH - 1, (last - first) // _REACH)
    middle = (first + last) // 2
    end = middle + 1 + int(np.cumsum(gains[middle : last + reach]).argmax())
    begin = middle - int(np.cumsum(gains[max(first - reach, 0) : middle + 1][::-1]).argmax())
    return begin, end
