"""What a producer's histogram holds -> the counts that detectors judge.

A detector of maps works on counts, whose noise is known from their size. Histograms of other things say so,
and bring what is needed to know theirs:

- an **efficiency**: the denominator of each cell (the map is the numerator), or its entries (the map is a
ratio
  from 0 to 1). What is judged is how many failed.
- **weights** (energy sums): the sum of the squared weights of each cell. What is judged is how many counts of
  equal weight would be as uncertain: (sum w)^2 / sum w^2.
- a **profile** (a mean of something in each cell): the variance of each mean. What is judged is
  mean^2 / (4 variance), whose own noise is Poisson's: a square changes by twice as much as what is squared.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from anomalyd.daemon.stages import Reason
from anomalyd.errors import DecodeError

Cells = NDArray[np.float32]

COMPANIONS = ("denominator", "entries", "sumw2", "variance")
"""What may stand beside a map; at most one of them does."""

_MOST = 1e16
"""Counts of a cell at most: detectors sum and square them in float32."""

_WHOLE = 1e-3
"""How far a count may lie from a whole number: it may have been through float32."""


def counts_of(cells: Cells, companions: dict[str, Cells]) -> Cells:
    """Make counts (R, C) of a map and its companion, by name; NaN where a cell is masked.

    Raises:
        DecodeError: it cannot be: more than one companion, another shape, negative or fractional counts, no
            cell at all; the text says what is needed.

    """
    if len(companions) > 1:
        raise _refuse(f"{' and '.join(companions)}: a map has one of them at most")
    least = np.fmin.reduce(cells, axis=None)  # NaN is left out where there is anything else
    if least != least:
        raise _refuse("map: every cell is masked; leave out a map without a cell")
    for name, companion in companions.items():
        if companion.shape != cells.shape:
            raise _refuse(f"{name}: {companion.shape} cells beside a map of {cells.shape}; it needs as many")
        _not_negative(name, companion)
    if least < 0:
        if "sumw2" in companions:
            _refuse_first(
                cells < 0,
                "map",
                cells,
                "is a negative sum of weights, which is no number of counts; "
                "mask the cell with null (NaN in npy), or send the counts without weights",
            )
        if "variance" in companions:
            _refuse_first(
                cells < 0,
                "map",
                cells,
                "is a negative mean, and what is judged (mean^2 / (4 variance)) has no sign; add a constant "
                "to all means, or mask the cell with null (NaN in npy)",
            )
        _not_negative("map", cells)
    if not companions:
        _whole(cells)
        _not_too_many(cells, cells)
        return cells
    ((name, companion),) = companions.items()
    if name in ("denominator", "entries"):
        return _failures(name, cells, companion)
    known = np.isfinite(cells) & np.isfinite(companion)
    _refuse_first(
        known & (cells > 0) & ~(companion > 0),
        name,
        companion,
        f"stands where the map is not 0; it is the {_MEANING[name]} of each cell",
    )
    each = companion if name == "sumw2" else 4 * companion
    squares = cells.astype(np.float64) ** 2
    found = np.divide(squares, each, out=np.zeros_like(squares), where=companion > 0)
    found[~known] = np.nan
    _not_too_many(found, cells)
    return found.astype(np.float32)


def _not_too_many(counts: NDArray[np.float32] | NDArray[np.float64], cells: Cells) -> None:
    if np.fmax.reduce(counts, axis=None) > _MOST:
        _refuse_first(
            counts > _MOST,
            "map",
            cells,
            f"makes more than {_MOST:.0e} counts, whose squares are not finite in float32; weights need "
            "sumw2, in a unit in which they are smaller",
        )


_MEANING = {"sumw2": "sum of the squared weights", "variance": "variance of the mean"}


def _failures(name: str, cells: Cells, companion: Cells) -> Cells:
    if name == "denominator":
        _whole(cells)
        _whole(companion, name)
        failed = companion - cells
        _refuse_first(
            _below_zero(failed, companion),
            "map",
            cells,
            "is larger than its denominator; the map holds the numerator, at most as many in each cell",
        )
    else:
        _whole(companion, name)
        failed = companion * (1 - cells)
        _refuse_first(
            _below_zero(failed, companion),
            "map",
            cells,
            "is above 1; with entries the map is a ratio from 0 to 1, any other mean needs variance",
        )
    return _not_below_zero(failed)


def _below_zero(failed: Cells, trials: Cells) -> NDArray[np.bool_]:
    return failed < -_WHOLE * np.maximum(trials, 1)


def _not_below_zero(failed: Cells) -> Cells:
    return np.maximum(failed, 0).astype(np.float32)


def _not_negative(name: str, cells: Cells) -> None:
    if np.fmin.reduce(cells, axis=None) < 0:  # NaN is left out, and is not below 0 if there is nothing else
        _refuse_first(
            cells < 0,
            name,
            cells,
            "is negative; counts are 0 or more, and a masked cell is null (NaN in npy)",
        )


def _whole(cells: Cells, name: str = "map") -> None:
    away = np.abs(cells - np.rint(cells))
    if not np.fmax.reduce(away, axis=None) > _WHOLE:
        return
    off = away > _WHOLE * np.maximum(1, np.abs(cells) * 1e-3)
    if off.any():
        row, column = np.argwhere(off)[0]
        raise _refuse(
            f"{name}[{row}][{column}]: {cells[row, column]:g} is no whole number, and counts are; an "
            "efficiency needs denominator (or entries), weights need sumw2, means need variance; normalised "
            "counts cannot be judged: send them as they were counted, with exposure"
        )


def _refuse_first(wrong: NDArray[np.bool_], name: str, cells: Cells, why: str) -> None:
    """Name the first of the cells that are `wrong`, if any is."""
    if wrong.any():
        row, column = np.argwhere(wrong)[0]
        raise _refuse(f"{name}[{row}][{column}]: {cells[row, column]:g} {why}")


def _refuse(text: str) -> DecodeError:
    return DecodeError(Reason.MAP, text)
