"""The odds that a map is broken: by its history, by itself and by its rate, added up."""

from __future__ import annotations

import numpy as np

from anomalyd.detectors.maps.neighbours.rate import NOTHING, RateJudgement, RateSeen
from anomalyd.total import Total

LOG_RATE = float(np.log(0.01))
"""Logarithm of the prior share of what its rate says, as `PRIOR_ALONE`."""

TRUSTED_ALONE = 3.5
"""Log odds up to which a map joins the history by its own evidence: one in 250 normal maps lies above."""

_LIKELY = 6.0
"""Log odds from which the total is told beside a place that is likelier."""


def combined(history: float, alone: float, rate: float) -> tuple[float, str]:
    """Add the odds of the history, of the map by itself and of its rate up; says which of them leads."""
    parts = {"history": history, "alone": alone, "rate": rate + LOG_RATE}
    leading = max(parts, key=lambda p: parts[p])
    raw = float(np.logaddexp.reduce(list(parts.values())))
    if not np.isfinite(history) and not np.isfinite(alone) and rate <= TRUSTED_ALONE:
        return float("nan"), "nothing"
    return raw, leading


def total_of(seen: RateSeen, rate: RateJudgement, leading: str, history: float, alone: float) -> Total | None:
    """Give what is to be said of the map's total, with its raw score were that as expected; None: nothing."""
    if leading != "rate" and not rate.nats + LOG_RATE > _LIKELY:
        return None
    otherwise = combined(history, alone, NOTHING.nats)[0] if seen.total > 0 else float("nan")
    return Total(seen.total, rate.expected, rate.against, otherwise, leading == "rate")
