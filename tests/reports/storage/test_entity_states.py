"""Snapshots, journal, tracks and the intake's states: kept, replaced, dropped."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import numpy as np
import pytest
from alembic import command
from safetensors.numpy import save
from sqlalchemy import text

from anomalyd.daemon import remembered
from anomalyd.daemon.scoring.entity_state import StoredTrack
from anomalyd.reports.report import Incident
from anomalyd.reports.step import Point, Step
from anomalyd.reports.storage import schema
from anomalyd.reports.storage.database import Database
from anomalyd.reports.storage.repositories.entity_states import JournalPiece, StateChanges, StateSnapshot
from anomalyd.reports.storage.store import Store


def snapshot(entity: str, until: float, state: bytes = b"s", detector: str = "d") -> StateSnapshot:
    return StateSnapshot(detector, entity, "v1", until, state)


def change(store: Store, **changes: Any) -> None:
    store.commit(Step("g", states=StateChanges(**changes)))


def test_snapshots_are_kept_and_replaced(store: Store) -> None:
    change(store, snapshots=(snapshot("a", 1.0), snapshot("b", 2.0), snapshot("a", 3.0, detector="e")))
    change(store, snapshots=(snapshot("a", 4.0, b"\x00\xff"),))
    assert store.states.snapshot_times("d") == {"a": 4.0, "b": 2.0}
    assert store.states.snapshots("d", ["a", "never"]) == {"a": snapshot("a", 4.0, b"\x00\xff")}
    assert store.states.snapshots("e", ["a", "b"]) == {"a": snapshot("a", 3.0, detector="e")}


def test_more_entities_than_a_query_takes_are_found(store: Store) -> None:
    many = tuple(snapshot(f"e{n:04}", float(n)) for n in range(1200))
    change(store, snapshots=many, journal=tuple(JournalPiece(n, "d", b"") for n in range(1200)))
    assert len(store.states.snapshots("d", [each.entity for each in many])) == 1200
    assert len(store.states.journal(range(1200))) == 1200
    change(store, superseded=tuple(range(1199)))
    assert store.states.journal_ids("d") == {1199}


def test_the_journal_is_kept_until_it_is_superseded(store: Store) -> None:
    pieces = (JournalPiece(2**61, "d", b"1"), JournalPiece(3, "d", b"2"), JournalPiece(4, "e", b"3"))
    change(store, journal=pieces)
    assert store.states.journal_ids("d") == {2**61, 3}
    assert {piece.id: piece for piece in store.states.journal([2**61, 4, 5])} == {
        2**61: pieces[0],
        4: pieces[2],
    }
    change(store, superseded=(2**61, 5))
    assert store.states.journal_ids("d") == {3}


def test_tracks_and_the_intakes_states_are_kept_replaced_and_forgotten(store: Store) -> None:
    change(store, tracks={("d", "a"): b"1", ("d", "b"): b"2"}, intake={("align", "a"): b"3"})
    change(store, tracks={("d", "a"): b"4", ("d", "b"): None, ("d", "c"): None}, intake={("x", "a"): None})
    assert store.states.tracks("d", ["a", "b"]) == {"a": b"4"}
    assert store.states.intake("align") == {"a": b"3"}
    assert store.states.intake("x") == {}


def test_any_name_of_an_entity_is_taken(store: Store) -> None:
    names = ("@align", "@told", "@presence", "", "ε'\"")
    change(store, snapshots=tuple(snapshot(name, 1.0, detector=name) for name in names))
    assert all(store.states.snapshot_times(name) == {name: 1.0} for name in names)
    assert store.states.intake("align") == {}


@pytest.mark.parametrize("opened", [False, True])
def test_what_the_sixth_schema_remembered_is_carried_over(url: str, incident: Any, opened: bool) -> None:
    found: Incident = incident()
    about = {
        "model": "v1",
        "newest": 1070.0,
        "opened": opened,
        "quiet": 1,
        "incident": {name: getattr(found, name) for name in Incident.__dataclass_fields__},
        "points": [(1030.0, 3.5, None)],
        "notes": ["said"],
    }
    arrays = {"state.a": np.ones(2), "evidence": np.frombuffer(b"evidence", dtype=np.uint8)}
    states = {
        ("hosts", "host/pc1"): save(arrays, metadata={"json": json.dumps(about)}),
        ("hosts", "@align"): save({}, metadata={"json": json.dumps({**about, "incident": None})}),
        ("@align", "host/pc1"): np.float64(7.0).tobytes() + msgspec.msgpack.encode({"sent": (5.0, 2**63)}),
        ("@align", "host/pc2"): np.float64(8.0).tobytes(),
        ("@presence", "host/pc1"): msgspec.msgpack.encode([3, {"sent": [2, 1.5]}]),
        ("@told", "metrics/0"): b"12",
    }
    database = Database.open(url)
    with database.writing() as connection:
        command.upgrade(schema._config(connection), "0006")
        for (detector, entity), state in states.items():
            connection.execute(
                text("INSERT INTO entity_states VALUES (:d, :e, :s)"),
                {"d": detector, "e": entity, "s": state},
            )
    database.close()
    store = Store.open(url)
    assert store.states.snapshot_times("hosts") == {"host/pc1": 1070.0, "@align": 1070.0}
    tracks = store.states.tracks("hosts", ["host/pc1", "@align"])
    track = remembered.decode(tracks.pop("host/pc1"), StoredTrack, "it")
    assert track == StoredTrack(
        opened=opened,
        quiet=1,
        incident=found,
        evidence=None if opened else b"evidence",
        points=(Point(1030.0, 3.5, None),),
        notes=("said",),
    )
    assert tracks == {}
    kept = {
        stage: {key: msgspec.msgpack.decode(blob) for key, blob in store.states.intake(stage).items()}
        for stage in ("align", "presence", "told")
    }
    assert kept == {
        "align": {
            "host/pc1": {"version": 1, "released": 7.0, "counters": {"sent": [5.0, 2**63]}},
            "host/pc2": {"version": 1, "released": 8.0, "counters": {}},
        },
        "presence": {"host/pc1": {"version": 1, "vectors": 3, "metrics": {"sent": [2, 1.5]}}},
        "told": {"metrics/0": {"version": 1, "before": 12}},
    }
    store.close()
