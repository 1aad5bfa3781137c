"""Which rows and which snapshots a step writes, and when a piece of the journal is needed no more."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from anomalyd.daemon.remembered import encode
from anomalyd.daemon.scoring.state_journal import Rows, StateJournal, _Piece, decode_rows, encode_rows
from anomalyd.errors import StoreError


def rows(entity: str, newest: float, count: int = 1) -> Rows:
    times = newest - np.arange(count)[::-1].astype(float)
    return Rows(entity, newest, times, np.full((count, 2), newest, dtype=np.float32))


@given(
    st.lists(
        st.tuples(
            st.text(st.characters(exclude_categories=["Cs"])),
            st.floats(allow_nan=False),
            st.integers(0, 3),
        ),
        min_size=1,
        max_size=5,
    ),
    st.integers(1, 4),
    st.data(),
)
def test_rows_come_back(said: list[tuple[str, float, int]], metrics: int, data: st.DataObject) -> None:
    written = [
        Rows(
            entity,
            newest,
            data.draw(hnp.arrays(np.float64, count)),
            data.draw(hnp.arrays(np.float32, (count, metrics))),
        )
        for entity, newest, count in said
    ]
    for one, other in zip(decode_rows(encode_rows(written)), written, strict=True):
        assert (one.entity, one.newest) == (other.entity, other.newest)
        assert one.times.tobytes() == other.times.tobytes()
        assert one.values.tobytes() == other.values.tobytes()
        assert len(one.values) == len(other.values)


def test_a_piece_whose_parts_do_not_fit_is_refused() -> None:
    piece = _Piece(entities=["e"], counts=[2], newest=bytes(8), times=bytes(8), values=bytes(8))
    with pytest.raises(StoreError, match=r"journal of rows is damaged.*restore the database"):
        decode_rows(encode(piece))


def test_snapshots_are_spread_over_the_steps() -> None:
    """Of 40 entities that send a row a step, every one is due after eight rows at most, five a step."""
    journal, entities = StateJournal(snapshot_every=8), [f"e{n}" for n in range(40)]
    journal.plan(0, [rows(e, 0.0) for e in entities], entities)
    sizes, waited, dropped = [], Counter(entities), set[int]()
    for step in range(1, 60):
        plan = journal.plan(step, [rows(e, float(step)) for e in entities], ())
        sizes.append(len(plan.snapshots))
        assert {each.entity for each in plan.rows} == set(entities) - plan.snapshots
        for entity in entities:
            waited[entity] = 0 if entity in plan.snapshots else waited[entity] + 1
        assert max(waited.values()) <= 8
        dropped |= set(plan.superseded)
    assert (sizes[:2], set(sizes[2:])) == ([0, 10], {5})
    assert dropped >= set(range(1, 50))  # and what is in the store is bounded


def test_one_that_sends_much_gets_its_snapshot_at_once_and_one_that_is_silent_in_its_turn() -> None:
    journal = StateJournal(snapshot_every=8)
    journal.plan(0, [rows("busy", 0.0), rows("silent", 0.0)], ["busy", "silent"])
    assert journal.plan(1, [rows("silent", 1.0), rows("busy", 1.0)], ()).snapshots == frozenset()
    plan = journal.plan(2, [rows("busy", 20.0, 19)], ())
    assert (plan.snapshots, plan.rows, plan.superseded) == ({"busy", "silent"}, (), (1,))


def test_what_only_moved_on_in_time_waits_too() -> None:
    journal = StateJournal(snapshot_every=3)
    nothing = [Rows("e", at, np.empty(0), np.empty((0, 2), dtype=np.float32)) for at in (1.0, 2.0, 3.0)]
    found = [journal.plan(n, [each], ()).snapshots for n, each in enumerate(nothing)]
    assert found == [frozenset(), frozenset(), {"e"}]


def test_a_piece_is_needed_until_the_last_of_its_entities_has_a_snapshot() -> None:
    journal = StateJournal()
    journal.found(7, 2)
    journal.found(8, 1)
    journal.recalled("a", 2, [7, 8])
    assert journal.plan(9, [], ["a"]).superseded == (8,)
    journal.recalled("b", 1, [7])
    assert journal.plan(10, [], ["b", "a"]).superseded == (7,)
