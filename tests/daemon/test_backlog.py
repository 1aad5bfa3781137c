"""What Kafka may still have: nothing is taken for read before that is known."""

from __future__ import annotations

from anomalyd.daemon.backlog import FULL_S, Backlog

PLACES = {("t", 0), ("t", 1)}


def test_what_was_never_measured_may_have_more() -> None:
    backlog = Backlog(full=500)
    assert backlog.behind(PLACES, {}, 0.0) == PLACES
    backlog.measure({("t", 0): 0, ("t", 1): 3})
    assert backlog.behind(PLACES, {}, 0.0) == {("t", 1)}
    backlog.forget(("t", 0))
    assert backlog.behind(PLACES, {}, 0.0) == PLACES


def test_what_waits_in_the_queue_is_lag() -> None:
    backlog = Backlog(full=500)
    backlog.measure({("t", 0): 0, ("t", 1): 3})
    assert backlog.lag({("t", 0): 7, ("u", 0): 1}) == {("t", 0): 7, ("t", 1): 3}
    assert backlog.behind(PLACES, {("t", 0): 7}, 0.0) == PLACES


def test_full_polls_leave_the_ends_of_other_partitions_unread_for_a_moment() -> None:
    backlog = Backlog(full=500)
    backlog.measure(dict.fromkeys(PLACES, 0))
    backlog.polled(499, 10.0)
    assert backlog.behind(PLACES, {}, 10.0) == set()
    backlog.polled(500, 11.0)
    assert backlog.behind(PLACES, {}, 11.0) == PLACES
    backlog.polled(500, 11.0 + FULL_S)  # goes on: by now all have been heard
    assert backlog.behind(PLACES, {}, 11.0 + FULL_S) == set()
    backlog.polled(0, 14.0)
    backlog.polled(500, 15.0)
    assert backlog.behind(PLACES, {}, 15.0) == PLACES
