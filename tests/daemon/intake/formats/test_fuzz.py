"""Damaged messages of every format: the short form of `make fuzz`."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest

from anomalyd.daemon.intake.formats.registry import FORMATS
from anomalyd.daemon.intake.parsing.fields import seconds_of

BENCHMARKS = Path(__file__).parents[4] / "benchmarks"


@pytest.fixture(scope="module")
def fuzzer() -> ModuleType:
    spec = importlib.util.spec_from_file_location("fuzz_decoders", BENCHMARKS / "fuzz_decoders.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


@pytest.mark.filterwarnings("ignore:Reading `.npy`:UserWarning")
def test_damaged_messages_are_refused_and_raise_nothing_else(fuzzer: ModuleType) -> None:
    found = fuzzer.fuzz(list(FORMATS), 200 * len(FORMATS), 1)
    assert {name: seen.faults for name, seen in found.items()} == {name: [] for name in FORMATS}
    for name, seen in found.items():
        assert sum(seen.outcomes.values()) == 200
        assert seen.outcomes["refused"] > 20, name
        assert seen.outcomes["samples"] + seen.outcomes["partly"] > 2, name


def test_a_decoder_that_raises_anything_else_is_told(fuzzer: ModuleType) -> None:
    class Broken:
        def decode(self, record: object, now: float) -> object:
            raise OverflowError("int too large")

    seen = fuzzer.Seen()
    fuzzer.try_one(Broken(), fuzzer.made("json", fuzzer.random.Random(1)), seen)
    assert seen.outcomes == {"fault": 1}
    assert "OverflowError" in seen.faults[0]


def test_a_whole_number_beyond_all_floats_is_an_infinite_time() -> None:
    assert seconds_of(10**400) == float("inf")
    assert seconds_of(-(10**400)) == float("-inf")
