"""A time grid: the same vectors whatever the order of arrival, and what real producers send, through it."""

from __future__ import annotations

import random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from anomalyd.daemon.config.config import InputConfig
from anomalyd.daemon.intake.align import PATIENCE_S, SETTLE_S, Aligner
from anomalyd.daemon.intake.counter_kinds import CounterKinds
from anomalyd.daemon.intake.grid_and_lateness import Alignment, alignments
from anomalyd.daemon.intake.join import Joiner
from anomalyd.daemon.intake.label_collisions import LabelCollisions
from anomalyd.daemon.intake.rates import Rates
from anomalyd.daemon.stages import Sample
from anomalyd.errors import StoreError

GRID = Alignment(grid_s=10.0, lateness_s=20.0)


def part(time: float, offset: int, partition: int = 0, **values: float | None) -> Sample:
    return Sample("e", time, "t", partition, offset, values=values, partial=True)


def count(time: float, offset: int, sent: int) -> Sample:
    return Sample("e", time, "t", 0, offset, values={"sent": sent}, counters={"sent": 64}, partial=True)


def test_a_slot_is_released_once_its_end_is_as_late_as_allowed() -> None:
    aligner = Aligner({"t": GRID})
    assert aligner.add([part(10, 0, a=1.0), part(19.9, 1, b=2.0), part(20, 2, a=3.0)], 0.0) == []
    assert aligner.add([part(39.9, 3, a=4.0)], 0.0) == []
    (vector,) = aligner.add([part(40.0, 4, a=5.0)], 0.0)
    assert (vector.time, vector.values, vector.partial) == (10.0, {"a": 1.0, "b": 2.0}, False)
    assert aligner.held_from() == {("t", 0): 2}


def test_the_latest_of_a_slot_counts_and_a_number_outdoes_null() -> None:
    found = Joiner(Rates(), CounterKinds(), LabelCollisions()).join(
        [part(12, 1, a=1.0, b=7.0), part(18, 0, a=2.0, b=None), part(15, 2, a=9.0)], 10.0
    )
    assert found.values == {"a": 2.0, "b": 7.0}


def test_a_slot_without_anything_gives_no_vector() -> None:
    aligner = Aligner({"t": GRID})
    aligner.add([part(0, 0, a=1.0), part(60, 1, a=1.0)], 0.0)
    assert [s.time for s in aligner.flush(1e9)] == [60.0]


def test_counters_are_differenced_at_their_own_times() -> None:
    aligner = Aligner({"t": GRID})
    out = aligner.add([count(1, 0, 100), count(9, 1, 500), count(13, 2, 520), count(60, 3, 520)], 0.0)
    assert [(s.time, s.values, s.counters) for s in out] == [
        (0.0, {"sent": 50.0}, None),
        (10.0, {"sent": 5.0}, None),
    ]


def test_without_grid_and_lateness_counters_become_rates_all_the_same() -> None:
    aligner = Aligner({"t": Alignment()})
    assert [s.values for s in aligner.add([count(1, 0, 100), count(3, 1, 110)], 0.0)] == [
        {"sent": None},
        {"sent": 5.0},
    ]
    again = Aligner({"t": Alignment()})
    again.restore(aligner.state())
    (third,) = again.add([count(5, 2, 130)], 0.0)
    assert (third.values, third.partial) == ({"sent": 10.0}, True)


def test_a_partition_that_lags_behind_is_waited_for() -> None:
    aligner = Aligner({"t": GRID})
    behind = [("t", 1)]
    fast = [part(t, t, a=1.0) for t in range(0, 100)]
    assert aligner.add(fast, 0.0, behind) == []
    slow = aligner.add([part(5, 0, partition=1, b=2.0)], 1.0, behind)
    assert slow == []
    out = aligner.add([part(55, 1, partition=1, b=3.0)], 2.0, behind)
    assert [(s.time, s.values) for s in out] == [
        (0.0, {"a": 1.0, "b": 2.0}),
        (10.0, {"a": 1.0}),
        (20.0, {"a": 1.0}),
    ]
    assert aligner.take_late() == []
    # It has caught up: nothing more to wait for.
    assert [s.time for s in aligner.add([], 3.0)] == [30.0, 40.0, 50.0, 60.0]


def test_a_partition_that_gives_nothing_is_not_waited_for_any_longer() -> None:
    aligner = Aligner({"t": GRID})
    aligner.add([part(t, t, a=1.0) for t in range(100)], 0.0, [("t", 1)])
    assert aligner.add([], PATIENCE_S, [("t", 1)]) == []
    assert len(aligner.add([], PATIENCE_S + 0.1, [("t", 1)])) == 7


def test_silent_entities_are_let_go_while_others_send_but_not_while_more_is_to_be_read() -> None:
    aligner = Aligner({"t": GRID})
    aligner.add([part(5, 0, a=1.0)], now=0.0)
    other = Sample("busy", 7.0, "t", 1, 0, values={"a": 1.0}, partial=True)
    aligner.add([other], 30.0, behind=[("t", 1)])
    assert aligner.flush(30.1) == []
    aligner.add([], 30.1)
    assert [(s.entity, s.time) for s in aligner.flush(30.1)] == [("e", 0.0)]


def test_a_slot_goes_only_once_no_part_of_it_came_for_a_moment() -> None:
    aligner = Aligner({"t": GRID}, SETTLE_S)
    assert aligner.add([part(5, 0, a=1.0), part(60, 1, a=1.0)], 100.0) == []
    # What was sent along with these lay in another partition.
    assert aligner.add([part(7, 0, partition=1, b=2.0)], 100.9) == []
    assert aligner.add([], 100.8 + SETTLE_S) == []
    (vector,) = aligner.add([], 101.0 + SETTLE_S)
    assert (vector.time, vector.values) == (0.0, {"a": 1.0, "b": 2.0})
    assert aligner.take_late() == []


def test_topics_of_different_grids_make_nothing_late_of_each_other() -> None:
    aligner = Aligner({"t": GRID, "single": Alignment(lateness_s=20.0)})

    def single(time: float, offset: int) -> Sample:
        return Sample("e", time, "single", 0, offset, values={"b": time})

    out = aligner.add([single(25.0, 0), single(20.0, 1), single(46.0, 2)], 0.0)
    assert [s.time for s in out] == [20.0, 25.0]
    out = aligner.add([part(26, 0, a=1.0), part(29, 1, a=2.0), part(51, 2, a=3.0)], 0.0)
    assert [(s.time, s.values) for s in out] == [(20.0, {"a": 2.0})]
    assert aligner.take_late() == []


def test_inputs_align_as_their_format_does_unless_told_otherwise() -> None:
    inputs = [
        InputConfig(topic="j"),
        InputConfig(topic="i", format="influx"),
        InputConfig(topic="p", format="prometheus", grid_s=60.0),
        InputConfig(topic="c", format="collectd", grid_s=0.0, lateness_s=0.0),
    ]
    assert alignments(inputs) == {
        "j": Alignment(0.0, 0.0),
        "i": Alignment(10.0, 20.0),
        "p": Alignment(60.0, 20.0),
        "c": Alignment(0.0, 0.0),
    }
    assert [a.waits for a in alignments(inputs).values()] == [False, True, True, False]


@pytest.mark.parametrize("damaged", [b"", b"1234567", bytes(8) + b"\xc1"])
def test_a_damaged_state_is_refused(damaged: bytes) -> None:
    with pytest.raises(StoreError, match="of e is damaged"):
        Aligner({"t": GRID}).restore({"e": damaged})


told = st.lists(
    st.tuples(
        st.integers(0, 59),
        st.dictionaries(st.sampled_from("abc"), st.integers(0, 9) | st.none(), min_size=1),
        st.integers(0, 2),
        st.booleans(),
    ),
    max_size=30,
)


def samples_of(parts: list[Any]) -> list[Sample]:
    return [
        Sample(
            "e",
            float(time),
            "t",
            partition,
            offset,
            values=dict(values),
            partial=True,
            counters=dict.fromkeys(values, 64) if counts else None,
        )
        for offset, (time, values, partition, counts) in enumerate(parts)
    ]


@given(told, st.data())
def test_any_order_and_any_cut_within_the_lateness_gives_the_same(
    parts: list[Any], data: st.DataObject
) -> None:
    alignment = Alignment(grid_s=10.0, lateness_s=60.0)
    samples = samples_of(parts)
    shuffled = data.draw(st.permutations(samples))
    cuts = sorted(data.draw(st.lists(st.integers(0, len(samples)), max_size=3)))
    outs = []
    for order, at in ((samples, []), (shuffled, cuts)):
        aligner = Aligner({"t": alignment})
        out: list[Sample] = []
        for first, last in zip([0, *at], [*at, len(order)], strict=True):
            out += aligner.add(order[first:last], 0.0)
        out += aligner.flush(1e9)
        assert aligner.take_late() == []
        outs.append([(s.time, s.values) for s in out])
    assert outs[0] == outs[1]
    assert [time for time, _ in outs[0]] == sorted({t // 10 * 10.0 for t, *_ in parts})
    for time, values in outs[0]:
        assert values is not None
        assert values.keys() == {n for t, v, *_ in parts if t // 10 * 10 == time for n in v}


@given(told, st.sets(st.integers(0, 30), max_size=4))
def test_a_crash_anywhere_changes_no_vector_and_no_rate(parts: list[Any], crashes: set[int]) -> None:
    alignment = Alignment(grid_s=10.0, lateness_s=7.0)
    samples = samples_of([(time, values, 0, counts) for time, values, _, counts in parts])
    undisturbed = Aligner({"t": alignment})
    expected = [s for sample in samples for s in undisturbed.add([sample], 0.0)] + undisturbed.flush(1e9)

    aligner, states, out, at, left = Aligner({"t": alignment}), {}, [], 0, sorted(crashes)
    while at < len(samples):
        out += aligner.add([samples[at]], 0.0)
        states |= aligner.state()
        stored = min(at + 1, aligner.held_from().get(("t", 0), at + 1))
        at += 1
        if left and left[0] <= at:
            left.pop(0)
            aligner = Aligner({"t": alignment})
            aligner.restore(states)
            at = stored
    out += aligner.flush(1e9)
    assert [(s.time, s.values) for s in out] == [(s.time, s.values) for s in expected]


@pytest.mark.parametrize("order", ["shuffled", "partitions"])
@pytest.mark.parametrize(
    ("file", "name"),
    [
        ("tg-json.jsonl.gz", "telegraf-json"),
        ("tg-influx.jsonl.gz", "influx"),
        ("tg-prw.jsonl.gz", "prometheus"),
        ("collectd.jsonl.gz", "collectd"),
    ],
)
def test_captures_become_whole_vectors(captured: Any, file: str, name: str, order: str) -> None:
    samples: list[Sample] = captured(file, name)
    (alignment,) = alignments([InputConfig(topic="t", format=name)]).values()
    chance = random.Random(3)

    def vectors(some: list[Sample]) -> list[Sample]:
        aligner = Aligner({"t": alignment})
        out = [v for n in range(0, len(some), 50) for v in aligner.add(some[n : n + 50], 0.0)]
        out += aligner.flush(1e9)
        assert aligner.take_late() == []
        return out

    found = vectors(samples)
    times = [s.time for s in samples]
    slots = {t // 10 * 10 for t in times}
    assert [v.time for v in found] == sorted(slots)
    assert 15 <= len(found) <= 19  # two and a half minutes, and some
    assert len({v.entity for v in found}) == 1
    late = {"disk.pending_operations{plugin_instance=vda}"}  # collectd tells it from the middle on
    names = {n for v in found for n in v.values or ()} - late
    for vector in found[1:]:
        assert vector.values is not None
        assert vector.values.keys() - late == names
        assert None not in vector.values.values()
    counting = {n for s in samples for n in s.counters or ()}
    assert bool(counting) == (name != "collectd")  # which sends rates
    for vector in found:
        for metric, value in (vector.values or {}).items():
            if metric in counting:
                assert value is None or 0 <= value < 1e8, metric
            if "usage_idle" in metric or "used_percent" in metric:
                assert value is not None
                assert value <= 100
    if order == "partitions":  # one host's messages in four partitions, read one batch after the other
        mixed = sorted(samples, key=lambda s: (int(s.time // 15), s.offset % 4, s.offset))
    else:  # within the lateness
        mixed = sorted(samples, key=lambda s: s.time + chance.uniform(0, 15))
    assert [(v.time, v.values) for v in vectors(mixed)] == [(v.time, v.values) for v in found]
