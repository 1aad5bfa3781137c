"""Rows of one slot of time after another: what is measured now and then is measured at their beginnings."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray


def runs_of(slots: NDArray[np.float64]) -> Iterator[slice]:
    """Give the rows of each slot, of the slots (n,) of rows in rising order; none where there are no rows."""
    bounds = [*np.flatnonzero(np.diff(slots, prepend=-np.inf)).tolist(), len(slots)]
    return itertools.starmap(slice, itertools.pairwise(bounds))
