"""States and models that an earlier version wrote: numbers by their position in an array."""

from __future__ import annotations

import numpy as np

from anomalyd.detectors.detector import State

_SHARES = ("sisters", "exposed", "own")
_FIELDS: dict[str, tuple[str, ...]] = {
    "weights": ("weight", "squares"),
    "noise": ("noise.value", "noise.maps", "noise.cells"),
    "rate": (*(f"{s}.{part}" for s in _SHARES for part in ("n", "mean", "variance")), "accompanied"),
    "unfit": ("unfit", "provisional.weight"),
}
"""What stands in the arrays of that version, flattened."""


def with_names(state: State) -> State:
    """Give a state with a name for each number; one that has them already as it is."""
    if "weights" not in state:
        return _complete(state)
    found = {name: array for name, array in state.items() if name not in _FIELDS}
    for name, parts in _FIELDS.items():
        if name in state:
            numbers = state[name].ravel()
            found |= {part: numbers[k : k + 1] for k, part in enumerate(parts)}
    return _complete(found)


_ADDED = ("movement.square", "movement.maps", "scatter.mean", "scatter.variance", "scatter.maps")
"""What was not remembered from the beginning."""


def _complete(state: State) -> State:
    """Add what was not remembered of how units move and cells scatter: nothing is known of it yet."""
    if "unfit" not in state or all(name in state for name in _ADDED):
        return state
    return {**{name: np.zeros(1) for name in _ADDED}, **state}
