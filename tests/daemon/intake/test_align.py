"""The aligner: nothing lost, nothing doubled, event-time order, whatever the arrival and the crash."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from anomalyd.daemon.intake.align import Aligner
from anomalyd.daemon.intake.grid_and_lateness import Alignment
from anomalyd.daemon.stages import Sample

LATENESS = 5.0


def part(time: float, offset: int, entity: str = "e", partition: int = 0, **values: float | None) -> Sample:
    return Sample(entity, time, "t", partition, offset, values=values or {"a": 1.0}, partial=True)


def whole(time: float, offset: int, entity: str = "e", **fields: Any) -> Sample:
    return Sample(entity, time, "t", 0, offset, **({"values": {"a": 1.0}} | fields))


@pytest.fixture
def aligner() -> Aligner:
    return Aligner({"t": Alignment(lateness_s=LATENESS)})


def test_without_lateness_samples_pass_as_they_are() -> None:
    aligner = Aligner({"t": Alignment(lateness_s=0.0)})
    samples = [whole(3, 0), part(1, 1), whole(3, 2)]
    assert aligner.add(samples, 0.0) == samples
    assert aligner.held_from() == {}
    assert aligner.state() == {}
    assert aligner.flush(1e9) == []


def test_only_topics_with_lateness_wait(aligner: Aligner) -> None:
    through = Sample("e", 1.0, "other", 0, 0, values={})
    assert aligner.add([whole(1, 0), through], 0.0) == [through]


def test_parts_of_one_time_become_one_vector(aligner: Aligner) -> None:
    parts = [
        part(10, 1, cpu=1.0),
        part(10, 0, partition=1, load=2.0),
        part(10, 2, memory=3.0, swap=None),
    ]
    assert aligner.add(parts, 0.0) == []
    (vector,) = aligner.add([part(15.5, 3)], 0.0)
    assert vector.values == {"cpu": 1.0, "load": 2.0, "memory": 3.0, "swap": None}
    assert (vector.time, vector.partial) == (10, False)
    assert (vector.partition, vector.offset) == (0, 1)


def test_a_lone_part_is_no_longer_partial_when_its_time_is_over(aligner: Aligner) -> None:
    aligner.add([part(10, 0, a=2.0)], 0.0)
    (vector,) = aligner.add([part(20, 1)], 0.0)
    assert (vector.values, vector.partial) == ({"a": 2.0}, False)


def test_a_sample_exactly_at_the_lateness_still_counts(aligner: Aligner) -> None:
    aligner.add([part(10, 0, a=1.0), part(15, 1)], 0.0)
    (vector,) = aligner.add([part(10, 2, b=2.0), part(15.1, 3)], 0.0)
    assert vector.values == {"a": 1.0, "b": 2.0}
    assert aligner.take_late() == []


def test_what_comes_after_its_time_was_released_is_late(aligner: Aligner) -> None:
    aligner.add([whole(10, 0)], 0.0)
    assert [s.time for s in aligner.add([whole(20, 1)], 0.0)] == [10]
    assert aligner.add([whole(10, 2), whole(9, 3)], 0.0) == []
    assert [s.offset for s in aligner.take_late()] == [2, 3]
    assert aligner.take_late() == []
    # Older than the watermark, and yet in order: nothing newer has been handed on.
    assert [s.time for s in aligner.add([whole(12, 4)], 0.0)] == [12]


def test_entities_have_their_own_watermarks(aligner: Aligner) -> None:
    aligner.add([whole(10, 0, "a"), whole(10, 1, "b")], 0.0)
    assert [s.entity for s in aligner.add([whole(20, 2, "a")], 0.0)] == ["a"]


def test_of_two_that_contradict_each_other_the_later_in_kafka_counts(aligner: Aligner) -> None:
    first, second = part(10, 1, a=1.0, b=None, c=5.0), part(10, 2, a=2.0, b=3.0, c=None)
    for order in ([first, second], [second, first]):
        fresh = Aligner({"t": Alignment(lateness_s=LATENESS)})
        fresh.add(order, 0.0)
        (vector,) = fresh.add([whole(20, 9)], 0.0)
        assert vector.values == {"a": 2.0, "b": 3.0, "c": 5.0}


def test_a_map_and_a_vector_of_one_time_stay_two(aligner: Aligner) -> None:
    cells = np.ones((2, 2), np.float32)
    aligner.add(
        [
            whole(10, 0, values=None, map=cells, run=7),
            whole(10, 1),
            whole(10, 2, values=None, map=cells + 1, lumisection=3),
        ],
        0.0,
    )
    vector, chamber = aligner.add([whole(20, 3)], 0.0)
    assert vector.map is None
    assert chamber.map is not None
    assert (chamber.map[0, 0], chamber.run, chamber.lumisection) == (2.0, 7, 3)


def test_a_silent_entity_is_flushed_after_its_lateness(aligner: Aligner) -> None:
    aligner.add([whole(10, 0), whole(11, 1)], now=100.0)
    assert aligner.flush(105.0) == []
    assert [s.time for s in aligner.flush(105.1)] == [10, 11]
    assert aligner.held_from() == {}
    assert aligner.add([whole(11, 2)], 106.0) == []
    assert [s.offset for s in aligner.take_late()] == [2]


def test_held_from_is_the_lowest_offset_that_waits(aligner: Aligner) -> None:
    aligner.add([whole(10, 5, "a"), whole(10, 6, "b"), part(10, 9, "b", partition=1)], 0.0)
    assert aligner.held_from() == {("t", 0): 5, ("t", 1): 9}
    assert sum(aligner.in_flight.values()) == 3
    aligner.add([whole(20, 7, "a")], 0.0)  # offset 5 goes on
    assert aligner.held_from() == {("t", 0): 6, ("t", 1): 9}
    aligner.add([whole(20, 8, "b")], 0.0)
    assert aligner.held_from() == {("t", 0): 7}


def test_two_samples_of_one_message_are_held_together(aligner: Aligner) -> None:
    aligner.add([whole(10, 5, "a"), whole(10, 5, "b")], 0.0)
    aligner.add([whole(20, 6, "a")], 0.0)
    assert aligner.held_from() == {("t", 0): 5}


arrivals = st.lists(
    st.tuples(
        st.sampled_from(["x", "y"]),  # entity
        st.integers(0, 30),  # time
        st.dictionaries(st.sampled_from("abc"), st.integers(0, 3) | st.none(), min_size=1),
        st.booleans(),
    ),
    max_size=40,
)


def samples_of(told: list[Any]) -> list[Sample]:
    return [
        Sample(entity, float(time), "t", 0, offset, values=dict(values), partial=partial)
        for offset, (entity, time, values, partial) in enumerate(told)
    ]


def vectors(samples: list[Sample]) -> dict[str, list[tuple[float, Any]]]:
    out: dict[str, list[tuple[float, Any]]] = defaultdict(list)
    for sample in samples:
        out[sample.entity].append((sample.time, sample.values))
    return dict(out)


@given(arrivals, st.data())
def test_any_order_of_arrival_within_the_lateness_gives_the_same(
    told: list[Any], data: st.DataObject
) -> None:
    lateness = 31.0  # more than all times differ: every order is within it
    samples = samples_of(told)
    shuffled = data.draw(st.permutations(samples))
    cut = data.draw(st.integers(0, len(samples)))
    results = []
    for order, at in ((samples, 0), (shuffled, cut)):
        aligner = Aligner({"t": Alignment(lateness_s=lateness)})
        out = aligner.add(order[:at], 0.0) + aligner.add(order[at:], 0.0) + aligner.flush(1e9)
        assert (aligner.take_late(), sum(aligner.in_flight.values())) == ([], 0)
        results.append(vectors(out))
    assert results[0] == results[1]
    # Nothing lost, nothing doubled: each entity's times once, in order, with every metric that was told.
    for entity, series in results[0].items():
        mine = [s for s in samples if s.entity == entity]
        assert [time for time, _ in series] == sorted({s.time for s in mine})
        for time, values in series:
            assert values.keys() == {n for s in mine if s.time == time for n in s.values or ()}


@given(arrivals, st.floats(1.0, 20.0), st.lists(st.integers(0, 40), max_size=4))
def test_a_crash_anywhere_changes_nothing(told: list[Any], lateness: float, crashes: list[int]) -> None:
    """What a crash forgets is read again from `held_from`; what was handed on before comes no second time."""
    samples = samples_of(told)
    undisturbed = Aligner({"t": Alignment(lateness_s=lateness)})
    expected = [s for sample in samples for s in undisturbed.add([sample], 0.0)] + undisturbed.flush(1e9)

    aligner = Aligner({"t": Alignment(lateness_s=lateness)})
    states: dict[str, bytes] = {}
    out: list[Sample] = []
    at, left = 0, sorted(crashes)
    while at < len(samples):
        out += aligner.add([samples[at]], 0.0)
        states |= aligner.state()  # one transaction: what went on, the state, the offset
        stored = min(at + 1, aligner.held_from().get(("t", 0), at + 1))
        at += 1
        if left and left[0] <= at:
            left.pop(0)
            aligner = Aligner({"t": Alignment(lateness_s=lateness)})
            aligner.restore(states)
            at = stored
    out += aligner.flush(1e9)
    assert vectors(out) == vectors(expected)


@given(arrivals, st.floats(0.5, 10.0))
def test_each_sample_is_handed_on_in_order_or_counted_as_late(told: list[Any], lateness: float) -> None:
    samples = samples_of(told)
    aligner = Aligner({"t": Alignment(lateness_s=lateness)})
    out = [s for sample in samples for s in aligner.add([sample], 0.0)]
    for series in vectors(out).values():
        times = [time for time, _ in series]
        assert times == sorted(set(times))
    newest = {e: max(s.time for s in samples if s.entity == e) for e in {s.entity for s in samples}}
    assert all(s.time < newest[s.entity] - lateness for s in out)
    assert len(out) + len(aligner.take_late()) + sum(aligner.in_flight.values()) <= len(samples)
    for series in vectors(out + aligner.flush(1e9)).values():
        assert [t for t, _ in series] == sorted({t for t, _ in series})
