"""What counts is told by what it does: over readings, restarts, and against what a model was trained on."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from anomalyd.daemon.config.config import InputConfig
from anomalyd.daemon.intake.align import Aligner
from anomalyd.daemon.intake.counter_kinds import (
    RISES,
    CounterKinds,
    Kind,
    Trained,
    kinds_mark,
    read_kinds,
    write_kinds,
)
from anomalyd.daemon.intake.decode import Decoder
from anomalyd.daemon.intake.grid_and_lateness import alignments, counts_are_said
from anomalyd.daemon.stages import Record, Sample
from anomalyd.errors import StoreError

START = 1_795_288_500.0
ELB = [1200, 800, 950, 600, 610, 2000]


def kinds_of(values: list[Any], *, declared: bool = False, trained: Kind | None = None) -> list[Kind | None]:
    kinds = CounterKinds((), Trained(1.0, {"t": {"m": trained}} if trained else {}))
    return [kinds.kind("t", "e", "m{a=b}", declared, [value]) for value in values]


def record(field: str, value: float, slot: int, offset: int, name: str = "x") -> Record:
    body = {"name": name, "tags": {"host": "h"}, "fields": {field: value}, "timestamp": START + 10 * slot}
    return Record("t", 0, offset, START + 10 * slot, None, json.dumps(body).encode())


def vectors(field: str, values: list[float], **settings: Any) -> list[float | None]:
    """What comes of a field's readings, one in each slot."""
    inputs = [InputConfig(topic="t", format="telegraf-json", **settings)]
    aligner = Aligner(alignments(inputs), 0.0, CounterKinds(counts_are_said(inputs)))
    records = [record(field, value, slot, slot) for slot, value in enumerate(values)]
    samples, dead = Decoder(inputs, clock=lambda: START).decode(records)
    assert not dead
    out: list[Sample] = aligner.add(samples, 0.0) + aligner.flush(float("inf"))
    return [next(iter((sample.values or {}).values())) for sample in out]


@pytest.mark.parametrize(
    "values",
    [
        list(range(0, 3 * RISES, 2)),  # node_vmstat_pgfault
        [*range(100, 100 + RISES), *range(3, 60)],  # set back once
        [7] * 50 + list(range(7, 60)),  # at rest first
        [0.01 * k for k in range(1, 99)],  # seconds
    ],
)
def test_what_only_ever_rises_is_a_counter(values: list[float]) -> None:
    found = kinds_of(values)
    assert found[0] is Kind.GAUGE
    assert found[-1] is Kind.COUNTER
    # Once it has shown it, it stays so.
    first = found.index(Kind.COUNTER)
    assert set(found[first:]) == {Kind.COUNTER}


@pytest.mark.parametrize(
    "values", [ELB, [3, 3, 5, 3], [12, 13, 12], [5] * 100, [0, 9, 0, 8, 0, 7] * 9, [-1, -2]]
)
def test_what_falls_or_rests_is_none(values: list[float]) -> None:
    assert set(kinds_of(values)) == {Kind.GAUGE}


@pytest.mark.parametrize("values", [ELB, [3, 3, 5, 3], [12, 13, 12], [0, 9, 0, 8, 0, 7]])
def test_what_is_called_a_counter_and_falls_is_none(values: list[float]) -> None:
    assert kinds_of(values, declared=True)[-1] is Kind.GAUGE


@pytest.mark.parametrize(
    "values",
    [
        [5] * 100,  # nothing has happened yet
        [100, 200, 5, 50, 100],  # a restart
        [*range(1000, 1100), 1099.5, *range(1100, 1200)],  # the kernel's idle time steps back by a tick
        [2**32 - 5, 3, 9],  # wrapped
    ],
)
def test_what_is_called_a_counter_stays_one_over_restarts(values: list[float]) -> None:
    assert set(kinds_of(values, declared=True)) == {Kind.COUNTER}


def test_readings_that_are_missing_say_nothing() -> None:
    assert kinds_of([None, *range(RISES), None, RISES + 1])[-1] is Kind.COUNTER


@pytest.mark.parametrize(
    ("field", "values", "out"),
    [
        ("request_count_sum", ELB, [1200, 800, 950, 600, 610, 2000]),
        ("pgfault", [10.0 * k for k in range(25)], [*(10.0 * k for k in range(RISES)), None, 1, 1, 1, 1]),
    ],
)
def test_before_any_training_a_metric_becomes_what_it_turns_out_to_be(
    field: str, values: list[float], out: list[float | None]
) -> None:
    assert vectors(field, values) == out


def test_the_configuration_overrides() -> None:
    assert vectors("pgfault", [10, 20, 5], counters=["*pgfault"]) == [None, 1, None]
    assert vectors("pgfault", [10.0 * k for k in range(25)], counters=[]) == [10.0 * k for k in range(25)]


def test_what_a_model_was_trained_on_is_missing_once_it_is_another_kind_and_said_once() -> None:
    kinds = CounterKinds((), Trained(1.0, {"t": {"up": Kind.UNPROVEN, "sum": Kind.COUNTER}}))
    rising = [kinds.kind("t", e, "up", False, [k]) for k in range(30) for e in ("one", "two")]
    assert rising[0] is Kind.GAUGE
    assert rising[-1] is None
    falling = [kinds.kind("t", "one", "sum", True, [v]) for v in ELB]
    assert (falling[0], falling[-1]) == (Kind.COUNTER, None)
    assert [(c.metric, c.kind, c.masked) for c in kinds.take()] == [
        ("up", Kind.COUNTER, True),
        ("sum", Kind.GAUGE, True),
    ]
    assert kinds.take() == []
    # The next training has settled it.
    kinds.trained(Trained(2.0, {"t": {"up": Kind.COUNTER, "sum": Kind.GAUGE}}))
    assert kinds.kind("t", "one", "up", False, [40]) is Kind.COUNTER
    assert kinds.kind("t", "one", "sum", True, [700]) is Kind.GAUGE


def test_a_metric_proven_to_be_none_is_not_watched() -> None:
    kinds = CounterKinds((), Trained(1.0, {"t": {"m": Kind.GAUGE}}))
    assert {kinds.kind("t", "e", "m", True, [k]) for k in range(99)} == {Kind.GAUGE}
    assert kinds.state() == {}


@given(st.lists(st.integers(0, 50), max_size=80), st.booleans(), st.integers(0, 79))
def test_a_restart_changes_nothing(values: list[int], declared: bool, stop: int) -> None:
    undisturbed = kinds_of(values, declared=declared)
    kinds = CounterKinds()
    states: dict[str, bytes] = {}
    found = []
    for at, value in enumerate(values):
        if at == stop:
            kinds = CounterKinds()
            kinds.restore(states)
        found.append(kinds.kind("t", "e", "m{a=b}", declared, [value]))
        states |= kinds.state()
    assert found == undisturbed


def test_what_is_settled_is_not_stored_again_and_again() -> None:
    kinds = CounterKinds()
    for value in range(300):
        kinds.kind("t", "e", "m", False, [value])
        kinds.kind("t", "e", "rest", False, [7])
    kinds.state()
    kinds.kind("t", "e", "m", False, [301])
    kinds.kind("t", "e", "rest", False, [7])
    assert kinds.state() == {}


def test_kinds_are_kept_beside_the_models(tmp_path: Path) -> None:
    models = tmp_path / "models"
    assert read_kinds(models) == Trained()
    assert kinds_mark(models) is None
    trained = Trained(5.0, {"t": {"a": Kind.COUNTER, "b": Kind.UNPROVEN}})
    write_kinds(models, trained)
    assert read_kinds(models) == trained
    assert kinds_mark(models) is not None
    (models / "metric-kinds.json").write_text("{")
    with pytest.raises(StoreError, match=r"metric-kinds\.json: .*train again"):
        read_kinds(models)
