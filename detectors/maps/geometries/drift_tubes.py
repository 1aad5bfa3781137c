"""The drift tubes of CMS: 250 chambers, made from the few figures of their stations."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any

import yaml

from anomalyd.detectors.maps.geometry import Geometry, Unit

_WEAK_LAYER = 9  # known for its high voltage


@dataclass(frozen=True, slots=True)
class Station:
    """One station of the drift tubes, as in drift-tubes.yaml (which tells what the figures are)."""

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
    text = (resources.files(__package__) / "drift-tubes.yaml").read_text(encoding="utf-8")
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
    return Geometry(
        chamber_name(wheel, station_name, sector),
        "layer",
        "wire",
        widths,
        numbers,
        tuple(units),
        weak=(_WEAK_LAYER,),
    )


@cache
def dt_chambers() -> tuple[Geometry, ...]:
    """Give all 250 drift-tube chambers, by wheel, station and sector."""
    return tuple(
        dt_chamber(wheel, name, sector)
        for wheel in _dt()["wheels"]
        for name in _dt()["stations"]
        for sector in station(name).sectors
    )
