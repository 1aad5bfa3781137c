"""Simulated maps to measure detectors on: new elements, their earlier maps, normal and faulty ones."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from anomalyd.detectors.detector import Series, TrainingSet
from anomalyd.detectors.maps.geometries.file import ElementType
from anomalyd.detectors.maps.geometries.recipes import FaultRecipe
from anomalyd.detectors.maps.geometry import Geometry
from anomalyd.detectors.maps.simulate.limit import FaultPlaces, places_of_fault
from anomalyd.detectors.maps.simulate.noise import POISSON, Noise, draw_counts
from anomalyd.detectors.maps.simulate.shapes import drifting
from anomalyd.detectors.maps.simulate.simulation import LUMISECTION_S, ElementSimulator

Maps = NDArray[np.float32]
Means = NDArray[np.float64]

TRAINING_ELEMENTS = 150
TRAINING_MAPS = 20
TRAINING_COUNTS = (3.0, 400.0)
"""Mean counts of the training elements, evenly on a logarithmic scale: a detector is told no count level."""

_HELD_OUT = 1_000_000  # seeds of the elements that are measured on: far from those trained on


@dataclass(frozen=True, slots=True)
class Elements:
    """Elements of one geometry: `shapes` (N, R, C), mean 1, 0 where dead, stray by `drift` per map.

    `noise`: how wide the counts of each scatter; none: as Poisson's.
    """

    geometry: Geometry
    shapes: Means
    luminosity_spread: float
    drift: float
    noise: tuple[Noise, ...] = ()

    def expected(self, mean_counts: float | NDArray[np.float64], rng: np.random.Generator) -> Means:
        """Draw luminosity and drift of one map of each: its mean counts (N, R, C)."""
        n, sigma = len(self.shapes), self.luminosity_spread
        light = mean_counts * rng.lognormal(-(sigma**2) / 2, sigma, n)
        means = self.shapes * np.asarray(light)[:, None, None]
        if self.drift:
            means = means * np.stack([drifting(self.geometry, rng, self.drift) for _ in range(n)])
        return means

    def drawn(self, expected: Means, rng: np.random.Generator) -> Maps:
        """Draw counts (N, R, C), NaN where there is no cell."""
        counts = np.empty(expected.shape, dtype=np.float32)
        alike: dict[Noise, list[int]] = {}
        for k in range(len(expected)):
            alike.setdefault(self.noise[k] if self.noise else POISSON, []).append(k)
        for noise, some in alike.items():
            counts[some] = draw_counts(expected[some], self.geometry, noise, rng)
        counts[:, ~self.geometry.mask()] = np.nan
        return counts

    def maps(self, mean_counts: float, n: int, rng: np.random.Generator) -> Maps:
        """Draw `n` normal maps (N, n, R, C) of each element."""
        each = [self.drawn(self.expected(mean_counts, rng), rng) for _ in range(n)]
        empty = np.zeros((len(self.shapes), 0, *self.geometry.shape), dtype=np.float32)
        return np.stack(each, axis=1) if each else empty


def pattern(first: Geometry) -> Geometry:
    """Give the geometry of an element under a name for many of them."""
    return replace(first, entity=f"{first.entity.rstrip('*')}#*")


def name_of(geometry: Geometry, number: int, *, held_out: bool = True) -> str:
    """Name the element with a number: one that is measured on, or one for training."""
    return geometry.entity.replace("*", f"{'new' if held_out else 'known'}-{number:05d}")


def elements_of(
    element_type: ElementType,
    n: int,
    seed: int,
    *,
    drift: float = 0.0,
    held_out: bool = True,
    like: Geometry | None = None,
    noise: Noise | None = None,
) -> Elements:
    """Draw `n` elements like the type's first, or `like` another of its elements.

    Those for measuring have other seeds than those for training. `noise`: of all; None: those for training
    draw their own, those for measuring scatter as Poisson's.
    """
    first = like or element_type.elements[0]
    geometry = replace(first, entity=first.entity.rstrip("*"))
    base = seed * 10_000 + (_HELD_OUT if held_out else 0)
    shapes, noises = [], []
    for k in range(n):
        simulator = ElementSimulator(geometry, base + k, 1.0, normal=element_type.normal)
        shapes.append(np.where(simulator.dead, 0.0, simulator.profile))
        noises.append(noise or (POISSON if held_out else simulator.noise))
    spread = element_type.normal.luminosity_spread
    return Elements(pattern(first), np.stack(shapes), spread, drift, tuple(noises))


def training_set(
    element_type: ElementType,
    seed: int,
    *,
    elements: int = TRAINING_ELEMENTS,
    maps: int = TRAINING_MAPS,
    drift: float = 0.0,
    like: Geometry | None = None,
) -> TrainingSet:
    """Draw what a detector is trained on: normal maps of elements at all count levels."""
    drawn = elements_of(element_type, elements, seed, drift=drift, held_out=False, like=like)
    rng = np.random.default_rng((seed, 1))
    low, high = np.log(TRAINING_COUNTS)
    counts = np.exp(np.linspace(low, high, elements))
    rng.shuffle(counts)
    # A cell that counts a few times sees a few clusters at least: they are smaller then.
    noise = [replace(n, cells=min(n.cells, 1 + c / 5)) for n, c in zip(drawn.noise, counts, strict=True)]
    drawn = replace(drawn, noise=tuple(noise))
    values = np.stack([drawn.drawn(drawn.expected(counts, rng), rng) for _ in range(maps)], axis=1)
    times = np.arange(maps, dtype=np.float64) * LUMISECTION_S
    geometry = drawn.geometry
    series = {name_of(geometry, k, held_out=False): Series(times, values[k]) for k in range(elements)}
    return TrainingSet(series, geometries=(geometry,))


@dataclass(frozen=True, slots=True)
class Faulty:
    """Faulty maps of elements, their true cells (N, R, C), and the means without the fault."""

    places: FaultPlaces
    maps: Maps
    cells: NDArray[np.bool_]
    expected: Means


def faulty_maps(
    element_type: ElementType,
    elements: Elements,
    mean_counts: float,
    rng: np.random.Generator,
    kinds: tuple[str, ...] = (),
) -> Iterator[Faulty]:
    """Draw a faulty map of each element for every fault and strength of the type (or of these kinds)."""
    recipe: FaultRecipe
    for recipe in element_type.faults:
        if kinds and recipe.kind not in kinds:
            continue
        for strength in recipe.factors:
            places = places_of_fault(elements.geometry, recipe, strength)
            factors, cells = places.draw(rng, len(elements.shapes))
            expected = elements.expected(mean_counts, rng)
            yield Faulty(places, elements.drawn(expected * factors, rng), cells, expected)
