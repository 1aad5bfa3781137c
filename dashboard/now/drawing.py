"""Groups of entities as HTML: as the detector is built where their names say it, a grid of cells else."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from urllib.parse import quote

from anomalyd.assistant.language.phrasing import counted
from anomalyd.dashboard.now import geometries
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

_MOST_CELLS = 1200
_WIDE = 150
"""Entities from which a group takes the whole width."""


def words(group: GroupState) -> str:
    """Say what a group is like: `▲ 2 critical · ✕ 1 no data · 397 normal`."""
    return " · ".join(f"{_SHAPES[c]} {n:,} {c}".strip() for c, n in group.counts().items())


def draw_group(group: GroupState, theme: Theme) -> str:
    """Give HTML of a group: its name, what it is like, and its entities."""
    edge = fill_of(group.condition, theme)
    detector = geometries.drawn(group.entities, lambda state: _cell(state, theme))
    drawn = _grid(group.entities, theme) if detector is None else detector
    wide = " wide" if len(group.entities) > _WIDE and detector is None else ""
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
