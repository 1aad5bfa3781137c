"""What a storm of flagged maps does to scoring: the time from decoding to commit while reports are explained.

    python benchmarks/storm.py [--blocks N] [--quick]

A step is a second: a row of each of 200 hosts, and 17 maps of drift-tube chambers, each with a dead region (a
thousand a minute, 250 chambers in turn, so that there is more to explain than can be). Blocks of ten steps
with the explainer at work stand between blocks without it, so that both see the machine alike. Times are of
the clock on the wall, milliseconds a step; what counts is the ratio.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from pathlib import Path

import msgspec
import numpy as np
import torch
from live import BEGIN, Fleet, Steps
from prometheus_client import CollectorRegistry

from anomalyd.daemon.config.config import Config
from anomalyd.daemon.incidents.explainer import Explainer
from anomalyd.daemon.kafka.poll_result import Batch, PollResult
from anomalyd.daemon.precedence import Precedence
from anomalyd.daemon.scoring.active_model import ActiveModel
from anomalyd.daemon.service import Service
from anomalyd.daemon.stages import Record
from anomalyd.daemon.telemetry.telemetry import Telemetry
from anomalyd.detectors.detector import Series, TrainingSet
from anomalyd.detectors.detector_pair import train_pair
from anomalyd.detectors.library import ModelLibrary
from anomalyd.detectors.maps.simulate.simulation import ElementSimulator
from anomalyd.reports.queries import Queries
from anomalyd.reports.storage.store import Store

HOSTS, MAPS, STEPS, EVERY_S = 200, 17, 10, 1.0
METRICS, CHAMBERS = "metrics", "maps"
SECTORS = [
    f"DT/W{wheel:+d}/MB{station}/S{s:02d}"
    for wheel in range(-2, 3)
    for station in (1, 2, 3)
    for s in range(1, 13)
]


class Both(Steps):
    """A source that hands out what both topics hold of a step."""

    def __init__(self) -> None:
        super().__init__()
        self.waiting: tuple[Batch, ...] = ()
        self._begun = False

    def take(self, timeout_s: float) -> PollResult | None:
        """Give the batches that were put here."""
        if not self._begun:
            self._begun = True
            return PollResult(assigned=frozenset({(METRICS, 0), (CHAMBERS, 0)}))
        batches, self.waiting = self.waiting, ()
        return PollResult(batches) if batches else None


class Storm:
    """Chambers that lost a region, all of them."""

    def __init__(self) -> None:
        self._simulators = {name: ElementSimulator(name, 1, 50.0) for name in SECTORS}
        self._sent = 0

    def training(self) -> TrainingSet:
        """Some chambers before the storm."""
        some = dict(list(self._simulators.items())[::15])
        return TrainingSet(
            {name: Series(np.arange(40.0), each.maps(range(40))) for name, each in some.items()}
        )

    def batch(self, at: float) -> Batch:
        """Broken maps of the next chambers in turn."""
        records = []
        for _ in range(MAPS):
            name = SECTORS[self._sent % len(SECTORS)]
            section = 100 + self._sent // len(SECTORS)
            found = self._simulators[name].map(section).astype(np.float32)
            found[:4, :25] *= 0
            cells = [[None if np.isnan(cell) else int(cell) for cell in row] for row in found]
            about = {"entity": name, "time": at, "map": cells, "run": 7, "lumisection": section}
            records.append(Record(CHAMBERS, 0, self._sent, at, None, msgspec.json.encode(about)))
            self._sent += 1
        return Batch(CHAMBERS, 0, records)


def config_of(folder: Path) -> Config:
    """Give the configuration: hosts and chambers."""
    return Config.model_validate(
        {
            "inputs": [{"topic": METRICS}, {"topic": CHAMBERS}],
            "store": {"url": f"sqlite:///{folder}/storm.db", "models": str(folder / "models")},
            "detectors": [
                {"name": "hosts", "entities": ["host/*"]},
                {
                    "name": "chambers",
                    "kind": "map-autoencoder",
                    "entities": ["DT/*"],
                    "alert": {"open_after": 1},
                },
            ],
        }
    )


def measure(folder: Path, blocks: int) -> None:
    """Run and print."""
    config, fleet, storm = config_of(folder), Fleet.of(HOSTS, 38), Storm()
    library = ModelLibrary(folder / "models")
    library.publish("hosts", train_pair(fleet.training(), kind="vector-ensemble", created=BEGIN))
    library.publish("chambers", train_pair(storm.training(), kind="map-autoencoder", created=BEGIN))
    url = f"sqlite:///{folder}/storm.db"
    store, queries, source = Store.open(url), Queries.open(url), Both()
    telemetry = Telemetry.for_config(config, CollectorRegistry())
    precedence = Precedence()
    watches = [ActiveModel(detector, library) for detector in config.detectors]
    service = Service(config, source, store, watches, telemetry, precedence=precedence)
    service.step(0.0)
    took: dict[bool, list[float]] = {False: [], True: []}
    explained: list[str] = []
    second = 0
    for block in range(blocks):
        storming = bool(block % 2)
        explainer = Explainer(
            store,
            queries,
            library,
            config.explain,
            telemetry,
            precedence=precedence,
            on_explained=explained.append,
        )
        if storming:
            explainer.start()
        for _ in range(STEPS):
            second += 1
            source.waiting = (fleet.batch(second), storm.batch(BEGIN + second * 30.0))
            begun = time.perf_counter()
            service.step(0.0)
            took[storming].append(1e3 * (time.perf_counter() - begun))
            explainer.wake()
            time.sleep(max(0.0, EVERY_S - (time.perf_counter() - begun)))
        explainer.stop(60.0)
    store.close()
    calm, busy = (sorted(took[storming][STEPS:] or took[storming]) for storming in (False, True))
    print(f"a step of {HOSTS} hosts and {MAPS} flagged maps, milliseconds")
    for name, each in (("not explaining", calm), ("explaining", busy)):
        print(f"{name:<16} median {statistics.median(each):7.1f}, 95 % {each[int(0.95 * len(each))]:7.1f}")
    print(f"ratio            median {statistics.median(busy) / statistics.median(calm):7.2f}")
    print(f"explained meanwhile {len(explained)}, waiting {store_count(url)}")


def store_count(url: str) -> int:
    """Count the reports that wait for an explanation."""
    store = Store.open(url)
    try:
        return store.unexplained_count()
    finally:
        store.close()


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--blocks", type=int, default=12, help="of ten steps each [%(default)s]")
    parser.add_argument("--quick", action="store_true", help="only see that it runs")
    given = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory(prefix="anomalyd-bench-") as folder:
        measure(Path(folder), 2 if given.quick else given.blocks)


if __name__ == "__main__":
    main()
