"""How often normal maps alert: at each noise, count level and number of earlier maps."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from anomalyd.detectors.calibration import ALERT
from anomalyd.detectors.detector import Progress, SeriesWindow, silent
from anomalyd.detectors.evaluation.maps.faults import MapTask, train_on_simulation
from anomalyd.detectors.evaluation.tables import markdown
from anomalyd.detectors.maps.geometries.known import load_type
from anomalyd.detectors.maps.shipped import KIND, shipped_model
from anomalyd.detectors.maps.simulate.elements import elements_of, name_of
from anomalyd.detectors.maps.simulate.noise import Noise
from anomalyd.detectors.maps.simulate.simulation import LUMISECTION_S

EARLIER = (0, 1, 5, 20)
"""Numbers of earlier maps at which the share of alerts is told."""

_AT_ONCE = 50  # elements whose streams are scored together
_APART_S = 1e6  # between the elements, which are not lit alike


@dataclass(frozen=True, slots=True)
class AlarmShare:
    """Of `maps` normal maps of elements with `earlier` maps each `above` lie above 1; `wanted`: the share.

    `noise`: variance over Poisson's of the sum of four sister rows.
    """

    noise: float
    mean_counts: float
    earlier: int
    maps: int
    above: int
    wanted: float


def measure_alarm_shares(
    geometry: str,
    noises: Sequence[float],
    levels: Sequence[float],
    *,
    elements: int = 1000,
    seed: int = 0,
    progress: Progress = silent,
) -> list[AlarmShare]:
    """Stream normal maps of elements that were never seen through the shipped model, else a trained one.

    Raises:
        ConfigError: an unknown geometry.

    """
    task = MapTask(geometry, 0.0, seed, elements, 0, 0.0, (KIND,), ())
    model = shipped_model(geometry) or train_on_simulation(KIND, task, 0.001)
    found = []
    for number, noise in enumerate(noises):
        drawn = elements_of(load_type(geometry), elements, seed, noise=Noise(rows=noise))
        for k, level in enumerate(levels):
            rng = np.random.default_rng((seed, 4, round(100 * level), round(100 * noise)))
            maps = drawn.maps(level, EARLIER[-1] + 1, rng)
            times = np.arange(maps.shape[1], dtype=np.float64) * LUMISECTION_S
            windows = [
                SeriesWindow(name_of(drawn.geometry, e), times + e * _APART_S, each)
                for e, each in enumerate(maps)
            ]
            scores: NDArray[np.float64] = np.stack(
                [
                    scored.score
                    for first in range(0, len(windows), _AT_ONCE)
                    for scored in model.score(windows[first : first + _AT_ONCE])
                ]
            )
            above = (scores > ALERT).sum(0)
            wanted = model.calibration.false_alarm_rate
            found += [AlarmShare(noise, level, n, len(maps), int(above[n]), wanted) for n in EARLIER]
            progress("counting alarms", number * len(levels) + k + 1, len(noises) * len(levels))
    return found


def shares_table(shares: Sequence[AlarmShare]) -> str:
    """Give a line for each noise and count level: alerts of so many normal maps, by earlier maps."""
    lines: dict[tuple[float, float], list[AlarmShare]] = {}
    for share in shares:
        lines.setdefault((share.noise, share.mean_counts), []).append(share)
    return markdown(
        ["variance of four rows", "counts", "wanted", *(f"after {n} maps" for n in EARLIER), "of all"],
        [
            [
                f"{noise:g}",
                f"{counts:g}",
                f"{some[0].wanted:.4f}",
                *(f"{s.above} of {s.maps}" for s in some),
                f"{sum(s.above for s in some) / sum(s.maps for s in some):.4f}",
            ]
            for (noise, counts), some in lines.items()
        ],
    )
