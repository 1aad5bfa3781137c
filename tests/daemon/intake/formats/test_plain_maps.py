from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from anomalyd.daemon.config.config import InputConfig
from anomalyd.daemon.intake.decode import Decoder
from anomalyd.daemon.intake.formats.json_samples import JsonSamples
from anomalyd.daemon.intake.parsing.plain_maps import plain_counts
from anomalyd.daemon.stages import Record

NOW = 1.7e9
CELLS = st.one_of(
    st.integers(0, 300), st.none(), st.sampled_from([-1, 2**31 - 1, 2**31, 2**40, 0.5, 3.0, 1e3])
)


def message(**fields: Any) -> bytes:
    return json.dumps({"entity": "DT/a", "time": NOW, "run": 1, **fields}).encode()


def decoded(value: bytes) -> tuple[list[Any], list[tuple[str, str]]]:
    record = Record("t", 0, 0, NOW, b"DT/a", value, ())
    samples, dead = Decoder([InputConfig(topic="t")], clock=lambda: NOW).decode([record])
    return samples, [(d.reason, d.text) for d in dead]


@given(rows=st.lists(st.lists(CELLS, max_size=6), max_size=5), spaced=st.booleans())
def test_a_map_is_read_as_if_cell_by_cell(rows: list[list[Any]], spaced: bool) -> None:
    value = message(map=rows) if spaced else message(map=rows).replace(b" ", b"")
    quick, quick_dead = decoded(value)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(JsonSamples, "_plain_map", lambda *_: None)
        slow, slow_dead = decoded(value)
    assert quick_dead == slow_dead
    assert len(quick) == len(slow)
    for one, other in zip(quick, slow, strict=True):
        assert one.map.dtype == other.map.dtype == np.float32
        np.testing.assert_array_equal(one.map, other.map)
        assert (one.entity, one.time, one.run) == (other.entity, other.time, other.run)


def test_whole_numbers_and_null_are_read_at_once() -> None:
    found = plain_counts(b"[[1,null,300],[0, 5 ,70000]]")
    assert found is not None
    np.testing.assert_array_equal(found, np.array([[1, np.nan, 300], [0, 5, 70000]], dtype=np.float32))


@pytest.mark.parametrize(
    "text",
    [
        b"[]",
        b"[[]]",
        b"[1,2]",
        b"[[1],[1,2]]",
        b"[[-1]]",
        b"[[0.5]]",
        b"[[null,null]]",
        b'[["null"]]',
        b"[[4294967295]]",
        b"[[1],2]",
        b"null",
    ],
)
def test_all_else_is_left_to_the_reader_of_any_cells(text: bytes) -> None:
    assert plain_counts(text) is None


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"map": [[1, 2]], "values": {"a": 1}}, "not both"),
        ({"map": [[1, 2]], "partial": True}, "always comes whole"),
        ({"map": [[1, 2]], "denominator": [[0, 1]]}, "larger than its denominator"),
        ({"map": [[1, 2]], "entity": ""}, "entity"),
        ({"map": [[1, float("nan")]]}, "NaN is not JSON, a masked cell is null"),
        ({"map": [[1, 2]], "exposure": 0}, "`$.exposure`; leave it out where it is not known"),
    ],
)
def test_what_is_wrong_beside_a_plain_map_is_said(fields: dict[str, Any], said: str) -> None:
    samples, dead = decoded(message(**fields))
    assert not samples
    assert said in dead[0][1]


def test_a_map_given_twice_is_refused() -> None:
    samples, dead = decoded(b'{"entity": "DT/a", "time": 1, "map": [[1]], "map": [[2]]}')
    assert not samples
    assert "map" in dead[0][1]
