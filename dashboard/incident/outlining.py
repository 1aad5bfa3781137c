"""A click on a map outlines the fault around that cell; it is kept as an operator's label once confirmed."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from typing import Any

import altair as alt
import numpy as np
import pandas as pd
import streamlit as st
from matplotlib.colors import to_hex

from anomalyd.dashboard import access
from anomalyd.dashboard.charts import draw
from anomalyd.dashboard.store import write
from anomalyd.dashboard.style import literal, theme, told
from anomalyd.dashboard.wording import moment
from anomalyd.detectors.maps.geometries.known import geometry_of
from anomalyd.detectors.maps.geometry import Geometry
from anomalyd.errors import AnomalydError, ModelMismatch
from anomalyd.interpret.maps.label import outline_of
from anomalyd.interpret.pictures.palette import residual_colours
from anomalyd.reports.cases.outline import Outline
from anomalyd.reports.queries import Queries
from anomalyd.reports.report import Evidence, Incident
from anomalyd.reports.storage.store import Store

_MOST_CELLS = 5000
"""Cells that a browser draws at once; of larger maps those farthest from what was expected."""
_SIGMAS = 10.0  # beyond, more colour says nothing
_SELECTED = "cell"
_DONE = "outline that was kept"


def show(queries: Queries, incident: Incident, evidence: Evidence | None) -> None:
    """Show the outlines that are kept, and the map to click on; nothing for what is no map."""
    if evidence is None or evidence.values.ndim != 2:
        return
    st.markdown("##### Outline the fault")
    if done := st.session_state.pop(_DONE, None):
        st.success(literal(done))
    kept = queries.cases.outlines(incident.id)
    if kept:
        st.dataframe([row_of(each) for each in kept], hide_index=True)
    if access.may_annotate():
        _outline(incident, evidence)


def row_of(kept: Outline) -> dict[str, Any]:
    """Give a row of the list of outlines."""
    return {
        "at (UTC)": moment(kept.recorded),
        "who": kept.who,
        "what": kept.text,
        "units": ", ".join(kept.units) or "–",
        "cells": len(kept.cells),
        "seen": round(kept.seen),
        "expected": round(kept.expected),
    }


def cells(
    evidence: Evidence, geometry: Geometry | None, inside: Collection[tuple[int, int]]
) -> list[dict[str, Any]]:
    """Give a row for each cell to be drawn: row and column as people count them, how far it is off.

    `inside`: (row, column) of the array of those within an outline.
    """
    known = np.argwhere(~np.isnan(evidence.error))
    far = np.argsort(-np.abs(evidence.error[tuple(known.T)]), kind="stable")[:_MOST_CELLS]
    return [
        {
            "row": geometry.numbers[r] if geometry is not None else int(r) + 1,
            "column": int(c) + 1,
            "sigmas": float(np.clip(evidence.error[r, c], -_SIGMAS, _SIGMAS)),
            "seen": float(evidence.values[r, c]),
            "expected": float(evidence.expectation[r, c]),
            "inside": (int(r), int(c)) in inside,
        }
        for r, c in known[np.sort(far)]
    ]


def chart(rows: list[dict[str, Any]], row_name: str, column_name: str) -> alt.Chart:
    """Draw the cells by how far they are off, those inside an outline framed; a click selects one."""
    colours = theme()
    made: alt.Chart = (
        alt.Chart(pd.DataFrame(rows))
        .mark_rect(cursor="crosshair")
        .encode(
            x=alt.X("column:O", title=column_name, axis=alt.Axis(labelOverlap=True, labelAngle=0)),
            y=alt.Y("row:O", title=row_name, sort="descending", axis=alt.Axis(labelOverlap=True)),
            color=alt.Color(
                "sigmas:Q",
                title="σ",
                scale=alt.Scale(range=_residual_colours(), domain=[-_SIGMAS, _SIGMAS]),
            ),
            # Written out: `alt.condition` tries every kind of channel, a tenth of the page's time.
            stroke=alt.StrokeValue(
                colours.background, condition={"test": "datum.inside", "value": colours.text}
            ),
            strokeWidth=alt.StrokeWidthValue(0.2, condition={"test": "datum.inside", "value": 1.6}),
            tooltip=[
                alt.Tooltip("row:O", title=row_name),
                alt.Tooltip("column:O", title=column_name),
                alt.Tooltip("seen:Q", format=",.4g"),
                alt.Tooltip("expected:Q", format=",.4g"),
                alt.Tooltip("sigmas:Q", title="σ", format="+.1f"),
            ],
        )
        .add_params(alt.selection_point(name=_SELECTED, fields=["row", "column"], empty=False))
        .properties(height=min(420, max(180, 20 * len({row["row"] for row in rows}))))
    )
    return made


def _residual_colours() -> list[str]:
    """Give the colours of the pictures, which every kind of colour vision tells apart."""
    colours = residual_colours(theme())
    return [to_hex(colours(step / 8)) for step in range(9)]


def _outline(incident: Incident, evidence: Evidence) -> None:
    geometry = geometry_of(incident.entity)
    if geometry is not None and geometry.shape != evidence.values.shape:
        geometry = None
    row_name, column_name = (geometry.row, geometry.cell) if geometry is not None else ("row", "column")
    place = f"cell {incident.id}"
    drawn = _drawn(incident, evidence, st.session_state.get(place))
    rows = cells(evidence, geometry, set(drawn.cells) if drawn is not None else ())
    if not rows:
        st.caption("No cell of this map has an expected count.")
        return
    known = int(np.count_nonzero(~np.isnan(evidence.error)))
    fewer = f" The {len(rows):,} of {known:,} cells farthest from it are shown." if known > len(rows) else ""
    st.caption(f"Observed less expected: click on a cell of the fault.{fewer}")
    shown = f"outline {incident.id}"

    def click() -> None:
        selected = st.session_state[shown].selection.get(_SELECTED, [])
        if selected:
            st.session_state[place] = (int(selected[0]["row"]), int(selected[0]["column"]))

    draw(
        chart(rows, row_name, column_name),
        on_select=click,
        selection_mode=_SELECTED,
        key=shown,
    )
    if drawn is not None:
        _confirm(incident, drawn, place)


def _drawn(incident: Incident, evidence: Evidence, cell: tuple[int, int] | None) -> Outline | None:
    if cell is None:
        return None
    try:
        return outline_of(incident, evidence, *cell, who="")
    except ModelMismatch as error:
        st.warning(literal(str(error)))
        return None


def _confirm(incident: Incident, drawn: Outline, place: str) -> None:
    units = f" Hardware: {', '.join(drawn.units)}." if drawn.units else ""
    chance = "" if drawn.nats > 0 else " It is no more than chance would make."
    st.html(
        told(
            f"{drawn.text}: {drawn.seen:,.0f} seen of {drawn.expected:,.0f} expected in "
            f"{len(drawn.cells):,} cells.{units}{chance}"
        )
    )
    with st.container(horizontal=True, vertical_alignment="bottom"):
        who = access.name_field(f"who outlines {incident.id}")
        keep = st.button("Keep this outline", type="primary", key=f"keep {incident.id}", disabled=not who)
        if st.button("Drop it", key=f"drop {incident.id}"):
            del st.session_state[place]
            st.rerun()
    if keep:
        try:
            st.session_state[_DONE] = write(lambda store: _keep(store, drawn, who))
        except AnomalydError as error:
            st.error(literal(str(error)))
            return
        del st.session_state[place]
        st.rerun()


def _keep(store: Store, drawn: Outline, who: str) -> str:
    kept = store.outlines.keep(replace(drawn, who=who))
    return f"Kept as label {kept.id} of this report, by {who}: {kept.text}."
