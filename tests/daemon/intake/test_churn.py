"""Metrics of which ever new series come are noticed, left out of vectors and memory, and said once."""

from __future__ import annotations

from anomalyd.daemon.intake.churn import FIRST, LIFE, SHORT_LIVES, Churn
from anomalyd.daemon.intake.metric_presence import MetricPresence
from anomalyd.daemon.stages import Sample


class Feed:
    """Vectors of one entity through churn and presence, as the intake does it."""

    def __init__(self, limit: int = 10_000) -> None:
        self.churn = Churn({"t": limit})
        self.presence = MetricPresence()
        self.number = 0

    def send(self, *names: str) -> set[str]:
        self.number += 1
        sample = Sample("e", float(self.number), "t", 0, self.number, dict.fromkeys(names, 1.0))
        kept = self.churn.without(sample, self.presence.known("e"))
        self.presence.look([kept])
        return set(kept.values or ())


def pids(vector: int, count: int = 20) -> list[str]:
    return [f"cpu{{pid={vector * count + k}}}" for k in range(count)]


def test_twenty_new_series_a_vector() -> None:
    feed = Feed()
    sent = [feed.send("load", "disk{name=a}", *pids(k)) for k in range(40)]
    assert sent[-1] == {"load", "disk{name=a}"}
    (found,) = feed.churn.take()
    assert (found.topic, found.entity, found.metric) == ("t", "e", "cpu")
    assert found.series >= SHORT_LIVES
    assert feed.churn.take() == []
    feed.presence.forget("e", ["cpu"])
    assert set(feed.presence.known("e")) == {"load", "disk{name=a}"}
    feed.churn.state()
    feed.send("load", "disk{name=a}", *pids(99))
    assert feed.churn.state() == {}  # nothing is rewritten for them any more


def test_series_that_stay_do_not_churn() -> None:
    feed = Feed()
    names = ["load"]
    for k in range(3 * LIFE):
        if k % 2:
            names.append(f"cpu{{pod={k}}}")
        assert feed.send(*names) == set(names)
    assert feed.churn.take() == []


def test_what_comes_at_first_and_few_short_lives_do_not_churn() -> None:
    feed = Feed()
    for k in range(FIRST):
        feed.send(*pids(k))
    for k in range(SHORT_LIVES - 1):
        feed.send("load", f"cpu{{pid=x{k}}}")
    for _ in range(LIFE):
        feed.send("load")
    assert feed.churn.take() == []


def test_a_restart_changes_nothing() -> None:
    whole, cut = Feed(), Feed()
    states: dict[str, bytes] = {}
    for k in range(40):
        if k == 12:
            cut.churn = Churn({"t": 10_000})
            cut.churn.restore(states)
        assert whole.send("load", *pids(k)) == cut.send("load", *pids(k))
        states |= cut.churn.state()


def test_a_joined_vector_keeps_to_the_limit_and_what_was_known_goes_first() -> None:
    feed = Feed(limit=3)
    assert feed.send("x", "y", "z") == {"x", "y", "z"}
    assert feed.send("a", "b", "x", "y", "z") == {"x", "y", "z"}
    (found,) = feed.churn.take()
    assert (found.metric, found.series) == ("", 5)
    feed.send("a", "b", "x", "y", "z")
    assert feed.churn.take() == []
