"""A course of any length is kept to a bounded number of points, and keeps its peaks."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from anomalyd.reports.score_history import MAX_POINTS, superfluous
from anomalyd.reports.step import Point


def course(length: int) -> list[Point]:
    return [Point(float(k), 1.0, None) for k in range(length)]


def test_nothing_is_dropped_from_a_short_course() -> None:
    assert superfluous(course(MAX_POINTS)) == []


@settings(max_examples=30, deadline=None)
@given(st.integers(MAX_POINTS + 1, 4 * MAX_POINTS), st.data())
def test_a_long_course_keeps_its_span_and_its_peak(length: int, data: st.DataObject) -> None:
    points = course(length)
    at = data.draw(st.integers(0, length - 1))
    points[at] = data.draw(
        st.sampled_from([Point(points[at].time, 9.0, 0.1), Point(points[at].time, None, 9.0)])
    )
    dropped = {point.time for point in superfluous(points)}
    kept = [point for point in points if point.time not in dropped]
    assert MAX_POINTS // 4 < len(kept) <= MAX_POINTS // 2
    assert points[at] in kept
    # Spread evenly: no gap is wider than two of the equal times.
    gaps = [after.time - before.time for before, after in pairwise(kept)]
    assert max(gaps) <= 2 * length / (MAX_POINTS // 2 - 1) + 1
