"""The plain peers of every method: the detector's own error, and the distance from what was expected.

Neither asks the detector why. An explanation that is no better than these is not worth its time.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from anomalyd.interpret.attribution import Attribution

ERROR, DISTANCE = "signed-error", "reference-distance"


def signed_error(error: NDArray[np.float32]) -> Attribution:
    """Take the error (F,) or (R, C) of the detector, in usual widths, by its size."""
    return Attribution(ERROR, np.abs(error), 0.0)


def reference_distance(
    values: NDArray[np.float32], centre: NDArray[np.float32], width: NDArray[np.float32]
) -> Attribution:
    """Take how far values (F,) are from a `centre` (F,) in widths (F,), by its size."""
    away = np.full(values.shape, np.nan, dtype=np.float32)
    np.divide(np.abs(values - centre), width, out=away, where=width > 0)
    return Attribution(DISTANCE, away, 0.0)
