"""Quantiles of a histogram, linear within a bucket, as Prometheus' `histogram_quantile` gives them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

QUANTILES = (0.5, 0.95, 0.99)

_Bucket = tuple[float, float, float]
"""Where it begins and ends, and how many are in it."""


def quantiles(bounds: Sequence[float], counts: Sequence[float]) -> dict[float, float]:
    """Give the quantiles of buckets (-inf, b0], (b0, b1], ..., (bn, inf); none of an empty histogram.

    Beyond the outermost bounds nothing is known: there the bound stands for the value.
    """
    if not bounds or len(counts) != len(bounds) + 1:
        return {}
    first = min(0.0, bounds[0])
    edges = [first if bounds[0] > 0 else bounds[0], *bounds, bounds[-1]]
    return _interpolated([(edges[k], edges[k + 1], count) for k, count in enumerate(counts)])


def exponential_quantiles(
    scale: int, zeros: float, positive: Mapping[int, float], negative: Mapping[int, float]
) -> dict[float, float]:
    """Give the quantiles of an exponential histogram: buckets (base^k, base^(k+1)], base = 2^(2^-scale).

    `positive` and `negative` hold k -> count of their buckets.
    """

    def buckets(counts: Mapping[int, float]) -> list[_Bucket]:
        base = 2.0 ** (2.0**-scale)
        return [(base**k, base ** (k + 1), counts[k]) for k in sorted(counts) if counts[k]]

    try:
        below = [(-high, -low, n) for low, high, n in reversed(buckets(negative))]
        return _interpolated([*below, (0.0, 0.0, zeros), *buckets(positive)])
    except OverflowError:
        return {}


def _interpolated(buckets: Sequence[_Bucket]) -> dict[float, float]:
    total = sum(count for _, _, count in buckets)
    if not total:
        return {}
    found = {}
    for quantile in QUANTILES:
        rank, below = quantile * total, 0.0
        for low, high, count in buckets:
            if count and below + count >= rank:
                found[quantile] = low + (high - low) * (rank - below) / count
                break
            below += count
    return found
