"""What Kafka may still have: nothing is taken for read before that is known."""

from __future__ import annotations

from anomalyd.daemon.kafka.consumer_lag import ConsumerLag

PLACES = {("t", 0), ("t", 1)}


def test_what_was_never_measured_may_have_more() -> None:
    backlog = ConsumerLag()
    assert backlog.behind(PLACES, {}) == PLACES
    backlog.measure({("t", 0): 0, ("t", 1): 3})
    assert backlog.behind(PLACES, {}) == {("t", 1)}
    backlog.forget(("t", 0))
    assert backlog.behind(PLACES, {}) == PLACES


def test_what_waits_in_the_queue_is_lag() -> None:
    backlog = ConsumerLag()
    backlog.measure({("t", 0): 0, ("t", 1): 3})
    assert backlog.lag({("t", 0): 7, ("u", 0): 1}) == {("t", 0): 7, ("t", 1): 3}
    assert backlog.behind(PLACES, {("t", 0): 7}) == PLACES
