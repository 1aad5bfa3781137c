"""Canaries from their sending to their row in the store; nothing else learns of them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from accounting import assert_accounted
from handed_source import HandedSource
from prometheus_client import CollectorRegistry, generate_latest

from anomalyd.daemon.canary.planted import Template
from anomalyd.daemon.canary.sender import CanarySender
from anomalyd.daemon.config.config import Config, InputConfig
from anomalyd.daemon.intake.decode import Decoder
from anomalyd.daemon.intake.formats.canary import HEADER, Canary, decode_canary, encode_canary, is_canary
from anomalyd.daemon.kafka.poll_result import Batch, PollResult
from anomalyd.daemon.scoring.active_model import ActiveModel
from anomalyd.daemon.service import Service
from anomalyd.daemon.stages import Record, Sample
from anomalyd.daemon.telemetry.telemetry import Telemetry
from anomalyd.detectors.library import ModelLibrary
from anomalyd.reports.queries import Queries, Selection
from anomalyd.reports.storage.store import Store

Partition = tuple[str, int]
HOSTS, MAPS = ("metrics", 0), ("maps", 0)


class Loop(HandedSource):
    """A service whose topics hold what is put into them; a producer that puts canaries there."""

    def __init__(self, experiment: Any, models: Path, path: Path) -> None:
        self.config = Config.model_validate(
            {
                "inputs": [{"topic": "metrics"}, {"topic": "maps"}],
                "detectors": [
                    {"name": "hosts", "kind": "vector-autoencoder", "entities": ["host/*"]},
                    {"name": "chambers", "kind": "map-autoencoder", "entities": ["DT/*"]},
                ],
                "canary": {"enabled": True, "every_s": 0.01},
            }
        )
        self.experiment = experiment
        self.url = f"sqlite:///{path}"
        self.store = Store.open(self.url)
        self.now = experiment.begin + 100.0
        self.offsets = {HOSTS: 0, MAPS: 0}
        super().__init__(*self.offsets)
        self.registry = CollectorRegistry()
        telemetry = Telemetry.for_config(self.config, self.registry)
        library = ModelLibrary(models)
        watches = [ActiveModel(detector, library) for detector in self.config.detectors]
        self.service = Service(
            self.config, self, self.store, watches, telemetry, clock=lambda: self.now, stopwatch=lambda: 0.0
        )
        self.refusing = False
        self.producers = 0
        self.sender = CanarySender(
            self.config,
            lambda: self.service.canaries.templates,
            telemetry,
            producer_factory=lambda **settings: self._connected(),
            clock=lambda: self.now,
        )
        self.step()

    def _connected(self) -> Loop:
        self.producers += 1
        return self

    def send(self, topic: str, *, value: Any, key: Any, headers: Any, partition: int) -> Any:
        """Take a message as KafkaProducer does."""
        if self.refusing:
            raise TimeoutError("no broker")
        self.put((topic, partition), value, tuple(headers))
        return SimpleNamespace(get=lambda timeout: None)

    def close(self, timeout: float) -> None:
        raise OSError("closing fails, too")

    def put(self, place: Partition, value: bytes, headers: Any = ()) -> None:
        record = Record(*place[:1], place[1], self.offsets[place], self.now, b"k", value, headers)
        self.offsets[place] += 1
        self.waiting.append(PollResult((Batch(*place, [record]),)))

    def step(self) -> None:
        while self.waiting:
            self.service.step(0.0)

    def quiet(self, seconds: int) -> None:
        for second in range(seconds):
            self.put(HOSTS, self.experiment.message(self.experiment.hosts[0], second))
            self.put(MAPS, self.experiment.message(self.experiment.chambers[0], second))
        self.step()

    def stored(self) -> dict[tuple[str, str], Any]:
        queries = Queries.open(self.url)
        try:
            return {(check.detector, check.kind): check for check in queries.overview.canaries()}
        finally:
            queries.close()

    def counted(self, name: str, **labels: str) -> float:
        return self.registry.get_sample_value(f"anomalyd_canary_{name}", labels) or 0.0


@pytest.fixture
def loop(experiment: Any, models: Path, tmp_path: Path) -> Iterator[Loop]:
    loop = Loop(experiment, models, tmp_path / "reports.db")
    yield loop
    loop.store.close()


def test_canaries_come_back_and_are_right(loop: Loop) -> None:
    loop.quiet(20)
    sent = loop.now
    loop.sender.send()
    loop.now += 2.5
    loop.step()
    found = loop.stored()
    assert set(found) == {(d, k) for d in ("hosts", "chambers") for k in ("healthy", "faulty")}
    for (_, kind), check in found.items():
        assert check.right, check
        assert (check.sent, check.latency_s) == (sent, 2.5)
        assert (check.score > 1) == (kind == "faulty")
    assert loop.counted("returned_total", detector="hosts", kind="faulty", verdict="right") == 1
    assert loop.counted("sent_total", detector="chambers", kind="healthy") == 1
    assert loop.counted("latency_seconds_sum") == pytest.approx(4 * 2.5)


def test_nothing_else_learns_of_them(loop: Loop) -> None:
    loop.quiet(20)
    states = loop.store.states.journal_ids("hosts")
    queries = Queries.open(loop.url)
    activity = queries.activity()
    for _ in range(12):  # more than open an incident
        loop.now += 1.0
        loop.sender.send()
    loop.step()
    assert loop.counted("returned_total", detector="hosts", kind="faulty", verdict="right") == 12
    assert queries.count(Selection()) == 0
    assert queries.activity() == activity
    queries.close()
    assert loop.store.states.journal_ids("hosts") == states
    assert loop.store.outbox_size() == 0
    assert_accounted(generate_latest(loop.registry).decode())
    settled = loop.registry.get_sample_value(
        "anomalyd_records_settled_total", {"topic": "metrics", "outcome": "canary"}
    )
    assert settled == 24


def test_one_that_is_read_again_counts_once_and_the_newest_is_kept(loop: Loop) -> None:
    loop.quiet(20)
    loop.sender.send()
    old = list(loop.waiting)
    loop.step()
    loop.now += 60.0
    loop.sender.send()
    loop.step()
    newest = loop.stored()["hosts", "healthy"]
    for polled in old:
        (batch,) = polled.batches
        for record in batch.records:
            loop.put((record.topic, record.partition), record.value or b"", record.headers)
    loop.step()
    assert loop.stored()["hosts", "healthy"] == newest
    assert loop.counted("returned_total", detector="hosts", kind="healthy", verdict="right") == 2


def test_what_cannot_be_sent_counts_as_sent_and_the_next_is_tried_anew(loop: Loop) -> None:
    loop.sender.send()  # nothing to make them of yet
    assert loop.producers == 0
    loop.quiet(20)
    loop.refusing = True
    loop.sender.send()
    assert loop.counted("sent_total", detector="hosts", kind="faulty") == 1
    loop.refusing = False
    loop.sender.send()
    loop.step()
    assert loop.producers == 2
    assert loop.counted("sent_total", detector="hosts", kind="faulty") == 2
    assert loop.counted("returned_total", detector="hosts", kind="faulty", verdict="right") == 1


def test_the_thread_sends_until_it_is_stopped(loop: Loop, eventually: Any) -> None:
    assert CanarySender(loop.config, tuple, Telemetry(CollectorRegistry())).stop(1.0)  # never started
    loop.quiet(20)
    loop.sender.start()
    eventually(lambda: loop.counted("sent_total", detector="hosts", kind="faulty") >= 2, within_s=120.0)
    assert loop.sender.stop(60.0)


def test_a_detector_without_a_fitting_model_judges_nothing(loop: Loop) -> None:
    for canary in (
        Canary("gone", "healthy", "host/x", loop.now, {"cpu": 1.0}),
        Canary("chambers", "healthy", "DT/x", loop.now, {"cpu": 1.0}),
        Canary("hosts", "healthy", "host/x", loop.now, map=np.ones((1, 1), dtype=np.float32)),
    ):
        value, headers = encode_canary(canary)
        loop.put(HOSTS, value, tuple(headers))
    loop.quiet(1)  # takes the models
    loop.step()
    assert loop.stored() == {}


def test_a_fault_moves_every_metric_and_breaks_a_whole_map() -> None:
    sample = Sample("e", 1.0, "t", 0, 0, {"a": 5.0, "b": None, "c": 1.0})
    healthy, faulty = Template("d", sample, {"a": 2.0, "c": 1.0}).canaries(9.0)
    assert healthy.values == sample.values
    assert faulty.values == {"a": 65.0, "b": None, "c": 31.0}
    cells = np.array([[4.0, np.nan], [1.0, 2.0]], dtype=np.float32)
    _, broken = Template("d", Sample("e", 1.0, "t", 0, 0, map=cells), {}).canaries(9.0)
    assert broken.map is not None
    np.testing.assert_array_equal(broken.map, [[0.0, np.nan], [13.0, 16.0]])


@pytest.mark.parametrize(
    "value",
    [b"", b"{", b"[]", b'{"a": "x"}', b"\x93NUMPY", b"1234"],
)
def test_a_damaged_canary_is_none_and_never_a_sample(value: bytes) -> None:
    about = {"detector": "d", "kind": "healthy", "like": "e", "sent": 1.0}
    shapes = [None, [1, 2], [-1, 1], [0, -1], [10**9, 10**9], [2**63, 2]]
    headers = [json.dumps({**about, "shape": shape}).encode() for shape in shapes]
    for header in (*headers, b"{", b""):
        record = Record("t", 0, 0, 1.0, None, value, ((HEADER, header),))
        assert is_canary(record)
        assert decode_canary(record) is None
        assert Decoder([InputConfig(topic="t")], clock=lambda: 1.0).decode([record]) == ([], [])


def test_what_is_encoded_is_decoded() -> None:
    for canary in (
        Canary("d", "faulty", "e", 2.5, {"a": 1.5, "b": None}),
        Canary("d", "healthy", "e", 2.5, map=np.ones((2, 3), dtype=np.float32)),
    ):
        value, headers = encode_canary(canary)
        found = decode_canary(Record("t", 0, 0, 1.0, None, value, tuple(headers)))
        assert found is not None
        assert (found.detector, found.kind, found.like, found.sent, found.values) == (
            *("d", canary.kind, "e", 2.5),
            canary.values,
        )
        if canary.map is not None:
            assert found.map is not None
            np.testing.assert_array_equal(found.map, canary.map)
