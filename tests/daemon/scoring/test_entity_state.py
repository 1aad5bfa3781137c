"""What is remembered between two steps: nothing of it is lost on the way through the store."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from safetensors.numpy import save

from anomalyd.daemon.scoring.entity_state import (
    EntityState,
    Track,
    decode_state,
    decode_track,
    encode_state,
    encode_track,
)
from anomalyd.daemon.scoring.state_journal import Rows, decode_rows, encode_rows
from anomalyd.errors import StoreError
from anomalyd.reports.report import Evidence, Incident, SeenBy, Severity, Status
from anomalyd.reports.step import Point

INCIDENT = Incident(
    id="i",
    detector="hosts",
    entity="e",
    sample_kind="vector",
    severity=Severity.WARNING,
    status=Status.OPEN,
    onset=1.0,
    last=1.0,
    closed=None,
    samples=1,
    peak=2.0,
    peak_time=1.0,
    autoencoder=2.0,
    classical=0.0,
    seen_by=SeenBy.AUTOENCODER,
    causes=("cpu",),
    model="v1",
)
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


_tracks = st.builds(
    Track,
    opened=st.booleans(),
    quiet=st.integers(0, 100),
    incident=_incidents,
    evidence=st.none() | _evidence(),
    points=st.lists(st.builds(Point, time=_times, autoencoder=_scores, classical=_scores), max_size=3).map(
        tuple
    ),
    notes=st.lists(_names, max_size=2).map(tuple),
)


def _same_evidence(one: Evidence | None, other: Evidence | None) -> bool:
    if one is None or other is None:
        return one is other
    arrays = ("values", "expectation", "error", "contribution", "history_times", "history")
    for name in arrays:
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name))
    return (one.time, one.features, one.state.keys()) == (other.time, other.features, other.state.keys())


@settings(deadline=None)
@given(_tracks)
def test_a_track_comes_back(track: Track) -> None:
    blob = encode_track(track)
    assert blob is not None
    found = decode_track(blob, "e")
    # The evidence of an open incident is with its report.
    assert _same_evidence(found.evidence, None if track.opened else track.evidence)
    assert replace(found, evidence=None) == replace(track, evidence=None)


def test_where_no_incident_goes_on_nothing_is_kept() -> None:
    assert encode_track(Track(newest=5.0)) is None


@settings(deadline=None)
@given(st.dictionaries(_names, _arrays, max_size=3))
def test_a_state_comes_back(state: dict[str, Any]) -> None:
    found = decode_state(encode_state(state))
    assert found.keys() == state.keys()
    for name, array in state.items():
        assert found[name].dtype == array.dtype
        np.testing.assert_array_equal(found[name], array)
        assert found[name].flags.writeable  # torch warns of those that are not


def test_a_state_that_was_packed_as_before_is_read() -> None:
    arrays = {"a": np.arange(9.0), "b": np.arange(5, dtype=np.float16), "c": np.array([True, False, True])}
    whole = save(arrays, metadata={"version": "1"})
    planes = np.frombuffer(whole + bytes(-len(whole) % 4), dtype=np.uint8).reshape(-1, 4).T.tobytes()
    found = decode_state(b"anomalyd" + len(whole).to_bytes(8, "little") + zlib.compress(planes))
    assert found.keys() == arrays.keys()
    for name, array in arrays.items():
        np.testing.assert_array_equal(found[name], array)


def test_an_array_that_lies_askew_in_memory_comes_back_straight() -> None:
    array = np.arange(6.0).reshape(2, 3).T
    np.testing.assert_array_equal(decode_state(encode_state({"a": array}))["a"], array)


TRACK = Track(opened=False, quiet=1, incident=INCIDENT, points=(Point(1.0, 2.0, None),))


def _changed(change: Callable[[dict[str, Any]], Any]) -> bytes:
    """A track's bytes with something else in them."""
    blob = encode_track(TRACK)
    assert blob is not None
    return msgspec.msgpack.encode(change(msgspec.msgpack.decode(blob)))


@pytest.mark.parametrize(
    "blob",
    [
        b"",
        b"\xc1",
        (encode_track(TRACK) or b"")[:-1],
        _changed(lambda about: [about]),
        _changed(lambda about: {**about, "quiet": "yesterday"}),
        _changed(lambda about: {**about, "incident": {"id": "only an id"}}),
        _changed(lambda about: {**about, "points": [[1.0]]}),
        _changed(lambda about: {k: v for k, v in about.items() if k != "quiet"}),
        _changed(lambda about: {**about, "more": 1}),
        _changed(lambda about: {**about, "version": 0}),
        _changed(lambda about: {**about, "version": "x"}),
    ],
)
def test_a_damaged_track_is_refused_with_a_remedy(blob: bytes) -> None:
    with pytest.raises(StoreError, match=r"incident of e is damaged.*restore the database"):
        decode_track(blob, "e")


@pytest.mark.parametrize(
    "blob", [b"", b"no safetensors at all", encode_state({"a": np.ones(9)})[:-1], bytes(8) + b"{}"]
)
def test_a_damaged_state_is_refused_with_a_remedy(blob: bytes) -> None:
    with pytest.raises(StoreError, match=r"state of a detector is damaged.*restore the database"):
        decode_state(blob)


def test_what_a_newer_version_wrote_is_refused_with_a_remedy() -> None:
    with pytest.raises(StoreError, match=r"incident of e has version 2.*upgrade anomalyd"):
        decode_track(_changed(lambda about: {**about, "version": 2, "more": 1}), "e")
    with pytest.raises(StoreError, match=r"has version 2, .*upgrade anomalyd"):
        decode_state(save({"a": np.ones(2)}, metadata={"version": "2"}))


def test_what_an_earlier_version_kept_for_undoing_is_read() -> None:
    assert decode_state(save({"a": np.ones(2)})).keys() == {"a"}


@settings(deadline=None)
@given(st.data())
def test_any_damage_is_refused_or_does_not_matter(data: st.DataObject) -> None:
    kept, decoder = data.draw(
        st.sampled_from(
            [
                (encode_track(TRACK) or b"", lambda blob: decode_track(blob, "e")),
                (encode_state({"a": np.ones(4)}), decode_state),
                (encode_rows([Rows("e", 3.0, np.ones(2), np.ones((2, 3), dtype=np.float32))]), decode_rows),
            ]
        )
    )
    blob = bytearray(kept)
    blob[data.draw(st.integers(0, len(blob) - 1))] = data.draw(st.integers(0, 255))
    end = data.draw(st.just(len(blob)) | st.integers(0, len(blob)))
    with suppress(StoreError):
        decoder(bytes(blob[:end]))


def test_another_model_begins_anew_and_the_course_goes_on() -> None:
    entity_state = EntityState(
        "v1", {"a": np.ones(2)}, Track(newest=5.0, quiet=1), np.arange(2.0), np.ones((2, 1))
    )
    assert entity_state.for_model("v1") is entity_state
    moved = entity_state.for_model("v2")
    assert (moved.model, dict(moved.state), moved.track) == ("v2", {}, entity_state.track)
    assert moved.recent is entity_state.recent
