from __future__ import annotations

import numpy as np
import pytest

from anomalyd.detectors.maps.neighbours.rate import (
    Arrival,
    RateHistory,
    RateSeen,
    beside_sisters,
    judge_rate,
)


def arrivals(totals: dict[str, float], time: float = 0.0) -> list[Arrival]:
    return [Arrival(k, "DT/W0/MB1", "DT", time, total) for k, total in enumerate(totals.values())]


def test_an_element_that_counts_nothing_beside_sisters_that_do_is_dead():
    seen = beside_sisters(arrivals({"a": 0.0, "b": 5000, "c": 5100, "d": 4900, "e": 5050}))
    judged = judge_rate(seen[0], RateHistory(), 1.0)
    assert judged.nats > 1000
    assert judged.lost
    assert judged.expected == pytest.approx(5025, rel=0.01)
    assert judge_rate(seen[1], RateHistory(), 1.0).nats < 1


def test_an_element_whose_system_is_known_by_its_sisters_only_is_dead_beside_them():
    alike = [Arrival(k, "EB#", f"EB{k}", 0.0, total) for k, total in enumerate([0.0, 900, 905, 910, 895])]
    history = RateHistory().after(RateSeen(900.0, sisters=4, usual=900.0), trusted=True)
    seen = beside_sisters(alike)[0]
    assert seen.beam
    assert not judge_rate(seen, history, 1.0).no_beam
    assert judge_rate(seen, history, 1.0).nats > 500


def test_it_says_what_the_counts_are_held_against():
    (alone,) = beside_sisters(arrivals({"a": 0.0}))
    assert judge_rate(alone, RateHistory(), 1.0).against == ""
    seen = beside_sisters(arrivals({"a": 2500, "b": 5000, "c": 5100, "d": 4900, "e": 5050}))[0]
    assert judge_rate(seen, RateHistory(), 1.0).against == "4 sister elements of the same time"
    history = RateHistory().after(RateSeen(5000.0, 4, 5000.0, 0.01, True, 10.0), trusted=True)
    assert judge_rate(seen, history, 1.0).against.startswith("its own earlier share of 4 sister elements")
    exposed = RateSeen(2500.0, exposure=10.0)
    assert judge_rate(exposed, history, 1.0).against == "its own earlier counts at this exposure"
    assert judge_rate(RateSeen(0.0, beam=True), history, 1.0).against == "its own earlier maps"


def test_half_of_the_rate_is_seen_beside_sisters_that_agree():
    seen = beside_sisters(arrivals({"a": 2500, "b": 5000, "c": 5100, "d": 4900, "e": 5050}))
    assert judge_rate(seen[0], RateHistory(), 1.0).nats > 20
    # Where the sisters differ among themselves by as much it is no wonder.
    seen = beside_sisters(arrivals({"a": 2500, "b": 5000, "c": 2300, "d": 8000, "e": 3500}))
    assert judge_rate(seen[0], RateHistory(), 1.0).nats < 3


def test_an_elements_own_share_counts_more_than_what_its_sisters_have():
    history = RateHistory()
    for k in range(10):
        (seen, *_) = beside_sisters(arrivals({"a": 2500 + k, "b": 5000, "c": 5100, "d": 4900, "e": 5050}))
        history = history.after(seen, trusted=True)
    assert judge_rate(seen, history, 1.0).nats < 1
    (full, *_) = beside_sisters(arrivals({"a": 5000, "b": 5000, "c": 5100, "d": 4900, "e": 5050}))
    judged = judge_rate(full, history, 1.0)
    assert judged.nats > 20
    assert not judged.lost


def test_where_nobody_counts_there_is_no_beam():
    for seen in beside_sisters(arrivals({"a": 0.0, "b": 0.0, "c": 0.0})):
        judged = judge_rate(seen, RateHistory(), 1.0)
        assert judged.no_beam
        assert judged.nats < 0


def test_an_empty_map_alone_is_dead_unless_the_element_is_known_to_have_sisters():
    (alone,) = beside_sisters(arrivals({"a": 0.0}))
    assert judge_rate(alone, RateHistory(), 1.0).nats > 10
    accompanied = RateHistory().after(RateSeen(10.0, sisters=3), trusted=True)
    assert judge_rate(alone, accompanied, 1.0).no_beam


def test_an_exposure_stands_in_for_sisters():
    history = RateHistory()
    for k in range(10):
        history = history.after(RateSeen(1000 * (k + 1), exposure=k + 1.0), trusted=True)
    assert judge_rate(RateSeen(5000, exposure=5.0), history, 1.0).nats < 1
    assert judge_rate(RateSeen(2500, exposure=5.0), history, 1.0).nats > 10


def test_what_is_remembered_comes_back():
    history = RateHistory().after(RateSeen(100.0, 5, 90.0, 0.1, True, 2.0), trusted=True)
    assert RateHistory.of(history.state()) == history
    assert RateHistory.of({}) == RateHistory()
    assert all(np.isfinite(a).all() for a in history.state().values())
