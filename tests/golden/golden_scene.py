"""What is measured in the golden runs: three hosts and two drift-tube chambers, some of which break."""

from __future__ import annotations

from typing import Any

import numpy as np

BEGIN = 1_795_288_500.0  # 19:15 UTC on a Saturday
STEP_S = 10
HOSTS = ("host/a", "host/b", "host/c")
METRICS = ("cpu", "memory", "net", "disk")
CHAMBERS = ("DT/W-2/MB1/S01", "DT/W+1/MB4/S13")
SHAPE = (12, 48)

_USUAL = np.array([5.0, 100.0, 50.0, 20.0])
_SCATTER = np.array([1.0, 10.0, 5.0, 2.0])


def row(host: str, step: int, jump: float = 0.0) -> Any:
    """The metrics (4,) of a host; `jump` is in usual scatters of its memory and its net."""
    noise = np.random.default_rng((7, HOSTS.index(host), step)).normal(size=len(METRICS)).clip(-2, 2)
    values = _USUAL + noise * _SCATTER
    values[1:3] += jump * _SCATTER[1:3]
    return np.round(values, 3)


def total(host: str, step: int, metric: int, jumps: range) -> int:
    """What a counter has come to: the metric is its rate, in hundreds a second."""
    rates = [row(host, s, 15.0 if s in jumps else 0.0)[metric] for s in range(step + 1)]
    return 10**6 + round(sum(rates) * 100 * STEP_S)


def occupancy(chamber: str, lumisection: int, broken: bool = False) -> Any:
    """The hits (12, 48) of a chamber; if broken, there are none in a part of four layers."""
    layer, wire = np.mgrid[: SHAPE[0], : SHAPE[1]]
    mean = 60.0 * (1.0 + 0.2 * CHAMBERS.index(chamber)) * (1.0 + 0.3 * np.cos(wire / 15.0) + 0.02 * layer)
    hits = np.random.default_rng((11, CHAMBERS.index(chamber), lumisection)).poisson(mean)
    if broken:
        hits[:4, :20] = 0
    return hits
