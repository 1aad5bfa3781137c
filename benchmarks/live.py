"""What one row of each of many hosts costs the daemon, beside a window of 512 rows of one host.

    python benchmarks/live.py [--kind KIND] [--entities N] [--metrics N] [--steps N] [--many N] [--quick]

The whole service runs in process on records in memory: decoding, alignment, both detectors of a pair,
incidents, one transaction a step on SQLite. Every step brings one row of every entity, which is how hosts
send. Times are CPU time of the process, bytes are what the process wrote to the disk (the write-ahead log and
the database; `/proc/self/io`), a row each. "scoring" is the pair's; "around it" is the rest from decoding to
commit. Beside it: a PCA of the same rows (one matrix product), and the nearest detectors of PyOD (k nearest
neighbours) and river (half-space trees, which learn from each row), where they are installed: `pip install
pyod river`. At last the memory that many entities take, which is that of a process that only scores.
"""

from __future__ import annotations

import argparse
import gc
import resource
import statistics
import tempfile
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import msgspec
import numpy as np
import torch
from prometheus_client import CollectorRegistry

from anomalyd.daemon.config.config import Config
from anomalyd.daemon.kafka.poll_result import Batch, PollResult
from anomalyd.daemon.scoring.active_model import ActiveModel
from anomalyd.daemon.service import Service
from anomalyd.daemon.stages import Partition, Record
from anomalyd.daemon.telemetry.telemetry import Telemetry
from anomalyd.detectors.detector import Series, SeriesWindow, TrainingSet
from anomalyd.detectors.detector_pair import DetectorPair, PairScores, train_pair
from anomalyd.detectors.library import LoadedPair, ModelLibrary
from anomalyd.reports.storage.store import Store

TRAINED, TRAINING_ROWS, WINDOW, BEGIN, EVERY_S = 10, 1500, 512, 1.79e9, 30.0
TOPIC = "metrics"


@dataclass(frozen=True, slots=True)
class Fleet:
    """Hosts of a farm: their metrics follow the loads that all of them share."""

    entities: int
    metrics: int
    mixing: np.ndarray = field(repr=False)

    @classmethod
    def of(cls, entities: int, metrics: int) -> Fleet:
        """Make hosts whose metrics depend on the loads alike."""
        return cls(entities, metrics, np.random.default_rng(0).normal(size=(3, metrics)))

    @property
    def features(self) -> tuple[str, ...]:
        """Names of the metrics (F,)."""
        return tuple(f"metric{f:02d}" for f in range(self.metrics))

    def rows(self, step: int) -> np.ndarray:
        """Values (E, F) of all hosts at one step."""
        loads = np.sin(step * EVERY_S / 86_400 * 2 * np.pi * np.array([1.0, 3.0, 7.0]))
        noise = np.random.default_rng(step % 10**6).normal(size=(self.entities, self.metrics))
        return loads @ self.mixing + 0.2 * noise

    def training(self) -> TrainingSet:
        """The first hosts, before the stream begins."""
        steps = range(-TRAINING_ROWS, 0)
        few = replace(self, entities=min(TRAINED, self.entities))
        values = np.stack([few.rows(step) for step in steps]).astype(np.float32)
        times = BEGIN + np.array(steps) * EVERY_S
        series = {f"host/{e}": Series(times, values[:, e]) for e in range(few.entities)}
        return TrainingSet(series, self.features)

    def batch(self, step: int) -> Batch:
        """One row of every host, as records."""
        at = BEGIN + step * EVERY_S
        records = []
        for entity, row in enumerate(self.rows(step).round(6).tolist()):
            about = {
                "entity": f"host/{entity}",
                "time": at,
                "values": dict(zip(self.features, row, strict=True)),
            }
            value = msgspec.json.encode(about)
            records.append(Record(TOPIC, 0, step * self.entities + entity, at, None, value))
        return Batch(TOPIC, 0, records)


class Steps:
    """A source that hands out a step's batch each time it is asked."""

    def __init__(self) -> None:
        self.next: Batch | None = None
        self._assigned = False

    def take(self, timeout_s: float) -> PollResult | None:
        """Give the batch that was put here."""
        if not self._assigned:
            self._assigned = True
            return PollResult(assigned=frozenset({(TOPIC, 0)}))
        batch, self.next = self.next, None
        return PollResult((batch,)) if batch is not None else None

    def start_at(self, offsets: Mapping[Partition, int]) -> None:
        """It starts where it starts."""

    def rewind(self) -> None:
        """Nothing is read twice here."""

    def committed(self, offsets: Mapping[Partition, int]) -> None:
        """Nothing waits for it here."""

    def behind(self) -> Collection[Partition]:
        """Nothing is held back here."""
        return ()


@dataclass(slots=True)
class Timed:
    """CPU seconds spent in scoring, of all calls."""

    seconds: float = 0.0
    pair: DetectorPair | None = None

    def score(self, windows: Sequence[SeriesWindow]) -> list[PairScores]:
        """Score, and note how long it took."""
        assert self.pair is not None
        begun = time.process_time()
        scores = self.pair.score(windows)
        self.seconds += time.process_time() - begun
        return scores

    def __getattr__(self, name: str) -> object:
        return getattr(self.pair, name)


class TimedModel(ActiveModel):
    """A model whose scoring is timed."""

    timed = Timed()

    def refresh(self) -> bool:
        """Load it, and put the clock before it."""
        fresh = super().refresh()
        if fresh and self.loaded is not None:
            self.timed.pair = self.loaded.pair
            self.loaded = LoadedPair(self.loaded.name, self.loaded.version, self.timed, ())  # type: ignore[arg-type]
        return fresh


def written() -> int:
    """Give the bytes that this process caused to be written to disks."""
    return next(
        int(line.split()[1]) for line in Path("/proc/self/io").read_text().splitlines() if "wchar" in line
    )


@contextmanager
def service(kind: str, fleet: Fleet, folder: Path) -> Iterator[tuple[Service, Steps, TimedModel, Store]]:
    """A service with a trained pair on a fresh store."""
    config = Config.model_validate(
        {"inputs": [{"topic": TOPIC}], "detectors": [{"name": "hosts", "kind": kind, "entities": ["host/*"]}]}
    )
    library = ModelLibrary(folder / "models")
    library.publish("hosts", train_pair(fleet.training(), kind=kind, created=BEGIN))
    store, source = Store.open(f"sqlite:///{folder}/live.db"), Steps()
    model = TimedModel(config.detectors[0], library)
    telemetry = Telemetry.for_config(config, CollectorRegistry())
    yield Service(config, source, store, [model], telemetry), source, model, store
    store.close()


def window_cost(model: TimedModel, fleet: Fleet) -> float:
    """CPU microseconds a row of windows of 512 rows of one host."""
    assert model.loaded is not None
    values = np.stack([replace(fleet, entities=1).rows(step)[0] for step in range(4 * WINDOW)])
    state: Mapping[str, np.ndarray] = {}
    costs = []
    for number, part in enumerate(np.split(values.astype(np.float32), 4)):
        times = BEGIN + (number * WINDOW + np.arange(WINDOW)) * EVERY_S
        begun = time.process_time()
        state = model.loaded.pair.score([SeriesWindow("host/0", times, part, state)])[0].state
        costs.append((time.process_time() - begun) / WINDOW * 1e6)
    return statistics.median(costs[1:])


def beside(fleet: Fleet) -> Iterator[tuple[str, float | str]]:
    """CPU microseconds a row of other detectors, on a step's rows of all hosts; or why there are none."""
    train, rows = fleet.training().series["host/0"].values, fleet.rows(0).astype(np.float32)
    centre, width = train.mean(0), train.std(0) + 1e-6
    plane = np.linalg.svd((train - centre) / width, full_matrices=False)[2][:8].T

    def pca() -> None:
        scaled = (rows - centre) / width
        np.square(scaled - (scaled @ plane) @ plane.T).mean(1)

    yield "PCA", cpu_s(pca, 20) / len(rows) * 1e6
    try:
        from pyod.models.knn import KNN
    except ImportError as error:
        yield "PyOD, 5-NN", f"not measured: {error}"
    else:
        nearest = KNN().fit(train)
        few = rows[:200]
        yield "PyOD, 5-NN", cpu_s(lambda: nearest.decision_function(few), 3) / len(few) * 1e6
    try:
        from river.anomaly import HalfSpaceTrees
    except ImportError as error:
        yield "river, trees", f"not measured: {error}"
    else:
        trees = HalfSpaceTrees(seed=0)
        each = [dict(zip(fleet.features, row, strict=True)) for row in rows[:100].tolist()]

        def learn_and_score() -> None:
            for row in each:
                trees.score_one(row)
                trees.learn_one(row)

        yield "river, trees", cpu_s(learn_and_score, 3) / len(each) * 1e6


def cpu_s(work: Callable[[], object], times: int) -> float:
    """CPU seconds that something takes, the median of so many times."""
    found = []
    for _ in range(times):
        begun = time.process_time()
        work()
        found.append(time.process_time() - begun)
    return statistics.median(found)


def resident() -> int:
    """Bytes of memory that this process holds."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()


def memory_of(pair: DetectorPair, fleet: Fleet, entities: int) -> float:
    """Bytes an entity that so many entities take, after a row in each of three quarter hours."""
    before, states = resident(), [dict[str, np.ndarray]()] * entities
    rows = fleet.rows(0).astype(np.float32)
    for step in range(3):
        times = np.array([BEGIN + step * 900.0])
        windows = [
            SeriesWindow(f"host/{e % TRAINED}", times, rows[e % len(rows)][None], states[e])
            for e in range(entities)
        ]
        states = [scores.state for scores in pair.score(windows)]
    return (resident() - before) / entities


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kind", default="vector-ensemble", help="kind of detector [%(default)s]")
    parser.add_argument("--entities", type=int, default=1000, help="hosts [%(default)s]")
    parser.add_argument("--metrics", type=int, default=38, help="metrics of a host [%(default)s]")
    parser.add_argument("--steps", type=int, default=150, help="rows of each host [%(default)s]")
    parser.add_argument(
        "--many", type=int, default=10_000, help="hosts whose memory is measured [%(default)s]"
    )
    parser.add_argument("--quick", action="store_true", help="only see that it runs")
    given = parser.parse_args()
    torch.set_num_threads(1)
    fleet = Fleet.of(20 if given.quick else given.entities, given.metrics)
    steps = 5 if given.quick else given.steps
    warm = steps // 3
    with (
        tempfile.TemporaryDirectory(prefix="anomalyd-bench-") as folder,
        service(given.kind, fleet, Path(folder)) as (daemon, source, model, store),
    ):
        daemon.step(0.0)
        gc.freeze()  # as the daemon does
        scoring, around, steps_s = [], [], []
        for step in range(steps):
            source.next = fleet.batch(step)
            if step == warm:
                before = written()
            model.timed.seconds, begun = 0.0, time.process_time()
            daemon.step(0.0)
            took = time.process_time() - begun
            steps_s.append(took)
            scoring.append(model.timed.seconds / fleet.entities * 1e6)
            around.append((took - model.timed.seconds) / fleet.entities * 1e6)
        bytes_a_row = (written() - before) / (steps - warm) / fleet.entities
        row, rest = (statistics.mean(each[warm:]) for each in (scoring, around))
        plain = window_cost(model, fleet)
        names = [f"host/{e}" for e in range(fleet.entities)]
        states = store.states.snapshots("hosts", names).values()
        state = sum(len(each.state) for each in states) / fleet.entities
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        print(f"{given.kind}: {fleet.entities} entities x {fleet.metrics} metrics, one row each a step")
        print(f"a window of {WINDOW}      {plain:9.1f} us a row")
        print(f"scoring              {row:9.1f} us a row, {row / plain:6.1f} x")
        print(f"decode to commit     {rest:9.1f} us a row beside it, {rest / plain:6.1f} x")
        slowest = max(steps_s[warm:]) / statistics.median(steps_s[warm:])
        print(f"slowest step         {slowest:9.2f} x the median one")
        print(f"bytes written        {bytes_a_row:9.0f} a row")
        print(f"stored state         {state:9.0f} bytes an entity")
        print(f"memory, at most      {peak:9.0f} MiB")
        print(f"incidents open       {len(store.open_incidents()):9d} at the end")
        for name, cost in beside(fleet):
            told = cost if isinstance(cost, str) else f"{cost:9.1f} us a row, {cost / row:6.2f} x scoring"
            print(f"{name:<20} {told}")
        many = 200 if given.quick else given.many
        assert model.timed.pair is not None
        each = memory_of(model.timed.pair, fleet, many)
        print(f"memory of {many:<10d} {each / 1024:9.1f} kB an entity, {resident() / 2**20:.0f} MiB in all")


if __name__ == "__main__":
    main()
