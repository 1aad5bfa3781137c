"""What the rows and cells of an element's map are: layers, superlayers, wires."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any

import numpy as np
import yaml
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Unit:
    """Rows that belong together in hardware (a superlayer): rows `start` to `stop` - 1 of the map.

    `view` says what they measure ("phi", "theta"); units of one view see the same particles.
    """

    name: str
    view: str
    start: int
    stop: int


@dataclass(frozen=True, slots=True)
class Geometry:
    """The map of one element of a detector.

    `widths` (R,): cells of each row, rows may be ragged; `numbers` (R,): what people call each row (a chamber
    without a theta superlayer has layers 1-4 and 9-12); `row` and `cell` are the field's words for them
    ("layer", "wire"; cells count from 1). `units`: the hardware that rows belong to, in order.
    """

    entity: str
    row: str
    cell: str
    widths: tuple[int, ...]
    numbers: tuple[int, ...]
    units: tuple[Unit, ...]

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and cells of the longest row: the shape (R, C) of the map's array."""
        return len(self.widths), max(self.widths)

    def mask(self) -> NDArray[np.bool_]:
        """Say which places of the array are cells: (R, C), False behind the end of a ragged row."""
        return np.arange(self.shape[1])[None, :] < np.array(self.widths)[:, None]

    def row_of(self, number: int) -> int:
        """Give the array's row of what people call layer `number`.

        Raises:
            ValueError: this element has no such layer.

        """
        if number not in self.numbers:
            raise ValueError(f"{self.entity}: no {self.row} {number}; it has {self.numbers}")
        return self.numbers.index(number)

    def unit_of(self, row: int) -> Unit:
        """Give the unit that a row of the array belongs to."""
        return next(u for u in self.units if u.start <= row < u.stop)

    def sisters(self, row: int) -> tuple[int, ...]:
        """Give the other rows of the same unit: they see the same particles as this one."""
        unit = self.unit_of(row)
        return tuple(r for r in range(unit.start, unit.stop) if r != row)


@dataclass(frozen=True, slots=True)
class Station:
    """One station of the drift tubes, as in dt.yaml (which tells what the figures are)."""

    name: str
    sectors: tuple[int, ...]
    phi: tuple[int, ...]
    phi_of_sector: dict[int, tuple[int, ...]]
    theta: tuple[int, ...]
    superlayers: tuple[float | None, ...]
    counts_mean: float
    counts_spread: float


@cache
def _dt() -> dict[str, Any]:
    text = (resources.files(__package__) / "dt.yaml").read_text(encoding="utf-8")
    loaded: dict[str, Any] = yaml.safe_load(text)
    return loaded


@cache
def station(name: str) -> Station:
    """Give a drift-tube station by name, "MB1" to "MB4".

    Raises:
        ValueError: there is no such station.

    """
    stations = _dt()["stations"]
    if name not in stations:
        raise ValueError(f"station {name!r}: unknown; there are {', '.join(stations)}")
    s = stations[name]
    return Station(
        name=name,
        sectors=tuple(s["sectors"]),
        phi=tuple(s["phi"]),
        phi_of_sector={k: tuple(v) for k, v in s.get("phi_of_sector", {}).items()},
        theta=tuple(_dt()["theta"]),
        superlayers=tuple(s["superlayers"]),
        counts_mean=float(s["counts"]["mean"]),
        counts_spread=float(s["counts"]["spread"]),
    )


def chamber_name(wheel: int, station_name: str, sector: int) -> str:
    """Write a chamber's entity name: `DT/W-2/MB1/S04`, `DT/W0/MB4/S13`, `DT/W+1/MB2/S07`."""
    return f"DT/W{f'{wheel:+d}' if wheel else '0'}/{station_name}/S{sector:02d}"


def dt_chamber(wheel: int, station_name: str, sector: int) -> Geometry:
    """Give the geometry of one drift-tube chamber: 12 layers, or 8 in MB4, which has no theta superlayer.

    Raises:
        ValueError: there is no such chamber.

    """
    st = station(station_name)
    if wheel not in _dt()["wheels"] or sector not in st.sectors:
        raise ValueError(f"there is no chamber at wheel {wheel}, {station_name}, sector {sector}")
    phi = st.phi_of_sector.get(sector, st.phi)
    layers = len(phi)
    widths: tuple[int, ...] = ()
    numbers: tuple[int, ...] = ()
    units: list[Unit] = []
    views = ("phi", "theta", "phi")
    for index, (view, mean) in enumerate(zip(views, st.superlayers, strict=True)):
        if mean is None:
            continue
        units.append(Unit(f"SL{index + 1}", view, len(widths), len(widths) + layers))
        widths += phi if view == "phi" else st.theta
        numbers += tuple(range(index * layers + 1, (index + 1) * layers + 1))
    return Geometry(chamber_name(wheel, station_name, sector), "layer", "wire", widths, numbers, tuple(units))


@cache
def dt_chambers() -> tuple[Geometry, ...]:
    """Give all 250 drift-tube chambers, by wheel, station and sector."""
    return tuple(
        dt_chamber(wheel, name, sector)
        for wheel in _dt()["wheels"]
        for name in _dt()["stations"]
        for sector in station(name).sectors
    )


@cache
def _by_entity() -> dict[str, Geometry]:
    return {chamber.entity: chamber for chamber in dt_chambers()}


def geometry_of(entity: str) -> Geometry | None:
    """Give the geometry of a known element, None for others: their maps have rows and columns only."""
    return _by_entity().get(entity)
