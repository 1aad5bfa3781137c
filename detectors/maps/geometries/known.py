"""Which types of detector element there are: those that ship with anomalyd, and those a user adds."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from fnmatch import fnmatchcase
from functools import cache, lru_cache
from importlib import resources
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from anomalyd.detectors.maps.geometries.file import ElementType, read_file, read_type
from anomalyd.detectors.maps.geometry import Geometry, Unit
from anomalyd.errors import ConfigError
from anomalyd.near_names import did_you_mean

_SIGNED_ZERO = re.compile(r"(?<=/W)[+-](0)(?=/)")  # the wheel in the middle has no side

_WIRES = range(47, 97)
_LAYERS = {12: tuple(range(1, 13)), 8: (1, 2, 3, 4, 9, 10, 11, 12)}
"""How many wires a drift-tube layer may have, and how its layers are numbered, by how many there are."""

SHIPPED = ("dt", "ecal-barrel", "ecal-endcap", "hcal")


@cache
def shipped(name: str) -> ElementType:
    """Give a type that ships with anomalyd, one of `SHIPPED`."""
    text = (resources.files(__package__) / f"{name}.yaml").read_text(encoding="utf-8")
    return read_type(text, name)


def load_type(name_or_path: str) -> ElementType:
    """Give a type by the name of a shipped one, or read it from a YAML file.

    Raises:
        ConfigError: neither, or a file that cannot be read.

    """
    if name_or_path in SHIPPED:
        return shipped(name_or_path)
    if "/" in name_or_path or name_or_path.endswith((".yaml", ".yml")):
        return read_file(Path(name_or_path))
    raise ConfigError(
        f"geometry {name_or_path!r}: unknown; {did_you_mean(name_or_path, SHIPPED)}"
        f"give the path of a YAML file, or one of {', '.join(SHIPPED)}"
    )


@cache
def _by_entity() -> dict[str, Geometry]:
    return {e.entity: e for name in SHIPPED for e in shipped(name).elements}


def geometry_of(entity: str, added: Iterable[Geometry] = ()) -> Geometry | None:
    """Give the geometry of a known element, None for others: their maps have rows and columns only.

    `added` are looked at first; a name may be a pattern, as `EB*`.
    """
    for geometry in added:
        if fnmatchcase(entity, geometry.entity):
            return geometry
    known = _by_entity()
    entity = _SIGNED_ZERO.sub(r"\1", entity)
    if entity in known:
        return known[entity]
    return next((g for name, g in known.items() if "*" in name and fnmatchcase(entity, name)), None)


def widths_of(maps: NDArray[np.float32]) -> tuple[int, ...]:
    """Say behind which column the last cell of each row (R,) was ever seen in maps (T, R, C)."""
    seen = np.asarray(np.isfinite(maps).any(axis=0), dtype=np.bool_)
    ends = np.where(np.any(seen, axis=1), seen.shape[1] - np.argmax(seen[:, ::-1], axis=1), 0)
    return tuple(ends.tolist())


def geometry_like(
    entity: str, widths: tuple[int, ...], columns: int, added: Iterable[Geometry] = ()
) -> Geometry:
    """Give the geometry of an element by its name, else by the shapes of CMS, else of a plain histogram.

    `widths` (R,): where the last cell of each row was seen; `columns`: of the map's array.
    """
    shape = len(widths), columns
    known = geometry_of(entity, added)
    if known is not None and known.shape == shape:
        return known
    return _by_shape(shape, widths)


def may_be_ragged(entity: str, widths: Sequence[int]) -> bool:
    """Say whether the rows of an element are of these `widths` (R,): it has such a geometry, or is like a
    drift-tube chamber, whose layers differ.
    """
    known = geometry_of(entity)
    if known is not None and known.widths == tuple(widths):
        return True
    return len(widths) in _LAYERS and max(widths) in _WIRES and min(widths) > 0


@lru_cache(maxsize=256)
def _by_shape(shape: tuple[int, int], widths: tuple[int, ...]) -> Geometry:
    rows, columns = shape
    for name in ("ecal-barrel", "hcal"):
        first = shipped(name).elements[0]
        if first.shape == shape:
            return first
    if rows in _LAYERS and columns in _WIRES:
        # A row that was never seen is as long as the longest.
        whole = tuple(w or columns for w in widths)
        whole = whole if max(whole) == columns else (*whole[:-1], columns)
        views = ("phi", "theta", "phi") if rows == 12 else ("phi", "phi")
        units = tuple(Unit(f"SL{k + 1}", v, 4 * k, 4 * k + 4) for k, v in enumerate(views))
        return Geometry("*", "layer", "wire", whole, _LAYERS[rows], units, weak=(9,))
    return Geometry.of("*", shape)


_WHEEL = re.compile(r"^DT/W[+-]?(\d)/(MB\d)/S\d+$")


@lru_cache(maxsize=100_000)
def kin_of(entity: str) -> str:
    """Name the elements that should count alike: of one station and one distance from the middle, else those
    whose names differ by numbers only."""
    chamber = _WHEEL.match(entity)
    if chamber:
        return f"DT/W{chamber[1]}/{chamber[2]}"
    return re.sub(r"[+-]?\d+", "#", entity)
