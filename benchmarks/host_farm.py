"""A farm of hosts for benchmarks of the whole daemon: what they send, and a pair trained on them."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import yaml

from anomalyd.detectors.detector import Series, TrainingSet
from anomalyd.detectors.detector_pair import train_pair
from anomalyd.detectors.library import ModelLibrary
from anomalyd.detectors.registry import recommended_kind

TRAINED_HOSTS, TRAINED_ROWS = 8, 1500


class HostFarm:
    """Hosts whose metrics follow loads that all of them share; row r of a host is the same each time."""

    def __init__(self, hosts: int, metrics: int) -> None:
        self.names = [f"host/n{n:04d}" for n in range(hosts)]
        self.metrics = tuple(f"m{n:02d}" for n in range(metrics))
        self._mixing = np.random.default_rng(0).normal(size=(3, metrics))

    def rows(self, first: int, count: int, host: int) -> np.ndarray:
        """Give rows (count, metrics) of one host."""
        times = np.arange(first, first + count)
        loads = np.column_stack([np.sin(times / 40), np.cos(times / 97), np.sin(times / 11)])
        noise = np.random.default_rng((host, first)).normal(size=(count, len(self.metrics)))
        return 100 + loads @ self._mixing + 0.3 * noise

    def message(self, host: int, row: int, time: float, *, broken: bool = False) -> bytes:
        """Give one row as JSON; `broken`: its first metric is far off."""
        values = self.rows(row, 1, host)[0]
        values[0] += 50 * broken
        about = {"entity": self.names[host], "time": time}
        return msgspec.json.encode({**about, "values": dict(zip(self.metrics, values.tolist(), strict=True))})

    def train(self, models: Path) -> None:
        """Train a pair of the recommended kind, and publish it as `hosts`."""
        times = np.arange(TRAINED_ROWS, dtype=np.float64)
        series = {
            self.names[n]: Series(times, self.rows(0, TRAINED_ROWS, n).astype(np.float32))
            for n in range(min(TRAINED_HOSTS, len(self.names)))
        }
        pair = train_pair(TrainingSet(series, self.metrics), kind=recommended_kind("vector"))
        ModelLibrary(models).publish("hosts", pair)


def write_config(
    folder: Path,
    servers: str,
    store: str,
    port: int,
    name: str = "daemon",
    group: str = "benchmark",
    *,
    retention: Mapping[str, Any] | None = None,
) -> Path:
    """Write the configuration of a daemon that watches the topic `hosts`."""
    file = folder / f"{name}.yaml"
    about = {
        "kafka": {"bootstrap_servers": [servers], "group": group, "session_timeout_s": 10.0},
        "inputs": [{"topic": "hosts"}],
        "detectors": [{"name": "hosts", "training": {"automatic": False}}],
        "store": {"url": store, "models": str(folder / "models"), "retention": dict(retention or {})},
        "metrics": {"port": port},
        "output": {"topic": None, "dead_letter_topic": None},
    }
    file.write_text(yaml.safe_dump(about))
    return file


def run_daemon(file: Path, log: Path, options: Sequence[str] = ()) -> subprocess.Popen[bytes]:
    """Run `anomalyd run` in a process of its own."""
    code = "import sys; from anomalyd.daemon.cli import main; sys.exit(main())"
    with log.open("wb") as output:
        return subprocess.Popen(
            [sys.executable, "-c", code, "run", "-c", str(file), *options], stdout=output, stderr=output
        )
