"""What is remembered between two steps: nothing of it is lost on the way through the store."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from safetensors.numpy import load, save

from anomalyd.daemon.scoring.entity_state import (
    EntityState,
    EntityStates,
    Track,
    decode,
    decode_state,
    encode,
    encode_state,
)
from anomalyd.errors import StoreError
from anomalyd.reports.report import Evidence, Incident, SeenBy, Severity, Status
from anomalyd.reports.step import Point, Step
from anomalyd.reports.storage.store import Store

_names = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=12)
_times = st.floats(-1e12, 1e12)
_arrays = st.sampled_from([np.float32, np.float64, np.int64, np.bool_]).flatmap(
    lambda dtype: hnp.arrays(dtype, hnp.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=4))
)
_scores = st.none() | st.floats(0, 1e6)
_incidents = st.builds(
    Incident,
    id=_names,
    detector=_names,
    entity=_names,
    sample_kind=st.sampled_from(["vector", "map"]),
    severity=st.sampled_from(Severity),
    status=st.sampled_from(Status),
    onset=_times,
    last=_times,
    closed=st.none() | _times,
    samples=st.integers(1, 10**9),
    peak=_times,
    peak_time=_times,
    autoencoder=_times,
    classical=_times,
    seen_by=st.sampled_from(SeenBy),
    causes=st.lists(_names, max_size=3).map(tuple),
    model=_names,
    run=st.none() | st.integers(0, 2**31),
    first_lumisection=st.none() | st.integers(0, 2**31),
    last_lumisection=st.none() | st.integers(0, 2**31),
    source=_names,
)


@st.composite
def _evidence(draw: st.DrawFn) -> Evidence:
    shape = draw(st.sampled_from([(3,), (2, 4)]))
    rows = draw(st.integers(0, 3))
    of_sample = hnp.arrays(np.float32, shape, elements=st.floats(width=32, allow_infinity=False))
    return Evidence(
        time=draw(_times),
        features=("a", "b", "ε") if len(shape) == 1 else (),
        values=draw(of_sample),
        expectation=draw(of_sample),
        error=draw(of_sample),
        contribution=draw(of_sample),
        history_times=np.arange(float(rows)),
        history=np.ones((rows, *shape), dtype=np.float32),
        state={"autoencoder.recent": np.ones((2, 3), dtype=np.float32)},
    )


_entity_states = st.builds(
    EntityState,
    model=_names,
    state=st.dictionaries(_names, _arrays, max_size=3),
    track=st.builds(
        Track,
        newest=st.just(-np.inf) | _times,
        opened=st.booleans(),
        quiet=st.integers(0, 100),
        incident=st.none() | _incidents,
        evidence=st.none() | _evidence(),
        points=st.lists(
            st.builds(Point, time=_times, autoencoder=_scores, classical=_scores), max_size=3
        ).map(tuple),
        notes=st.lists(_names, max_size=2).map(tuple),
    ),
)


def _same_evidence(one: Evidence | None, other: Evidence | None) -> bool:
    if one is None or other is None:
        return one is other
    arrays = ("values", "expectation", "error", "contribution", "history_times", "history")
    for name in arrays:
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name))
    return (one.time, one.features, one.state.keys()) == (other.time, other.features, other.state.keys())


@settings(deadline=None)
@given(_entity_states)
def test_what_is_encoded_comes_back(entity_state: EntityState) -> None:
    found = decode(encode(entity_state))
    assert found.model == entity_state.model
    assert found.state.keys() == entity_state.state.keys()
    for name, array in entity_state.state.items():
        assert found.state[name].dtype == array.dtype
        np.testing.assert_array_equal(found.state[name], array)
        assert found.state[name].flags.writeable  # torch warns of those that are not
    assert _same_evidence(found.track.evidence, entity_state.track.evidence)
    assert replace(found.track, evidence=None) == replace(entity_state.track, evidence=None)


def test_an_array_that_lies_askew_in_memory_comes_back_straight() -> None:
    array = np.arange(6.0).reshape(2, 3).T
    np.testing.assert_array_equal(decode(encode(EntityState(state={"a": array}))).state["a"], array)


def _with_text(change: Callable[[dict[str, Any]], Any]) -> bytes:
    """A memory's bytes whose JSON was changed."""
    blob = encode(EntityState("v1", {"a": np.ones(2)}))
    about = json.loads(json.loads(blob[8 : 8 + int.from_bytes(blob[:8], "little")])["__metadata__"]["json"])
    return bytes(save(load(blob), metadata={"json": json.dumps(change(about))}))


@pytest.mark.parametrize(
    "blob",
    [
        b"",
        b"no safetensors at all",
        encode(EntityState(state={"a": np.ones(9)}))[:-1],
        bytes(save({"a": np.ones(2)})),
        bytes(save({"a": np.ones(2)}, metadata={"json": "{"})),
        _with_text(lambda about: [about]),
        _with_text(lambda about: {**about, "newest": "yesterday"}),
        _with_text(lambda about: {**about, "incident": {"id": "only an id"}}),
        _with_text(lambda about: {**about, "points": [[1.0]]}),
        _with_text(lambda about: {k: v for k, v in about.items() if k != "quiet"}),
        bytes(save({"evidence": np.ones(3, dtype=np.uint8)}, metadata={"json": "{}"})),
    ],
)
def test_damaged_bytes_are_refused_with_a_remedy(blob: bytes) -> None:
    with pytest.raises(StoreError, match=r"damaged.*restore the database"):
        decode(blob)


def test_what_an_earlier_version_wrote_has_no_notes() -> None:
    old = _with_text(lambda about: {name: value for name, value in about.items() if name != "notes"})
    assert decode(old).track.notes == ()


def test_a_state_alone_comes_back_or_is_refused() -> None:
    state = {"autoencoder.level": np.arange(6.0).reshape(2, 3).T, "classical.seen": np.array([True])}
    found = decode_state(encode_state(state))
    assert found.keys() == state.keys()
    for name, array in state.items():
        np.testing.assert_array_equal(found[name], array)
        assert found[name].flags.writeable
    with pytest.raises(StoreError, match=r"undoing is damaged.*restore the database"):
        decode_state(encode_state(state)[:-1])


@settings(deadline=None)
@given(st.data())
def test_any_damage_is_refused_or_does_not_matter(data: st.DataObject) -> None:
    blob = bytearray(
        encode(EntityState("v1", {"a": np.ones(4)}, Track(newest=3.0, points=(Point(1.0, 2.0, None),))))
    )
    where = data.draw(st.integers(0, len(blob) - 1))
    blob[where] = data.draw(st.integers(0, 255))
    end = data.draw(st.just(len(blob)) | st.integers(0, len(blob)))
    with suppress(StoreError):
        decode(bytes(blob[:end]))


def test_another_model_begins_anew_and_the_course_goes_on() -> None:
    entity_state = EntityState(
        "v1", {"a": np.ones(2)}, Track(newest=5.0, quiet=1), np.arange(2.0), np.ones((2, 1))
    )
    assert entity_state.for_model("v1") is entity_state
    moved = entity_state.for_model("v2")
    assert (moved.model, dict(moved.state), moved.track) == ("v2", {}, entity_state.track)
    assert moved.recent is entity_state.recent


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    store = Store.open(f"sqlite:///{tmp_path}/reports.db")
    yield store
    store.close()


class Counting:
    """A store that counts how often it is asked."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.asked: list[tuple[str, str]] = []

    def entity_state(self, detector: str, entity: str) -> bytes | None:
        self.asked.append((detector, entity))
        return self._store.entity_state(detector, entity)


def test_memories_are_fetched_when_asked_for_and_forgotten_when_told(store: Store) -> None:
    kept = EntityState("v1", track=Track(newest=5.0))
    store.commit(Step(group="g", states={("hosts", "a"): encode(kept)}))
    counting = Counting(store)
    entity_states = EntityStates(counting)  # type: ignore[arg-type]
    assert counting.asked == []
    assert entity_states.get("hosts", "a").track == kept.track
    assert entity_states.get("hosts", "a").track == kept.track
    unknown = entity_states.get("hosts", "unknown")
    assert (unknown.model, dict(unknown.state), unknown.track) == ("", {}, Track())
    assert entity_states.get("other", "a").model == ""
    assert counting.asked == [("hosts", "a"), ("hosts", "unknown"), ("other", "a")]

    assert entity_states.holds("hosts", "a")
    entity_states.forget("hosts", "a")
    assert not entity_states.holds("hosts", "a")
    assert entity_states.get("hosts", "a").track == kept.track
    assert counting.asked[3:] == [("hosts", "a")]

    entity_states.put("hosts", "a", EntityState("v2"))
    assert entity_states.get("hosts", "a").model == "v2"
    entity_states.forget_all()
    assert entity_states.get("hosts", "a").track == kept.track
