"""Explain a map that is broken in several places: one place after the other.

The score of a map is about that of its worst place. Where one is put back and another is as bad, hardly
anything falls, and a method holds nothing against the other. So where what is blamed explains little, it is
put back, the rest is explained as well, and the attributions are added. (The remedy for masking by the worst
that outlier tests use: Rosner, "Percentage points for a generalized ESD many-outlier procedure", 1983.)
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray

from anomalyd.detectors.detector import Encoded, Explainable
from anomalyd.interpret.attribution import Attribution
from anomalyd.interpret.budget import Budget
from anomalyd.interpret.score_change import score_change
from anomalyd.interpret.trust import GOOD, blamed_inputs, trust_of_map

_PLACES = 4
"""Places looked for at most."""


def place_after_place(
    method: Callable[[Encoded], Attribution], detector: Explainable, encoded: Encoded, budget: Budget
) -> Attribution:
    """Give what a method holds against a map, with its word of trust; `method` explains an encoded map.

    The first place is always explained; the following ones while the budget lasts. Where there are several,
    the worst cell of each counts by how much the map scores with those before it put back, and all of them
    share out what the whole map scores above the expected one.
    """
    found = method(encoded)
    found = replace(found, trust=trust_of_map(detector, encoded, found.values))
    parts, heights, rest = [found.values], [score_change(detector, encoded)], encoded
    while len(parts) < _PLACES and found.trust not in ("", GOOD) and budget.left() > 0:
        put_back = blamed_inputs(rest, parts[-1])
        rest = replace(rest, inputs=torch.where(put_back, rest.baseline, rest.inputs))
        height = score_change(detector, rest)
        if not put_back.any() or height <= 0:
            break
        parts.append(method(rest).values)
        heights.append(height)
        values = _together(parts, heights)
        found = replace(found, values=values, trust=trust_of_map(detector, encoded, values))
    return replace(found, seconds=budget.used())


def _together(parts: Sequence[NDArray[np.float32]], heights: Sequence[float]) -> NDArray[np.float32]:
    """Add attributions (R, C), the worst cell of each as high as what it explains; in sum all of it."""
    found = np.zeros(parts[0].shape)
    for part, height in zip(parts, heights, strict=True):
        worst = float(np.nanmax(part))
        found += part * (height / worst if worst > 0 else 0.0)
    raised = float(np.nansum(np.maximum(found, 0.0)))
    return (found * (heights[0] / raised if raised > 0 else 1.0)).astype(np.float32)
