"""Simulated maps of detector elements: a shape, Poisson noise, luminosity, benign dead cells."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from anomalyd.detectors.maps.geometries.drift_tubes import station
from anomalyd.detectors.maps.geometries.known import geometry_of
from anomalyd.detectors.maps.geometries.recipes import Normal
from anomalyd.detectors.maps.geometry import Geometry
from anomalyd.detectors.maps.simulate.faults import Fault
from anomalyd.detectors.maps.simulate.noise import Noise, draw_counts
from anomalyd.detectors.maps.simulate.placed_fault import PlacedFault
from anomalyd.detectors.maps.simulate.shapes import drifting, grid_shape, layered_shape

LUMISECTION_S = 23.3
"""Seconds of one lumisection: 2^18 orbits of the LHC."""

FILL_LUMISECTIONS = 1500
"""Lumisections of a fill: about ten hours."""

_DECAY = 0.7  # luminosity falls by half over a fill, as the beams are used up
_PROFILE, _DEAD, _LUMINOSITY, _MAP, _FAULT, _DRIFT, _NOISE = range(
    7
)  # independent random streams of one seed

_USUAL = Normal(counts=15.0)


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


class ElementSimulator:
    """One element's maps, for chambers after what was decoded from real ones.

    Everything is a function of (seed, element, lumisection): the same map whenever it is asked for.
    `mean_counts` is the mean of a wire's hits in one map at luminosity 1; by default it is drawn around the
    station's published mean. `luminosity_spread` is the relative scatter of the luminosity.
    `normal` says what elements of its type look like; `drift` (rms) and `ageing` (share lost in a fill at the
    outer cells) how their shape moves.

    Raises:
        ValueError: an entity of no known geometry, or `mean_counts` not above 0.

    Source: A. A. Pol et al., "Detector monitoring with artificial neural networks at the CMS experiment at
    the CERN Large Hadron Collider", Comput. Softw. Big Sci. 3 (2019) 3, arXiv:1808.00911, for the faults.

    """

    def __init__(
        self,
        chamber: Geometry | str,
        seed: int,
        mean_counts: float | None = None,
        luminosity_spread: float = 0.2,
        *,
        normal: Normal | None = None,
        drift: float = 0.0,
        ageing: float = 0.0,
    ) -> None:
        geometry = geometry_of(chamber) if isinstance(chamber, str) else chamber
        if geometry is None:
            raise ValueError(f"element {chamber!r}: not of a known geometry, as the chamber DT/W-2/MB1/S04")
        if mean_counts is not None and not mean_counts > 0:
            raise ValueError(f"mean_counts {mean_counts}: must be above 0")
        self.chamber = geometry
        self.normal = normal or _USUAL
        self.drift = drift
        self.ageing = ageing
        parts = geometry.entity.split("/")
        self._station = station(parts[2]) if parts[0] == "DT" and len(parts) == 4 else None
        self.seed = seed
        self.luminosity = LuminositySimulator(seed, luminosity_spread)
        self._number = crc32(geometry.entity.encode())  # hash() differs from process to process
        self._mean_counts = mean_counts

    def _rng(self, stream: int, *more: int) -> np.random.Generator:
        return np.random.default_rng((self.seed, stream, self._number, *more))

    @cached_property
    def profile(self) -> NDArray[np.float64]:
        """Mean hits (R, C) of each cell at luminosity 1, were none dead; 0 where there is no cell."""
        rng = self._rng(_PROFILE)
        counts = self.normal.counts
        if self._station is not None:
            _, wheel, *_ = self.chamber.entity.split("/")
            levels = [m for m in self._station.superlayers if m is not None]
            # Along the beam the rate rises towards the end caps: outwards in the outer wheels.
            slopes = [
                (0.15 * int(wheel[1:]), 0.05) if u.view == "theta" else (0.0, 0.04)
                for u in self.chamber.units
            ]
            # Real theta wires at the ends of the outermost wheels count half of the middle.
            outer = 0.45 if abs(int(wheel[1:])) == 2 else 0.25
            edges = [outer if u.view == "theta" else 0.25 for u in self.chamber.units]
            shape = layered_shape(self.chamber, rng, levels, slopes, edges)
            relative = self._station.counts_spread / self._station.counts_mean
            sigma = np.sqrt(np.log(1 + relative**2))
            counts = self._station.counts_mean * float(rng.lognormal(-(sigma**2) / 2, sigma))
        elif self.chamber.units:
            shape = layered_shape(self.chamber, rng)
        else:
            shape = grid_shape(self.chamber, self.normal, rng)
        if self._mean_counts is not None:
            counts = self._mean_counts
        scaled: NDArray[np.float64] = shape * counts / shape[self.chamber.mask()].mean()
        return scaled

    @cached_property
    def dead(self) -> NDArray[np.bool_]:
        """The isolated dead cells (R, C), .3 to .7 % of all wires: always there, and not a fault."""
        rng = self._rng(_DEAD)
        mask = self.chamber.mask()
        dead = np.zeros_like(mask)
        share = self.normal.dead * float(rng.uniform(0.6, 1.4))
        wanted = max(1, round(share * int(mask.sum()))) if share else 0
        for cell in rng.permutation(np.flatnonzero(mask)) if wanted else ():
            row, column = divmod(int(cell), mask.shape[1])
            around = dead[max(row - 1, 0) : row + 2, max(column - 1, 0) : column + 2]
            if not around.any():
                dead[row, column] = True
                wanted -= 1
            if wanted == 0:
                break
        return dead

    @cached_property
    def noise(self) -> Noise:
        """How wide this element's counts scatter."""
        rng = self._rng(_NOISE)
        return Noise(float(rng.uniform(*self.normal.tracks)), float(rng.uniform(*self.normal.clusters)))

    def expected(self, lumisection: int) -> NDArray[np.float64]:
        """Give the mean hits (R, C) of each wire in a lumisection without a fault."""
        mean: NDArray[np.float64] = np.where(self.dead, 0.0, self.profile) * self.luminosity(lumisection)
        if self.drift or self.ageing:
            mean = mean * self._moved(lumisection)
        return mean

    def _moved(self, lumisection: int) -> NDArray[np.float64]:
        """Say how the shape (R, C) has moved: by drift in a fill and between fills, and by ageing."""
        fill, at = divmod(lumisection, FILL_LUMISECTIONS)
        turn = 2 * np.pi * at / FILL_LUMISECTIONS
        within, other, between = (
            drifting(self.chamber, self._rng(_DRIFT, part), 1.0) - 1 for part in (0, 1, 2 + fill)
        )
        moved = 1 + self.drift * (np.cos(turn) * within + np.sin(turn) * other + between) / np.sqrt(2)
        # The outer cells see more particles, and age faster.
        columns = np.abs(np.linspace(-1, 1, self.chamber.shape[1]))
        aged = np.exp(-self.ageing * columns * lumisection / FILL_LUMISECTIONS)
        result: NDArray[np.float64] = np.clip(moved, 0, None) * aged
        return result

    def map(self, lumisection: int, fault: Fault | PlacedFault | None = None) -> NDArray[np.float32]:
        """Draw a map: counts (R, C), NaN behind the ends of ragged rows."""
        expected = self.expected(lumisection)
        counts = draw_counts(expected, self.chamber, self.noise, self._rng(_MAP, lumisection))
        if fault is not None:
            counts = fault.apply(counts, expected, self.chamber, self._rng(_FAULT, lumisection))
        return np.where(self.chamber.mask(), counts, np.nan).astype(np.float32)

    def maps(
        self, lumisections: Sequence[int], fault: Fault | PlacedFault | None = None
    ) -> NDArray[np.float32]:
        """Draw the maps (T, R, C) of some lumisections."""
        return np.stack([self.map(lumisection, fault) for lumisection in lumisections])
