"""Words and adaptations in the store: kept with the step, waiting, answered once; on both databases."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from alembic import command
from safetensors.numpy import save
from sqlalchemy import text

from anomalyd.errors import QuestionError, StoreConflict, StoreError
from anomalyd.reports.adaptation import UNDOABLE, Adapted, AnsweredUndo, adaptation_id
from anomalyd.reports.feedback import AppliedFeedback
from anomalyd.reports.queries import Queries, Selection
from anomalyd.reports.report import Incident, Status
from anomalyd.reports.step import Step, StoredChange
from anomalyd.reports.storage import schema
from anomalyd.reports.storage.database import Database
from anomalyd.reports.storage.repositories.entity_states import StateChanges, StateSnapshot
from anomalyd.reports.storage.store import Store
from anomalyd.verdict import Verdict

WALL_CLOCK = 1_795_500_000.0


def adapted(id: str, time: float = 1010.0, before: bytes = b"before", **changes: Any) -> Adapted:
    about = {
        "detector": "hosts",
        "entity": "host/pc1",
        "model": "v1",
        "what": "new-normal",
        "text": "so it is",
    }
    return Adapted(id=id, time=time, before=before, **{**about, **changes})


def keep(store: Store, *each: Adapted) -> None:
    store.commit(Step("g", adaptations=each))


def say(store: Store, entity: str = "host/pc1", word: Verdict = Verdict.NORMAL, **about: Any) -> int:
    return store.ledger.record_word("hosts", entity, word, who="anna", **about)


# ---- words


def test_a_word_waits_until_it_is_applied_and_stays_to_be_read(store: Store, queries: Queries) -> None:
    first = say(store, since=1000.0, reason="new firmware")
    second = say(store, "host/pc2", Verdict.BROKEN)
    assert [word.id for word in store.ledger.pending_feedback()] == [first, second]
    store.commit(Step("g", words=(AppliedFeedback(first, 1000.0, 1060.0, "learnt"),)))
    assert [word.id for word in store.ledger.pending_feedback()] == [second]
    waiting, done = queries.words(Selection())
    assert (waiting.word, waiting.since, waiting.applied, waiting.outcome) == (Verdict.BROKEN, None, None, "")
    assert (done.who, done.reason, done.recorded) == ("anna", "new firmware", WALL_CLOCK)
    assert (done.since, done.until, done.applied, done.outcome) == (1000.0, 1060.0, WALL_CLOCK, "learnt")


def test_a_word_is_applied_once_and_its_step_is_refused_as_a_whole(store: Store) -> None:
    number = say(store)
    store.commit(Step("g", {("t", 0): (None, 3)}, words=(AppliedFeedback(number, None, None, "done"),)))
    again = Step(
        "g",
        {("t", 0): (3, 5)},
        states=StateChanges((StateSnapshot("hosts", "host/pc1", "v1", 1.0, b"state"),)),
        words=(AppliedFeedback(number, None, None, "done again"),),
    )
    with pytest.raises(StoreConflict, match=f"word {number} was applied by another daemon"):
        store.commit(again)
    assert store.offsets("g") == {("t", 0): 3}
    assert store.states.snapshot_times("hosts") == {}


def test_words_are_found_by_entity_detector_number_and_time(store: Store, queries: Queries) -> None:
    first, second = say(store), say(store, "host/pc2")
    for selection, ids in (
        (Selection(entities=("host/*",)), [second, first]),
        (Selection(entities=("*1",)), [first]),
        (Selection(detectors=("other",)), []),
        (Selection(ids=(str(second),)), [second]),
        (Selection(since=WALL_CLOCK + 1), []),
        (Selection(until=WALL_CLOCK + 1), [second, first]),
    ):
        assert [word.id for word in queries.words(selection)] == ids
    assert [word.id for word in queries.words(Selection(), limit=1)] == [second]


# ---- adaptations


def test_an_adaptation_is_named_by_what_happened() -> None:
    one = adaptation_id("hosts", "pc1", 1000.0, "new-normal", ["classical", "autoencoder"])
    assert one == adaptation_id("hosts", "pc1", 1000.0, "new-normal", {"autoencoder", "classical"})
    others = {
        adaptation_id("hosts", "pc1", 1000.0, "new-normal", ["classical"]),
        adaptation_id("hosts", "pc1", 1000.0, "drift", ["classical", "autoencoder"]),
        adaptation_id("hosts", "pc1", 1000.5, "new-normal", ["classical", "autoencoder"]),
        adaptation_id("hosts", "pc2", 1000.0, "new-normal", ["classical", "autoencoder"]),
    }
    assert len(others | {one}) == 5


def test_an_adaptation_seen_again_is_kept_once_and_as_it_was(store: Store, queries: Queries) -> None:
    keep(store, adapted("a"))
    keep(store, adapted("a", text="otherwise", before=b"other"), adapted("b", before=b""))
    b, a = queries.adaptations(Selection())
    assert (a.id, a.text, a.recorded, a.undoable) == ("a", "so it is", WALL_CLOCK, True)
    assert (b.id, b.undoable, b.undone, b.undo_asked, b.undo_outcome) == ("b", False, None, None, "")
    assert [blob for _, blob in store.ledger.undo_chain("a")] == [None, b"before"]


def test_adaptations_are_found_by_what_is_asked(store: Store, queries: Queries) -> None:
    keep(store, adapted("a"), adapted("b", 2000.0, entity="host/pc2"), adapted("c", 1500.0, detector="other"))
    for selection, ids in (
        (Selection(), "cba"),
        (Selection(entities=("host/pc1",)), "ca"),
        (Selection(detectors=("other", "none")), "c"),
        (Selection(since=1500.0, until=2000.0), "c"),
        (Selection(ids=("a", "b")), "ba"),
    ):
        assert [each.id for each in queries.adaptations(selection)] == list(ids)


def test_a_report_names_what_was_assumed_while_it_went_on(
    store: Store, queries: Queries, incident: Callable[..., Incident]
) -> None:
    closed = incident("closed", status=Status.CLOSED, closed=1070.0)  # from 1000 on
    store.commit(
        Step("g", stored_changes=(StoredChange(closed, ""), StoredChange(incident("open", onset=2000.0), "")))
    )
    keep(
        store,
        adapted("early", 999.0),
        adapted("begin", 1000.0),
        adapted("end", 1070.0),
        adapted("late", 1071.0),
        adapted("elsewhere", 1010.0, entity="host/pc2"),
        adapted("another", 1010.0, detector="other"),
        adapted("now", 5000.0),
    )
    assert queries.report("closed").adaptations == ("begin", "end")
    assert queries.report("open").adaptations == ("now",)


def test_the_states_before_are_bounded_in_number_and_in_age(store: Store, queries: Queries) -> None:
    keep(store, adapted("other", entity="host/pc2"))
    for number in range(UNDOABLE + 3):
        keep(store, adapted(f"{number:02}"))
    mine = Selection(entities=("host/pc1",))
    assert [each.undoable for each in queries.adaptations(mine)] == [True] * UNDOABLE + [False] * 3
    assert queries.adaptation("other").undoable
    assert store.ledger.forget_before(WALL_CLOCK) == 0
    assert store.ledger.forget_before(WALL_CLOCK + 1) == UNDOABLE + 1
    assert not any(each.undoable for each in queries.adaptations(Selection()))


# ---- undoing


def test_an_undo_waits_is_answered_and_takes_what_came_after_with_it(store: Store, queries: Queries) -> None:
    keep(store, adapted("a"), adapted("b", entity="host/pc2"), adapted("c"), adapted("d"))
    assert store.ledger.request_undo("c", who="anna", reason="a fault").id == "c"
    (asked,) = store.ledger.pending_undos()
    assert (asked.id, asked.undo_by, asked.undo_reason, asked.undo_asked) == (
        "c",
        "anna",
        "a fault",
        WALL_CLOCK,
    )
    assert [each.id for each, _ in store.ledger.undo_chain("c")] == ["d", "c"]
    store.commit(Step("g", undos=(AnsweredUndo("c", "undone", ("d", "c")),)))
    assert store.ledger.pending_undos() == []
    d, c, b, a = queries.adaptations(Selection())
    assert (c.undone, c.undo_outcome) == (WALL_CLOCK, "undone")
    assert (d.undone, d.undo_outcome) == (WALL_CLOCK, "taken back together with c, which came before it")
    assert (b.undone, a.undone) == (None, None)
    assert [each.id for each, _ in store.ledger.undo_chain("a")] == ["a"]
    with pytest.raises(StoreError, match="c is undone already: undone"):
        store.ledger.request_undo("c", who="bob")


def test_an_undo_is_answered_once(store: Store) -> None:
    keep(store, adapted("a"))
    with pytest.raises(StoreConflict, match="undo of a was answered by another daemon"):
        store.commit(Step("g", undos=(AnsweredUndo("a", "undone", ("a",)),)))
    store.ledger.request_undo("a", who="anna")
    store.commit(Step("g", undos=(AnsweredUndo("a", "undone", ("a",)),)))
    with pytest.raises(StoreConflict, match="answered by another daemon"):
        store.commit(Step("g", {("t", 0): (None, 1)}, undos=(AnsweredUndo("a", "undone", ("a",)),)))
    assert store.offsets("g") == {}


def test_a_refused_undo_may_be_asked_again(store: Store, queries: Queries) -> None:
    keep(store, adapted("a"))
    store.ledger.request_undo("a", who="anna")
    store.commit(Step("g", undos=(AnsweredUndo("a", "refused: no model is at work"),)))
    assert (queries.adaptation("a").undone, store.ledger.pending_undos()) == (None, [])
    store.ledger.request_undo("a", who="bob")
    (asked,) = store.ledger.pending_undos()
    assert (asked.undo_by, asked.undo_outcome) == ("bob", "")


def test_an_adaptation_is_named_by_the_beginning_of_its_id(store: Store, queries: Queries) -> None:
    with pytest.raises(QuestionError, match="there is no adaptation 'x'; none is recorded yet"):
        queries.adaptation("x")
    keep(store, adapted("abc1"), adapted("abc2"), adapted("abc"))
    assert queries.adaptation("abc").id == "abc"
    assert queries.adaptation("abc1").id == "abc1"
    with pytest.raises(QuestionError, match="several adaptations begin with 'ab'") as several:
        queries.adaptation("ab")
    assert set(several.value.nearest) == {"abc", "abc1", "abc2"}
    for unknown in ("", "a%", "abc3"):
        with pytest.raises(QuestionError) as nothing:
            store.ledger.request_undo(unknown, who="anna")
        assert nothing.value.nearest


# ---- a store of before


def old_state() -> bytes:
    """What the first schema remembered of an entity whose incident is not opened yet."""
    about = {"newest": 1070.0, "opened": False, "quiet": 1, "incident": None, "points": [], "model": "v1"}
    return bytes(save({"state.a": np.ones(2)}, metadata={"json": json.dumps(about)}))


@pytest.fixture
def first_schema(url: str, incident: Callable[..., Incident]) -> Iterator[Database]:
    """A database as the first schema left it, with a report and a state in it."""
    database = Database.open(url)
    with database.writing() as connection:
        command.upgrade(schema._config(connection), "0001")
        values = (
            "'old', 'hosts', 'host/pc1', 'vector', 'error', 'closed', 1000, 1060, 1070, 7, 3.5, 1030, 3.5, "
            "2.25, 'both', 'cpu', 'v1', NULL, NULL, NULL, '', 'It was odd.', 2, 1000, NULL, NULL, ''"
        )
        connection.execute(text(f"INSERT INTO reports VALUES ({values})"))
        connection.execute(
            text("INSERT INTO entity_states VALUES ('hosts', 'host/pc1', :state)"), {"state": old_state()}
        )
        connection.execute(text("INSERT INTO points VALUES ('old', 1030, 3.5, 2.25)"))
    yield database
    database.close()


def test_a_store_of_the_first_schema_is_upgraded_with_all_that_is_in_it(
    first_schema: Database, url: str
) -> None:
    with pytest.raises(StoreError, match="has the older schema 0001; start `anomalyd run` once"):
        Queries.open(url)
    store = Store.open(url, clock=lambda: WALL_CLOCK)
    queries = Queries.open(url)
    report = queries.report("old")
    assert (report.narrative, report.revision, report.adaptations) == ("It was odd.", 2, ())
    assert [point.autoencoder for point in queries.points("old")] == [3.5]
    assert store.states.snapshot_times("hosts") == {"host/pc1": 1070.0}
    keep(store, adapted("a", 1010.0))
    say(store)
    assert queries.report("old").adaptations == ("a",)
    assert len(store.ledger.pending_feedback()) == 1
    queries.close()
    store.close()
