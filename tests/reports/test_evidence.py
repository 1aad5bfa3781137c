"""Evidence and arrays survive as bytes, to the bit; damage is told."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from numpy.typing import NDArray

from anomalyd.errors import StoreError
from anomalyd.reports.evidence import decode, decode_array, encode, encode_array
from anomalyd.reports.report import Evidence
from anomalyd.total import Total

any_float32 = st.floats(width=32, allow_nan=True, allow_infinity=True)
kinds = st.sampled_from([np.float64, np.float32, np.float16, np.int64, np.int32, np.int8, np.uint8, np.bool_])
remembered = kinds.flatmap(lambda kind: arrays(kind, array_shapes(min_dims=0, max_dims=3, min_side=0)))


def same(a: NDArray, b: NDArray) -> bool:
    return a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes()


@st.composite
def evidences(draw: st.DrawFn) -> Evidence:
    shape = draw(array_shapes(min_dims=1, max_dims=2, max_side=5))
    rows = draw(st.integers(0, 4))
    fields = [draw(arrays(np.float32, shape, elements=any_float32)) for _ in range(4)]
    return Evidence(
        draw(st.floats(0, 4e9)),
        tuple(draw(st.lists(st.text(), max_size=4))),
        *fields,
        history_times=draw(arrays(np.float64, rows, elements=st.floats(0, 4e9))),
        history=draw(arrays(np.float32, (rows, *shape), elements=any_float32)),
        state=draw(st.dictionaries(st.text(), remembered, max_size=4)),
    )


@given(evidences())
def test_evidence_survives(given: Evidence) -> None:
    got = decode(encode(given))
    assert (got.time, got.features) == (given.time, given.features)
    for name in ("values", "expectation", "error", "contribution", "history_times", "history"):
        assert same(getattr(got, name), getattr(given, name)), name
    assert got.state.keys() == given.state.keys()
    assert all(same(got.state[name], given.state[name]) for name in given.state)


@given(arrays(np.float32, array_shapes(max_dims=3), elements=any_float32))
def test_an_array_survives_however_it_lies_in_memory(array: NDArray[np.float32]) -> None:
    for view in (array, array.T, array[::-1], np.broadcast_to(array, (2, *array.shape))):
        assert np.array_equal(decode_array(encode_array(view)), view, equal_nan=True)


def test_what_is_read_can_be_written_to() -> None:
    decode_array(encode_array(np.zeros(3)))[0] = 1  # torch warns of arrays that cannot


def test_arrays_of_objects_are_refused() -> None:
    with pytest.raises(StoreError, match="values <U3"):
        encode_array(np.array(["cpu"]))


@given(st.data())
def test_damage_is_a_store_error(evidence: Callable[[float], Evidence], data: st.DataObject) -> None:
    blob = encode(evidence(5.0))
    cut = data.draw(st.integers(0, len(blob) - 1))
    with pytest.raises(StoreError, match="damaged"):
        decode(blob[:cut])


@given(st.binary())
def test_any_bytes_are_evidence_or_a_store_error(blob: bytes) -> None:
    with pytest.raises(StoreError, match="damaged"):
        decode(blob)


def test_an_array_is_no_evidence() -> None:
    with pytest.raises(StoreError, match="damaged"):
        decode(encode_array(np.zeros(3)))


@pytest.mark.parametrize("expected", [34725.0, math.nan])
def test_what_is_said_of_a_total_survives(expected: float) -> None:
    nothing = np.zeros((2, 3), dtype=np.float32)
    total = Total(17528.0, expected, "7 sister elements of the same time", math.nan, leads=False)
    held = Evidence(
        1.0, (), nothing, nothing, nothing, nothing, np.zeros(0), np.zeros((0, 2, 3)), total=total
    )
    assert repr(decode(encode(held)).total) == repr(total)
