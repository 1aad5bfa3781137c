"""Metrics that appear and vanish are told once; a steady stream tells nothing."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from anomalyd.daemon.intake.metric_presence import FIRST, Change, MetricPresence
from anomalyd.daemon.stages import Sample
from anomalyd.errors import StoreError


def vector(n: int, *metrics: str, missing: tuple[str, ...] = (), entity: str = "e") -> Sample:
    values: dict[str, float | None] = dict.fromkeys(metrics, 1.0)
    return Sample(entity, float(n), "t", 0, n, values=values | dict.fromkeys(missing))


def test_what_an_entity_sends_at_first_is_not_new() -> None:
    presence = MetricPresence()
    assert (
        presence.look([vector(0, "a"), vector(1, "a", "b"), *(vector(n, "a", "b") for n in range(2, 30))])
        == []
    )
    assert set(presence.known("e")) == {"a", "b"}


def test_a_metric_that_appears_is_told_once() -> None:
    presence = MetricPresence()
    presence.look([vector(n, "a") for n in range(FIRST)])
    found = presence.look([vector(n, "a", "b") for n in range(FIRST, 3 * FIRST)])
    assert found == [Change("e", "t", ("b",), ())]


@pytest.mark.parametrize("how", ["absent", "missing"])
def test_a_metric_that_vanishes_is_told_after_ten_vectors(how: str) -> None:
    presence = MetricPresence()
    presence.look([vector(n, "a", "b") for n in range(50)])
    missing = ("b",) if how == "missing" else ()
    told = [n for n in range(50, 100) if presence.look([vector(n, "a", missing=missing)])]
    assert told == [59]


def test_a_slow_metric_is_not_gone_between_its_readings() -> None:
    presence = MetricPresence()
    stream = [vector(n, "a", *(["slow"] if n % 6 == 0 else [])) for n in range(300)]
    assert presence.look(stream) == []
    last = 294
    gone = [n for n in range(300, 400) if presence.look([vector(n, "a")])]
    assert len(gone) == 1
    assert 50 <= gone[0] - last <= 65  # ten of its intervals of six


def test_a_silent_entity_loses_nothing_and_others_are_their_own() -> None:
    presence = MetricPresence()
    presence.look([vector(n, "a", "b") for n in range(20)])
    assert presence.look([vector(n, "a", entity="f") for n in range(100)]) == []
    assert set(presence.known("e")) == {"a", "b"}
    assert presence.look([vector(1_000_000, "a", "b")]) == []


def test_a_name_used_once_does_not_stay_for_ever() -> None:
    presence = MetricPresence()
    presence.look([vector(0, "a", "once"), *(vector(n, "a") for n in range(1, 1000))])
    assert "once" in presence.known("e")
    presence.look([vector(n, "a") for n in range(1000, 1010)])
    assert "once" not in presence.known("e")


def test_a_damaged_state_is_refused() -> None:
    with pytest.raises(StoreError, match="metrics of e is damaged"):
        MetricPresence().restore({"e": b"\xc1"})


streams = st.lists(st.sets(st.sampled_from("abcd"), min_size=1), max_size=120)


@given(streams, st.sets(st.integers(0, 120), max_size=3))
def test_a_restart_that_stored_every_vector_changes_nothing(
    stream: list[set[str]], restarts: set[int]
) -> None:
    undisturbed, presence = MetricPresence(), MetricPresence()
    for n, metrics in enumerate(stream):
        sample = vector(n, *sorted(metrics))
        assert presence.look([sample]) == undisturbed.look([sample])
        if n in restarts:
            presence._changed.add("e")
            states = presence.state()
            presence = MetricPresence()
            presence.restore(states)
