"""The service loop on a real store and real models: one step is one transaction, whatever interrupts it."""

from __future__ import annotations

import itertools
import json
import sqlite3
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
from accounting import assert_accounted, by_topic
from hypothesis import Phase, example, given, settings
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, generate_latest

from anomalyd.daemon.config.config import Config
from anomalyd.daemon.intake.decode import Decoder
from anomalyd.daemon.kafka.poll_result import Batch, PollResult
from anomalyd.daemon.learning.sample_retention import decode
from anomalyd.daemon.precedence import Precedence
from anomalyd.daemon.scoring.active_model import ActiveModel
from anomalyd.daemon.service import Found, Service
from anomalyd.daemon.stages import Record
from anomalyd.daemon.telemetry.telemetry import Telemetry
from anomalyd.detectors.library import ModelLibrary
from anomalyd.errors import StoreConflict, StoreError
from anomalyd.reports.queries import Order, Queries, Selection
from anomalyd.reports.report import SeenBy, Severity, Status
from anomalyd.reports.step import Activity
from anomalyd.reports.storage.store import Store

Partition = tuple[str, int]
Logs = Mapping[Partition, Sequence[Record]]

A, B, MAPS = ("metrics", 0), ("metrics", 1), ("maps", 0)
SECONDS = 30


def configured(**inputs: Any) -> Config:
    # Two rows of a fault are what the baseline sees on one of the hosts: this policy takes both.
    alert = {"open_after": 2, "close_after": 3, "alert_on": "either"}
    return Config.model_validate(
        {
            "inputs": [{"topic": "metrics", **inputs}, {"topic": "maps"}],
            "detectors": [
                {"name": "hosts", "kind": "vector-autoencoder", "entities": ["host/*"], "alert": alert},
                {"name": "chambers", "kind": "map-autoencoder", "entities": ["DT/*"], "alert": alert},
            ],
            "store": {"keep_samples_s": 1e6},
        }
    )


class Replay:
    """A source over records in memory. Like the real one it starts where the store says, and tells of
    partitions that come and go in a delivery of its own. Verbs act on the next `take`."""

    def __init__(self, logs: Logs, size: int) -> None:
        self._logs = logs
        self._size = size
        self._positions: dict[Partition, int] = {}
        self._new, self._lost, self._announced = set(logs), set[Partition](), set[Partition]()
        self.committed_offsets: dict[Partition, int] = {}
        self.rewinds = 0

    def take(self, timeout_s: float) -> PollResult | None:
        if self._new or self._lost:
            return self._news()
        batches = []
        for place, position in self._positions.items():
            records = list(self._logs[place][position : position + self._size])
            if records:
                batches.append(Batch(*place, records))
                self._positions[place] += len(records)
        return PollResult(tuple(batches)) if batches else None

    def _news(self) -> PollResult:
        news = PollResult(assigned=frozenset(self._new), revoked=frozenset(self._lost))
        for place in self._lost:
            self._positions.pop(place, None)
        self._announced = (self._announced - self._lost) | self._new
        self._new, self._lost = set(), set()
        return news

    def start_at(self, offsets: Mapping[Partition, int]) -> None:
        self._positions |= {place: offsets.get(place, 0) for place in self._announced - self._new}
        self._announced.clear()

    def rewind(self) -> None:
        self.rewinds += 1
        self._lost |= set(self._positions) | self._announced
        self._new |= set(self._positions) | self._announced
        self._announced.clear()

    def behind(self) -> list[Partition]:
        return [place for place, position in self._positions.items() if position < len(self._logs[place])]

    def committed(self, offsets: Mapping[Partition, int]) -> None:
        self.committed_offsets |= offsets

    def revoke(self, place: Partition) -> None:
        if place in self._positions:
            self._lost.add(place)

    def assign(self, place: Partition) -> None:
        if place not in self._positions:
            self._new.add(place)

    @property
    def drained(self) -> bool:
        ends = {place: len(log) for place, log in self._logs.items()}
        return not self._new and not self._lost and not self._announced and self._positions == ends


class Life:
    """One life of a service: from a start on what the store holds until it is killed (that is, dropped)."""

    def __init__(
        self, config: Config, store: Any, models: Path, logs: Logs, now: float, size: int = 7
    ) -> None:
        self.store = store
        self.now = now
        self.monotonic = 0.0
        self._turn_s = 0.5 if config.inputs[0].lateness_s else 0.0  # time in which held samples settle
        self.stopwatch = 0.0
        self.registry = CollectorRegistry()
        self.found: list[Found] = []
        self.steps = 0
        self.precedence = Precedence()
        self.in_steps = self.between_steps = True  # whether it was held there, and free
        self.at_turn: Callable[[], None] = lambda: None
        self.at_sleep: Callable[[], None] = lambda: None
        library = ModelLibrary(models)
        self.source = Replay(logs, size)
        self.service = Service(
            config,
            self.source,
            store,
            [ActiveModel(detector, library) for detector in config.detectors],
            Telemetry.for_config(config, self.registry),
            clock=lambda: self.now,
            stopwatch=lambda: self.stopwatch,
            monotonic=lambda: self.monotonic,
            sleep=lambda seconds: self.at_sleep(),
            on_found=self.found.append,
            on_step=self._stepped,
            on_turn=self._turned,
            precedence=self.precedence,
        )

    def _turned(self) -> None:
        self.pass_s(self._turn_s)
        self.at_turn()

    def _stepped(self) -> None:
        self.steps += 1
        self.in_steps &= not self.precedence.wait(0.0)

    def pass_s(self, seconds: float) -> None:
        """Let so much time pass."""
        self.now += seconds
        self.monotonic += seconds

    def step(self) -> bool:
        came = self.service.step(0.25)
        self.between_steps &= self.precedence.wait(0.0)
        return came

    def drain(self) -> None:
        """Step until nothing more comes, also of what waits to be joined."""
        while not self.source.drained or self.step():
            self.step()
        self.pass_s(60.0)
        self.step()

    def run(self, turns: int, at_turn: Callable[[int], None] = lambda turn: None) -> None:
        """Run for so many turns of the loop."""
        turn = 0

        def turned() -> None:
            nonlocal turn
            turn += 1
            if turn >= turns:
                self.service.stop()
            at_turn(turn)

        self.at_turn = turned
        self.service.run()

    def exposition(self) -> str:
        return generate_latest(self.registry).decode()

    def counted(self, name: str, **labels: str) -> float:
        return self.registry.get_sample_value(f"anomalyd_{name}", labels) or 0.0


@contextmanager
def broken(path: Path) -> Iterator[tuple[Callable[[], None], Callable[[], None]]]:
    """Gives what makes a database fail at the last that a step writes, and what mends it again."""
    with closing(sqlite3.connect(path)) as connection:

        def run(statement: str) -> None:
            connection.execute(statement)
            connection.commit()

        trigger = "BEFORE INSERT ON activity BEGIN SELECT RAISE(ABORT, 'no more room'); END"
        yield (
            lambda: run(f"CREATE TRIGGER IF NOT EXISTS broken {trigger}"),
            lambda: run("DROP TRIGGER IF EXISTS broken"),
        )
        run("DROP TRIGGER IF EXISTS broken")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "reports.db"


@pytest.fixture
def store(path: Path) -> Iterator[Store]:
    store = Store.open(f"sqlite:///{path}")
    yield store
    store.close()


@pytest.fixture(scope="session")
def logs(experiment: Any) -> Logs:
    """Half a minute of three hosts and a chamber: four incidents, the last of them still open; one anomalous
    sample by itself; broken messages; a sample that comes late and one that comes twice."""
    a, b, c = experiment.hosts
    chamber = experiment.chambers[0]
    anomalous = {
        a: range(8, 13),
        b: (*range(18, 20), 25),
        c: range(SECONDS - 4, SECONDS),
        chamber: range(10, 14),
    }
    sent: dict[Partition, list[bytes | None]] = {A: [], B: [], MAPS: []}
    for second in range(SECONDS):
        for entity, place in ((a, A), (b, A), (c, B), (chamber, MAPS)):
            sent[place].append(
                experiment.message(entity, second, 15.0 if second in anomalous[entity] else 0.0)
            )
        if second % 9 == 4:
            sent[A].append(b'{"entity": ')
            sent[B].append(None)
        if second == 16:
            sent[A] += [experiment.message(a, 5), experiment.message(b, 16)]
    return {
        (topic, partition): [
            experiment.record(topic, offset, value, partition) for offset, value in enumerate(values)
        ]
        for (topic, partition), values in sent.items()
    }


@pytest.fixture(scope="session")
def parted(experiment: Any) -> Logs:
    """The same hosts, every row in two messages, and the messages of a few seconds out of order."""
    logs: dict[Partition, list[Record]] = {}
    for place, hosts in ((A, experiment.hosts[:2]), (B, experiment.hosts[2:])):
        parts: list[tuple[float, bytes]] = []
        for second in range(SECONDS):
            for host in hosts:
                about = json.loads(experiment.message(host, second, 15.0 if 8 <= second < 13 else 0.0))
                values = list(about["values"].items())
                for n, half in enumerate((values[:2], values[2:])):
                    part = {**about, "values": dict(half), "partial": True}
                    parts.append((second + 1.7 * ((second + n) % 2), json.dumps(part).encode()))
            if second % 7 == 3:
                parts.append((second, b"[broken"))
        parts.sort(key=lambda part: part[0])
        logs[place] = [
            experiment.record(*[place[0], offset, value, place[1]]) for offset, (_, value) in enumerate(parts)
        ]
    return {**logs, MAPS: []}


def told(path: Path, store: Store) -> dict[str, Any]:
    """All that a store says was found: reports and their courses, events and dead letters, activity."""
    queries = Queries.open(f"sqlite:///{path}")
    reports, peaks = {}, {}
    for report in queries.reports(Selection(), Order.EARLIEST):
        about = asdict(report.incident)
        identity = about.pop("id")
        # Floating point: a batch of ten rows and ten of one differ in the seventh digit.
        peaks[identity] = [about.pop(name) for name in ("peak", "autoencoder", "classical")]
        about["points"] = [point.time for point in queries.points(identity)]
        evidence = queries.evidence(identity)
        about["evidence"] = None if evidence is None else (evidence.time, evidence.values.tobytes())
        reports[identity] = about
    events, dead = defaultdict(list), []
    for outgoing in store.unsent(10_000):
        headers = dict(outgoing.entry.headers)
        if outgoing.entry.topic == "anomalyd-reports":
            assert outgoing.entry.key is not None
            events[outgoing.entry.key.decode()].append(headers["anomalyd-event"])
        else:
            where = tuple(headers[f"anomalyd-{part}"] for part in ("topic", "partition", "offset", "reason"))
            dead.append((*where, outgoing.entry.value))
    activity = queries.activity()
    queries.close()
    with closing(sqlite3.connect(path)) as connection:
        lumisections = sorted(connection.execute("SELECT * FROM lumisections"))
    kept = [
        (block.entity, time, values.tobytes())
        for block in map(decode, store.samples.pieces())
        for time, values in zip(block.times.tolist(), block.values, strict=True)
    ]
    return {
        "reports": reports,
        "peaks": peaks,
        "events": dict(events),
        "dead": sorted(dead),
        "activity": activity,
        "kept": sorted(kept),
        "lumisections": lumisections,
    }


def same(found: dict[str, Any], expected: dict[str, Any]) -> None:
    for what in ("reports", "events", "dead", "activity", "kept", "lumisections"):
        assert found[what] == expected[what]
    for identity, peaks in expected["peaks"].items():
        assert found["peaks"][identity] == pytest.approx(peaks, rel=1e-4)


@pytest.fixture(scope="session")
def now(experiment: Any) -> float:
    wall: float = experiment.begin + 100
    return wall


@pytest.fixture(scope="session")
def whole(models: Path, logs: Logs, now: float, tmp_path_factory: pytest.TempPathFactory) -> Case:
    return Case(configured(), models, logs, now, tmp_path_factory.mktemp("whole"))


@pytest.fixture
def expected(whole: Case) -> dict[str, Any]:
    """What an undisturbed run finds."""
    return whole.expected


# ---- what is found


def test_what_was_planted_is_found_and_nothing_else(
    expected: dict[str, Any], experiment: Any, logs: Logs
) -> None:
    a, b, c = experiment.hosts
    begin = experiment.begin
    found = {r["entity"]: r for r in expected["reports"].values()}
    assert len(expected["reports"]) == len(found) == 4
    for entity, onset, last, closed in (
        (a, 8, 12, 15),
        (b, 18, 19, 22),
        (c, 26, 29, None),
        (experiment.chambers[0], 10, 13, 16),
    ):
        about = found[entity]
        times = [about[name] and about[name] - begin for name in ("onset", "last", "closed")]
        assert times == [onset, last, closed]
        assert about["samples"] == last - onset + 1
        assert about["status"] is (Status.OPEN if closed is None else Status.CLOSED)
        assert [t - begin for t in about["points"]] == list(range(onset, (closed or last) + 1))
        # The explained sample lies in the fault; a worse one takes its place from a tenth more on.
        assert about["onset"] <= about["evidence"][0] <= about["peak_time"]
    assert found[a]["causes"][0] == "memory"
    assert found[a]["source"] == f"metrics/0/{8 * 2 + 1}"
    assert "no hits" in found[experiment.chambers[0]]["causes"][0]
    assert (found[experiment.chambers[0]]["run"], found[experiment.chambers[0]]["first_lumisection"]) == (
        7,
        110,
    )
    assert all(events[0] == b"opened" for events in expected["events"].values())
    assert sum(b"closed" in events for events in expected["events"].values()) == 3
    assert expected["events"].keys() == expected["reports"].keys()


def test_a_wall_clock_that_jumps_changes_nothing(
    store: Store, path: Path, models: Path, logs: Logs, now: float, expected: dict[str, Any]
) -> None:
    """By an hour there and back between the steps, as a host does whose clock is set."""
    life = Life(configured(), store, models, logs, now)
    for turn in range(2000):
        if life.source.drained:
            break
        life.now = now + 3600.0 * (turn % 2)
        life.step()
    life.drain()
    same(told(path, store), expected)


def test_every_broken_message_is_a_dead_letter(expected: dict[str, Any]) -> None:
    assert [(topic, partition, reason) for topic, partition, _, reason, _ in expected["dead"]] == [
        *[(b"metrics", b"0", b"syntax")] * 3,
        *[(b"metrics", b"1", b"empty")] * 3,
    ]
    assert {value for *_, value in expected["dead"]} == {b'{"entity": ', b""}


def test_the_activity_of_every_entity_is_kept(expected: dict[str, Any], experiment: Any) -> None:
    a, b, c = experiment.hosts
    first, last = experiment.begin, experiment.begin + SECONDS - 1
    assert expected["activity"] == {
        a: Activity("vector", first, last, SECONDS + 1),  # one came late
        b: Activity("vector", first, last, SECONDS + 1),  # one came twice
        c: Activity("vector", first, last, SECONDS),
        experiment.chambers[0]: Activity("map", first, last, SECONDS),
    }


def test_every_map_is_counted_for_the_flags_of_its_run(expected: dict[str, Any]) -> None:
    counts = [(7, "DT", 100 + s, 1, 1, int(10 <= s < 14), 0) for s in range(SECONDS)]
    assert expected["lumisections"] == counts


def test_every_sample_is_kept_to_train_on(expected: dict[str, Any], experiment: Any) -> None:
    counted = {entity: seen.samples for entity, seen in expected["activity"].items()}
    kept = Counter(entity for entity, _, _ in expected["kept"])
    assert kept == {e: n for e, n in counted.items() if e.startswith(("host/", "DT/"))}


def test_what_happened_is_counted(
    store: Store, models: Path, logs: Logs, now: float, experiment: Any
) -> None:
    life = Life(configured(), store, models, logs, now)
    life.drain()
    records = sum(map(len, logs.values()))
    assert life.counted("records_consumed_total", topic="metrics") == records - SECONDS
    assert life.counted("samples_decoded_total", topic="metrics") == records - SECONDS - 6
    assert life.counted("samples_scored_total", detector="hosts") == records - SECONDS - 6
    assert life.counted("samples_scored_total", detector="chambers") == SECONDS
    assert life.counted("samples_late_total", topic="metrics") == 2
    for reason in ("syntax", "empty"):
        assert life.counted("dead_letters_total", topic="metrics", reason=reason) == 3
    opened = {
        (detector, severity): life.counted("incidents_opened_total", detector=detector, severity=severity)
        for detector in ("hosts", "chambers")
        for severity in Severity
    }
    assert sum(n for (detector, _), n in opened.items() if detector == "hosts") == 3
    assert sum(n for (detector, _), n in opened.items() if detector == "chambers") == 1
    alerts = [life.counted("alerts_total", detector="hosts", seen_by=seen_by) for seen_by in SeenBy]
    assert sum(alerts) == 5 + 3 + 4
    assert life.counted("end_to_end_seconds_count") == records
    assert life.counted("end_to_end_seconds_sum") == pytest.approx(100.0 * records)
    assert life.counted("stage_seconds_count", stage="commit") == life.steps
    last = experiment.begin + SECONDS - 1
    assert life.service.newest_events == {A: last, B: last, MAPS: last}
    for detector in ("hosts", "chambers"):
        (version,) = ModelLibrary(models).versions(detector)
        kind = {"hosts": "vector-autoencoder", "chambers": "map-autoencoder"}[detector]
        assert life.counted("model_info", detector=detector, version=version, kind=kind) == 1
    told_of = [found.events for found in life.found]
    assert sum("opened" in events for events in told_of) == 4
    assert sum("closed" in events for events in told_of) == 3


def test_a_step_without_anything_is_no_step(store: Store, models: Path, now: float) -> None:
    life = Life(configured(), store, models, {A: [], B: [], MAPS: []}, now)
    assert life.step()  # the news of the partitions
    assert not life.step()
    assert life.steps == 0
    assert store.offsets("anomalyd") == {}


def test_others_give_way_while_a_step_is_in_hand(store: Store, models: Path, logs: Logs, now: float) -> None:
    life = Life(configured(), store, models, {**logs, A: logs[A][:9], B: []}, now)
    life.drain()
    assert life.steps > 0
    assert life.in_steps
    assert life.between_steps


def test_no_topic_no_message(store: Store, models: Path, logs: Logs, now: float) -> None:
    config = configured().model_copy(
        update={"output": configured().output.model_copy(update={"topic": None, "dead_letter_topic": None})}
    )
    life = Life(config, store, models, logs, now)
    life.drain()
    assert store.outbox_size() == 0
    assert len(life.found) > 0


def test_a_model_published_while_it_runs_is_taken(
    store: Store, tmp_path: Path, models: Path, logs: Logs, now: float, experiment: Any
) -> None:
    life = Life(configured(), store, tmp_path / "models", logs, now, size=1)
    life.step()
    life.step()
    assert life.counted("samples_unscored_total", detector="hosts", reason="untrained") == 2
    ModelLibrary(tmp_path / "models").publish("hosts", experiment.host_pair)
    life.step()
    assert life.counted("samples_scored_total", detector="hosts") == 0  # not looked for at every step
    life.stopwatch += 2.0
    life.step()
    assert life.counted("samples_scored_total", detector="hosts") == 2


# ---- what interrupts it


def test_a_step_that_the_store_cannot_keep_leaves_nothing(
    store: Store, path: Path, models: Path, logs: Logs, now: float, expected: dict[str, Any]
) -> None:
    life = Life(configured(), store, models, logs, now, size=1000)
    life.step()
    with broken(path) as (break_it, _):
        break_it()
        with pytest.raises(StoreError, match="no more room"):
            life.step()
        assert store.offsets("anomalyd") == {}
        assert life.source.committed_offsets == {}
        assert store.states.snapshot_times("hosts") == {}
        nothing = told(path, store)
        assert not any(nothing.values())
        assert (life.found, life.steps) == ([], 0)
        assert life.counted("dead_letters_total", topic="metrics", reason="syntax") == 0


def test_the_loop_goes_on_once_the_store_is_back(
    store: Store, path: Path, models: Path, logs: Logs, now: float, expected: dict[str, Any]
) -> None:
    life = Life(configured(), store, models, logs, now)
    with broken(path) as (break_it, mend):
        break_it()
        life.at_sleep = mend
        life.run(100)
    assert life.source.rewinds == 1
    assert life.source.drained
    assert life.source.committed_offsets == store.offsets("anomalyd")
    same(told(path, store), expected)


def test_two_daemons_on_the_same_partitions_do_not_double_anything(
    store: Store, path: Path, models: Path, logs: Logs, now: float, expected: dict[str, Any]
) -> None:
    one, other = (Life(configured(), store, models, logs, now) for _ in range(2))
    for life in (one, other, one):
        life.step()  # the news of the partitions; then the first records, of one of them
    before = store.offsets("anomalyd")
    with pytest.raises(StoreConflict, match="another daemon"):
        other.step()
    assert store.offsets("anomalyd") == before
    other = Life(configured(), store, models, logs, now)
    other.run(100, at_turn=lambda turn: one.step() if turn == 5 else None)
    assert other.counted("store_conflicts_total") == 1
    assert other.source.rewinds == 1
    same(told(path, store), expected)


def test_a_partition_that_goes_and_comes_back_goes_on_from_the_store(
    store: Store, path: Path, models: Path, logs: Logs, now: float, expected: dict[str, Any]
) -> None:
    life = Life(configured(), store, models, logs, now)

    def rebalance(turn: int) -> None:
        if turn == 4:
            life.source.revoke(A)
        elif turn == 6:
            assert A not in life.service.newest_events
            life.source.assign(A)

    life.run(100, rebalance)
    same(told(path, store), expected)


_lives = st.lists(
    st.tuples(
        st.integers(1, 40),  # records of a partition in a step
        st.integers(2, 8),  # turns until it is killed
        st.sampled_from(["nothing", "store fails", "rebalance"]),
        st.integers(1, 6),  # at this turn
    ),
    min_size=1,
    max_size=5,
)


class Case:
    """A stream, and what an undisturbed run finds in it."""

    def __init__(self, config: Config, models: Path, logs: Logs, now: float, folder: Path) -> None:
        self._begin = lambda store, size: Life(config, store, models, logs, now, size)
        self._paths = (folder / f"{number}.db" for number in itertools.count())
        self.expected = self.live([])

    def live(self, lives: Sequence[tuple[int, int, str, int]]) -> dict[str, Any]:
        """Live those lives one after the other, then one that ends of itself; gives what was found."""
        path = next(self._paths)
        store = Store.open(f"sqlite:///{path}")
        try:
            for size, turns, how, turn in lives:
                life = self._begin(store, size)
                with interrupted(life, path, how, turn) as interruption:
                    life.run(turns, interruption)
                assert_accounted(life.exposition())
            life = self._begin(store, 50)
            life.drain()
            assert_accounted(life.exposition())
            return told(path, store)
        finally:
            store.close()


@contextmanager
def interrupted(life: Life, path: Path, how: str, turn: int) -> Iterator[Callable[[int], None]]:
    """Gives what makes the interruption happen when it is told of the turn."""
    with broken(path) as (break_it, mend):
        life.at_sleep = mend

        def interrupt(now: int) -> None:
            if how == "store fails" and now == turn:
                break_it()
            elif how == "rebalance" and now == turn:
                life.source.revoke(A)
            elif how == "rebalance" and now == turn + 2:
                life.source.assign(A)

        yield interrupt


_few = settings(
    deadline=None,
    max_examples=8,
    phases=[Phase.explicit, Phase.reuse, Phase.generate],  # each try is a tenth of a second
)


@_few
@given(lives=_lives)
def test_interruptions_lose_and_double_nothing(lives: list[tuple[int, int, str, int]], whole: Case) -> None:
    same(whole.live(lives), whole.expected)


# ---- inputs that wait for what is late


@pytest.fixture(scope="session")
def held_back(models: Path, parted: Logs, now: float, tmp_path_factory: pytest.TempPathFactory) -> Case:
    return Case(configured(lateness_s=3.0), models, parted, now, tmp_path_factory.mktemp("parts"))


def test_parts_are_joined_and_dead_letters_told(held_back: Case, experiment: Any) -> None:
    expected_of_parts = held_back.expected
    assert {r["entity"] for r in expected_of_parts["reports"].values()} == set(experiment.hosts)
    assert {len(r["points"]) for r in expected_of_parts["reports"].values()} == {8}
    assert {a.samples for a in expected_of_parts["activity"].values()} == {SECONDS}
    assert len(expected_of_parts["dead"]) == 8


def test_everything_that_was_read_has_a_fate(
    store: Store, path: Path, models: Path, parted: Logs, now: float
) -> None:
    life = Life(configured(lateness_s=3.0), store, models, parted, now)
    with broken(path) as (break_it, mend):
        life.run(4)
        before = by_topic(life.exposition())
        assert before["samples_in_flight"]["metrics"] > 0
        break_it()
        life.at_sleep = mend
        life.service._stopping = False
        life.run(4)
    life.drain()
    told = by_topic(life.exposition())
    assert_accounted(life.exposition())
    assert told["samples_in_flight"]["metrics"] == 0
    assert life.counted("samples_settled_total", topic="metrics", fate="given-up") > 0
    assert life.counted("samples_settled_total", topic="metrics", fate="repeated") > 0
    assert life.counted("samples_settled_total", topic="metrics", fate="joined") > SECONDS
    assert told["records_reread_total"]["metrics"] > 0
    assert told["records_consumed_total"]["metrics"] == sum(
        len(log) for (topic, _), log in parted.items() if topic == "metrics"
    )


def test_the_stored_offsets_wait_for_what_is_held(
    store: Store, models: Path, parted: Logs, now: float
) -> None:
    life = Life(configured(lateness_s=3.0), store, models, parted, now, size=20)
    for _ in range(6):
        life.step()
    assert 0 < store.offsets("anomalyd")[A] < 100
    again = Life(configured(lateness_s=3.0), store, models, parted, now, size=1000)
    again.drain()
    assert store.offsets("anomalyd")[A] == len(parted[A])


@_few
# Killed twice while it reads the same records again: dead letters were told anew.
@example(lives=[(2, 8, "store fails", 5), (7, 6, "nothing", 1), (14, 7, "nothing", 3), (21, 2, "nothing", 2)])
# One partition goes, the other stays: what was held of it was lost.
@example(lives=[(9, 4, "nothing", 1), (36, 8, "rebalance", 3), (36, 7, "store fails", 6)])
@given(lives=_lives)
def test_interruptions_lose_and_double_nothing_of_what_is_held(
    lives: list[tuple[int, int, str, int]], held_back: Case
) -> None:
    same(held_back.live(lives), held_back.expected)


@pytest.mark.parametrize("jump_s", [3600.0, -200.0])
def test_a_wall_clock_that_jumps_makes_nothing_late(
    jump_s: float, store: Store, path: Path, models: Path, parted: Logs, now: float, held_back: Case
) -> None:
    """Parts that wait for each other wait by a clock that nobody sets.

    Further back than `limits.future_s` what comes is of the future, and a dead letter.
    """
    life = Life(configured(lateness_s=3.0), store, models, parted, now)
    for _ in range(2000):
        if life.source.drained:
            break
        life.now += jump_s
        life.step()
        life.now -= jump_s
        life.step()
    life.drain()
    assert_accounted(life.exposition())
    same(told(path, store), held_back.expected)


def test_what_comes_in_disorder_twice_or_from_next_year_changes_nothing(
    store: Store, path: Path, models: Path, parted: Logs, now: float, held_back: Case, experiment: Any
) -> None:
    """Every third message again, and between them some that say that it is a year later."""
    logs: Logs = {}
    for place, records in parted.items():
        sent: list[bytes | None] = []
        for n, record in enumerate(records):
            sent += [record.value] * (2 if n % 3 == 0 and record.value != b"[broken" else 1)
            if n % 20 == 5:
                about = {"entity": experiment.hosts[0], "time": now + 3.2e7, "values": {"cpu": 1.0}}
                sent.append(json.dumps(about).encode())
        logs[place] = [experiment.record(*[place[0], n, value, place[1]]) for n, value in enumerate(sent)]
    life = Life(configured(lateness_s=3.0), store, models, logs, now)
    life.drain()
    assert_accounted(life.exposition())
    found, expected = told(path, store), dict(held_back.expected)
    years = sum(n % 20 == 5 for records in parted.values() for n in range(len(records)))
    assert Counter(letter[3] for letter in found["dead"]) == {b"syntax": 8, b"clock": years}
    assert [r["points"] for r in found["reports"].values()] == [
        r["points"] for r in expected["reports"].values()
    ]
    assert (found["activity"], found["kept"]) == (expected["activity"], expected["kept"])


class Killed(BaseException):
    """Stands for the end of the process: nobody catches it."""


def test_an_end_does_not_wait_for_all_that_is_taken_one_by_one(
    store: Store,
    path: Path,
    models: Path,
    logs: Logs,
    now: float,
    expected: dict[str, Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """After a kill; each record is a turn of the loop, so that its watchdog sees that it gets on."""
    decode, sizes = Decoder.decode, list[int]()

    def noted(self: Decoder, records: Sequence[Record]) -> Any:
        sizes.append(len(records))
        if len(sizes) == 1:
            raise Killed
        return decode(self, records)

    monkeypatch.setattr(Decoder, "decode", noted)
    with pytest.raises(Killed):
        Life(configured(), store, models, logs, now).drain()
    ended = Life(configured(), store, models, logs, now)
    turns = 0

    def turned() -> None:
        nonlocal turns
        turns += 1
        if len(sizes) == 4:
            ended.service.stop()

    ended.at_turn = turned
    ended.service.run()
    assert sizes[1:] == [1, 1, 1]
    assert turns >= 4
    Life(configured(), store, models, logs, now).drain()
    same(told(path, store), expected)


def test_a_record_that_ends_the_process_is_set_aside_and_its_neighbours_are_scored(
    store: Store,
    path: Path,
    models: Path,
    logs: Logs,
    now: float,
    expected: dict[str, Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    poison = next(record for record in logs[A] if record.value == b'{"entity": ' and record.offset > 20)
    decode = Decoder.decode

    def fragile(self: Decoder, records: Sequence[Record]) -> Any:
        if any(record is poison for record in records):
            raise Killed
        return decode(self, records)

    monkeypatch.setattr(Decoder, "decode", fragile)
    deaths = 0
    while True:
        life = Life(configured(), store, models, logs, now)
        try:
            life.drain()
        except Killed:
            deaths += 1
            assert deaths < 10
        else:
            break
    assert deaths >= 3
    assert life.counted("dead_letters_total", topic="metrics", reason="poison") == 1
    found = told(path, store)
    changed = [letter for letter in found["dead"] if letter not in expected["dead"]]
    assert [letter[2:4] for letter in changed] == [(b"%d" % poison.offset, b"poison")]
    # All else is as it would have been.
    found["dead"] = expected["dead"]
    same(found, expected)
