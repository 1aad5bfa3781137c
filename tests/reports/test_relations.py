"""How incidents relate: what started together, and what of that is more than chance."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from anomalyd.reports.relations.coincidence import coincidences, odds
from anomalyd.reports.relations.grouping import together
from anomalyd.reports.relations.incident_row import IncidentIndex, IncidentRow
from anomalyd.reports.report import Severity, Status


def index(rows):
    """Rows of (detector, onset, rank, open), sorted by onset."""
    rows = sorted(rows, key=lambda r: r[1])
    detectors, onsets, ranks, still_open = zip(*rows, strict=True) if rows else ((),) * 4
    return IncidentIndex(
        np.array([str(k) for k in range(len(rows))], dtype=object),
        np.array(detectors, dtype=np.int64),
        np.array(onsets, dtype=np.float64),
        np.array(ranks, dtype=np.int64),
        np.array(still_open, dtype=np.bool_),
    )


def onsets(found, groups):
    return [found.onsets[groups.members(k)].tolist() for k in range(len(groups))]


def test_the_window_counts_from_the_first():
    found = index([(0, 10.0, 0, False), (0, 60.0, 0, False), (0, 80.0, 0, False), (1, 60.0, 0, False)])
    # 80 is more than a minute after 10, though not after 60; the other detector stands alone.
    assert onsets(found, together(found, 60.0)) == [[80.0], [60.0], [10.0, 60.0]]


def test_open_groups_come_first_by_what_is_open():
    rows = [(0, 0.0, 2, False), (0, 1.0, 0, True), (1, 0.5, 1, True), (1, 500.0, 2, False)]
    found = index(rows)
    assert onsets(found, together(found, 10.0)) == [[0.5], [0.0, 1.0], [500.0]]


def test_of_nothing_there_are_no_groups():
    assert len(together(index([]), 60.0)) == 0


@given(
    st.lists(st.tuples(st.integers(0, 3), st.floats(0, 1e4), st.integers(0, 2), st.booleans()), max_size=60),
    st.sampled_from([0.0, 1.0, 60.0, 3600.0]),
)
def test_every_incident_is_in_one_group_of_its_detector_within_the_window(rows, window_s):
    found = index(rows)
    groups = together(found, window_s)
    places = [groups.members(k) for k in range(len(groups))]
    assert sorted(p for group in places for p in group.tolist()) == list(range(len(rows)))
    for group in places:
        assert len(set(found.detectors[group].tolist())) == 1
        assert np.ptp(found.onsets[group]) <= window_s
    if window_s == 0:
        assert len(groups) == len(rows)


def row(entity, onset, id=""):
    return IncidentRow(id or entity, "d", entity, Severity.ERROR, Status.OPEN, onset, onset, 2.0)


def test_the_rarer_entity_is_the_less_likely_coincidence():
    near = [row("noisy", 1005.0), row("rare", 1040.0), row("own", 1000.0)]
    found = coincidences("own", 1000.0, near, {"noisy": 5000, "rare": 2, "own": 9}, 5011, 30 * 86_400.0)
    assert [c.row.entity for c in found] == ["rare", "noisy"]
    assert found[0].gap == 40.0
    # One and a half onsets in thirty days, within 80 seconds.
    assert found[0].chance == pytest.approx(1.5 / (30 * 86_400) * 80, rel=1e-3)
    assert found[0].any_chance > found[0].chance


def test_of_an_entity_the_nearest_counts_and_nearer_is_less_likely():
    near = [row("a", 1200.0, "far"), row("a", 1001.0, "near"), row("b", 1200.0)]
    found = coincidences("own", 1000.0, near, {"a": 3, "b": 3}, 6, 86_400.0)
    assert [(c.row.id, c.row.entity) for c in found] == [("near", "a"), ("b", "b")]


@pytest.mark.parametrize(
    ("probability", "said"),
    [
        (0.5, "likely by chance"),
        (0.1, "one in 10"),
        (2.43e-4, "one in 4,100"),
        (1e-12, "less than one in a billion"),
    ],
)
def test_odds(probability, said):
    assert odds(probability) == said
