"""Simulated maps of drift-tube chambers: a smooth profile, Poisson noise, luminosity, benign dead wires."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from anomalyd.detectors.maps.faults import Fault
from anomalyd.detectors.maps.geometries.drift_tubes import station
from anomalyd.detectors.maps.geometries.known import geometry_of
from anomalyd.detectors.maps.geometry import Geometry

LUMISECTION_S = 23.3
"""Seconds of one lumisection: 2^18 orbits of the LHC."""

FILL_LUMISECTIONS = 1500
"""Lumisections of a fill: about ten hours."""

_DECAY = 0.7  # luminosity falls by half over a fill, as the beams are used up
_PROFILE, _DEAD, _LUMINOSITY, _MAP, _FAULT = range(5)  # independent random streams of one seed


class LuminositySimulator:
    """The luminosity that all chambers see: mean 1, falling over a fill, with a scatter about that fall."""

    def __init__(self, seed: int, spread: float = 0.2) -> None:
        self.seed = seed
        self.spread = spread

    def __call__(self, lumisection: int) -> float:
        """Give the relative luminosity of a lumisection."""
        rng = np.random.default_rng((self.seed, _LUMINOSITY, lumisection))
        age = (lumisection % FILL_LUMISECTIONS) / FILL_LUMISECTIONS
        fall = np.exp(-_DECAY * age) * _DECAY / (1 - np.exp(-_DECAY))
        return float(fall * rng.lognormal(-(self.spread**2) / 2, self.spread))


class ChamberSimulator:
    """One chamber's maps, after what was decoded from real ones.

    Everything is a function of (seed, chamber, lumisection): the same map whenever it is asked for.
    `mean_counts` is the mean of a wire's hits in one map at luminosity 1; by default it is drawn around the
    station's published mean. `luminosity_spread` is the relative scatter of the luminosity.

    Raises:
        ValueError: an entity that is no drift-tube chamber, or `mean_counts` not above 0.

    Source: A. A. Pol et al., "Detector monitoring with artificial neural networks at the CMS experiment at
    the CERN Large Hadron Collider", Comput. Softw. Big Sci. 3 (2019) 3, arXiv:1808.00911, for the faults.

    """

    def __init__(
        self,
        chamber: Geometry | str,
        seed: int,
        mean_counts: float | None = None,
        luminosity_spread: float = 0.2,
    ) -> None:
        geometry = geometry_of(chamber) if isinstance(chamber, str) else chamber
        if geometry is None:
            raise ValueError(f"chamber {chamber!r}: not a drift-tube chamber, as DT/W-2/MB1/S04")
        if mean_counts is not None and not mean_counts > 0:
            raise ValueError(f"mean_counts {mean_counts}: must be above 0")
        self.chamber = geometry
        self.seed = seed
        self.luminosity = LuminositySimulator(seed, luminosity_spread)
        self._number = crc32(geometry.entity.encode())  # hash() differs from process to process
        self._mean_counts = mean_counts

    def _rng(self, stream: int, *more: int) -> np.random.Generator:
        return np.random.default_rng((self.seed, stream, self._number, *more))

    @cached_property
    def profile(self) -> NDArray[np.float64]:
        """Mean hits (R, C) of each wire at luminosity 1, were none dead; 0 behind the ends of the rows."""
        rng = self._rng(_PROFILE)
        _, wheel, station_name, _ = self.chamber.entity.split("/")
        st = station(station_name)
        means = [m for m in st.superlayers if m is not None]
        shape = np.zeros(self.chamber.shape)
        for unit, mean in zip(self.chamber.units, means, strict=True):
            # A superlayer's four layers see the same particles: one shape, and a few percent between them.
            bend = rng.normal(0, [0.06, 0.03, 0.015])
            # Along the beam the rate rises towards the end caps: outwards in the outer wheels.
            slope = rng.normal(0.15 * int(wheel[1:]), 0.05) if unit.view == "theta" else rng.normal(0, 0.04)
            level = mean * rng.normal(1, 0.03)
            for row in range(unit.start, unit.stop):
                width = self.chamber.widths[row]
                x = (np.arange(width) + 0.5) / width
                waves = sum(b * np.cos((k + 1) * np.pi * x) for k, b in enumerate(bend))
                edge = 1 - 0.25 * np.exp(-np.minimum(x, 1 - x) * width / 1.5)
                shape[row, :width] = level * rng.normal(1, 0.02) * (1 + slope * (2 * x - 1) + waves) * edge
        shape = np.clip(shape, 0, None)
        counts = self._mean_counts
        if counts is None:
            relative = st.counts_spread / st.counts_mean
            sigma = np.sqrt(np.log(1 + relative**2))
            counts = st.counts_mean * float(rng.lognormal(-(sigma**2) / 2, sigma))
        scaled: NDArray[np.float64] = shape * counts / shape[self.chamber.mask()].mean()
        return scaled

    @cached_property
    def dead(self) -> NDArray[np.bool_]:
        """The isolated dead wires (R, C), .3 to .7 % of all: always there, and not a fault."""
        rng = self._rng(_DEAD)
        mask = self.chamber.mask()
        dead = np.zeros_like(mask)
        wanted = max(1, round(float(rng.uniform(0.003, 0.007)) * int(mask.sum())))
        for cell in rng.permutation(np.flatnonzero(mask)):
            row, column = divmod(int(cell), mask.shape[1])
            around = dead[max(row - 1, 0) : row + 2, max(column - 1, 0) : column + 2]
            if not around.any():
                dead[row, column] = True
                wanted -= 1
            if wanted == 0:
                break
        return dead

    def expected(self, lumisection: int) -> NDArray[np.float64]:
        """Give the mean hits (R, C) of each wire in a lumisection without a fault."""
        mean: NDArray[np.float64] = np.where(self.dead, 0.0, self.profile) * self.luminosity(lumisection)
        return mean

    def map(self, lumisection: int, fault: Fault | None = None) -> NDArray[np.float32]:
        """Draw a map: counts (R, C), NaN behind the ends of ragged rows."""
        expected = self.expected(lumisection)
        counts = self._rng(_MAP, lumisection).poisson(expected)
        if fault is not None:
            counts = fault.apply(counts, expected, self.chamber, self._rng(_FAULT, lumisection))
        return np.where(self.chamber.mask(), counts, np.nan).astype(np.float32)

    def maps(self, lumisections: Sequence[int], fault: Fault | None = None) -> NDArray[np.float32]:
        """Draw the maps (T, R, C) of some lumisections."""
        return np.stack([self.map(lumisection, fault) for lumisection in lumisections])
