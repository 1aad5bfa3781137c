"""The score's course during an incident, kept to a bounded number of points."""

from __future__ import annotations

from collections.abc import Sequence

from anomalyd.reports.step import Point

MAX_POINTS = 2000  # enough for a plot as wide as a screen


def superfluous(points: Sequence[Point]) -> list[Point]:
    """Choose which points to drop, so that at most half of `MAX_POINTS` stay, spread over the whole course.

    The course is cut into equal times and the worst point of each stays: the peaks live, however long an
    incident goes on. Nothing is dropped from `MAX_POINTS` points or fewer.
    """
    if len(points) <= MAX_POINTS:
        return []
    begin = min(point.time for point in points)
    width = (max(point.time for point in points) - begin) / (MAX_POINTS // 2 - 1)
    worst: dict[int, Point] = {}
    for point in points:
        place = int((point.time - begin) / width)
        if place not in worst or _badness(point) > _badness(worst[place]):
            worst[place] = point
    kept = {point.time for point in worst.values()}
    return [point for point in points if point.time not in kept]


def _badness(point: Point) -> float:
    return max((s for s in (point.autoencoder, point.classical) if s is not None), default=0.0)
