"""What Telegraf sends, of which topic and format are told: trained on, scored, and interrupted."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import cramjam
import numpy as np
import pytest
from kafka import TopicPartition
from prometheus_client import CollectorRegistry

from anomalyd.daemon.config.config import Config
from anomalyd.daemon.kafka.poll_result import Batch, PollResult
from anomalyd.daemon.learning.sample_retention import decode
from anomalyd.daemon.learning.training import train_detectors
from anomalyd.daemon.scoring.active_model import ActiveModel
from anomalyd.daemon.service import Service
from anomalyd.daemon.stages import Record
from anomalyd.daemon.telemetry.telemetry import Telemetry
from anomalyd.detectors.library import ModelLibrary
from anomalyd.detectors.model import Card
from anomalyd.reports.storage.store import Store

Partition = tuple[str, int]
Logs = dict[Partition, list[Record]]

CAPTURES = {"telegraf-json": "tg-json.jsonl.gz", "prometheus": "tg-prw.jsonl.gz"}
HOST, OTHER = b"wn042.example.org", b"wn777.example.org"
SLOTS, GRID_S = 19, 10  # in one capture
TRAINED, SCORED = range(8), range(8, 11)
PARTITIONS = 3


def spread(records: Sequence[Record], periods: range) -> Logs:
    """Two hosts that send what was captured again and again, from any partition.

    The second sends no `mem`; the kernel's counters only from the last period on, and then no `diskio`.
    """
    logs: Logs = {("t", partition): [] for partition in range(PARTITIONS)}
    sent = 0
    for period in periods:
        shift = period * SLOTS * GRID_S
        last = period == SCORED[-1]
        for record in records:
            value = later(record, shift)
            for host in (HOST, OTHER):
                without = (b"mem", b"diskio" if last else b"kernel")
                if host == OTHER and any(name in value for name in without):
                    continue
                place = ("t", sent * 7 % 11 % PARTITIONS)
                body = value.replace(HOST, host)
                packed = body if body[:1] == b"{" else bytes(cramjam.snappy.compress_raw(body))
                logs[place].append(Record(*place, len(logs[place]), record.timestamp + shift, None, packed))
                sent += 1
    return logs


def later(record: Record, shift: int) -> bytes:
    """Move a message to another time; what was compressed is given as it is inside."""
    value, seconds = record.value or b"", round(record.timestamp)
    if value[:1] == b"{":
        return value.replace(b'"timestamp":%d' % seconds, b'"timestamp":%d' % (seconds + shift))
    inside = bytes(cramjam.snappy.decompress_raw(value))
    return inside.replace(varint(1000 * seconds), varint(1000 * (seconds + shift)))


def varint(number: int) -> bytes:
    out = bytearray()
    while number > 127:
        out.append(number & 127 | 128)
        number >>= 7
    return bytes([*out, number])


class Reader:
    """A consumer outside any group that reads one partition after the other, as far as one poll goes."""

    def __init__(self, logs: Logs, most: int) -> None:
        self._logs = {TopicPartition(*place): log for place, log in logs.items()}
        self._at = dict.fromkeys(self._logs, 0)
        self._most = most

    def partitions_for_topic(self, topic: str) -> set[int]:
        return {place.partition for place in self._logs}

    def assign(self, places: list[TopicPartition]) -> None:
        pass

    def end_offsets(self, places: list[TopicPartition]) -> dict[TopicPartition, int]:
        return {place: len(log) for place, log in self._logs.items()}

    def offsets_for_times(self, times: Mapping[TopicPartition, int]) -> dict[TopicPartition, Any]:
        return {place: SimpleNamespace(offset=0) for place in times}

    def seek(self, place: TopicPartition, offset: int) -> None:
        self._at[place] = offset

    def position(self, place: TopicPartition) -> int:
        return self._at[place]

    def poll(self, timeout_ms: int) -> dict[TopicPartition, list[Any]]:
        for place, log in self._logs.items():
            if some := log[self._at[place] : self._at[place] + self._most]:
                self._at[place] += len(some)
                raws = [
                    SimpleNamespace(
                        offset=r.offset, timestamp=r.timestamp * 1000, key=None, value=r.value, headers=[]
                    )
                    for r in some
                ]
                return {place: raws}
        return {}

    def close(self) -> None:
        pass


class Source:
    """Gives so many records of one partition after the other, from the stored offsets on."""

    def __init__(self, logs: Logs, size: int) -> None:
        self._logs = logs
        self._size = size
        self._at: dict[Partition, int] | None = None

    def take(self, timeout_s: float) -> PollResult | None:
        if self._at is None:
            return PollResult(assigned=frozenset(self._logs))
        if not (behind := self.behind()):
            return None
        place = min(behind, key=lambda p: (self._at or {})[p])
        records = self._logs[place][self._at[place] :][: self._size]
        self._at[place] += len(records)
        return PollResult((Batch(*place, records),))

    def start_at(self, offsets: Mapping[Partition, int]) -> None:
        self._at = {place: offsets.get(place, 0) for place in self._logs}

    def rewind(self) -> None:
        raise AssertionError("nothing goes wrong here")

    def behind(self) -> list[Partition]:
        return [place for place, at in (self._at or {}).items() if at < len(self._logs[place])]

    def committed(self, offsets: Mapping[Partition, int]) -> None:
        pass


class Case:
    """A topic of which only the format is told, a model trained on its history, and what is scored after."""

    def __init__(self, records: Sequence[Record], format_: str, root: Path) -> None:
        self.config = Config.model_validate(
            {
                "inputs": [{"topic": "t", "format": format_}],
                "detectors": [{"name": "hosts", "kind": "vector-autoencoder"}],
                "store": {"models": str(root / "models"), "keep_samples_s": 1e6, "url": self.url(root, "")},
            }
        )
        self.root = root
        self.now = records[-1].timestamp + SCORED.stop * SLOTS * GRID_S
        history = spread(records, TRAINED)
        self.trained: Card = train_detectors(
            self.config,
            consumer_factory=lambda **settings: Reader(history, 500),
            clock=lambda: self.now,
        )["hosts"][1]
        self.logs = spread(records, SCORED)

    @staticmethod
    def url(root: Path, name: str) -> str:
        return f"sqlite:///{root}/{name or 'none'}.db"

    def run(self, name: str, lives: Sequence[int | None] = (None,), size: int = 400) -> CollectorRegistry:
        """Run so many steps, die, start again; None: until everything is read and silent. The last counts."""
        for steps in lives:
            registry = self._live(name, steps, size)
        return registry

    def _live(self, name: str, steps: int | None, size: int) -> CollectorRegistry:
        store = Store.open(self.url(self.root, name))
        registry, now = CollectorRegistry(), self.now
        library = ModelLibrary(self.root / "models")
        service = Service(
            self.config,
            Source(self.logs, size),
            store,
            [ActiveModel(detector, library) for detector in self.config.detectors],
            Telemetry.for_config(self.config, registry),
            clock=lambda: now,
            stopwatch=lambda: 0.0,
            monotonic=lambda: now,
        )
        for _ in range(10_000 if steps is None else steps):
            now += 0.5
            if not service.step(0.0):
                break
        if steps is None:
            now += 60.0  # silent for longer than lateness and grid
            service.step(0.0)
        store.close()
        return registry

    def stored(self, name: str) -> dict[tuple[str, float], dict[str, float]]:
        """The vectors that were scored, without what was missing."""
        store = Store.open(self.url(self.root, name))
        found: dict[tuple[str, float], dict[str, float]] = {}
        for block in map(decode, store.samples.pieces()):
            for time, values in zip(block.times.tolist(), block.values.tolist(), strict=True):
                assert (block.entity, time) not in found
                told = zip(block.features, values, strict=True)
                found[block.entity, time] = {name: value for name, value in told if not np.isnan(value)}
        store.close()
        return found


@pytest.fixture(scope="module", params=CAPTURES)
def case(
    request: pytest.FixtureRequest, messages: Callable[[str], list[Record]], tmp_path_factory: Any
) -> Case:
    return Case(messages(CAPTURES[request.param]), request.param, tmp_path_factory.mktemp("grid"))


@pytest.fixture(scope="module")
def undisturbed(case: Case) -> CollectorRegistry:
    return case.run("whole")


def counted(registry: CollectorRegistry, name: str, **labels: str) -> float:
    value = registry.get_sample_value(f"anomalyd_{name}_total", labels)
    assert value is not None
    return value


def test_topic_and_format_are_enough_to_train_and_score(case: Case, undisturbed: CollectorRegistry) -> None:
    vectors = len(SCORED) * SLOTS * 2
    found = case.stored("whole")
    assert len(found) == vectors
    assert {entity for entity, _ in found} == {HOST.decode(), OTHER.decode()}
    assert {time % GRID_S for _, time in found} == {0.0}
    assert counted(undisturbed, "samples_scored", detector="hosts") == vectors
    for reason in ("untrained", "mismatch"):
        assert counted(undisturbed, "samples_unscored", detector="hosts", reason=reason) == 0
    assert counted(undisturbed, "samples_late", topic="t") == 0


def test_the_model_knows_the_metrics_of_all_hosts_and_alerts_of_none_that_is_missing(
    case: Case, undisturbed: CollectorRegistry
) -> None:
    card = case.trained
    assert card.samples == len(TRAINED) * SLOTS * 2
    names = {name for values in case.stored("whole").values() for name in values}
    assert set(card.features) == names
    assert {name[:3] for name in names} == {"cpu", "dis", "ker", "mem", "net", "pro", "sys"}
    alerts = sum(
        counted(undisturbed, "alerts", detector="hosts", seen_by=seen_by)
        for seen_by in ("both", "autoencoder", "classical")
    )
    assert alerts < 0.03 * len(SCORED) * SLOTS * 2


def test_what_a_host_sends_anew_or_no_more_is_told_once(
    case: Case, undisturbed: CollectorRegistry, caplog: pytest.LogCaptureFixture
) -> None:
    names = {name for _, values in case.stored("whole").items() for name in values}
    for what, start in (("appeared", "kernel"), ("vanished", "diskio")):
        metrics = [name for name in names if name.startswith(start)]
        assert metrics
        assert counted(undisturbed, f"metrics_{what}", topic="t") == len(metrics)
    with caplog.at_level(logging.INFO, "anomalyd.daemon.intake.intake"):
        case.run("said")
    told = [r.getMessage() for r in caplog.records if r.name == "anomalyd.daemon.intake.intake"]
    assert len(told) == 2
    assert all(text.startswith(OTHER.decode()) for text in told)
    assert "kernel" in told[0]
    assert "diskio" in told[1]


def test_a_daemon_that_is_killed_scores_the_same_vectors(case: Case, undisturbed: CollectorRegistry) -> None:
    registry = case.run("killed", (7, 11, 3, None), size=300)
    assert case.stored("killed") == case.stored("whole")
    assert counted(registry, "samples_late", topic="t") == 0  # nothing that is read again counts as late
