"""Whether simulated normal maps look like real ones: the figures that were decoded from published maps."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from anomalyd.detectors.maps.geometries.file import ElementType
from anomalyd.detectors.maps.simulate.simulation import ElementSimulator

_MAPS = 20  # of each element: their chi-square is known to a few per mille then


@dataclass(frozen=True, slots=True)
class NormalFigures:
    """Figures of elements of one group (a station of the drift tubes, else the type).

    `counts`, `spread`: mean counts of a cell and their spread between elements; `chi2`: chi-square of a map
    against its Poisson means over the number of cells; `dead`: share of cells that never count; `units`: mean
    of each unit relative to its element.
    """

    group: str
    elements: int
    counts: float
    spread: float
    chi2: float
    dead: float
    units: tuple[float, ...]


def normal_figures(element_type: ElementType, seed: int = 0, most: int = 60) -> list[NormalFigures]:
    """Draw normal maps of up to `most` elements of each group and measure them."""
    groups: dict[str, list[ElementSimulator]] = {}
    for geometry in element_type.elements:
        parts = geometry.entity.split("/")
        group = parts[2] if len(parts) == 4 else geometry.entity.rstrip("*")
        plain = replace(geometry, entity=geometry.entity.rstrip("*"))
        some = groups.setdefault(group, [])
        # Of a type that is there once, as many of another seed.
        copies = 1 if len(element_type.elements) > 10 else most
        for k in range(copies):
            if len(some) < most:
                some.append(ElementSimulator(plain, seed + k, normal=element_type.normal))
    return [_figures(group, some) for group, some in groups.items()]


def _figures(group: str, simulators: list[ElementSimulator]) -> NormalFigures:
    means, chi2, dead, units = [], [], [], []
    for simulator in simulators:
        mask, living = simulator.chamber.mask(), simulator.chamber.mask() & ~simulator.dead
        means.append(simulator.profile[mask].mean())
        dead.append(simulator.dead[mask].mean())
        for lumisection in range(1, _MAPS + 1):
            expected = simulator.expected(lumisection)[living]
            pulls = (simulator.map(lumisection)[living] - expected) ** 2 / np.maximum(expected, 1e-9)
            chi2.append(float(pulls[expected > 0].mean()))
        units.append(
            [
                simulator.profile[u.start : u.stop][mask[u.start : u.stop]].mean() / means[-1]
                for u in simulator.chamber.units
            ]
        )
    return NormalFigures(
        group,
        len(simulators),
        float(np.mean(means)),
        float(np.std(means)),
        float(np.mean(chi2)),
        float(np.mean(dead)),
        tuple(float(x) for x in np.mean(units, axis=0)),
    )
