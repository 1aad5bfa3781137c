"""What an entity sent lately, for pictures and for what was usual: the older, the fewer rows."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

MOST_ROWS = 128
"""Rows kept at most: the last 64 are all there, the older ones reach back some hours of a row a minute."""

_THINNED = MOST_ROWS // 2

Times = NDArray[np.float64]
Rows = NDArray[np.float32]


def thinned(times: Times, rows: Rows, new_times: Times, new_rows: Rows) -> tuple[Times, Rows]:
    """Append new rows (n, ...) to rows (h, ...) at their times, thinning out the older half when it is full.

    Every second of the older rows goes then, so that each time it reaches further back. What is kept does not
    depend on how a stream is cut into windows.
    """
    done = 0
    while done < len(new_rows):
        if len(rows) >= MOST_ROWS:
            keep = np.r_[0 : len(rows) - _THINNED : 2, len(rows) - _THINNED : len(rows)]
            times, rows = times[keep], rows[keep]
        upto = done + MOST_ROWS - len(rows)
        times = np.concatenate([times, new_times[done:upto]])
        rows = np.concatenate([rows, new_rows[done:upto]])
        done = upto
    return times, rows
