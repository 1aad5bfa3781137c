"""What each metric should be from the others and its own last rows: a ridge regression of training.

Hoerl and Kennard, "Ridge regression", Technometrics 12 (1970). Charts of what it leaves over are those of
regression-adjusted variables (Hawkins, "Multivariate quality control based on regression-adjusted
variables", Technometrics 33, 1991): a sensor that goes its own way is seen though the plant moves by far
more, and a plant that is moved as it always was is not.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

LAGS = 2
"""Rows of its own that a metric is told from."""

_RIDGE = 0.03
"""Added to each variance, in usual widths squared. Lags and ridge were chosen on made plants of two kinds."""

_LEAST_WIDTH, _MOST = 0.02, 20.0
"""Usual widths that residuals have at least; and widths of theirs that a row counts for at most."""

_TELLS = 0.1
"""Weight from which one that is missing leaves it open what another should be."""

_LEAST_ROWS = 20
_MOST_ROWS = 5000
"""Rows of training that are fitted, the newest."""

Floats = NDArray[np.float64]
Rows = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Regression:
    """That of N entities of F metrics, in usual widths of these.

    `others` (N, F, F): metric in the row, told from the column's; `own` (N, LAGS, F): from its own rows
    before, the newest first; `width` (N, F): of what is left over, on rows that were not fitted.
    """

    others: Tensor
    own: Tensor
    width: Tensor

    def residuals(self, places: NDArray[np.int64], rows: Rows) -> Rows:
        """Give what is left over of rows (E, LAGS + n, F) of the entities at `places` (E,), as widths of it
        (E, n, F); the first `LAGS` rows came before."""
        others, own, width = (each.numpy()[places] for each in (self.others, self.own, self.width))
        left = _residuals(rows.astype(np.float64), others, own) / width[:, None]
        found: Rows = np.clip(left, -_MOST, _MOST).astype(np.float32)
        return found

    def untold(self, places: NDArray[np.int64], missing: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """Say of which metrics it is not known what is left over (E, n, F): of those `missing` (E, n, F), and
        of those that are told from them."""
        if not missing.any():
            return missing
        tells = np.abs(self.others.numpy()[places]) >= _TELLS
        told = missing.astype(np.float32) @ tells.swapaxes(1, 2).astype(np.float32) > 0.0
        return np.asarray(missing | told)


def none(metrics: int) -> Regression:
    """Give one (N = 1) that tells nothing: what is left over are the rows."""
    return Regression(torch.zeros(1, metrics, metrics), torch.zeros(1, LAGS, metrics), torch.ones(1, metrics))


def measure(rows: Rows) -> tuple[Regression, Rows]:
    """Fit (N = 1) on training rows (T, F) without gaps, and give what is left over of them (U, F).

    Each half of the rows is told by the fit of the other, so that a fit that is too close is not believed.
    """
    each = rows[-_MOST_ROWS:].astype(np.float64)
    if len(each) < _LEAST_ROWS:
        return none(rows.shape[1]), each.astype(np.float32)
    each = np.concatenate([np.repeat(each[:1], LAGS, axis=0), each])
    middle = len(each) // 2
    halves = each[: middle + LAGS], each[middle:]
    fits = [_fit(half) for half in halves]
    left = np.concatenate(
        [_residuals(half[None], *fit)[0] for half, fit in zip(halves, fits[::-1], strict=True)]
    )
    width = np.maximum(left.std(axis=0), _LEAST_WIDTH)
    others, own = _fit(each)
    fitted = (torch.from_numpy(part.astype(np.float32)) for part in (others, own, width[None]))
    return Regression(*fitted), np.clip(left / width, -_MOST, _MOST).astype(np.float32)


def _fit(rows: Floats) -> tuple[Floats, Floats]:
    """Fit `others` (1, F, F) and `own` (1, LAGS, F) on rows (LAGS + T, F)."""
    metrics = rows.shape[1]
    now = rows[LAGS:]
    told = np.concatenate([now, *(rows[LAGS - k : len(rows) - k] for k in range(1, LAGS + 1))], axis=1)
    gram = told.T @ told / len(now)
    gram[np.diag_indices_from(gram)] += _RIDGE
    others, own = np.zeros((1, metrics, metrics)), np.zeros((1, LAGS, metrics))
    for f in range(metrics):
        by = np.concatenate([np.delete(np.arange(metrics), f), f + metrics * np.arange(1, LAGS + 1)])
        weights = np.linalg.solve(gram[np.ix_(by, by)], gram[by, f])
        others[0, f, by[: metrics - 1]], own[0, :, f] = weights[: metrics - 1], weights[metrics - 1 :]
    return others, own


def _residuals(rows: Floats, others: Floats, own: Floats) -> Floats:
    """Give what is left over of rows (E, LAGS + n, F), (E, n, F)."""
    count = rows.shape[1] - LAGS
    left = rows[:, LAGS:] - rows[:, LAGS:] @ others.swapaxes(1, 2)
    for k in range(1, LAGS + 1):
        left -= own[:, k - 1, None] * rows[:, LAGS - k : LAGS - k + count]
    return left
