"""A counterfactual as a sentence: what would have to change, how far the score falls, what remains."""

from __future__ import annotations

import math
from datetime import UTC, datetime

from anomalyd.reports.cases.interpretation import Counterfactual

_NAMED = 8


def what_if(change: Counterfactual) -> str:
    """Say it of a report as a predicate: "would not have alerted with cpu as expected: ..."."""
    if math.isfinite(change.total):
        return _with_total(change)
    named = "; ".join(change.parts[:_NAMED]) + ("; ..." if len(change.parts) > _NAMED else "")
    if change.enough:
        return f"would not have alerted with {named} as expected: {_falls(change)}"
    if not change.parts:
        return _nothing(change)
    return f"alerts even with {named} as expected: {_falls(change)}{_remains(change)}"


def _with_total(change: Counterfactual) -> str:
    verb = "would not have alerted" if change.enough else "alerts even"
    return (
        f"{verb} with its total as expected ({change.total:.0f}): the score would be {change.score:.2f} "
        f"instead of {change.observed:.2f} (1 is the threshold)"
    )


def _falls(change: Counterfactual) -> str:
    left = f"{max(change.score, 0.0):.2f} (1 is the threshold)"
    return f"the score falls {_from(change)}to {left}"


def _from(change: Counterfactual) -> str:
    return f"from {change.observed:.2f} " if math.isfinite(change.observed) else ""


def _remains(change: Counterfactual) -> str:
    if change.whole < 1:
        return "; the rest is spread over others"
    if math.isfinite(change.since):
        return f"; the rest comes from before {_clock(change.since)}, which the detector remembers"
    return "; the rest is in no part of it" if math.isfinite(change.whole) else ""


def _nothing(change: Counterfactual) -> str:
    if change.whole < 1:
        return f"has no few metrics that bring the score {_from(change)}under 1: only all together do"
    score = f" of {change.observed:.2f}" if math.isfinite(change.observed) else ""
    if math.isfinite(change.since):
        return (
            f"alerts even with every metric as expected from {_clock(change.since)} on: the score{score}"
            " comes from before, which the detector remembers"
        )
    return f"alerts whatever is put to the expectation: the score{score} does not fall"


def _clock(time: float) -> str:
    return f"{datetime.fromtimestamp(time, UTC):%H:%M:%S} UTC"
