"""The way in: what is read again after a restart is neither scored nor told a second time."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry

from anomalyd.daemon.config.config import InputConfig
from anomalyd.daemon.intake.align import SETTLE_S
from anomalyd.daemon.intake.decode import Decoder
from anomalyd.daemon.intake.intake import Intake
from anomalyd.daemon.kafka.poll_result import Batch
from anomalyd.daemon.stages import Record
from anomalyd.daemon.telemetry.telemetry import Telemetry
from anomalyd.reports.step import Step
from anomalyd.reports.storage.repositories.entity_states import StateChanges
from anomalyd.reports.storage.store import Store

NOW = 1_795_288_500.0
PLACE = ("t", 0)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    store = Store.open(f"sqlite:///{tmp_path}/reports.db")
    yield store
    store.close()


def intake() -> Intake:
    inputs = [InputConfig(topic="t", lateness_s=5.0)]
    telemetry = Telemetry(CollectorRegistry(), topics=["t"])
    return Intake(inputs, Decoder(inputs, clock=lambda: NOW), telemetry)


def batch(first: int, *seconds: int | None) -> Batch:
    """Vectors of one entity at these seconds; None is a message that is broken."""
    values = [
        b"broken" if s is None else json.dumps({"entity": "e", "time": NOW + s, "values": {"a": s}}).encode()
        for s in seconds
    ]
    return Batch(*PLACE, [Record(*PLACE, first + n, NOW, None, value) for n, value in enumerate(values)])


def test_what_is_read_again_is_told_once(store: Store) -> None:
    first = intake()
    begun = first.take([batch(0, 0, 10, None, 3, 4, 11)], {}, NOW)
    assert begun.samples == ()
    settled = NOW + SETTLE_S
    assert [s.time - NOW for s in first.take([], {}, settled).samples] == [0, 3, 4]
    late = first.take([batch(6, 1, 2, 12)], {}, settled)
    assert (late.samples, late.late, len(begun.dead)) == ((), {"t": 2}, 1)
    held = 1
    assert late.moves == {PLACE: (None, held)}
    store.commit(Step("g", dict(late.moves), states=StateChanges(intake=first.states())))

    again = intake()
    again.restore(store)
    arrivals = again.take([batch(1, 10, None, 3, 4, 11, 1, 2, 12)], {PLACE: held}, NOW)
    assert (arrivals.samples, arrivals.dead, arrivals.late) == ((), (), {})
    arrivals = again.take([batch(9, 5, 2, 20, None)], {PLACE: held}, NOW)
    assert (len(arrivals.dead), arrivals.late) == (1, {"t": 1})
    assert [s.time - NOW for s in again.take([], {}, settled).samples] == [5, 10, 11, 12]


def test_without_lateness_nothing_but_what_entities_send_is_remembered(store: Store) -> None:
    inputs = [InputConfig(topic="t")]
    plain = Intake(inputs, Decoder(inputs, clock=lambda: NOW), Telemetry(CollectorRegistry(), topics=["t"]))
    arrivals = plain.take([batch(0, *range(30))], {}, NOW)
    assert len(arrivals.samples) == 30
    assert arrivals.moves == {PLACE: (None, 30)}
    assert {name for name, _ in plain.states()} == {"presence"}
    assert plain.states() == {}
