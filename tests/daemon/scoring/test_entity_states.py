"""Memories come back from snapshot and journal as they were, wherever a daemon is killed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from anomalyd.daemon.scoring.entity_state import EntityState, Track
from anomalyd.daemon.scoring.entity_states import EntityStates
from anomalyd.daemon.scoring.recent_rows import thinned
from anomalyd.daemon.scoring.state_journal import Rows
from anomalyd.detectors.detector import SeriesWindow, State
from anomalyd.reports.report import Evidence, Incident, SeenBy, Severity, Status
from anomalyd.reports.step import Step, StoredChange
from anomalyd.reports.storage.repositories.entity_states import JournalPiece, StateChanges, StateSnapshot
from anomalyd.reports.storage.store import Store


class Summing:
    """A pair whose state is what an order-dependent sum of its rows gives, and how many there were."""

    def __init__(self) -> None:
        self.batches: list[list[str]] = []

    def score(self, windows: Sequence[SeriesWindow]) -> list[SimpleNamespace]:
        self.batches.append([window.entity for window in windows])
        return [SimpleNamespace(state=self.after(window)) for window in windows]

    @staticmethod
    def after(window: SeriesWindow) -> State:
        total, rows = (
            np.asarray(window.state.get("total", np.zeros(2))),
            window.state.get("rows", np.array(0)),
        )
        for row in window.values:
            total = total * 0.5 + row
        return {"total": total, "rows": np.asarray(rows + len(window.values))}


def loaded(version: str = "v1", pair: Any = None) -> Any:
    return SimpleNamespace(version=version, pair=pair or Summing())


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    store = Store.open(f"sqlite:///{tmp_path}/reports.db")
    yield store
    store.close()


class InMemory:
    """A store of memories without a database, which is a thousand times quicker to open."""

    def __init__(self) -> None:
        self.states = self
        self._snapshots: dict[str, StateSnapshot] = {}
        self._journal: dict[int, JournalPiece] = {}

    def commit(self, step: Step) -> None:
        self._snapshots |= {each.entity: each for each in step.states.snapshots}
        self._journal |= {piece.id: piece for piece in step.states.journal}
        for done in step.states.superseded:
            self._journal.pop(done, None)

    def snapshots(self, detector: str, entities: Sequence[str]) -> dict[str, StateSnapshot]:
        return {entity: self._snapshots[entity] for entity in entities if entity in self._snapshots}

    def snapshot_times(self, detector: str) -> dict[str, float]:
        return {entity: each.until for entity, each in self._snapshots.items()}

    def tracks(self, detector: str, entities: Sequence[str]) -> dict[str, bytes]:
        return {}

    def journal_ids(self, detector: str) -> set[int]:
        return set(self._journal)

    def journal(self, ids: Sequence[int]) -> list[JournalPiece]:
        return [self._journal[each] for each in ids]


class Daemon:
    """What the scorer and the tracker do with memories, on rows (entity, value, learnt)."""

    def __init__(self, store: Any, model: Any) -> None:
        self.store, self.model = store, model
        self.states = EntityStates(store)

    def step(self, time: float, rows: dict[str, float], unlearnt: frozenset[str] = frozenset()) -> None:
        self.states.load("hosts", rows, self.model)
        for entity, value in rows.items():
            before = self.states.get("hosts", entity)
            state = before.for_model(self.model.version)
            if state is not before:
                self.states.put("hosts", entity, state)
            times = np.array([time])
            values = np.full((1, 2), value, dtype=np.float32)
            window = SeriesWindow(entity, times, values, state.state)
            learnt = slice(0) if entity in unlearnt else slice(None)
            if entity not in unlearnt:
                recent = state.recent if state.recent is not None else values[:0]
                state = replace(state, state=Summing.after(window))
                times_kept, recent = thinned(state.recent_times, recent, times, values)
                state = replace(state, recent_times=times_kept, recent=recent)
            self.states.advance("hosts", Rows(entity, time, times[learnt], values[learnt]), state)
            self.states.track("hosts", entity, replace(state.track, newest=time))
        self.commit()

    def settle(self, entity: str) -> None:
        """Change a state as an operator's word does."""
        self.states.load("hosts", [entity], self.model)
        before = self.states.get("hosts", entity)
        self.states.put("hosts", entity, replace(before, state={**before.state, "told": np.array([True])}))
        self.commit()

    def commit(self) -> None:
        self.store.commit(Step("g", states=self.states.changes()))

    def all(self, entities: str) -> dict[str, Any]:
        self.states.load("hosts", entities, self.model)
        version = self.model.version
        found = {entity: self.states.get("hosts", entity).for_model(version) for entity in entities}
        return {
            entity: (
                each.model,
                each.track.newest,
                {name: array.tolist() for name, array in each.state.items()},
                None if each.recent is None else each.recent.tolist(),
            )
            for entity, each in found.items()
        }


steps = st.lists(
    st.tuples(
        st.sets(st.sampled_from("abc"), min_size=1),  # who sends
        st.sets(st.sampled_from("abc"), max_size=1),  # of whom nothing is learnt
        st.sampled_from(["", "", "", "killed", "killed", "told", "model"]),
    ),
    max_size=40,
)


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=steps, every=st.integers(1, 6))
def test_a_killed_daemon_goes_on_as_if_nothing_had_happened(
    steps: list[tuple[set[str], set[str], str]],
    every: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(EntityStates, "snapshot_every", every)
    steady, mortal = (Daemon(InMemory(), loaded()) for _ in range(2))
    for number, (sending, unlearnt, what) in enumerate(steps):
        for daemon in (steady, mortal):
            daemon.step(float(number), dict.fromkeys(sorted(sending), number % 7 - 3.0), frozenset(unlearnt))
            if what == "told":
                daemon.settle(min(sending))
            if what == "model":
                daemon.model = loaded(f"v{number}")
        if what == "killed":
            mortal = Daemon(mortal.store, mortal.model)
    assert Daemon(mortal.store, mortal.model).all("abc") == mortal.all("abc") == steady.all("abc")


def test_the_journal_is_bounded_and_is_scored_again_in_one_batch(store: Store) -> None:
    daemon = Daemon(store, loaded())
    entities = [f"e{n:02}" for n in range(20)]
    for time in range(400):
        daemon.step(float(time), dict.fromkeys(entities, float(time % 5)))
    assert len(store.states.journal_ids("hosts")) <= 129
    again = Daemon(store, loaded())
    again.states.load("hosts", entities, again.model)
    assert len(again.model.pair.batches) == 1
    assert again.states.get("hosts", "e03").state["rows"] == 400


def test_what_another_daemon_wrote_meanwhile_is_seen(store: Store) -> None:
    one, other = Daemon(store, loaded()), Daemon(store, loaded())
    one.step(0.0, {"a": 1.0})
    other.step(1.0, {"b": 1.0})
    other.step(2.0, {"b": 2.0})
    assert one.all("b") == other.all("b")
    one.step(3.0, {"b": 3.0})
    assert Daemon(store, loaded()).all("ab") == one.all("ab")


def test_rows_of_another_model_are_not_scored_again(store: Store) -> None:
    daemon = Daemon(store, loaded())
    for time in range(3):
        daemon.step(float(time), {"a": 1.0})
    newer = Daemon(store, loaded("v2"))
    assert newer.all("a")["a"][:3] == ("v2", 2.0, {})
    assert newer.model.pair.batches == []
    newer.step(3.0, {"a": 5.0})
    assert newer.all("a")["a"] == (
        "v2",
        3.0,
        {"total": [5.0, 5.0], "rows": 1},
        [[1.0, 1.0]] * 3 + [[5.0, 5.0]],
    )
    assert Daemon(store, loaded("v2")).all("a") == newer.all("a")


def test_without_a_model_the_course_is_known(store: Store) -> None:
    daemon = Daemon(store, loaded())
    for time in range(3):
        daemon.step(float(time), {"a": 1.0})
    states = EntityStates(store)
    states.load("hosts", ["a"], None)
    assert states.get("hosts", "a").track.newest == 2.0


def test_a_map_is_stored_as_a_whole(store: Store) -> None:
    states = EntityStates(store)
    states.load("maps", ["DT"], loaded())
    for time in (1.0, 2.0):
        rows = Rows("DT", time, np.array([time]), np.ones((1, 3, 4), dtype=np.float32))
        states.advance("maps", rows, EntityState("v1", {"total": np.full(2, time)}))
        states.track("maps", "DT", Track(newest=time))
        store.commit(Step("g", states=states.changes()))
        assert store.states.snapshot_times("maps") == {"DT": time}
    assert store.states.journal_ids("maps") == set()


def incident(id: str) -> Incident:
    return Incident(
        id=id,
        detector="hosts",
        entity="host/a",
        sample_kind="vector",
        severity=Severity.ERROR,
        status=Status.OPEN,
        onset=1.0,
        last=4.0,
        closed=None,
        samples=2,
        peak=3.0,
        peak_time=4.0,
        autoencoder=3.0,
        classical=0.0,
        seen_by=SeenBy.AUTOENCODER,
        causes=("cpu",),
        model="v1",
    )


def evidence(time: float) -> Evidence:
    row = np.ones(1, dtype=np.float32)
    return Evidence(time, ("cpu",), row, row, row, row, np.empty(0), np.empty((0, 1), dtype=np.float32))


def test_an_incident_and_its_evidence_come_back(store: Store) -> None:
    for opened in (False, True):
        found = incident(f"opened {opened}")
        entity = f"host/{opened}"
        states = EntityStates(store)
        states.load("hosts", [entity], loaded())
        states.put("hosts", entity, EntityState("v1", {}, Track(newest=5.0)))
        track = Track(5.0, opened, 1, found, evidence(4.0), (), ("note",))
        states.track("hosts", entity, track)
        changed = (StoredChange(found, "odd", evidence(4.0)),) if opened else ()
        store.commit(Step("g", stored_changes=changed, states=states.changes()))
        again = EntityStates(store)
        again.load("hosts", [entity], loaded())
        back = again.get("hosts", entity).track
        assert replace(back, evidence=None) == replace(track, evidence=None)
        assert back.evidence is not None
        assert back.evidence.time == 4.0
        again.track("hosts", entity, Track(newest=5.0))
        store.commit(Step("g", states=again.changes()))
        assert store.states.tracks("hosts", [entity]) == {}
        assert again.changes() == StateChanges()  # nothing is written twice


class Counting:
    """A store that counts how often it is asked for memories."""

    def __init__(self, store: Store) -> None:
        self.states = self
        self._states = store.states
        self.asked: list[list[str]] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._states, name)

    def snapshots(self, detector: str, entities: list[str]) -> Any:
        self.asked.append(entities)
        return self._states.snapshots(detector, entities)


def test_memories_are_fetched_once_and_again_when_forgotten(store: Store) -> None:
    Daemon(store, loaded()).step(5.0, {"a": 1.0})
    counting = Counting(store)
    states = EntityStates(counting)  # type: ignore[arg-type]
    assert not states.holds("hosts", "a")
    states.load("hosts", ["a"], loaded())
    states.load("hosts", ["a", "unknown"], loaded())
    assert counting.asked == [["a"], ["unknown"]]
    unknown = states.get("hosts", "unknown")
    assert (unknown.model, dict(unknown.state), unknown.track) == ("", {}, Track())
    assert states.holds("hosts", "a")
    with pytest.raises(KeyError):
        states.get("other", "a")
    states.forget_all()
    assert not states.holds("hosts", "a")
    states.load("hosts", ["a"], loaded())
    assert states.get("hosts", "a").track.newest == 5.0
