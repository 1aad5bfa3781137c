"""Which metrics of a vector an alarm may come from: in which direction, and how far from the expectation."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class DeviationRules:
    """For each metric (F,): whether it may alarm by going `up` or `down`, and by how much at `least`.

    `least` is in the metric's own unit, `share` a share of its expectation; both must be reached.
    """

    up: NDArray[np.bool_]
    down: NDArray[np.bool_]
    least: NDArray[np.float64]
    share: NDArray[np.float64]

    @classmethod
    def of(
        cls,
        features: tuple[str, ...],
        direction: Mapping[str, str],
        min_deviation: Mapping[str, tuple[float, float]],
    ) -> DeviationRules:
        """Make them of mappings whose keys are shell patterns of metrics: the first that matches counts."""
        ways = [_first(direction, name, "both") for name in features]
        least = np.array([_first(min_deviation, name, (0.0, 0.0)) for name in features]).reshape(-1, 2)
        return cls(
            np.array([way != "down" for way in ways], dtype=bool),
            np.array([way != "up" for way in ways], dtype=bool),
            least[:, 0],
            least[:, 1],
        )

    def refused(
        self, values: NDArray[np.float32], expectation: NDArray[np.float32], contribution: NDArray[np.float32]
    ) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
        """Say of each row (m,) whether it must not alarm: because of the direction, or of the deviation.

        All arguments are (m, F). A row is judged by the metrics that carry its blame: the largest
        contributions, together at least half of the row's. It may alarm if one of them deviates as it may, or
        nobody knows how it deviates (no value or no expectation), or if none is to blame.
        """
        blame = np.nan_to_num(contribution).astype(np.float64)
        order = np.argsort(-blame, axis=1, kind="stable")
        ranked = np.take_along_axis(blame, order, axis=1)
        total = ranked.sum(axis=1, keepdims=True)
        carries = np.empty(blame.shape, dtype=bool)
        np.put_along_axis(carries, order, np.cumsum(ranked, axis=1) - ranked < total / 2.0, axis=1)
        with np.errstate(invalid="ignore"):  # an infinite expectation tells nothing
            away = values.astype(np.float64) - expectation
        unknown = np.isnan(away)
        allowed = unknown | np.where(away > 0, self.up, np.where(away < 0, self.down, True))
        enough = np.abs(away) >= np.maximum(self.least, self.share * np.abs(expectation))
        judged = np.any(carries, axis=1)
        right_way = np.any(carries & allowed, axis=1)
        may = np.any(carries & allowed & (enough | unknown), axis=1)
        return judged & ~right_way, judged & right_way & ~may


def _first(mapping: Mapping[str, _T], name: str, default: _T) -> _T:
    return next((value for pattern, value in mapping.items() if fnmatchcase(name, pattern)), default)
