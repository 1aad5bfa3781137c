"""Detectors as they are built: the wheels of the drift tubes, barrel and end caps of the calorimeter."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from anomalyd.dashboard.now.states import EntityState

Draw = Callable[[EntityState], str]
"""Gives the HTML of one entity's cell."""

_CHAMBER = re.compile(r"^DT/W([+-]?[0-2])/MB([1-4])/S(\d{2})$")
_SECTORS, _STATIONS = 14, (4, 3, 2, 1)

_ECAL = re.compile(r"^(?:ECAL/)?(EB|EE)([+-]?)(\d{2})?$")
_SUPERMODULES, _WEDGES = 18, 9


def drawn(entities: Sequence[EntityState], cell: Draw) -> str | None:
    """Give HTML of a detector; None where the place of one of its entities is not known."""
    for name, picture in ((_CHAMBER, _wheels), (_ECAL, _calorimeter)):
        matches = [name.match(state.entity) for state in entities]
        placed = [(match, cell(state)) for match, state in zip(matches, entities, strict=True) if match]
        if placed and len(placed) == len(entities):
            return picture(placed)
    return None


def _wheels(placed: Sequence[tuple[re.Match[str], str]]) -> str:
    """Draw the five wheels of the barrel unrolled, as the field does: sectors along, stations upwards."""
    wheels: dict[int, dict[tuple[int, int], str]] = {wheel: {} for wheel in range(-2, 3)}
    for match, cell in placed:
        wheels[int(match[1])][int(match[2]), int(match[3])] = cell
    shown = [
        _panel(
            f"W{wheel:+d}" if wheel else "W0",
            [cells.get((s, sector), "") for s in _STATIONS for sector in range(1, _SECTORS + 1)],
            _SECTORS,
        )
        for wheel, cells in wheels.items()
        if cells
    ]
    return "".join(shown) + _note("columns: sectors 1 to 14; rows: stations MB4 to MB1")


def _calorimeter(placed: Sequence[tuple[re.Match[str], str]]) -> str:
    """Draw the calorimeter from minus to plus: an end cap, the barrel in eta and phi, the other end cap."""
    parts: dict[str, dict[int, str]] = {}
    for match, cell in placed:
        # What is not divided, or has no side, is one cell.
        parts.setdefault(f"{match[1]}{match[2]}", {})[int(match[3] or 0)] = cell
    shown = []
    for name in ("EE-", "EB-", "EB", "EB+", "EE", "EE+"):
        cells = parts.get(name)
        if cells is None:
            continue
        divided = [number for number in cells if number]
        most = max(_SUPERMODULES if name.startswith("EB") else _WEDGES, *cells)
        if divided:
            shown.append(_panel(name, [cells.get(n, "") for n in range(1, most + 1)], most))
        if 0 in cells:
            shown.append(_panel(name, [cells[0]], 1))
    return "".join(shown) + _note(
        "from eta below 0 to above it; columns: supermodules or sectors in phi, where it is divided"
    )


def _panel(name: str, cells: Sequence[str], columns: int) -> str:
    inside = "".join(cell or "<span></span>" for cell in cells)
    return (
        f'<div class="ad-wheel"><span class="ad-quiet">{name}</span>'
        f'<div style="grid-template-columns:repeat({columns},1fr)">{inside}</div></div>'
    )


def _note(text: str) -> str:
    return f'<div class="ad-quiet">{text}</div>'
