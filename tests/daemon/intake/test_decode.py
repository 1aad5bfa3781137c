"""The stage from records to samples: the good goes on, the bad is a dead letter, and nothing raises."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from anomalyd.daemon.config.config import InputConfig, Limits
from anomalyd.daemon.intake.decode import Decoder
from anomalyd.daemon.stages import Record

NOW = 1_795_288_500.0


def records(*values: bytes | None, topic: str = "t") -> list[Record]:
    return [Record(topic, 0, offset, NOW, b"k", value) for offset, value in enumerate(values)]


def good(entity: str = "e") -> bytes:
    return json.dumps({"entity": entity, "time": NOW, "values": {"a": 1}}).encode()


@pytest.fixture
def decoder() -> Decoder:
    return Decoder([InputConfig(topic="t")], clock=lambda: NOW)


def test_broken_messages_among_good_ones(decoder: Decoder) -> None:
    both = json.dumps([json.loads(good("c")), {"time": NOW}]).encode()
    samples, dead = decoder.decode(records(good("a"), b"{", None, good("b"), b"", both, good("d")))
    assert [(s.entity, s.offset) for s in samples] == [("a", 0), ("b", 3), ("c", 5), ("d", 6)]
    assert [(d.record.offset, d.reason) for d in dead] == [
        (1, "syntax"),
        (2, "empty"),
        (4, "empty"),
        (5, "field"),
    ]
    assert dead[-1].record.value == both
    assert "element 1" in dead[-1].text


def test_a_message_that_is_too_large_is_not_even_decoded() -> None:
    size = len(good())
    decoder = Decoder([InputConfig(topic="t", limits=Limits(message_bytes=size))], clock=lambda: NOW)
    samples, dead = decoder.decode(records(good(), b"{" * (size + 1)))
    assert len(samples) == 1
    assert [d.reason for d in dead] == ["too-large"]
    assert str(size) in dead[0].text


def test_each_topic_has_its_own_format_and_limits() -> None:
    decoder = Decoder(
        [InputConfig(topic="t"), InputConfig(topic="maps", format="npy", entity="x")], clock=lambda: NOW
    )
    _, dead = decoder.decode(records(good(), topic="maps") + records(good()))
    assert [(d.record.topic, d.reason) for d in dead] == [("maps", "time")]


def test_a_fault_of_a_decoder_costs_one_message(
    decoder: Decoder, monkeypatch: pytest.MonkeyPatch, caplog: Any
) -> None:
    def fault(rows: Any) -> None:
        raise ZeroDivisionError("oh")

    monkeypatch.setattr("anomalyd.daemon.intake.formats.json_samples.np.fromiter", fault)
    a_map = json.dumps({"entity": "e", "time": NOW, "map": [[1.0, None], [1, 2]]}).encode()
    samples, dead = decoder.decode(records(good("a"), a_map, good("b")))
    assert [s.entity for s in samples] == ["a", "b"]
    assert [d.reason for d in dead] == ["internal"]
    assert "t/0/1" in caplog.text


def test_the_clock_is_read_anew_for_every_call() -> None:
    times = iter([NOW, NOW + 10**9])
    decoder = Decoder([InputConfig(topic="t")], clock=lambda: next(times))
    assert decoder.decode(records(good()))[0]
    assert decoder.decode(records(good()))[1][0].reason == "clock"


@given(
    st.lists(st.sampled_from([good(), b"{", b"[]", None, b"", b"\xff"]) | st.binary(max_size=20), max_size=30)
)
def test_every_record_is_a_sample_or_a_dead_letter(values: list[bytes | None]) -> None:
    samples, dead = Decoder([InputConfig(topic="t")], clock=lambda: NOW).decode(records(*values))
    assert sorted([s.offset for s in samples] + [d.record.offset for d in dead]) == list(range(len(values)))


def test_map_cells_do_not_keep_the_message_alive() -> None:
    decoder = Decoder([InputConfig(topic="t")], clock=lambda: NOW)
    (sample,), _ = decoder.decode(records(json.dumps({"entity": "e", "time": NOW, "map": [[1]]}).encode()))
    assert isinstance(sample.map, np.ndarray)
    # Nothing but the cells themselves lies behind them.
    assert sample.map.base is None or sample.map.base.nbytes == sample.map.nbytes
