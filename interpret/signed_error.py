"""The plain peer of every method: the detector's own error. It asks nobody why.

An explanation that is no better than this is not worth its time.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from anomalyd.interpret.attribution import Attribution

METHOD = "signed-error"


def signed_error(error: NDArray[np.float32]) -> Attribution:
    """Take the error (F,) or (R, C), observed less expected in usual widths, by its size."""
    return Attribution(METHOD, np.abs(error), 0.0)
