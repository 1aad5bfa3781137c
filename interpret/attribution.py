"""What raised the score, per metric or per cell: the result that every method returns."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Attribution:
    """What raised the score.

    `values` (F,) or (R, C): how much of the raw score each metric or cell is answerable for (positive:
    raised it; NaN: missing or masked). `complete` is False where the time budget ended the method early,
    `seconds` is what it took. `trust` is a plain word for how far to trust it ("good", "fair", "weak"), ""
    where nobody asked.
    """

    method: str
    values: NDArray[np.float32]
    seconds: float
    complete: bool = True
    trust: str = ""
