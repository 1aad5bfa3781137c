"""What is made of an explanation: what would have to change, and earlier cases that are alike."""

from __future__ import annotations

import numpy as np
import pytest

from anomalyd.interpret.cases.counterfactual import fewest_cells, raw_limit, smallest_set
from anomalyd.interpret.cases.fingerprint import fingerprint
from anomalyd.reports.cases.interpretation import (
    Counterfactual,
    Interpretation,
    UnusualUnit,
    from_json,
    nearest,
    similarity,
    to_json,
)


def summed(weights):
    """A score that is the sum of what is as observed."""
    return lambda kept: (kept * np.asarray(weights, dtype=float)).sum(1)


def test_the_smallest_set_of_metrics_is_found():
    weights = [1.0, 8.0, 0.5, 6.0]
    parts, left = smallest_set(summed(weights), np.array([1, 8, np.nan, 6], np.float32), 2.0)
    assert set(parts.tolist()) == {1, 3}
    assert left == 1.5


def test_a_metric_that_turns_out_unneeded_is_left_out():
    # Metric 0 lowers most at first, but 1 and 2 together are enough.
    def score(kept):
        a, b, c = kept.T
        return 10.0 * (a | b | c) + 1.0 * a + 0.5 * b + 0.5 * c - 11 * (~b & ~c)

    parts, left = smallest_set(score, np.ones(3, np.float32), 1.0)
    assert set(parts.tolist()) == {1, 2}
    assert left < 1


def test_where_no_set_is_enough_it_is_said():
    parts, left = smallest_set(lambda kept: np.full(len(kept), 7.0), np.ones(3, np.float32), 1.0)
    assert len(parts) == 0
    assert left == 7.0


@pytest.mark.parametrize("broken", [1, 5, 24])
def test_the_fewest_cells_of_a_map_are_found(broken):
    weights = np.zeros(60)
    weights[:broken] = 1.0
    blame = np.linspace(1, 0.1, 60, dtype=np.float32).reshape(6, 10)
    parts, left = fewest_cells(summed(weights), blame, 0.5)
    assert parts.tolist() == list(range(broken))
    assert left == 0
    parts, left = fewest_cells(summed(weights), np.zeros((6, 10), np.float32), 0.5)
    assert (len(parts), left) == (0, broken)


def test_the_raw_score_of_the_threshold():
    assert raw_limit(raw=22.0, score=2.2, centre=2.0) == pytest.approx(2 + 20 * 0.8 / 2)


def test_alike_cases_are_found_by_what_is_blamed_and_its_direction():
    names = ("cpu", "disk", "net")
    up, down = np.array([4, 1, 0], np.float32), np.array([-4, 1, 0], np.float32)
    cpu = fingerprint(np.array([9, 1, 0], np.float32), up, names)
    assert cpu == {"cpu": 0.9, "disk": 0.1}
    earlier = {
        "same": fingerprint(np.array([8, 2, 0], np.float32), up, names),
        "other way": fingerprint(np.array([9, 1, 0], np.float32), down, names),
        "net": fingerprint(np.array([0, 1, 9], np.float32), up, names),
    }
    assert [report for report, _ in nearest(cpu, earlier)] == ["same"]
    assert similarity(cpu, {}) == 0.0


def test_a_map_is_compared_by_place():
    blame = np.zeros((4, 48), np.float32)
    blame[2, 10:14] = 1
    own = fingerprint(blame, -blame)
    assert sum(own.values()) == pytest.approx(-1)
    assert set(own) == {"2.2", "2.3"}
    assert fingerprint(np.zeros((4, 48), np.float32), blame) == {}


def test_it_is_read_as_it_was_written():
    whole = Interpretation(
        {"occlusion": "good"},
        {"cpu": 0.5},
        Counterfactual(("cpu",), 0.4, True),
        (UnusualUnit("code", 3, 5.5, float("nan")),),
    )
    again = from_json(to_json(whole))
    assert repr(again) == repr(whole)
    assert from_json("{}") == Interpretation()
