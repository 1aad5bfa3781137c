"""An explanation as a few numbers by name, by which cases are compared."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from anomalyd.detectors.detector import Floats

_PARTS = 12
"""Parts of the blame that are kept, the largest."""

_COLUMNS = 12
"""Stretches that the columns of a map are parted into: a fault is alike if it is nearby."""


def fingerprint(values: Floats, error: Floats, features: Sequence[str] = ()) -> Mapping[str, float]:
    """Give the shares of the blame (F,) or (R, C) by metric or place, negative where `error` is.

    A place of a map is a row and a twelfth of the columns, so that elements of one shape are compared.
    """
    raising = np.clip(np.nan_to_num(values.astype(np.float64)), 0.0, None)
    signed = raising * np.where(np.nan_to_num(error.astype(np.float64)) < 0, -1.0, 1.0)
    if values.ndim == 1:
        named = dict(zip(features, signed.tolist(), strict=True))
    else:
        rows, columns = values.shape
        edges = np.linspace(0, columns, min(_COLUMNS, columns) + 1).astype(int)[:-1]
        parts = np.add.reduceat(signed, edges, axis=1)
        named = {f"{r}.{c}": float(parts[r, c]) for r in range(rows) for c in range(parts.shape[1])}
    whole = sum(map(abs, named.values()))
    largest = sorted(named, key=lambda name: -abs(named[name]))[:_PARTS]
    return {name: round(named[name] / whole, 4) for name in largest if whole > 0 and named[name] != 0}
