from __future__ import annotations

import threading
import time
from collections.abc import Callable

import msgspec
import numpy as np
import pytest
from numpy.typing import NDArray

from anomalyd.daemon.broker import EmbeddedBroker
from anomalyd.daemon.config.config import InputConfig, KafkaConfig
from anomalyd.daemon.intake.decode import Decoder
from anomalyd.daemon.producers.chambers import ChamberStream, Injection, choose_chambers
from anomalyd.daemon.producers.sender import Message, Sender
from anomalyd.daemon.producers.ticks import Ticks
from anomalyd.daemon.stages import Record, Sample
from anomalyd.detectors.maps.geometries.known import geometry_of
from anomalyd.detectors.maps.simulate.faults import FAULT_KINDS, DeadLayer
from anomalyd.detectors.maps.simulate.simulation import ElementSimulator

NOW = 1795288499.5
MB1, MB4 = "DT/W-2/MB1/S04", "DT/W+1/MB4/S13"


class Outbox(Sender):
    def __init__(self) -> None:
        super().__init__("maps", lambda: None)
        self.messages: list[Message] = []

    def send(self, message: Message) -> None:
        self.messages.append(message)


def decoded(messages: list[Message]) -> list[Sample]:
    records = [Record("maps", 0, i, m.time, m.key, m.value) for i, m in enumerate(messages)]
    samples, dead = Decoder([InputConfig(topic="maps")], clock=lambda: NOW).decode(records)
    assert dead == []
    return samples


def map_of(stream: ChamberStream, entity: str, lumisection: int) -> NDArray[np.float32]:
    (sample,) = [s for s in decoded(list(stream.messages(lumisection, NOW))) if s.entity == entity]
    assert sample.map is not None
    return sample.map


def test_the_daemon_reads_the_very_maps_of_the_simulator() -> None:
    stream = ChamberStream(Outbox(), [MB1, MB4], seed=7, run=321909)
    first, second = decoded(list(stream.messages(12, NOW)))
    assert (first.entity, first.time, first.run, first.lumisection) == (MB1, NOW, 321909, 12)
    assert second.entity == MB4
    np.testing.assert_array_equal(first.map, ElementSimulator(MB1, 7).map(12))
    np.testing.assert_array_equal(second.map, ElementSimulator(MB4, 7).map(12))


def test_rows_are_ragged_and_keys_are_entities() -> None:
    chamber = geometry_of(MB1)
    assert chamber is not None
    (message,) = ChamberStream(Outbox(), [MB1]).messages(1, NOW)
    rows = msgspec.json.decode(message.value)["map"]
    assert tuple(map(len, rows)) == chamber.widths
    assert (message.key, message.time) == (MB1.encode(), NOW)


@pytest.mark.parametrize("kind", FAULT_KINDS)
def test_an_injected_fault_is_shown_where_and_when_its_truth_says(kind: str) -> None:
    truth = Injection.draw(MB1, kind, 10, 12, seed=3)
    clean = ChamberStream(Outbox(), [MB1, MB4], seed=7, mean_counts=50)
    faulty = ChamberStream(Outbox(), [MB1, MB4], seed=7, mean_counts=50, injections=[truth])
    assert faulty.injections == (truth,)
    assert truth.kind == kind
    touched = np.zeros(truth.cells.shape, dtype=bool)
    for lumisection in range(9, 14):
        changed = map_of(clean, MB1, lumisection) != map_of(faulty, MB1, lumisection)
        changed &= ~np.isnan(map_of(clean, MB1, lumisection))
        if truth.covers(MB1, lumisection):
            touched |= changed
        else:
            assert not changed.any()
        np.testing.assert_array_equal(map_of(clean, MB4, lumisection), map_of(faulty, MB4, lumisection))
    assert not touched[~truth.cells].any()
    assert touched[truth.cells].mean() > 0.9


def test_a_drawn_fault_is_the_same_again() -> None:
    draw = Injection.draw
    assert draw(MB1, "dead-region", 1, 5, seed=1) == draw(MB1, "dead-region", 1, 5, seed=1)
    different = {draw(MB1, "dead-region", 1, 5, seed=seed).fault for seed in range(10)}
    assert len(different) > 5


def test_the_last_injection_counts_where_two_touch_one_map() -> None:
    nine, one = (Injection(MB1, DeadLayer(layer), 1, 9) for layer in (9, 1))
    stream = ChamberStream(Outbox(), [MB1], mean_counts=50, injections=[nine, one])
    counts = map_of(stream, MB1, 5)
    assert np.nansum(counts[0]) == 0
    assert np.nansum(counts[8]) > 0


def test_what_cannot_be_injected() -> None:
    stream = ChamberStream(Outbox(), [MB1])
    with pytest.raises(ValueError, match="is not simulated here"):
        stream.inject(Injection.draw(MB4, "dead-layer", 1, 2, seed=0))
    with pytest.raises(ValueError, match="not a drift-tube chamber"):
        Injection.draw("ECAL/EB", "dead-layer", 1, 2, seed=0)
    with pytest.raises(ValueError, match="unknown; there are dead-region"):
        Injection.draw(MB1, "rust", 1, 2, seed=0)
    for first, last in ((0, 3), (5, 4)):
        with pytest.raises(ValueError, match="lumisections"):
            Injection.draw(MB1, "dead-layer", first, last, seed=0)
    with pytest.raises(ValueError, match="not a drift-tube chamber"):
        ChamberStream(Outbox(), ["host/node17"])


def test_a_run_counts_its_lumisections_and_shows_what_is_injected_meanwhile() -> None:
    outbox, now, naps = Outbox(), [NOW], 0

    def sleep(seconds: float) -> bool:
        nonlocal naps
        naps += 1
        now[0] += seconds
        if naps == 2:
            stream.inject(Injection(MB1, DeadLayer(1), stream.next_lumisection, 100))
        return naps == 4

    stream = ChamberStream(
        outbox,
        [MB1],
        first_lumisection=40,
        mean_counts=50,
        ticks=Ticks(2.0, clock=lambda: now[0], sleep=sleep),
        clock=lambda: now[0],
    )
    stream.run()
    samples = decoded(outbox.messages)
    assert [s.lumisection for s in samples] == [40, 41, 42, 43]
    assert [s.time - NOW for s in samples] == [0, 2, 4, 6]
    dead = [s.map is not None and np.nansum(s.map[0]) == 0 for s in samples]
    assert dead == [False, False, True, True]


def test_chambers_are_chosen_by_seed() -> None:
    chosen = choose_chambers(20, seed=1)
    assert len(set(chosen)) == 20
    assert chosen == choose_chambers(20, seed=1) != choose_chambers(20, seed=2)
    assert len(choose_chambers(250)) == 250
    for count in (0, 251):
        with pytest.raises(ValueError, match="there are 1 to 250"):
            choose_chambers(count)


def test_maps_arrive_in_kafka(embedded_broker: EmbeddedBroker, make_topic: Callable[..., str]) -> None:
    config = KafkaConfig(bootstrap_servers=[embedded_broker.bootstrap_servers])
    with Sender.to(make_topic(embedded_broker), config) as sender:
        stream = ChamberStream(sender, choose_chambers(5), ticks=Ticks(0.01))
        thread = threading.Thread(target=stream.run)
        thread.start()
        deadline = time.monotonic() + 120
        while stream.next_lumisection < 5 and time.monotonic() < deadline:
            time.sleep(0.01)
        stream.stop()
        thread.join(120)
        assert not thread.is_alive()
        assert sender.flush(120)
        sent = (stream.next_lumisection - 1) * 5
        assert (sender.sent, sender.dropped) == (sent, 0)
