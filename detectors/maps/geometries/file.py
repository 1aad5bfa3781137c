"""Read a type of detector element from YAML."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import yaml
from numpy.typing import NDArray

from anomalyd.detectors.maps.geometries.recipes import FaultRecipe, Normal
from anomalyd.detectors.maps.geometry import Geometry, Search, Segment, Unit
from anomalyd.errors import ConfigError


@dataclass(frozen=True, slots=True)
class ElementType:
    """Elements that are built alike (the entity may be a pattern, as `EB*`), and how they behave."""

    name: str
    detector: str
    elements: tuple[Geometry, ...]
    normal: Normal
    faults: tuple[FaultRecipe, ...] = ()


class _Element(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    name: str
    rows: int | None = None
    columns: int | None = None
    widths: tuple[int, ...] = ()
    spans: tuple[tuple[int, int], ...] = ()
    numbers: tuple[int, ...] = ()
    masked: tuple[tuple[int, int, int], ...] = ()


class _Unit(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    name: str
    rows: tuple[int, int]
    view: str = ""


class _Segments(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    kind: str
    tile: tuple[int, int] | None = None
    wedges: int | None = None
    rows: tuple[int, int] | None = None
    columns: tuple[int, int] | None = None


class _File(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    detector: str
    normal: Normal
    elements: tuple[_Element, ...] = ()
    chambers: str = ""
    row: str = "row"
    cell: str = "column"
    wrap: bool = False
    units: tuple[_Unit, ...] = ()
    segments: tuple[_Segments, ...] = ()
    weak: tuple[int, ...] = ()
    search: Search | None = None
    faults: tuple[FaultRecipe, ...] = ()


def read_type(text: str, name: str) -> ElementType:
    """Read an element type from YAML; `name` is what errors call it.

    Raises:
        ConfigError: no YAML, a field that is unknown, missing or impossible; the text names it.

    """
    try:
        loaded: Any = yaml.safe_load(text)
        file = msgspec.convert(loaded, _File, strict=False)
    except (yaml.YAMLError, msgspec.ValidationError) as error:
        raise ConfigError(f"geometry {name}: {error}; see docs/formats.md, Geometries") from error
    if file.chambers:
        elements = _built_in(file, name)
    else:
        elements = tuple(_element(e, file, f"geometry {name}: elements: {e.name}") for e in file.elements)
    if not elements:
        raise ConfigError(f"geometry {name}: elements: none; name at least one")
    _check(file, name)
    return ElementType(name, file.detector, elements, file.normal, file.faults)


def _built_in(file: _File, name: str) -> tuple[Geometry, ...]:
    from anomalyd.detectors.maps.geometries.drift_tubes import dt_chambers

    if file.chambers != "drift-tubes":
        raise ConfigError(f"geometry {name}: chambers: {file.chambers!r}; only drift-tubes are built in")
    return dt_chambers()


def _check(file: _File, name: str) -> None:
    kinds = {s.kind for s in file.segments}
    for fault in file.faults:
        if fault.place == "segment" and fault.segment not in kinds:
            raise ConfigError(
                f"geometry {name}: faults: {fault.kind}: segment {fault.segment!r} is none of {sorted(kinds)}"
            )
        if not fault.factors or min(fault.factors) < 0:
            raise ConfigError(f"geometry {name}: faults: {fault.kind}: factors must be 0 or more")
    if file.normal.counts <= 0:
        raise ConfigError(f"geometry {name}: normal: counts is {file.normal.counts}; it must be above 0")


def _element(element: _Element, file: _File, where: str) -> Geometry:
    starts: tuple[int, ...] = ()
    if element.spans:
        starts = tuple(first - 1 for first, _ in element.spans)
        widths = tuple(last for _, last in element.spans)
    elif element.widths:
        widths = element.widths
    elif element.rows and element.columns:
        widths = (element.columns,) * element.rows
    else:
        raise ConfigError(f"{where}: give rows and columns, or widths, or spans")
    if min(widths) < 1 or any(s < 0 or s >= w for s, w in zip(starts, widths, strict=False)):
        raise ConfigError(f"{where}: every row needs at least one cell, counted from 1")
    numbers = element.numbers or tuple(range(1, len(widths) + 1))
    if len(numbers) != len(widths):
        raise ConfigError(f"{where}: {len(numbers)} numbers for {len(widths)} rows; give one for each")
    masked = tuple((row - 1, first - 1, last) for row, first, last in element.masked)
    if any(not 0 <= row < len(widths) for row, _, _ in masked):
        raise ConfigError(f"{where}: masked: rows count from 1 to {len(widths)}")
    geometry = Geometry(
        entity=element.name,
        row=file.row,
        cell=file.cell,
        widths=widths,
        numbers=numbers,
        starts=starts,
        masked=masked,
        units=_units(file.units, len(widths), where),
        weak=tuple(n for n in file.weak if n in numbers),
        wrap=file.wrap,
        search=file.search,
    )
    return replace(geometry, segments=_segments(file, geometry, where))


def _units(units: tuple[_Unit, ...], rows: int, where: str) -> tuple[Unit, ...]:
    found = tuple(Unit(u.name, u.view, u.rows[0] - 1, u.rows[1]) for u in units)
    covered = [r for u in found for r in range(u.start, u.stop)]
    if found and covered != list(range(rows)):
        raise ConfigError(f"{where}: units must hold every row from 1 to {rows} once, in order")
    return found


def _segments(file: _File, geometry: Geometry, where: str) -> tuple[Segment, ...]:
    mask = geometry.mask()
    rows, columns = mask.shape
    found: list[Segment] = []
    for spec in file.segments:
        cells: list[NDArray[np.bool_]] = []
        if spec.tile is not None:
            height, width = spec.tile
            if height < 1 or width < 1:
                raise ConfigError(f"{where}: segments: {spec.kind}: tile {list(spec.tile)}: at least 1 x 1")
            cells = [
                _box(mask.shape, top, top + height, left, left + width)
                for top in range(0, rows, height)
                for left in range(0, columns, width)
            ]
        elif spec.wedges is not None:
            cells = _wedges(mask.shape, spec.wedges)
        elif spec.rows is not None:
            first, last = spec.columns or (1, columns)
            cells = [_box(mask.shape, spec.rows[0] - 1, spec.rows[1], first - 1, last)]
        else:
            raise ConfigError(f"{where}: segments: {spec.kind}: give a tile, wedges, or rows (and columns)")
        living = [c & mask for c in cells if (c & mask).any()]
        found += [Segment(spec.kind, f"{spec.kind} {i}", _runs(c)) for i, c in enumerate(living, 1)]
    return tuple(found)


def _box(shape: tuple[int, ...], top: int, bottom: int, left: int, right: int) -> NDArray[np.bool_]:
    cells = np.zeros(shape, dtype=np.bool_)
    cells[top:bottom, left:right] = True
    return cells


def _wedges(shape: tuple[int, ...], count: int) -> list[NDArray[np.bool_]]:
    """Cut a round map into `count` sectors of equal angle about its centre."""
    y, x = np.indices(shape, dtype=np.float64)
    angle = np.arctan2(y - (shape[0] - 1) / 2, x - (shape[1] - 1) / 2) % (2 * np.pi)
    sector = np.minimum((angle / (2 * np.pi) * count).astype(int), count - 1)
    return [sector == s for s in range(count)]


def _runs(cells: NDArray[np.bool_]) -> tuple[tuple[int, int, int], ...]:
    """Write cells (R, C) as runs (row, first, stop)."""
    found: list[tuple[int, int, int]] = []
    for row, line in enumerate(cells):
        edges = np.flatnonzero(np.diff(np.concatenate([[0], line.astype(np.int8), [0]])))
        found += [(row, int(first), int(stop)) for first, stop in edges.reshape(-1, 2)]
    return tuple(found)


def read_file(path: Path) -> ElementType:
    """Read an element type from a file, named after it.

    Raises:
        ConfigError: no such file, or as `read_type`.

    """
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"geometry {path}: {error.strerror}; name a YAML file") from error
    return read_type(text, path.stem)
