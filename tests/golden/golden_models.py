"""The small models of the golden runs, and how they were trained."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from golden_driver import train
from golden_scene import BEGIN, CHAMBERS, HOSTS, METRICS, STEP_S, occupancy, row

from anomalyd.detectors.false_alarm_target import AlertRate

TELEGRAF = (
    "cpu.usage_user{cpu=cpu-total}",
    "mem.used_percent",
    "net.bytes_recv{interface=eth0}",
    "diskio.write_bytes{name=sda}",
)
PROMETHEUS = (
    "node_load1",
    "node_memory_Active_bytes",
    "node_network_receive_bytes_total{device=eth0}",
    "node_disk_written_bytes_total{device=sda}",
)
COLLECTD = (
    "load.load.shortterm",
    "memory.memory{type_instance=used}",
    "interface.if_octets.rx{plugin_instance=eth0}",
    "disk.disk_octets.write{plugin_instance=sda}",
)


SMALL = {"epochs": 10, "window": 4, "hidden": 8, "warmup": 10}
CALM = {"false_alarms": AlertRate(1e-3)}

HOST_MODELS: dict[str, dict[str, Any]] = {
    "hosts": {"kind": "vector-autoencoder", "parameters": SMALL, "classical_parameters": {"warmup": 10}},
    "hosts-ensemble": {"kind": "vector-ensemble", "parameters": {"steps": 20, "hidden": 8, "code": 4}},
}
MAP_MODELS: dict[str, dict[str, Any]] = {
    "chambers": {"kind": "map-autoencoder", "parameters": {"steps": 20}},
    "chambers-scan": {"kind": "map-scan", "parameters": {}},
}
FARM_MODELS = {"farm-telegraf": TELEGRAF, "farm-prometheus": PROMETHEUS, "farm-collectd": COLLECTD}
MODELS = (*HOST_MODELS, *MAP_MODELS, *FARM_MODELS)


def train_model(name: str, library: Path) -> str:
    """Train one of the models; gives its version."""
    if name in MAP_MODELS:
        times = BEGIN - 86_400.0 + 10.0 * np.arange(40)
        maps = {c: (times, _float32([occupancy(c, s) for s in range(40)])) for c in CHAMBERS}
        return train(name, library, maps, (), **MAP_MODELS[name], **CALM)
    times = BEGIN - 86_400.0 + STEP_S * np.arange(240.0)
    rows = {host: _float32([row(host, 10_000 + step) for step in range(240)]) for host in HOSTS}
    if name in HOST_MODELS:
        series = {host: (times, values) for host, values in rows.items()}
        return train(name, library, series, METRICS, **HOST_MODELS[name], **CALM)
    series = {host: (times, values * _float32([1, 1, 100, 100])) for host, values in rows.items()}
    return train(name, library, series, FARM_MODELS[name], **HOST_MODELS["hosts"], **CALM)


def _float32(values: Any) -> Any:
    return np.asarray(values, dtype=np.float32)
