"""The smallest change that would have kept a sample quiet: parts put to the expectation, the fewest.

Counterfactual explanations as in Wachter, Mittelstadt and Russell, "Counterfactual explanations without
opening the black box", Harvard J. Law & Tech. 31 (2018), with the changes that can be made given: a part is
as observed or as expected. Found greedily; then every part is tried to be left out again.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from anomalyd.interpret.fidelity import Kept, ScoreOf

_MOST = 8
"""Metrics put back at most: a longer list explains nothing."""

_HARDLY = 0.02
"""Part of the fall that a metric must bring to be named where no set is enough."""

_UNITS = 3
"""Hardware units put back at most."""

_TRIES = 6
"""Scores of maps a step of the search."""

Parts = NDArray[np.int64]


def smallest_set(score: ScoreOf, values: NDArray[np.float32], limit: float) -> tuple[Parts, float]:
    """Find few metrics without which the raw score is below a `limit`, and give that score.

    `values` (F,) is an attribution, NaN for what is missing: those blamed most are looked at. Where no set is
    enough, the one that brings the score lowest is given.
    """
    blame = np.nan_to_num(values, nan=-np.inf)
    candidates = [int(f) for f in np.argsort(-blame, kind="stable") if blame[f] > 0][:_MOST]
    chosen: list[int] = []
    observed = lowest = float(score(_kept(len(values), [[]]))[0])
    while lowest >= limit and len(chosen) < len(candidates):
        left = [f for f in candidates if f not in chosen]
        found = score(_kept(len(values), [[*chosen, f] for f in left]))
        best = int(np.argmin(found))
        if not found[best] < lowest:
            break
        chosen.append(left[best])
        lowest = float(found[best])
    if lowest >= limit and len(chosen) < len(candidates):
        # Each of several that are too many may hide the others: all of them together may still be enough.
        together = float(score(_kept(len(values), [candidates]))[0])
        if together < lowest:
            chosen, lowest = candidates, together
    # What came first may no longer be needed; where no set is enough, who hardly lowers the score is not.
    allowed = limit if lowest < limit else lowest + _HARDLY * (observed - lowest)
    for part in list(chosen):
        fewer = [f for f in chosen if f != part]
        without = float(score(_kept(len(values), [fewer]))[0])
        if without < allowed:
            chosen, lowest = fewer, without
    return np.array(chosen, dtype=np.int64), lowest


def fewest_cells(score: ScoreOf, values: NDArray[np.float32], limit: float) -> tuple[Parts, float]:
    """Find few cells of a map without which the raw score is below a `limit`, and give that score.

    `values` (R, C) is an attribution. The number of cells blamed most is searched for, then cells are left
    out again, a sixth of them at a time.
    """
    blame = np.nan_to_num(values.ravel(), nan=-np.inf)
    order = np.array([c for c in np.argsort(-blame, kind="stable") if blame[c] > 0], dtype=np.int64)
    if not len(order):
        return order, float(score(_kept(values.size, [[]]))[0])
    few, many = 0, len(order)
    lowest = float(score(_kept(values.size, [order]))[0])
    while lowest < limit and many - few > 1:
        counts = np.unique(np.linspace(few, many, _TRIES + 2).astype(int)[1:-1])
        found = score(_kept(values.size, [order[:count] for count in counts]))
        enough = np.flatnonzero(found < limit)
        if not len(enough):
            if few == counts[-1]:
                break
            few = int(counts[-1])
            continue
        many, lowest = int(counts[enough[0]]), float(found[enough[0]])
        few = int(counts[enough[0] - 1]) if enough[0] else few
        if many - few <= 1 or (len(counts) == 1 and counts[0] == few):
            break
    chosen = order[:many]
    if lowest < limit and many > 1:
        pieces = np.array_split(chosen, min(_TRIES, many))
        for piece in pieces:
            fewer = np.setdiff1d(chosen, piece, assume_unique=True)
            if len(fewer) and (without := float(score(_kept(values.size, [fewer]))[0])) < limit:
                chosen, lowest = fewer, without
    return chosen, lowest


def fewest_units(score: ScoreOf, size: int, units: Sequence[Parts], limit: float) -> tuple[list[int], float]:
    """Find few hardware units without which the raw score of a map of `size` cells is below a `limit`.

    `units`: the cells of each. Of units each of which is enough the smallest is given; else, one after the
    other, those that bring the score lowest. Gives their indices and the score.
    """
    chosen: list[int] = []
    lowest = float(score(_kept(size, [[]]))[0])
    while lowest >= limit and len(chosen) < _UNITS:
        left = [u for u in range(len(units)) if u not in chosen]
        if not left:
            break
        found = score(_kept(size, [np.concatenate([units[c] for c in (*chosen, u)]) for u in left]))
        enough = [k for k in range(len(left)) if found[k] < limit]
        best = min(enough, key=lambda k: len(units[left[k]])) if enough else int(np.argmin(found))
        if not found[best] < lowest:
            break
        chosen.append(left[best])
        lowest = float(found[best])
    return chosen, lowest


def raw_limit(raw: float, score: float, centre: float) -> float:
    """Give the raw score that is 1 when calibrated, as it was for a sample of this `raw` and `score`.

    The calibrated score is linear above the `centre` of normal samples, where it is 0.2.
    """
    return centre + (raw - centre) * 0.8 / max(score - 0.2, 1e-9)


def _kept(size: int, put_back: Sequence[Sequence[int] | Parts]) -> Kept:
    kept = np.ones((len(put_back), size), dtype=np.bool_)
    for row, parts in zip(kept, put_back, strict=True):
        row[np.asarray(parts, dtype=np.int64)] = False
    return kept
