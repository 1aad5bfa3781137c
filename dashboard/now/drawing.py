"""Groups of entities as HTML: the wheels of drift tubes where names say so, a grid of cells else."""

from __future__ import annotations

import re
from collections.abc import Sequence
from html import escape
from urllib.parse import quote

from anomalyd.assistant.language.phrasing import counted
from anomalyd.dashboard.now.states import ORDER, Condition, EntityState, GroupState
from anomalyd.dashboard.style import FILLS, SHAPE
from anomalyd.interpret.pictures.palette import Theme
from anomalyd.reports.report import Severity

_SHAPES = {
    **{Condition(severity.value): shape for severity, shape in SHAPE.items()},
    Condition.SILENT: "✕",
    Condition.UNFIT: "≠",
    Condition.UNSCORED: "?",
    Condition.LEARNING: "…",
    Condition.MAINTENANCE: "⚒",
    Condition.NORMAL: "",
}

_CHAMBER = re.compile(r"^DT/W([+-]?[0-2])/MB([1-4])/S(\d{2})$")
_SECTORS, _STATIONS = 14, (4, 3, 2, 1)
_MOST_CELLS = 1200
_WIDE = 150
"""Entities from which a group takes the whole width."""


def words(group: GroupState) -> str:
    """Say what a group is like: `▲ 2 critical · ✕ 1 no data · 397 normal`."""
    return " · ".join(f"{_SHAPES[c]} {n:,} {c}".strip() for c, n in group.counts().items())


def draw_group(group: GroupState, theme: Theme) -> str:
    """Give HTML of a group: its name, what it is like, and its entities."""
    edge = fill_of(group.condition, theme)
    chambers = [e for e in group.entities if _CHAMBER.match(e.entity)]
    is_barrel = len(chambers) == len(group.entities)
    drawn = _wheels(chambers, theme) if is_barrel else _grid(group.entities, theme)
    wide = " wide" if len(group.entities) > _WIDE and not is_barrel else ""
    return (
        f'<div class="ad-group{wide}" style="border-color:{edge}"><h3>{escape(group.name)}</h3>'
        f'<div class="ad-state">{escape(words(group))}</div>{drawn}</div>'
    )


def fill_of(condition: Condition, theme: Theme) -> str:
    """Give the colour of an area."""
    if condition in (Condition.NORMAL, Condition.LEARNING, Condition.MAINTENANCE):
        # What is well is quieter than what is not.
        return f"{theme.expected}{'33' if condition is Condition.MAINTENANCE else '99'}"
    if condition in (Condition.SILENT, Condition.UNFIT, Condition.UNSCORED):
        return f"{theme.quiet}88"
    return FILLS[Severity(condition.value)]


def _grid(entities: Sequence[EntityState], theme: Theme) -> str:
    # The worst are shown in any case.
    shown = entities
    if len(entities) > _MOST_CELLS:
        shown = [e for e in entities if e.condition is not Condition.NORMAL][:_MOST_CELLS]
    cells = "".join(_cell(e, theme) for e in shown)
    more = len(entities) - len(shown)
    rest = (
        f'<div class="ad-quiet">and {counted(more, "normal entity", "normal entities")}</div>' if more else ""
    )
    return f'<div class="ad-cells">{cells}</div>{rest}'


def _wheels(chambers: Sequence[EntityState], theme: Theme) -> str:
    """Draw the five wheels of the barrel unrolled, as the field does: sectors along, stations upwards."""
    placed: dict[int, dict[tuple[int, int], str]] = {wheel: {} for wheel in range(-2, 3)}
    for state in chambers:
        if match := _CHAMBER.match(state.entity):
            placed[int(match[1])][int(match[2]), int(match[3])] = _cell(state, theme)
    drawn = []
    for wheel, cells in placed.items():
        if not cells:
            continue
        rows = "".join(
            cells.get((station, sector), "<span></span>")
            for station in _STATIONS
            for sector in range(1, _SECTORS + 1)
        )
        label = f"W{wheel:+d}" if wheel else "W0"
        drawn.append(f'<div class="ad-wheel"><span class="ad-quiet">{label}</span><div>{rows}</div></div>')
    return "".join(drawn) + '<div class="ad-quiet">columns: sectors 1 to 14; rows: stations MB4 to MB1</div>'


def _cell(state: EntityState, theme: Theme) -> str:
    alarming = ORDER[state.condition] >= ORDER[Condition.WARNING]
    ink = "#101418" if alarming else theme.text
    return (
        f'<a class="ad-cell" {_link(state)} title="{_title(state)}" '
        f'style="background:{fill_of(state.condition, theme)};color:{ink} !important">'
        f"{_SHAPES[state.condition]}</a>"
    )


def _link(state: EntityState) -> str:
    if state.incident is not None:
        return f'href="incident?report={quote(state.incident.id)}" target="_self"'
    return f'href="explore?entity={quote(state.entity)}" target="_self"'


def _title(state: EntityState) -> str:
    return escape(f"{state.entity}: {state.condition}, {state.text}", quote=True)
