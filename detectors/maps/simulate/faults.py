"""The faults of drift-tube chambers, each with its true cells and what it does to their counts."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from anomalyd.detectors.maps.geometry import Geometry
from anomalyd.near_names import did_you_mean


class Fault(ABC):
    """Something broken in a chamber. Layers and wires carry the numbers people use: wires count from 1."""

    __slots__ = ()
    kind: ClassVar[str]

    @property
    @abstractmethod
    def factor(self) -> float:
        """How many times the usual rate the cells show: below 1 for a loss, above 1 for hot wires."""

    @abstractmethod
    def cells(self, chamber: Geometry) -> NDArray[np.bool_]:
        """Give the cells (R, C) it touches.

        Raises:
            ValueError: the chamber has no such layer.

        """

    def apply(
        self,
        counts: NDArray[np.int64],
        expected: NDArray[np.float64],
        chamber: Geometry,
        rng: np.random.Generator,
    ) -> NDArray[np.int64]:
        """Put the fault into counts (R, C) drawn around `expected`: thin them binomially, or add hot hits."""
        where = self.cells(chamber)
        changed = counts.copy()
        if self.factor <= 1:
            changed[where] = rng.binomial(counts[where], self.factor)
        else:
            changed[where] += rng.poisson(expected[where] * (self.factor - 1))
        return changed


def _region(chamber: Geometry, layers: tuple[int, ...], first: int, last: int) -> NDArray[np.bool_]:
    cells = np.zeros(chamber.shape, dtype=np.bool_)
    for layer in layers:
        cells[chamber.row_of(layer), first - 1 : last] = True
    return cells & chamber.mask()


@dataclass(frozen=True, slots=True)
class DeadRegion(Fault):
    """Wires `first` to `last` of one layer give no hits."""

    layer: int
    first: int
    last: int
    kind: ClassVar[str] = "dead-region"

    @property
    def factor(self) -> float:
        """No hits at all."""
        return 0.0

    def cells(self, chamber: Geometry) -> NDArray[np.bool_]:
        """Give the wires of the layer."""
        return _region(chamber, (self.layer,), self.first, self.last)


@dataclass(frozen=True, slots=True)
class DeadBlock(Fault):
    """Wires `first` to `last` give no hits in several layers: a superlayer, or both phi superlayers."""

    layers: tuple[int, ...]
    first: int
    last: int
    kind: ClassVar[str] = "dead-block"

    @property
    def factor(self) -> float:
        """No hits at all."""
        return 0.0

    def cells(self, chamber: Geometry) -> NDArray[np.bool_]:
        """Give the wires of all the layers."""
        return _region(chamber, self.layers, self.first, self.last)


@dataclass(frozen=True, slots=True)
class DeadLayer(Fault):
    """A whole layer gives no hits."""

    layer: int
    kind: ClassVar[str] = "dead-layer"

    @property
    def factor(self) -> float:
        """No hits at all."""
        return 0.0

    def cells(self, chamber: Geometry) -> NDArray[np.bool_]:
        """Give the layer."""
        return _region(chamber, (self.layer,), 1, chamber.shape[1])


@dataclass(frozen=True, slots=True)
class LowEfficiency(Fault):
    """Wires `first` to `last` of some layers give only the share `efficiency` of their hits."""

    layers: tuple[int, ...]
    first: int
    last: int
    efficiency: float
    kind: ClassVar[str] = "low-efficiency"

    @property
    def factor(self) -> float:
        """The efficiency."""
        return self.efficiency

    def cells(self, chamber: Geometry) -> NDArray[np.bool_]:
        """Give the wires of all the layers."""
        return _region(chamber, self.layers, self.first, self.last)


@dataclass(frozen=True, slots=True)
class LowVoltage(Fault):
    """A layer, by habit the ninth, runs at a lower voltage: `efficiency` about .7, or almost 0."""

    layer: int = 9
    efficiency: float = 0.7
    kind: ClassVar[str] = "low-voltage"

    @property
    def factor(self) -> float:
        """The efficiency."""
        return self.efficiency

    def cells(self, chamber: Geometry) -> NDArray[np.bool_]:
        """Give the layer."""
        return _region(chamber, (self.layer,), 1, chamber.shape[1])


@dataclass(frozen=True, slots=True)
class HotWires(Fault):
    """Wires `first` to `last` of one layer count `noise` times too often."""

    layer: int
    first: int
    last: int
    noise: float
    kind: ClassVar[str] = "hot-wires"

    @property
    def factor(self) -> float:
        """The noise."""
        return self.noise

    def cells(self, chamber: Geometry) -> NDArray[np.bool_]:
        """Give the wires of the layer."""
        return _region(chamber, (self.layer,), self.first, self.last)


@dataclass(frozen=True, slots=True)
class DeadChamber(Fault):
    """The whole chamber gives no hits."""

    kind: ClassVar[str] = "dead-chamber"

    @property
    def factor(self) -> float:
        """No hits at all."""
        return 0.0

    def cells(self, chamber: Geometry) -> NDArray[np.bool_]:
        """Give all cells."""
        return chamber.mask()


FAULT_KINDS = tuple(f.kind for f in (DeadRegion, DeadBlock, DeadLayer, LowEfficiency, LowVoltage, HotWires))
"""The kinds that are somewhere in a chamber; `DeadChamber` is all of it."""


def random_fault(kind: str, chamber: Geometry, rng: np.random.Generator) -> Fault:
    """Draw a fault of one of the `FAULT_KINDS`, somewhere in the chamber, or make it a dead chamber.

    Dead regions have 3 to 20 wires, dead blocks 8 to 20 wires in a superlayer or in both phi superlayers, low
    efficiency is .4 to .7 over 15 to 30 wires of a superlayer; layer 9 has .7, or in one of three cases .05;
    one to three hot wires count 4 to 10 times too often.

    Raises:
        ValueError: an unknown kind.

    """
    row = int(rng.integers(len(chamber.widths)))
    unit = chamber.unit_of(row)
    layer = chamber.numbers[row]
    layers = chamber.numbers[unit.start : unit.stop]

    def wires(low: int, high: int, rows: tuple[int, ...]) -> tuple[int, int]:
        # Within the shortest of the rows, so that a region has the same wires in all of them.
        shortest = min(chamber.widths[chamber.row_of(n)] for n in rows)
        width = int(rng.integers(low, high + 1))
        first = int(rng.integers(1, shortest - width + 2))
        return first, first + width - 1

    match kind:
        case DeadRegion.kind:
            return DeadRegion(layer, *wires(3, 20, (layer,)))
        case DeadBlock.kind:
            if unit.view == "phi" and rng.random() < 0.5:
                phi = (u for u in chamber.units if u.view == "phi")
                layers = tuple(n for u in phi for n in chamber.numbers[u.start : u.stop])
            return DeadBlock(layers, *wires(8, 20, layers))
        case DeadLayer.kind:
            return DeadLayer(layer)
        case LowEfficiency.kind:
            return LowEfficiency(layers, *wires(15, 30, layers), efficiency=float(rng.uniform(0.4, 0.7)))
        case LowVoltage.kind:
            return LowVoltage(efficiency=0.7 if rng.random() < 2 / 3 else 0.05)
        case HotWires.kind:
            return HotWires(layer, *wires(1, 3, (layer,)), noise=float(rng.uniform(4, 10)))
        case DeadChamber.kind:
            return DeadChamber()
    known = (*FAULT_KINDS, DeadChamber.kind)
    raise ValueError(f"fault kind {kind!r}: unknown; {did_you_mean(kind, known)}there are {', '.join(known)}")
