"""Incidents that started together: one fault of a rack or a crate is one row, not fourteen."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from anomalyd.reports.relations.incident_row import IncidentIndex


@dataclass(frozen=True, slots=True)
class Groups:
    """Groups of incidents, those that need somebody first: `order` (n,) places of the index, group by group;
    group k is `order[starts[k] : starts[k + 1]]`, by onset."""

    order: NDArray[np.int64]
    starts: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.starts) - 1

    def members(self, group: int) -> NDArray[np.int64]:
        """Give the places in the index of the incidents of one group, by onset."""
        return self.order[self.starts[group] : self.starts[group + 1]]


def together(index: IncidentIndex, window_s: float) -> Groups:
    """Group incidents of the same detector whose onsets lie within `window_s` of the first one's.

    The window counts from the first, not from one to the next: else a busy night would be a single group.
    With 0 every incident stands alone. Open groups come before closed ones, open ones by their worst open
    severity, then the latest.
    """
    n = len(index)
    order = np.argsort(index.detectors, kind="stable") if window_s > 0 else np.arange(n)
    starts = _starts(index.detectors[order], index.onsets[order], window_s)
    if n == 0:
        return Groups(order, np.zeros(1, dtype=np.int64))
    begins = starts[:-1]
    is_open = np.add.reduceat(index.still_open[order].astype(np.int64), begins) > 0
    ranks = np.where(index.still_open, index.ranks, -1)[order]
    worst = np.maximum.reduceat(ranks, begins)
    onset = index.onsets[order][begins]
    urgency = np.lexsort((-onset, -worst, ~is_open))
    sizes = np.diff(starts)[urgency]
    moved = np.concatenate([order[starts[g] : starts[g + 1]] for g in urgency.tolist()])
    return Groups(moved, np.concatenate([[0], np.cumsum(sizes)]))


def _starts(detectors: NDArray[np.int64], onsets: NDArray[np.float64], window_s: float) -> NDArray[np.int64]:
    """Give where groups begin, and the end, of incidents by detector and onset."""
    n = len(onsets)
    if window_s <= 0:
        return np.arange(n + 1)
    ends = np.concatenate([np.flatnonzero(np.diff(detectors)) + 1, [n]]).tolist()
    starts, begin = [], 0
    for end in ends:
        times = onsets[begin:end]
        # Where the group of each one would end, if it were the first.
        following = (begin + np.searchsorted(times, times + window_s, side="right")).tolist()
        place = begin
        while place < end:
            starts.append(place)
            place = following[place - begin]
        begin = end
    return np.array([*starts, n], dtype=np.int64)
