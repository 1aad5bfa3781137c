"""Five views of a row, each one number, and how far all metrics jump: torch, so that they can be explained.

turbulence    what the last minutes do not explain
displacement  what neither the last day nor this time of the last days explains, the three worst metrics
profile       what this time of the last days does not explain, the three worst metrics
unrest        how far all metrics move from row to row
motion        how far the three worst metrics move from the last rows
"""

from __future__ import annotations

import torch
from torch import Tensor

POWER = 1.25
"""Between a sum, which many small moves fill, and a maximum."""

_TOP = 3
_LEAPS_AT_MOST = 10.0
_OWN_LEAPS = 0.5

VIEWS = ("turbulence", "displacement", "profile", "unrest", "motion")

SMOOTHED = (
    # view, weight of the newest row in its mean over time
    (0, 0.03),
    (0, 0.3),
    (1, 0.1),
    (2, 0.3),
    (3, 0.1),
    (4, 0.3),
)


def look(rows: Tensor, observed: Tensor, around: Tensor, own: Tensor) -> tuple[Tensor, Tensor]:
    """Give the views (N, 5) of rows (N, F), and the log of how far they jump (N,).

    `observed` (N, F): 1, or 0 where missing; `around` (N, 6, F): mean of the 5 and of the 10 rows before,
    median of 15, the row before, median of the last day, of this time of the last days; `own` (N, 3, F): what
    each metric is displaced by, moves and leaps at most in all but one of a hundred training rows.
    """
    mean5, mean10, median15, last, day, profile = around.unbind(dim=1)
    displaced, moves, leaps = own.unbind(dim=1)
    whole = rows.shape[1] / observed.sum(dim=1).clamp(min=1.0)

    def away(other: Tensor) -> Tensor:
        return (rows - other).abs() * observed

    past = away(profile)
    leapt = away(last)
    unrest = leapt.sum(dim=1) * whole
    turbulence = torch.minimum(away(mean5), away(median15)).clamp(min=1e-9) ** POWER
    jump = torch.log(unrest + 1e-3) + _OWN_LEAPS * torch.log(
        (leapt / leaps).clamp(max=_LEAPS_AT_MOST).sum(dim=1) * whole + 1e-3
    )
    views = [
        turbulence.sum(dim=1) * whole,
        top(torch.minimum(away(day), past) / displaced),
        top(past / displaced),
        unrest,
        torch.log1p(top(away(mean10) / moves)),
    ]
    return torch.stack(views, dim=1), jump


def top(values: Tensor) -> Tensor:
    """Give the mean (N,) of the three largest of values (N, F)."""
    return torch.topk(values, min(_TOP, values.shape[1]), dim=1, sorted=False).values.mean(dim=1)


def logs(levels: Tensor) -> Tensor:
    """Give the log of smoothed views."""
    return torch.log(levels + 1e-3)
