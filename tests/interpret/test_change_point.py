"""Change points: what belongs to an incident is told from what had moved, drifted or stopped before it."""

from __future__ import annotations

import numpy as np
import pytest

from anomalyd.interpret.change_point import departure_starts
from anomalyd.interpret.expected_values import Reference, run_lengths
from anomalyd.interpret.root_cause import rank_causes, strength
from anomalyd.reports.report import Direction

ROWS, ONSET, F = 130, 110, 4
NEIGHBOUR, BROKEN = 1, 2


def usual(seed=0):
    return 50 + np.random.default_rng(seed).normal(size=(ROWS, F))


def blamed(rows, held=None, onset=ONSET, most=9):
    """The reference, and the causes of the last row of an incident that began at `onset`."""
    rows = rows.astype(np.float32)
    nothing = np.full(rows.shape[1], np.nan, np.float32)
    reference = Reference.before(rows[:onset], rows[onset], nothing, nothing)
    held = np.ones(rows.shape[1], np.float32) if held is None else held
    names = tuple("abcdefgh"[: rows.shape[1]])
    causes = rank_causes(reference, names, np.arange(float(len(rows))), rows, onset, held, most)
    return reference, {cause.name: cause for cause in causes}


def stepped(rows, since):
    rows[since:, NEIGHBOUR] += 15


def drifted(rows, since):
    rows[since : since + 25, NEIGHBOUR] += np.linspace(0, 15, 25)
    rows[since + 25 :, NEIGHBOUR] += 15


def stopped(rows, since):
    rows[since:, NEIGHBOUR] = rows[since, NEIGHBOUR]


def bursts(rows, since):
    rows[since % 10 :: 10, NEIGHBOUR] += 40


def steps_back(rows, since):
    rows[since : since + 12, NEIGHBOUR] += 15


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("before", [90, 60, 45])
@pytest.mark.parametrize("neighbour", [stepped, drifted, stopped, bursts, steps_back])
def test_what_had_changed_before_is_not_to_blame_for_what_breaks_now(neighbour, before, seed):
    rows = usual(seed)
    neighbour(rows, ONSET - before)
    rows[ONSET:, BROKEN] += 30
    reference, causes = blamed(rows, held=np.array([0.5, 0.5, 1.0, 0.5], np.float32))
    assert next(iter(causes)) == "c"
    assert causes["c"].started == ONSET
    assert "b" not in causes
    now = np.median(rows[ONSET - 30 : ONSET, NEIGHBOUR])
    assert abs(reference.expected[NEIGHBOUR] - now) < 1.0


@pytest.mark.parametrize("neighbour", [stepped, stopped])
def test_what_changed_a_little_before_something_leapt_is_another_matter(neighbour):
    rows = usual(4)
    neighbour(rows, ONSET - 22)
    rows[ONSET:, BROKEN] += 30
    _, causes = blamed(rows)
    assert list(causes) == ["c"]


@pytest.mark.parametrize("late", [0, 6, 15, 25])
def test_a_fault_that_was_seen_late_began_when_it_began(late):
    """Nothing leaps at the onset: the detector took so long."""
    rows = usual(5)
    rows[ONSET - late :, BROKEN] += 6
    reference, causes = blamed(rows)
    assert next(iter(causes)) == "c"
    assert abs(causes["c"].started - (ONSET - late)) <= 1
    assert abs(reference.expected[BROKEN] - 50) < 1.0


def test_what_leaks_until_something_breaks_moved_first():
    rows = usual(6)
    rows[ONSET - 60 :, NEIGHBOUR] += np.linspace(0, 40, ROWS - ONSET + 60)
    rows[ONSET:, BROKEN] += 30
    reference, causes = blamed(rows)
    assert set(causes) == {"b", "c"}
    assert ONSET - 62 <= causes["b"].started <= ONSET - 45
    assert abs(reference.expected[NEIGHBOUR] - 50) < 1.5


@pytest.mark.parametrize("stood", [7, 20, 37])
def test_a_sensor_that_is_stuck_is_seen_late_and_named(stood):
    rows = usual(7)
    rows[ONSET - stood :, BROKEN] = rows[ONSET - stood, BROKEN]
    _, causes = blamed(rows)
    assert causes["c"].direction is Direction.STUCK
    assert causes["c"].started == ONSET - stood


def coarse(rows):
    """A temperature in whole degrees, which often repeats itself."""
    rows[:, NEIGHBOUR] = np.round(rows[:, NEIGHBOUR] / 1.5)
    rows[ONSET - 5 :, NEIGHBOUR] = rows[ONSET - 5, NEIGHBOUR]


def counts(rows):
    """Errors, of which there are few."""
    rows[:, NEIGHBOUR] = np.arange(ROWS) % 17 == 0
    rows[ONSET - 18 :, NEIGHBOUR] = 0


def came_late(rows):
    """Not sent at first, and constant."""
    rows[:40, NEIGHBOUR] = np.nan
    rows[40:, NEIGHBOUR] = 8.0


def now_and_then(rows):
    """Missing in every third row, and else constant."""
    rows[:, NEIGHBOUR] = 8.0
    rows[: ONSET - 10 : 3, NEIGHBOUR] = np.nan


@pytest.mark.parametrize("neighbour", [coarse, counts, came_late, now_and_then])
def test_what_often_stands_still_is_not_stuck(neighbour):
    rows = usual(8)
    neighbour(rows)
    rows[ONSET:, BROKEN] += 30
    reference, _ = blamed(rows)
    assert run_lengths(rows[: ONSET + 1].astype(np.float32))[-1, NEIGHBOUR] < reference.runs[NEIGHBOUR]


def test_a_burst_as_many_before_it_is_no_departure_and_a_greater_one_is():
    rows = usual(9)
    rows[:ONSET:12, NEIGHBOUR] += 40
    rows[ONSET + 3, NEIGHBOUR] += 40
    reference, _ = blamed(rows)
    assert strength(reference, rows.astype(np.float32))[ONSET:, NEIGHBOUR].max() < 3.0
    rows[ONSET + 3, NEIGHBOUR] += 200
    assert strength(reference, rows.astype(np.float32))[ONSET:, NEIGHBOUR].max() > 10.0


def test_a_change_point_is_where_the_cumulative_sum_was_last_nothing():
    away = np.zeros((20, 5))
    away[12:, 0] = 5.0
    away[12:, 1] = -5.0
    away[4:8, 2] = 5.0  # came back
    away[4:8, 3] = 5.0  # came back, and went again
    away[17:, 3] = 5.0
    away[:, 4] = 5.0
    assert departure_starts(away).tolist() == [12, 12, 20, 17, 0]
    away[-1, 0] = np.nan
    assert departure_starts(away)[0] == 20
