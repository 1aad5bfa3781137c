"""Values as JSON can hold them."""

from __future__ import annotations

import math
from typing import Any


def without_nan(value: Any) -> Any:
    """Make null of every NaN and infinity in nested values: JSON has neither."""
    if isinstance(value, dict):
        return {name: without_nan(each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [without_nan(each) for each in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
