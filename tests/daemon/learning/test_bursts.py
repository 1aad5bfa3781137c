"""Loads on real hosts: trained on the first hundred seconds of a calm capture, a row a second."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import msgspec
import numpy as np
import pytest

from anomalyd.daemon.config.config import DetectorConfig, InputConfig, Limits
from anomalyd.daemon.intake.align import Aligner
from anomalyd.daemon.intake.counter_kinds import CounterKinds, Trained
from anomalyd.daemon.intake.grid_and_lateness import alignments, counts_are_said, labels_are_said
from anomalyd.daemon.intake.label_collisions import LabelCollisions
from anomalyd.daemon.learning.history import training_set
from anomalyd.daemon.learning.training import train_detector_pair
from anomalyd.daemon.scoring.score import vectors
from anomalyd.daemon.stages import Sample
from anomalyd.detectors.detector import SeriesWindow

LEARNS_S, BEGINS_S, FOUND_WITHIN_S = 100.0, 110.0, 30.0

Load = Callable[[float], Mapping[str, float]]
"""What a load adds to each metric so many seconds after it began; counters grow by a rate."""

TELEGRAF: dict[str, Load] = {
    "memory": lambda s: {
        "mem.used_percent": 20.0,
        "mem.available_percent": -20.0,
        "mem.used": 5e9,
        "mem.available": -5e9,
    },
    "memory, told by one metric": lambda s: {"mem.used_percent": 20.0},
    "processes": lambda s: {"processes.running": 5.0, "processes.total": 5.0},
    "cpu": lambda s: {
        "cpu.usage_system": 45.0,
        "cpu.usage_user": -45.0,
        "kernel.context_switches": 6e4 * s,
    },
    "disk": lambda s: {
        "diskio.write_bytes": 2e8 * s,
        "diskio.writes": 1600.0 * s,
        "diskio.io_time": 900.0 * s,
    },
    "network": lambda s: {"net.bytes_sent": 1e7 * s, "net.packets_sent": 7e3 * s},
}
COLLECTD: dict[str, Load] = {
    "memory": lambda s: {
        "memory.memory{type_instance=used}": 5e9,
        "memory.memory{type_instance=free}": -5e9,
    },
    "cpu": lambda s: {
        f"cpu.cpu{{plugin_instance={n},type_instance={kind}}}": amount
        for n in (0, 1)
        for kind, amount in (("system", 45.0), ("user", -45.0))
    },
    "disk": lambda s: {
        "disk.disk_octets.write{plugin_instance=vda}": 2e8,
        "disk.disk_ops.write{plugin_instance=vda}": 1600.0,
    },
    "network": lambda s: {
        "interface.if_octets.tx{plugin_instance=eth0}": 1e7,
        "interface.if_packets.tx{plugin_instance=eth0}": 7e3,
    },
}
LOADS = {"telegraf-json": TELEGRAF, "influx": TELEGRAF, "collectd": COLLECTD}
FILES = {"telegraf-json": "tg-json.jsonl.gz", "influx": "tg-influx.jsonl.gz", "collectd": "collectd.jsonl.gz"}


def _loaded(samples: list[Sample], load: Load, begins: float) -> list[Sample]:
    found = []
    for sample in samples:
        adds = load(sample.time - begins) if sample.time > begins else {}
        values = dict(sample.values or {})
        for name, value in values.items():
            add = adds.get(name, adds.get(_bare(name)))
            if value is not None and add is not None:
                values[name] = max(0.0, value + add)
        found.append(msgspec.structs.replace(sample, values=values))
    return found


def _bare(name: str) -> str:
    """Give the name without its labels; loads on the network are those of its outer interface."""
    return "" if name.startswith("net.") and "eth0" not in name else name.partition("{")[0]


class Host:
    """A captured host, and the detectors that have learnt its beginning."""

    def __init__(self, format_name: str, samples: list[Sample]) -> None:
        limits = Limits(past_s=1e11, future_s=1e11)
        self._input = InputConfig(topic="t", format=format_name, grid_s=1.0, lateness_s=2.0, limits=limits)
        self.samples = samples
        self.begin = min(sample.time for sample in samples)
        counts = CounterKinds(counts_are_said([self._input]), surveys=True)
        self._join(counts, [s for s in samples if s.time < self.begin + LEARNS_S])
        self._kinds, _ = counts.settled()
        config = DetectorConfig(name="hosts")
        rows = [row for row in self.rows(samples) if row.time < self.begin + LEARNS_S]
        learnt = training_set(rows, config, now=rows[-1].time)
        self.pair = train_detector_pair(config, learnt, created=0.0)

    def rows(self, samples: list[Sample]) -> list[Sample]:
        kinds = CounterKinds(counts_are_said([self._input]), Trained(0, self._kinds), frozen=True)
        return self._join(kinds, samples)

    def _join(self, kinds: CounterKinds, samples: list[Sample]) -> list[Sample]:
        collisions = LabelCollisions(labels_are_said([self._input]))
        aligner = Aligner(alignments([self._input]), 0.0, kinds, collisions)
        return [*aligner.add(samples, 0.0), *aligner.flush(float("inf"))]

    def alerts(self, samples: list[Sample]) -> list[float]:
        """Give the seconds at which rows after the training alert, scored a few at a time as they come."""
        rows = [row for row in self.rows(samples) if row.time >= self.begin + LEARNS_S]
        state: Any = {}
        found = []
        for at in range(0, len(rows), 5):
            some = rows[at : at + 5]
            times = np.array([row.time for row in some])
            window = SeriesWindow(some[0].entity, times, vectors(self.pair.features, some), state, None)
            (scored,) = self.pair.score([window])
            state = scored.state
            found += (times[scored.score > 1.0] - self.begin).tolist()
        return found


@pytest.mark.parametrize("format_name", LOADS)
def test_loads_are_found_and_the_calm_is_calm(
    format_name: str, captured: Callable[[str, str], list[Sample]]
) -> None:
    host = Host(format_name, captured(FILES[format_name], format_name))
    assert host.alerts(host.samples) == []
    for name, load in LOADS[format_name].items():
        alerts = host.alerts(_loaded(host.samples, load, host.begin + BEGINS_S))
        assert alerts, name
        assert BEGINS_S <= alerts[0] <= BEGINS_S + FOUND_WITHIN_S, name
